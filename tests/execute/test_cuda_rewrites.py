"""Rewritten steps on a GPU: generators and exponentials, judged where they are computed, in few launches.

They run on the stand-in for CuPy, and on a device where no launches are counted.
"""

import sys

import numpy as np
import pytest

import tnalgebra as tna
from tests.execute import fake_cupy
from tests.execute.fake_cupy import CuPyArray
from tests.execute.test_capture import HARD
from tests.execute.test_contract import truth
from tests.execute.test_cuda import backwards, repeated
from tnalgebra.algebra import registry
from tnalgebra.execute.kernels import cuda, cuda_exponential, cuda_generator
from tnalgebra.execute.kernels.blas import lower_product
from tnalgebra.execute.kernels.cuda import Launch, lower_cuda_product
from tnalgebra.execute.kernels.cuda_exponential import CudaExponentials
from tnalgebra.execute.kernels.cuda_generator import Generator
from tnalgebra.execute.kernels.cuda_work import work_of
from tnalgebra.execute.kernels.exponential import FEW, Exponentials
from tnalgebra.execute.kernels.generated import HIGH, LOW, trusted

SOFTMIN = tna.Operator(
    name="softmin", value="-logaddexp(-x, -y)", unit=np.inf, generator=("exp(-x)", "-log(x)"), is_translative=True
)
CUBIC = tna.Operator(name="cubic", value="(x**3 + y**3)**(1 / 3)", unit=0.0, generator=("x**3", "x**(1 / 3)"))
OPERATORS = {"logaddexp": tna.operator("logaddexp"), "hypot": tna.operator("hypot"), "softmin": SOFTMIN, "cubic": CUBIC}
SPECIAL = (-np.inf, -1e30, -80.0, LOW, -1.0, -0.0, 1e-30, 0.05, HIGH, 80.0, 1e30, np.inf, np.nan)


@pytest.fixture(autouse=True)
def operators(monkeypatch):
    """Operators of a user beside the others."""
    monkeypatch.setattr(registry, "_OPERATORS", {**registry._OPERATORS, **OPERATORS})
    with np.errstate(all="ignore"):  # a device warns of nothing
        yield


# --- g and the judgement -------------------------------------------------------------------------------------------


G = {"logaddexp": np.exp, "hypot": np.square, "softmin": lambda x: np.exp(-x), "cubic": lambda x: x**3}


def must_be_anew(op, operands):
    """The same from NumPy, entry by entry."""
    for x in operands:
        least, most = trusted(x.dtype)
        for number in x.flat:
            if number != op.unit and not least < G[op.name](number) < most:
                return True
    top = max((-x if op.name == "softmin" else x).max() for x in operands)
    return bool(op.is_translative and x.dtype.type(LOW) < top < x.dtype.type(HIGH))


def assert_judged(op, operands, device):
    values, is_wanted = Generator(op, len(operands), sys.modules["cupy"])(list(map(device.there, operands)))
    for value, x in zip(values, operands, strict=True):
        assert (value.shape, value.dtype, value.flags.c_contiguous) == (x.shape, x.dtype, True)
        np.testing.assert_allclose(device.back(value), G[op.name](x), rtol=1e-6 if x.dtype == np.float32 else 1e-14)
    assert (is_wanted.shape, is_wanted.dtype) == ((), np.dtype(bool))
    assert bool(is_wanted) == must_be_anew(op, operands), operands
    return bool(is_wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", OPERATORS.values(), ids=str)
def test_special_numbers_are_judged_as_numpy_does(op, dtype, device):
    """One number among others that are in the middle, near 0, or all small."""
    found = set()
    for usual in (1.0, 0.01, -3.0):
        for special in SPECIAL:
            arrays = [np.full((7, 11), usual, dtype), np.full((5, 61), usual, dtype)]
            arrays[0][6, 10] = special
            arrays[1][0, 3] = min(special, op.unit)
            found.add(assert_judged(op, arrays, device))
    assert found == {False, True}


@pytest.mark.parametrize("blocks", [1, 2, 1024])
def test_a_thread_takes_several_entries_and_a_block_of_its_own_judges(blocks, device, monkeypatch, rng):
    monkeypatch.setattr(cuda_generator, "BLOCKS", blocks)
    for place in (None, 0, 255, 256, 1030):
        arrays = [rng.uniform(1.0, 2.0, size) for size in (13, 1031, 509)]
        if place is not None:
            arrays[1][place] = 800.0
        assert assert_judged(OPERATORS["logaddexp"], arrays, device) == (place is not None)


def test_operands_lie_in_memory_as_they_like(device, rng):
    wide = rng.uniform(1.0, 2.0, (7, 5, 11))
    for array in (
        wide,
        backwards(wide),
        repeated(wide),
        wide.T,
        wide[:, ::2],
        wide[:, :1],
        wide[0, 0, 0],
        wide[:, 2],
        wide[0].T,
        wide[::-1],
        wide[:, 1, 3:5],
        wide[2:3, :, 4],
        np.broadcast_to(wide[:, :1, :1], wide.shape),
        wide[..., ::-3],
    ):
        assert_judged(OPERATORS["logaddexp"], [array, np.array(0.5)], device)
        assert_judged(OPERATORS["hypot"], [np.array(3.0), array], device)


# --- exponentials --------------------------------------------------------------------------------------------------


def assert_exponentials(x, y, device, equation="ij,jk->ik"):
    """As on the CPU: the values, and what of them is lost, unless all is to be computed anew."""
    (step,) = tna.contract_path(equation, x, y, xi="add", reduce="logaddexp", optimize=False).steps
    generator, there = step.reduce.generator, sys.modules["cupy"]
    form = Exponentials(step, generator, np, lower_product(step, np))
    tops = form.tops((x, y))
    right, lost = form((x, y), tops)
    is_finite = all(bool((top < np.inf).all()) for top in tops)
    is_anew = not is_finite or FEW * lost.sum() > lost.size
    on_device = CudaExponentials(step, generator, there, lower_cuda_product(step, there))
    found, which, is_most = on_device(list(map(device.there, (x, y))))
    assert (found.shape, found.dtype, found.flags.c_contiguous) == (right.shape, x.dtype, True)
    assert (is_most.shape, is_most.dtype, which.dtype) == ((), np.dtype(bool), np.dtype(bool))
    assert bool(is_most) == is_anew
    np.testing.assert_array_equal(device.back(which), lost & (not is_anew))
    if is_finite:
        certain = ~lost
        np.testing.assert_allclose(
            device.back(found)[certain], right[certain], rtol=1e-5 if x.dtype == np.float32 else 1e-13
        )
    return is_anew, bool(lost.any())


@pytest.mark.parametrize("blocks", [1, 3, 1024])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exponentials_are_judged_as_on_the_cpu(dtype, blocks, device, monkeypatch, rng):
    monkeypatch.setattr(cuda_exponential, "BLOCKS", blocks)
    found = {}
    for name, change in HARD.items():
        x, y = rng.standard_normal((31, 29)), rng.standard_normal((29, 41))
        change(x, y)
        found[name] = assert_exponentials(x.astype(dtype), y.astype(dtype), device)
    assert found == {
        "plain": (False, False), "one entry": (False, True), "most entries": (True, True), "-inf": (False, True),
        "inf": (True, False), "nan": (True, False),
    }  # fmt: skip


def test_a_quarter_of_the_entries_may_be_lost(device):
    for rows, columns, is_anew in ((2, 13, False), (3, 9, True)):
        x, y = np.zeros((8, 2)), np.zeros((2, 13))
        x[:rows, 1], y[0, :columns] = -5000.0, -5000.0
        assert assert_exponentials(x, y, device) == (is_anew, True)


@pytest.mark.parametrize("equation", ["ij,jk->ki", "xij,jxk->kxi", "ijl,kjl->ik"])
def test_exponentials_of_any_layout(equation, device, rng):
    sizes = {"i": 13, "j": 17, "k": 11, "l": 5, "x": 3}
    terms = equation.split("->")[0].split(",")
    x, y = (rng.standard_normal([sizes[label] for label in term]) for term in terms)
    for change in (lambda array: array, backwards, repeated):
        assert_exponentials(change(x), change(y), device, equation)


# --- launches ------------------------------------------------------------------------------------------------------


@pytest.fixture
def launched(use, host, monkeypatch):
    """(function) → kernels that it launches, by CuPy's names; those that are written for a step are "kernel"."""
    use(host)
    names, compute = [], fake_cupy.computed

    def computed(function, *args, **kwargs):
        found = compute(function, *args, **kwargs)
        given = [arg for arg in fake_cupy.unwrap(args) if isinstance(arg, np.ndarray)]
        is_view = any(np.may_share_memory(fake_cupy.unwrap(found), array) for array in given)
        names.extend([] if is_view or function is np.empty else [function.__name__])
        return found

    def launches(function):
        function()  # plans, and compiles
        names.clear()
        before = host.launches
        function()
        return sorted([*names, *["kernel"] * (host.launches - before)])

    monkeypatch.setattr(fake_cupy, "computed", computed)
    return launches


@pytest.mark.parametrize("xi", ["logaddexp", "hypot"])
def test_a_step_by_generators_is_four_launches(xi, launched, rng):
    """Generators, verdict, sums, and what corrects them."""
    x, y = CuPyArray(rng.standard_normal((31, 29))), CuPyArray(rng.standard_normal((29, 23)))
    assert launched(lambda: tna.contract("ij,jk->ik", x, y, xi=xi)) == ["kernel"] * 4


def test_a_step_of_the_log_semiring_is_ten_launches(launched, rng):
    """Two maxima, shifts, the product, logarithms, counts, a verdict, and what corrects some entries or all."""
    f = tna.contract_expression("ij,jk->ik", (31, 29), (29, 23), xi="add", reduce="logaddexp")
    x, y = CuPyArray(rng.standard_normal((31, 29))), CuPyArray(rng.standard_normal((29, 23)))
    assert launched(lambda: f(x, y)) == ["dot", *["kernel"] * 7, *["max"] * 2]


def test_only_what_is_no_matrix_in_memory_is_copied(launched, rng):
    x, y = CuPyArray(rng.standard_normal((29, 31)).T), CuPyArray(rng.standard_normal((29, 2, 23))[:, 1])
    assert launched(lambda: tna.contract("ij,jk->ik", x, y, xi="hypot")) == ["kernel"] * 4
    x, y = CuPyArray(rng.standard_normal((7, 6, 10))[:, :3, :5]), CuPyArray(rng.standard_normal((3, 5, 23)))
    assert launched(lambda: tna.contract("ijl,jlk->ik", x, y, xi="hypot")) == ["asarray", *["kernel"] * 4]


def test_shares_of_shares_are_folded_where_they_are_wanted(use, host, monkeypatch, rng):
    use(host)
    monkeypatch.setattr(cuda, "lanes", lambda work: (max(1, work.sizes[work.summed[0]] // 32), 1))
    x, y = rng.standard_normal((2, 40009))
    (step,) = tna.contract_path("i,i->", x, y, xi="rectifier", optimize=False).steps
    launch = Launch(work_of(step), step.reduce, sys.modules["cupy"], None)
    arrays = list(map(CuPyArray, (x, y)))
    assert launch.takes(arrays)
    for wanted, expected in ((False, -1.0), (True, np.maximum(np.maximum(x, y), 0).sum())):
        before = host.launches
        found = launch.corrected(CuPyArray(np.array(-1.0)), CuPyArray(np.array(wanted)), arrays)
        assert host.launches - before == 3
        np.testing.assert_allclose(found.get(), expected, rtol=1e-12)


# --- whole steps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("xi", OPERATORS)
def test_steps_hold_for_special_numbers(xi, special, device, rng):
    x, y = rng.uniform(0.5, 2.0, (13, 61)), rng.uniform(0.5, 2.0, (61, 11))
    x[5, 7] = special
    with np.errstate(all="ignore"):
        expected = tna.operator(xi).apply(x[:, :, None], y).sum(1)
    found = tna.contract("ij,jk->ik", device.there(x), device.there(y), xi=xi)
    np.testing.assert_allclose(device.back(found), expected, rtol=1e-12)


@pytest.mark.parametrize("equation", ["ab,bc,->ac", "a,b->", "xab,xbc,xc->xa"])
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_operands_of_few_or_many_labels(equation, scale, device, rng):
    sizes = {"a": 13, "b": 17, "c": 11, "x": 3}
    arrays = [
        rng.uniform(0.5, 2.0, [sizes[label] for label in term]) * scale for term in equation.split("->")[0].split(",")
    ]
    found = tna.contract(equation, *map(device.there, map(np.asarray, arrays)), xi="logaddexp", optimize=False)
    expected = tna.contract(equation, *arrays, xi="logaddexp", optimize=False)
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(device.back(found), expected, rtol=1e-12)


@pytest.mark.parametrize(("ops", "word"), [(("hypot", "add"), "together"), (("add", "logaddexp"), "seen")], ids=str)
def test_judges_that_do_not_compile_are_told_once_and_done_without(ops, word, use, host, rng):
    def picky(text):
        if word in text:
            raise RuntimeError("nvrtc: error: no such thing")
        return host(text)

    use(picky)
    x, y = rng.standard_normal((31, 29)), rng.standard_normal((29, 23))
    with pytest.warns(RuntimeWarning, match=r"a CUDA kernel does not compile, .*: nvrtc: error") as told:
        found = [tna.contract("ij,jk->ik", CuPyArray(x), CuPyArray(y), xi=ops[0], reduce=ops[1]) for _ in range(2)]
    assert len(told) == 1
    for value in found:
        np.testing.assert_allclose(value.get(), truth("ij,jk->ik", (x, y), *ops), rtol=1e-13)
