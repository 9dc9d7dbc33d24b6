"""The same on a device: every operation on formats, on CuPy and on a stand-in that refuses what CuPy refuses."""

import sys

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tests.execute.fake_cupy import CuPyArray, make

# The stand-in for CuPy compiles nothing, and so takes the way over CuPy's own functions.
pytestmark = pytest.mark.filterwarnings("ignore:a CUDA kernel does not compile:RuntimeWarning")

SHAPE = (3, 5, 2, 4)
KINDS = (tna.CPTensor, tna.TTTensor, tna.HTTensor)
TREE = tna.DimensionTree((((0, 2), 3), 1))


class Device:
    """Arrays of one library, there and back."""

    def __init__(self, there, back):
        self.there, self.back = there, back

    def moved(self, tensor):
        return tensor._rebuild({name: self.there(np.array(part)) for name, part in tensor.parameters().items()})

    def dense(self, found):
        """The entries on the host, of whatever an operation gives."""
        if hasattr(found, "parameters"):
            assert all(type(part).__module__.split(".")[0] == "cupy" for part in found.parameters().values())
            found = found._rebuild({name: self.back(part) for name, part in found.parameters().items()})
            return found.to_dense()
        return np.asarray(self.back(found) if type(found).__module__.split(".")[0] == "cupy" else found)


def fake():
    return Device(CuPyArray, lambda array: array.get())


def real():
    cupy = pytest.importorskip("cupy")
    return Device(cupy.asarray, cupy.asnumpy)


@pytest.fixture(params=[fake, pytest.param(real, marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    if request.param is fake:
        monkeypatch.setitem(sys.modules, "cupy", make())
        tna.plan_cache.clear()  # keys hold the module
    yield request.param()
    tna.plan_cache.clear()


def pairs(dtype="float64"):
    for kind in KINDS:
        yield tuple(kind.random(SHAPE, rank, seed=rank, dtype=dtype) for rank in (2, 3))
    yield tuple(tna.HTTensor.random(SHAPE, rank, seed=rank, dtype=dtype, tree=TREE) for rank in (2, 3))


OPERATIONS = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a - 2 * b / 3,
    "product": lambda a, b: a * b,
    "conj": lambda a, b: a.conj(),
    "kron": lambda a, b: a.kron(b),
    "outer": lambda a, b: a.outer(b),
    "concatenate": lambda a, b: tna.concatenate([a, b], 1),
    "permute": lambda a, b: a.permute((2, 0, 3, 1)),
    "slice": lambda a, b: a[1:, :, 0, ::2],
    "partial sum": lambda a, b: a.sum([1, 3]),
    "whole sum": lambda a, b: a.sum(),
    "entry": lambda a, b: a[2, 4, 1, 3],
    "gather": lambda a, b: a.gather([[0, 1, 0, 3], [2, 4, 1, -1]]),
    "matricize": lambda a, b: a.matricize([0, 2]),
    "inner": lambda a, b: a.inner(b),
    "norm": lambda a, b: a.norm(),
    "log_norm": lambda a, b: a.log_norm(),
    "distance": lambda a, b: a.distance(b),
    "to_cp": lambda a, b: a.to_cp(),
    "to_tt": lambda a, b: a.to_tt(),
    "to_ht": lambda a, b: a.to_ht(TREE),
}


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_on_the_device(device, name, dtype):
    for a, b in pairs(dtype):
        expected = OPERATIONS[name](a, b)
        found = OPERATIONS[name](device.moved(a), device.moved(b))
        dense = expected.to_dense() if hasattr(expected, "parameters") else np.asarray(expected)
        assert relative_error(device.dense(found), dense) < 1e-11


def test_products_with_matrices_on_the_device(device, rng):
    matrix, vector = rng.standard_normal((6, 5)), rng.standard_normal(5)
    for a, _ in pairs():
        moved = device.moved(a)
        for factor in (matrix, vector):
            found = moved.mode_dot(device.there(factor), 1)
            assert relative_error(device.dense(found), a.mode_dot(factor, 1).to_dense()) < 1e-12
        vectors = [rng.standard_normal((7, size)) for size in SHAPE]
        found = device.dense(moved.evaluate([device.there(x) for x in vectors]))
        assert relative_error(found, a.evaluate(vectors)) < 1e-12
        square = type(a).random((3, 2, 3), 2, seed=0)
        assert (
            relative_error(device.dense(device.moved(square).diagonal(0, 2)), square.diagonal(0, 2).to_dense()) < 1e-12
        )


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize(
    "options", [{}, {"eps": 1e-3}, {"eps": 1e-10}, {"max_rank": 2}, {"eps": 1e-3, "seed": 0}], ids=str
)
def test_rounding_on_the_device(device, options, dtype):
    for kind in KINDS[1:]:
        a, b = (kind.random(SHAPE, rank, seed=rank, dtype=dtype) for rank in (2, 3))
        expected = (a + b - a / 2).round(**options)
        found = (device.moved(a) + device.moved(b) - device.moved(a) / 2).round(**options)
        assert found.ranks == expected.ranks
        assert relative_error(device.dense(found), expected.to_dense()) < 1e-8
        assert (device.moved(a) - device.moved(a)).round(eps=1e-6).max_rank == 1
        center = 1 if kind is tna.TTTensor else (0, 1)
        assert relative_error(device.dense(device.moved(a).orthogonalize(center)), a.to_dense()) < 1e-12


@pytest.mark.parametrize("eps", [1e-3, 1e-10, None])
def test_decompositions_on_the_device(device, eps):
    array = 1 / (1 + sum(np.ogrid[:6, :5, :4, :7]))
    for kind in KINDS[1:]:
        expected, found = kind.from_dense(array, eps=eps), kind.from_dense(device.there(array), eps=eps)
        assert found.ranks == expected.ranks
        assert relative_error(device.dense(found), array) <= (eps or 1e-13)
    assert relative_error(device.dense(tna.CPTensor.from_dense(device.there(array), max_rank=3)), array) < 0.05


def test_tangent_spaces_on_the_device(device):
    x, z = (tna.TTTensor.random(SHAPE, 2, seed=seed) for seed in (0, 1))
    space, there = tna.TangentSpace(x), tna.TangentSpace(device.moved(x))
    vector, moved = space.project(z), there.project(device.moved(z))
    assert moved.norm() == pytest.approx(vector.norm(), rel=1e-12)
    found = device.dense(there.retract(moved * 1e-2 + there.zero()))
    assert relative_error(found, space.retract(vector * 1e-2).to_dense()) < 1e-11
    assert there.random(seed=0).norm() == pytest.approx(1)


def test_cp_terms_on_the_device(device):
    t = tna.CPTensor.random(SHAPE, 3, seed=0)
    for call in (lambda x: x.normalize(), lambda x: x.sort()):
        assert relative_error(device.dense(call(device.moved(t))), t.to_dense()) < 1e-12
