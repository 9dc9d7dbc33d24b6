"""Compiled matrix products of ⊕ and ξ against NumPy's kernels, on odd sizes, strides, and numbers that are not finite."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.algebra import registry
from tnalgebra.errors import EquationError
from tnalgebra.execute.kernels import factors, jit, matrix, native, tiled

pytest.importorskip("numba")
pytestmark = pytest.mark.usefixtures("by_steps")
PAIRS = [
    ("rectifier", "add"),
    ("maximum", "add"),
    ("logaddexp", "add"),
    ("hypot", "add"),
    ("add", "maximum"),
    ("add", "minimum"),
    ("multiply", "maximum"),
    ("multiply", "minimum"),
    ("minimum", "rectifier"),
    ("maximum", "minimum"),
]


@pytest.fixture
def only(monkeypatch):
    """Let nothing but the compiled matrix product give a result."""

    def refuse(step, xp, plain):
        def refused(*arrays):
            raise AssertionError("not by the matrix kernel")

        return matrix.lower_matrix(step, xp, refused)

    monkeypatch.setattr("tnalgebra.execute.kernels.lower_matrix", refuse)


def both(equation, x, y, xi, reduce):
    planned = tna.contract_expression(equation, x.shape, y.shape, xi=xi, reduce=reduce)
    with np.errstate(all="ignore"):
        return tna.compile(planned)(x, y), planned(x, y)


@pytest.mark.parametrize(("xi", "reduce"), PAIRS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("float32", 2e-6)])
def test_every_pair(xi, reduce, dtype, tolerance, rng, only):
    x, y = rng.standard_normal((7, 11)).astype(dtype), rng.standard_normal((11, 37)).astype(dtype)
    found, expected = both("ij,jk->ik", x, y, xi, reduce)
    assert found.dtype == expected.dtype == dtype
    assert relative_error(found, expected) < tolerance


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 31])
@pytest.mark.parametrize("inner", [1, 2, 4, 7, 33, 70])
@pytest.mark.parametrize("columns", [16, 17, 1031])
def test_rows_and_entries_that_are_left_over(rows, inner, columns, rng, only):
    x, y = rng.standard_normal((rows, inner)), rng.standard_normal((inner, columns))
    for xi in ("rectifier", "logaddexp") if rows > 3 else ("rectifier",):  # exponentials pay where they are used often
        found, expected = both("ij,jk->ik", x, y, xi, "add")
        assert relative_error(found, expected) < 1e-14


@pytest.mark.parametrize("equation", ["ij,jk->ki", "ji,kj->ik", "bij,bjk->bik", "jbi,kjb->kib", "ijl,ljk->ki"])
@pytest.mark.parametrize("xi", ["rectifier", "logaddexp", "own"])
def test_labels_in_any_order(equation, xi, rng, only, monkeypatch):
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    tna.register_operator(tna.Operator(name="own", value="x + y - x * y / 4", unit=0.0))
    sizes = {"i": 5, "j": 3, "k": 29, "b": 2, "l": 7}
    terms = equation.split("->")[0].split(",")
    x, y = (rng.standard_normal([sizes[label] for label in term]) for term in terms)
    found, expected = both(equation, x, y, xi, "add")
    assert relative_error(found, expected) < 1e-14
    strided = [np.repeat(array, 2, axis=-1)[..., ::2] for array in (x, y)]
    for array in strided:
        array.flags.writeable = False
    np.testing.assert_array_equal(both(equation, *strided, xi, "add")[0], found)


@pytest.mark.parametrize("equation", ["j,jk->k", "jk,j->k"])
def test_a_vector(equation, rng, only):
    shapes = [{"j": (3,), "jk": (3, 29)}[term] for term in equation.split("->")[0].split(",")]
    found, expected = both(equation, *(rng.standard_normal(shape) for shape in shapes), "rectifier", "add")
    assert relative_error(found, expected) < 1e-14


@pytest.mark.parametrize(("xi", "reduce"), PAIRS)
@pytest.mark.parametrize("where", ["x", "y", "xy"])
def test_infinities_and_nan_arrive_as_in_numpy(xi, reduce, where, rng):
    for values in ([np.nan], [np.inf], [-np.inf], [np.inf, -np.inf], [np.nan, np.inf], [-0.0]):
        for rows, columns in ((5, 17), (17, 5)):
            x, y = rng.standard_normal((rows, 6)), rng.standard_normal((6, columns))
            for value, operand in itertools.product(values, where):
                {"x": x, "y": y}[operand].flat[rng.integers(30)] = value
            found, expected = both("ij,jk->ik", x, y, xi, reduce)
            np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("value", "unit", "reduce", "dtype", "tolerance"),
    [
        ("maximum(abs(x), abs(y))", 0.0, "minimum", "float64", 1e-15),
        ("x + y - x * y", 0.0, "maximum", "float64", 1e-14),
        ("-maximum(-x, -y)", np.inf, "add", "float32", 2e-6),
        ("sqrt(x * x + y * y)", 0.0, "add", "float64", 1e-14),
        ("1 / (1 / x + 1 / y)", np.inf, "add", "float32", 2e-6),
        ("abs(x) + abs(y)", 0.0, "maximum", "float32", 1e-6),
    ],
)
def test_operators_of_ones_own(value, unit, reduce, dtype, tolerance, rng, only, monkeypatch):
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    samples = (0.5, 1.0, 3.0)
    tna.register_operator(tna.Operator(name="own", value=value, unit=unit, unit_is_strict=False, samples=samples))
    for number in (0.5, np.nan, np.inf, -np.inf):
        for where in ("x", "y", "xy"):
            operands = {"x": rng.uniform(0.1, 2, (13, 7)), "y": rng.uniform(0.1, 2, (7, 29))}
            for operand in where:
                operands[operand].flat[5] = number
            x, y = (array.astype(dtype) for array in operands.values())
            found, expected = both("ij,jk->ik", x, y, "own", reduce)
            assert found.dtype == dtype
            np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
            np.testing.assert_allclose(found, expected, rtol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spread", [0.1, 5.0, 20.0, 60.0, 300.0, 5000.0])
def test_a_sum_of_logarithms_at_every_spread(dtype, spread, rng):
    """By products of many factors, of two, or term by term: never NaN, nor infinite where no number is."""
    x, y = (rng.uniform(-spread, spread, shape).astype(dtype) for shape in ((6, 41), (41, 18)))
    found, _ = both("ij,jk->ik", x, y, "logaddexp", "add")
    expected = np.logaddexp(x.astype(float)[:, :, None], y.astype(float)).sum(1)
    assert relative_error(found, expected) < (1e-14 if dtype == "float64" else 1e-6)


def test_units_of_a_sum_of_logarithms(rng):
    x, y = rng.standard_normal((6, 41)), rng.standard_normal((41, 18))
    x[2], x[:, 5] = -np.inf, -np.inf
    found, expected = both("ij,jk->ik", x, y, "logaddexp", "add")
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.sampled_from(PAIRS[:6]), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_any_size(rows, inner, columns, pair, seed):
    rng = np.random.default_rng(seed)
    found, expected = both(
        "ij,jk->ik", rng.standard_normal((rows, inner)), rng.standard_normal((inner, columns)), *pair
    )
    assert relative_error(found, expected) < 1e-13


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("shape", "equation"), [((67, 129), "ij,jk->ik"), ((5, 17, 129), "bij,bjk->bik")])
def test_threads_share_the_rows(threads, shape, equation, rng, monkeypatch, only):
    monkeypatch.setattr(tiled, "thread_count", lambda: threads)
    monkeypatch.setattr(tiled, "SHARE", 1)
    x, y = rng.standard_normal(shape), rng.standard_normal((*shape[:-2], shape[-1], 31))
    for xi in ("rectifier", "logaddexp", "hypot"):
        found, expected = both(equation, x, y, xi, "add")
        assert relative_error(found, expected) < 1e-14


def test_limits_of_threads_hold(rng, monkeypatch):
    counts = []
    monkeypatch.setattr(tiled, "SHARE", 1)
    monkeypatch.setattr(
        matrix, "in_threads", lambda work, length, count: (counts.append(count), work(slice(0, length)))
    )
    x, y = rng.standard_normal((8, 5)), rng.standard_normal((5, 16))
    x[3, 2] = np.nan
    with threadpool_limits(1):
        both("ij,jk->ik", x, y, "rectifier", "add")
    assert counts == [1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1.0, 1e30, 1e38])
def test_roots_are_right_to_the_last_place_at_every_scale(dtype, scale, rng):
    """By multiplications, by instructions, and by both where a number is too small or too large for the former."""
    x = rng.uniform(0, scale, (2, 13, 1)).astype(dtype)
    x[0, 3], x[1] = 0, x[1] * np.geomspace(1e-7, 1, 13)[:, None]
    for y in (np.zeros((2, 1, 18), dtype), rng.uniform(0, scale / 2, (2, 1, 18)).astype(dtype)):
        found = tiled.tiled_product(tiled.ROOT_OF_SUM, ("add", ("x", "y")), x, y, 0.0)
        truth = np.sqrt((x + y).astype("longdouble"))
        assert np.all(np.abs(found - truth) <= np.spacing(truth.astype(dtype)))
        assert not np.any(found[truth == 0])


def test_zeros_of_either_sign_have_the_root_zero(rng):
    x, y = rng.uniform(1, 2, (1, 5, 6)).astype("float32"), rng.uniform(1, 2, (1, 6, 18)).astype("float32")
    x[0, 2, 3], y[0, 3, 4] = -0.0, -0.0
    found = tiled.tiled_product(tiled.ROOT_OF_SUM, ("add", ("x", "y")), x, y, 0.0)
    assert relative_error(found, np.sqrt(x[..., None] + y[:, None]).sum(2)) < 1e-6


@pytest.mark.parametrize(
    "pair", [("rectifier", "add"), ("add", "maximum"), ("add", "minimum"), ("multiply", "maximum")]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 2e-5)])
@pytest.mark.parametrize("shape", [(1, 13, 601, 523), (3, 6, 256, 256), (2, 1, 257, 17), (1, 300, 3, 1)], ids=str)
def test_orders_of_numbers_in_blocks_that_are_not_whole(pair, dtype, tolerance, shape, rng):
    xi, reduce = pair
    batches, rows, inner, columns = shape
    x, y = (rng.standard_normal(s).astype(dtype) for s in ((batches, rows, inner), (batches, inner, columns)))
    if xi == "add":
        x[:, 0], y[:, :, -1] = (-np.inf, -np.inf) if reduce == "maximum" else (np.inf, np.inf)
    found, _ = both("bij,bjk->bik", x, y, xi, reduce)
    pairs = {"rectifier": lambda a, b: np.maximum(np.maximum(a, b), 0)}.get(xi, getattr(np, xi, None))
    truth = np.stack([getattr(np, reduce).reduce(pairs(x[:, i, :, None], y), axis=1) for i in range(rows)], axis=1)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, truth, rtol=tolerance, atol=tolerance)


def test_what_a_compiled_function_takes(rng):
    planned = tna.contract_expression("ij,jk->ik", (3, 5), (5, 16), xi="rectifier")
    integers = rng.integers(-9, 9, (3, 5)), rng.integers(-9, 9, (5, 16))
    np.testing.assert_array_equal(tna.compile(planned)(*integers), planned(*integers))
    x, y = rng.standard_normal((3, 5)).astype("float32"), rng.standard_normal((5, 16))
    np.testing.assert_allclose(tna.compile(planned)(x, y), planned(x, y), rtol=1e-14)
    e = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi="rectifier")
    np.testing.assert_allclose(tna.compile(e)(A=x, B=y), planned(x, y), rtol=1e-14)
    whole = tna.contract("ik->", e)
    assert tna.compile(tna.value_and_grad(whole)).is_compiled
    with pytest.raises(EquationError, match=r"cannot compile str: give what contract_expression\(…\) or"):
        tna.compile("ij,jk->ik")
    with pytest.raises(EquationError, match="leaves do not fit: missing B"):
        tna.compile(e)(A=x)


@pytest.mark.parametrize("xi", ["hypot", "rectifier"])
def test_a_kernel_that_does_not_compile_is_done_without(xi, rng, monkeypatch):
    def broken(*_):
        raise jit.numba_or_none().errors.TypingError("no")

    monkeypatch.setattr(matrix, "jitted", lambda *_: broken)
    monkeypatch.setattr(native, "native", broken)
    native.machine_of.cache_clear()
    x, y = rng.standard_normal((3, 5)), rng.standard_normal((5, 16))
    planned = tna.contract_expression("ij,jk->ik", x.shape, y.shape, xi=xi)
    with pytest.warns(RuntimeWarning, match="a kernel does not compile, NumPy's is used: .*no"):
        found = tna.compile(planned)(x, y)
    np.testing.assert_allclose(found, planned(x, y), rtol=1e-14)
    native.machine_of.cache_clear()


def test_what_takes_seconds_is_compiled_unasked(rng, monkeypatch, only):
    x, y = rng.standard_normal((13, 11)), rng.standard_normal((11, 17))
    monkeypatch.setattr("tnalgebra.execute.run.COMPILED", 1000)
    tna.plan_cache.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = tna.contract("ij,jk->ik", x, y, xi="rectifier")
    tna.plan_cache.clear()
    assert relative_error(found, np.maximum(np.maximum(x[:, :, None], y), 0).sum(1)) < 1e-14
    large = tna.contract_path("ij,jk->ik", (4096, 4096), (4096, 4096), xi="rectifier")
    assert "by a compiled kernel, where Numba is installed" in large.explain()


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 16), (3, 5, 7, 17), (2, 3, 513, 270), (1, 300, 259, 33), (7, 2, 8, 1)], ids=str
)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("float32", 1e-6)])
@pytest.mark.parametrize("threads", [1, 3])
def test_logarithms_of_products(shape, dtype, tolerance, threads, rng, monkeypatch):
    """Blocks that are not whole, few columns, and numbers of which two alone may be multiplied."""
    batches, rows, inner, columns = shape
    monkeypatch.setattr(tiled, "thread_count", lambda: threads)
    monkeypatch.setattr(tiled, "SHARE", 1)
    spread, shapes = np.log(np.finfo(dtype).max), ((batches, rows, inner), (batches, inner, columns))
    for room in (0.1, 0.45):
        x, y = (np.exp(room * spread * rng.uniform(-1, 1, shape)).astype(dtype) for shape in shapes)
        truth = np.log(x.astype("float64")[..., None] + y.astype("float64")[:, None]).sum(2)
        found = factors.log_of_product(x, y)
        assert found.dtype == dtype
        assert found.shape == (batches, rows, columns)
        assert relative_error(found, truth) < tolerance


def test_logarithms_of_products_beyond_the_range_are_taken_one_by_one(rng):
    x, y = rng.uniform(1, 2, (1, 5, 7)), rng.uniform(1, 2, (1, 7, 17))
    assert factors.log_of_product(x, y) is not None
    for number in (0.0, 1e-200, 1e200, np.inf, np.nan, -1.0):
        y[0, 3, 2] = number
        assert factors.log_of_product(x, y) is None
