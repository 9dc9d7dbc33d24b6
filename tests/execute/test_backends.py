"""The operator on any library is the operator: every pair (ξ, ⊕) against nested loops, on every backend present."""

import itertools
import re
import sys

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import EQUATIONS, operands, relative_error
from tests.execute.fake_cupy import CuPyArray, make
from tests.execute.test_contract import BUILTIN, PAIRS, kind_of, truth
from tnalgebra.errors import AlgebraError, DeviceError, DTypeError, MemoryLimitError
from tnalgebra.execute import Expression, namespace

# The stand-in for CuPy compiles nothing, and so takes the way over CuPy's own functions.
pytestmark = pytest.mark.filterwarnings("ignore:a CUDA kernel does not compile:RuntimeWarning")

REAL = tuple(name for name in BUILTIN if not name.startswith("logical"))
SOME = EQUATIONS[::3]


class Backend:
    """How arrays of one library are made, taken back and recognised."""

    def __init__(self, name, asarray, back=np.asarray):
        self.name, self.asarray, self.back = name, asarray, back

    def is_home(self, array):
        return type(array).__module__.split(".")[0] in (self.name, f"{self.name}lib")


def strict():
    xp = pytest.importorskip("array_api_strict")
    return Backend("array_api_strict", xp.asarray)


def dask():
    da = pytest.importorskip("dask.array")
    return Backend("dask", lambda array: da.asarray(array, chunks=2))


def torch():
    xp = pytest.importorskip("torch")
    return Backend("torch", xp.asarray, lambda tensor: tensor.numpy())


def jax():
    xp = pytest.importorskip("jax")
    xp.config.update("jax_enable_x64", True)
    return Backend("jax", xp.numpy.asarray)


def fake():
    return Backend("cupy", CuPyArray, lambda array: array.get())


def cupy():
    xp = pytest.importorskip("cupy")
    return Backend("cupy", xp.asarray, xp.asnumpy)


@pytest.fixture(params=[strict, dask, torch, jax, fake, pytest.param(cupy, marks=pytest.mark.gpu)])
def backend(request, monkeypatch):
    if request.param is fake:
        module = make()
        monkeypatch.setitem(sys.modules, "cupy", module)
        tna.plan_cache.clear()  # keys hold the module
    yield request.param()
    if request.param is fake:
        tna.plan_cache.clear()


def test_every_pair_on_every_backend(backend, rng):
    pairs = PAIRS if backend.name != "dask" else PAIRS[::4]  # its graphs cost a millisecond a node
    for number, (xi, reduce) in enumerate(pairs):
        for equation in SOME[number % 3 :: 3] if backend.name != "dask" else SOME[number % 9 :: 9]:
            arrays = operands(equation, rng, kind=kind_of(xi, reduce))
            found = tna.contract(equation, *map(backend.asarray, arrays), xi=xi, reduce=reduce)
            assert backend.is_home(found), (xi, reduce, equation)
            assert relative_error(backend.back(found), truth(equation, arrays, xi, reduce)) < 1e-12, (
                xi,
                reduce,
                equation,
            )


def test_the_operator_is_never_the_product(backend, rng):
    """Matrix-product-shaped equations, where a library's einsum would multiply."""
    a, b = rng.standard_normal((3, 5)), rng.standard_normal((5, 7))
    for xi in set(REAL) - {"multiply"}:
        found = backend.back(tna.contract("ij,jk->ik", backend.asarray(a), backend.asarray(b), xi=xi))
        assert relative_error(found, a @ b) > 0.1
        assert relative_error(found, tna.operator(xi).apply(a[:, :, None], b).sum(1)) < 1e-13


def test_truth_values_on_every_backend(backend, rng):
    a, b = rng.random((3, 5)) < 0.3, rng.random((5, 7)) < 0.3
    for xi, reduce in itertools.product(("logical_and", "logical_or"), repeat=2):
        found = backend.back(tna.contract("ij,jk->ik", backend.asarray(a), backend.asarray(b), xi=xi, reduce=reduce))
        assert found.dtype == bool
        np.testing.assert_array_equal(found, truth("ij,jk->ik", [a, b], xi, reduce))


def test_expressions_on_every_backend(backend, rng):
    arrays = {"a": rng.standard_normal((7, 5)), "h": rng.standard_normal((7, 3)), "G": rng.standard_normal((5, 3, 2))}
    a, h, g = tna.leaf("a", "bi"), tna.leaf("h", "bj"), tna.leaf("G", "ijk")
    for xi in REAL:
        unit = tna.contract("ijk,bij->bk", g, tna.contract("bi,bj->bij", a, h, xi=xi))
        found = unit.evaluate(**{name: backend.asarray(array) for name, array in arrays.items()})
        assert backend.is_home(found)
        outer = tna.operator(xi).apply(arrays["a"][:, :, None], arrays["h"][:, None, :])
        assert relative_error(backend.back(found), np.einsum("ijk,bij->bk", arrays["G"], outer)) < 1e-13


def test_batches_on_every_backend(backend, rng):
    inner = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi="hypot")
    e = tna.contract("ik,ik->", inner, tna.leaf("W", "ik"))
    shapes = {"A": (7, 2, 3), "B": (3, 5), "W": (7, 2, 5)}
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    there = {name: backend.asarray(array) for name, array in arrays.items()}
    value, slopes = tna.batched(tna.value_and_grad(e), ["A", "W"])(**there)
    assert backend.is_home(value)
    members = [Expression(e.node, {**there, "A": there["A"][n, ...], "W": there["W"][n, ...]}) for n in range(7)]
    together = backend.back(tna.stacked(members).evaluate())
    total = np.zeros((3, 5))
    for n in range(7):
        truth, own = tna.value_and_grad(e)(A=arrays["A"][n], B=arrays["B"], W=arrays["W"][n])
        total += own["B"]
        assert relative_error(backend.back(value)[n], truth) < 1e-13
        assert relative_error(together[n], truth) < 1e-13
        for name in ("A", "W"):
            assert relative_error(backend.back(slopes[name])[n], own[name]) < 1e-13
    assert relative_error(backend.back(slopes["B"]), total) < 1e-13


def check_gradient(both, arrays, backend):
    """Value and gradient where the backend lives, and as NumPy has them."""
    value, gradient = both(**{name: backend.asarray(array) for name, array in arrays.items()})
    expected, truth = both(**arrays)
    assert relative_error(backend.back(value), expected) < 1e-12
    for name, found in gradient.items():
        assert backend.is_home(found)
        with np.errstate(all="ignore"):  # Dask computes now, with the branches that `where` does not take
            assert relative_error(backend.back(found), truth[name]) < 1e-11, f"{name} of {both.expression}"


@pytest.mark.parametrize("equation", ["ij,jk->ik", "ii,ij->j", "ij->i"])
def test_gradients_on_every_backend(backend, rng, equation):
    terms, output = equation.split("->")
    sizes = {"i": 3, "j": 5, "k": 2}
    leaves = [tna.leaf(name, "st"[: len(term)]) for name, term in zip("AB", terms.split(","), strict=False)]
    arrays = {
        name: rng.standard_normal([sizes[label] for label in term])
        for name, term in zip("AB", terms.split(","), strict=False)
    }
    pairs = [pair for pair in PAIRS if not {*pair} & {"logical_and", "logical_or"}]
    for xi, reduce in pairs if backend.name != "dask" else pairs[::9]:
        inner = tna.contract(equation, *leaves, xi=xi, reduce=reduce)
        both = tna.value_and_grad(tna.contract(f"{output},{output}->", inner, inner))
        check_gradient(both, arrays, backend)


def test_a_memory_limit_on_every_backend(backend, rng):
    a, b, c = (rng.standard_normal(shape) for shape in ((2, 5), (5, 3), (3, 2)))
    for xi, reduce in (("multiply", "add"), ("rectifier", "add"), ("hypot", "hypot"), ("add", "logaddexp")):
        with pytest.raises(MemoryLimitError, match=r"needs at least \d+ bytes") as found:
            tna.contract_path("ij,jk,kl->l", a, b, c, xi=xi, reduce=reduce, memory_limit=1)
        least = int(re.search(r"at least (\d+)", str(found.value))[1])
        assert tna.contract_path("ij,jk,kl->l", a, b, c, xi=xi, reduce=reduce).peak_bytes > least
        arrays = map(backend.asarray, (a, b, c))
        sliced = tna.contract("ij,jk,kl->l", *arrays, xi=xi, reduce=reduce, memory_limit=least)
        assert relative_error(backend.back(sliced), truth("ij,jk,kl->l", [a, b, c], xi, reduce)) < 1e-12


def test_planned_contractions_on_every_backend(backend, rng):
    a, b = rng.standard_normal((3, 5)), rng.standard_normal((5, 7))
    expression = tna.contract_expression("ij,jk->ik", (3, 5), (5, 7), xi="logaddexp")
    found = expression(backend.asarray(a), backend.asarray(b))
    assert backend.is_home(found)
    assert relative_error(backend.back(found), expression(a, b)) < 1e-13


def test_integers_become_float64_under_a_floating_operator(backend):
    a = np.array([[100, 3, -5]], dtype=np.int8)
    for xi, reduce in (("logaddexp", "add"), ("hypot", "maximum"), ("maximum", "logaddexp")):
        found = backend.back(tna.contract("ij,ij->i", *[backend.asarray(a)] * 2, xi=xi, reduce=reduce))
        assert found.dtype == np.float64
        assert relative_error(found, truth("ij,ij->i", [a.astype(float)] * 2, xi, reduce)) < 1e-14


def test_infinities_give_no_nan_under_logaddexp(backend):
    a = np.array([[-np.inf, -np.inf], [-np.inf, 0.0], [np.inf, 0.0]])
    found = tna.contract("ij->i", backend.asarray(a), reduce="logaddexp")
    np.testing.assert_array_equal(backend.back(found), [-np.inf, 0.0, np.inf])
    found = tna.contract("ij,ij->ij", backend.asarray(a), backend.asarray(a), xi="logaddexp")
    np.testing.assert_array_equal(backend.back(found), np.logaddexp(a, a))


def test_operands_in_two_places_are_refused(backend):
    a = np.ones((2, 3))
    with pytest.raises(
        DeviceError, match=r"operands live in two places: \w+ on \S+ and \w+ on \S+; move them"
    ) as found:
        tna.contract("ij,ij->", a, backend.asarray(a))
    assert "numpy on cpu" in str(found.value)
    assert f"{type(backend.asarray(a)).__module__.split('.')[0]} on " in str(found.value)


def test_a_large_generic_step_is_halved(monkeypatch, rng):
    xp = pytest.importorskip("array_api_strict")
    monkeypatch.setattr("tnalgebra.execute.kernels.generic.ENTRIES", 20)
    for xi, reduce in PAIRS[::7]:
        for equation in SOME[::2]:
            arrays = operands(equation, rng, kind=kind_of(xi, reduce))
            found = tna.contract(equation, *map(xp.asarray, arrays), xi=xi, reduce=reduce)
            assert relative_error(np.asarray(found), truth(equation, arrays, xi, reduce)) < 1e-12, equation
    test_expressions_on_every_backend(strict(), rng)


def test_a_large_generic_step_is_halved_down_to_the_limit(monkeypatch, rng):
    """No array of more than ENTRIES entries is formed, the result aside."""
    xp = pytest.importorskip("array_api_strict")
    monkeypatch.setattr("tnalgebra.execute.kernels.generic.ENTRIES", 100)
    sizes = []
    original = tna.execute.kernels.generic._evaluate

    def watched(*args):
        value = original(*args)
        sizes.append(value.size)
        return value

    monkeypatch.setattr("tnalgebra.execute.kernels.generic._evaluate", watched)
    tna.contract("ij,jk->ik", xp.asarray(np.ones((13, 17))), xp.asarray(np.ones((17, 11))), xi="hypot")
    assert max(sizes) <= 100
    assert len(sizes) > 13 * 17 * 11 / 100


def test_numpy_reaches_no_array_on_the_device():
    """The stand-in refuses what CuPy refuses, so that the tests above mean something."""
    x = CuPyArray(np.ones(3))
    for call in (lambda: np.add(x, x), lambda: np.sum(x), lambda: np.asarray(x), lambda: np.result_type(x)):
        with pytest.raises(TypeError, match=r"numpy|ufunc|Implicit conversion|operand type"):
            call()
    with pytest.raises(NotImplementedError, match=re.escape("`cupy_maximum.reduce` is not supported yet")):
        make().maximum.reduce(x)
    with pytest.raises(TypeError, match=r"cupy.asarray takes no device"):
        make().asarray(x, device=0)
    with pytest.raises(TypeError, match=r"Unsupported type <class 'numpy\.ndarray'>"):
        make().add(x, np.ones(3))
    assert not hasattr(make(), "concat")


def test_what_is_not_an_array_library_is_named():
    class Thing:
        dtype, shape = np.dtype(float), (3,)

    with pytest.raises(DTypeError, match="Thing is not an array of a library that follows the array API"):
        tna.contract("i->", Thing())


def test_complex_numbers_have_no_order_on_any_backend(backend):
    z = backend.asarray(np.array([1 + 2j, 3.0]))
    np.testing.assert_allclose(backend.back(tna.contract("i,i->", z, z)), 6 + 4j)
    for xi, reduce in (("maximum", "add"), ("hypot", "add"), ("multiply", "maximum"), ("logaddexp", "add")):
        with pytest.raises(DTypeError, match="is not defined for complex operands"):
            tna.contract("i,i->", z, z, xi=xi, reduce=reduce)


def test_nothing_to_reduce_gives_the_unit_on_every_backend(backend):
    empty = backend.asarray(np.empty((0, 3)))
    for reduce in REAL:
        for operand_count in (1, 2):
            equation = ",".join(["ij"] * operand_count) + "->j"
            found = backend.back(tna.contract(equation, *[empty] * operand_count, reduce=reduce))
            np.testing.assert_array_equal(found, np.full(3, tna.operator(reduce).unit))
    with pytest.raises(AlgebraError, match=r"maximum over a label of size 0 is -inf, which .*int64 cannot hold"):
        tna.contract("ij->j", backend.asarray(np.empty((0, 2), np.int64)), reduce="maximum")


def test_devices_have_names():
    array = np.ones(3)
    assert namespace.device_of(array) == "cpu"
    assert namespace.to_device(array, "cpu") is array
    assert namespace.device_of(CuPyArray(array)) == "cuda:0"
    with pytest.raises(
        DeviceError, match=re.escape("unknown device 'gpu'; known: 'cpu', 'cuda', 'cuda:0', 'cuda:1', …")
    ):
        namespace.to_device(array, "gpu")
    with pytest.raises(DeviceError, match=re.escape("unknown device 'cuda:x'")):
        namespace.to_device(array, "cuda:x")


def test_without_cupy_a_device_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=re.escape("device 'cuda' needs CuPy: pip install 'tnalgebra[cuda13]'")):
        namespace.to_device(np.ones(3), "cuda")


@pytest.mark.parametrize("spread", [1.0, 2000.0])
def test_the_log_semiring_and_its_gradients_on_every_backend(backend, rng, spread):
    arrays = {"A": rng.standard_normal((13, 11)) * spread, "B": rng.standard_normal((11, 17)), "W": np.ones((13, 17))}
    arrays["A"][2, 3] = arrays["B"][3, 4] = -np.inf
    inner = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi="add", reduce="logaddexp")
    both = tna.value_and_grad(tna.contract("ik,ik->", inner, tna.leaf("W", "ik")), ("A", "B"))
    check_gradient(both, arrays, backend)
