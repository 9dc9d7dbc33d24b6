"""Operands as they come: strided, read-only, empty, scalar, huge, tiny, not finite, of any dtype."""

import re

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import EQUATIONS, SIZES, operands, relative_error
from tests.execute.test_contract import BUILTIN, truth
from tnalgebra.errors import DTypeError, EquationError, MemoryLimitError
from tnalgebra.execute.promise import is_kept

REAL = tuple(name for name in BUILTIN if not name.startswith("logical"))
PAIRS = (
    ("multiply", "add"), ("rectifier", "add"), ("logaddexp", "add"), ("add", "add"), ("hypot", "maximum"),
    ("add", "logaddexp"), ("hypot", "hypot"), ("maximum", "minimum"),
)  # fmt: skip


def variants(array):
    """The same numbers in other memory: Fortran order, steps, negative strides, read-only, a part of more."""
    yield np.array(array, order="F")
    wide = np.zeros([2 * size for size in array.shape], array.dtype)
    steps = wide[(*[slice(None, None, 2)] * array.ndim, ...)]
    steps[...] = array
    yield steps
    yield np.flip(np.flip(array).copy())
    frozen = array.copy()
    frozen.flags.writeable = False
    yield frozen
    yield np.stack([array, array])[0, ...]


@pytest.mark.parametrize(("xi", "reduce"), PAIRS)
def test_memory_layout_changes_no_number(xi, reduce, rng):
    for equation in EQUATIONS[::5]:
        arrays = operands(equation, rng)
        expected = tna.contract(equation, *arrays, xi=xi, reduce=reduce)
        for laid in zip(*map(variants, arrays), strict=True):
            copies = [array.copy() for array in laid]
            found = tna.contract(equation, *laid, xi=xi, reduce=reduce)
            assert relative_error(found, expected) < 1e-13, equation
            assert all(np.array_equal(array, copy) for array, copy in zip(laid, copies, strict=True))
            assert not any(np.shares_memory(found, array) for array in laid)


@pytest.mark.parametrize(("xi", "reduce"), PAIRS)
def test_labels_of_size_zero(xi, reduce, rng):
    for empty in ("b", "a", "bc"):
        sizes = {**SIZES, **dict.fromkeys(empty, 0)}
        for equation in EQUATIONS[::3]:
            arrays = operands(equation, rng, sizes=sizes)
            found = tna.contract(equation, *arrays, xi=xi, reduce=reduce)
            np.testing.assert_allclose(
                found, truth(equation, arrays, xi, reduce).astype(float), rtol=1e-12, err_msg=f"{equation} {empty}"
            )


def test_nothing_that_is_reduced_does_not_pass_through_xi():
    a, b, c = tna.leaf("A", "ij"), tna.leaf("B", "i"), tna.leaf("C", "i")
    arrays = {"A": np.ones((3, 0)), "B": np.array([1.0, 2, 3])}
    for xi in ("rectifier", "maximum", "logaddexp"):
        nested = tna.contract("i,i->", tna.contract("ij->i", a, reduce="maximum"), b, xi=xi, reduce="maximum")
        assert nested.evaluate(**arrays) == 3
    flat = tna.contract("ij,i,i->", a, b, c, xi="maximum", reduce="maximum")
    assert tna.value_and_grad(flat)(**arrays, C=np.ones(3))[0] == flat.evaluate(**arrays, C=np.ones(3)) == -np.inf


@pytest.mark.parametrize(("xi", "reduce"), PAIRS)
def test_labels_of_size_one(xi, reduce, rng):
    sizes = dict.fromkeys(SIZES, 1) | {"c": 5}
    for equation in EQUATIONS:
        arrays = operands(equation, rng, sizes=sizes)
        found = tna.contract(equation, *arrays, xi=xi, reduce=reduce)
        assert relative_error(found, truth(equation, arrays, xi, reduce)) < 1e-12, equation


@pytest.mark.parametrize("scale", [1e300, 1e-300, 1e150, 1e-150])
def test_scale_changes_no_digit(scale, rng):
    """Operators that are homogeneous neither overflow nor vanish before their result does."""
    for xi, reduce in (
        ("rectifier", "maximum"),
        ("hypot", "maximum"),
        ("hypot", "hypot"),
        ("add", "maximum"),
        ("maximum", "add"),
    ):
        for equation in ("ab,bc->ac", "ab,bc,cd->ad", "ab->a"):
            arrays = operands(equation, rng)
            expected = tna.contract(equation, *arrays, xi=xi, reduce=reduce)
            found = tna.contract(equation, *[array * scale for array in arrays], xi=xi, reduce=reduce)
            assert relative_error(found / scale, expected) < 1e-13
    assert tna.contract("i,i->", [700.0, -scale], [800.0, -scale], xi="add", reduce="logaddexp") == 1500.0


def test_infinities_and_nan_arrive():
    x = np.array([1.0, np.inf, -np.inf, 0.0])
    y = np.array([-np.inf, 2.0, -np.inf, np.inf])
    for xi in ("rectifier", "logaddexp", "maximum", "minimum", "hypot"):
        np.testing.assert_array_equal(tna.contract("i,i->i", x, y, xi=xi), tna.operator(xi).apply(x, y))
        for reduce in ("maximum", "minimum", "logaddexp", "hypot"):
            found = tna.contract("i,j->", x, y, xi=xi, reduce=reduce)
            assert not np.isnan(found), (xi, reduce)
            np.testing.assert_array_equal(found, truth("i,j->", [x, y], xi, reduce))
    with np.errstate(invalid="ignore"):
        for xi in REAL:
            for reduce in ("add", "maximum", "minimum", "logaddexp"):
                assert np.isnan(tna.contract("i,i->", [1.0, np.nan], [2.0, 3.0], xi=xi, reduce=reduce)), (xi, reduce)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_small_floats_are_computed_as_they_are(dtype, rng):
    for xi, reduce in PAIRS:
        for equation in ("ab,bc->ac", "ab,bc,cd->ad", "abc->b"):
            arrays = [array.astype(dtype) for array in operands(equation, rng)]
            found = tna.contract(equation, *arrays, xi=xi, reduce=reduce)
            assert found.dtype == dtype, (xi, reduce, equation)
            wide = [array.astype(float) for array in arrays]
            expected = tna.contract(equation, *wide, xi=xi, reduce=reduce)
            assert relative_error(found, expected) < 16 * np.finfo(dtype).eps, (xi, reduce, equation)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int64", "uint64"])
def test_integers_of_all_kinds(dtype, rng):
    a, b = (rng.integers(0, 5, shape).astype(dtype) for shape in ((3, 5), (5, 7)))
    for xi, reduce in (*PAIRS, ("multiply", "maximum"), ("rectifier", "rectifier"), ("multiply", "hypot")):
        found = tna.contract("ij,jk->ik", a, b, xi=xi, reduce=reduce)
        floats = {"logaddexp", "hypot"} & {xi, reduce}
        assert found.dtype == (np.float64 if floats else dtype)
        assert relative_error(found, truth("ij,jk->ik", [a.astype(float), b.astype(float)], xi, reduce)) < 1e-13


@pytest.mark.parametrize(
    ("dtype", "a", "b", "xi", "reduce"),
    [("bool", [1], [[1], [1]], "add", "rectifier"), ("uint8", [100], [[100], [1]], "multiply", "maximum"),
     ("int64", [2**40], [[2**40], [1]], "multiply", "maximum"), ("int8", [5], [[7], [1]], "multiply", "maximum")],
)  # fmt: skip
def test_integers_that_wrap_are_reduced_in_the_order_of_the_equation(dtype, a, b, xi, reduce):
    a, b = np.array(a, dtype), np.array(b, dtype)
    planned = tna.contract_expression("i,ji->i", a.shape, b.shape, xi=xi, reduce=reduce)
    np.testing.assert_array_equal(tna.contract("i,ji->i", a, b, xi=xi, reduce=reduce), planned(a, b))


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">c16", ">i4"])
def test_the_order_of_bytes_changes_no_number(dtype, rng):
    for xi, reduce in (
        (("multiply", "add"), ("add", "add")) if dtype == ">c16" else (*PAIRS, ("logical_or", "logical_and"))
    ):
        for equation in EQUATIONS[::5]:
            arrays = [(3 * array).astype(dtype) for array in operands(equation, rng)]
            expected = tna.contract(
                equation, *[x.astype(x.dtype.newbyteorder("=")) for x in arrays], xi=xi, reduce=reduce
            )
            found = tna.contract(equation, *arrays, xi=xi, reduce=reduce)
            np.testing.assert_array_equal(found, expected, err_msg=f"{equation} {xi} {reduce}")


def test_mixed_dtypes_are_promoted(rng):
    a, b = rng.integers(-3, 4, (3, 5)), rng.standard_normal((5, 7)).astype("float32")
    assert tna.contract("ij,jk->ik", a, b).dtype == np.float64
    assert tna.contract("ij,jk->ik", a.astype("int8"), b).dtype == np.float32
    assert tna.contract("ij,jk->ik", a, b, xi="maximum").dtype == np.float64
    assert tna.contract("ij,jk->ik", a, b.astype(complex)).dtype == np.complex128
    z = rng.standard_normal((5, 7)) * 1j
    for equation in ("ij,jk->ik", "ij,jk->ijk", "ij,jk->"):
        np.testing.assert_allclose(tna.contract(equation, a, z), np.einsum(equation, a, z))
    np.testing.assert_allclose(tna.contract("ij,jk->ik", a, z, xi="add"), (a[:, :, None] + z).sum(1))


def test_scalars_and_lists_are_operands():
    assert tna.contract(",->", 2.0, 3.0, xi="hypot") == pytest.approx(13**0.5)
    assert tna.contract(",,->", 2, np.float32(3), np.array(4)) == 24
    assert tna.contract("i,->i", [1, 2], True).tolist() == [1, 2]
    for xi in REAL:
        assert tna.contract("->", -3.0, xi=xi) == -3.0  # one operand: no ξ
    for wrong, message in (
        ([[1], [1, 2]], "operands must be numbers: setting an array element with a sequence"),
        (np.array(["2020"], "M8[D]"), "operands must be numbers; got dtype datetime64[D]"),
        ("1", "operands must be numbers; got dtype <U1"),
    ):
        with pytest.raises(DTypeError, match=re.escape(message)):
            tna.contract("i->", wrong)


def test_a_product_of_very_many_operands(rng):
    """300 operands with one label each: buffers are reused, so the memory does not grow with their number."""
    vectors = [rng.standard_normal(3) for _ in range(300)]
    parts = [part for vector in vectors for part in (vector, [0])]
    for xi, expected in (("maximum", np.max(vectors, 0)), ("hypot", np.linalg.norm(vectors, axis=0))):
        assert relative_error(tna.contract(*parts, [0], xi=xi), expected) < 1e-12
    plan = tna.contract_path(",".join("i" * 300) + "->", *[(10**6,)] * 300, xi="hypot")
    assert plan.peak_bytes < 64 * 2**20


@pytest.mark.parametrize("shape", [(211, 2, 307), (211, 7, 307), (211, 1, 307), (307, 1, 211), (131, 137, 127)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "int64"])
def test_large_products_are_those_of_their_rows_and_columns(shape, dtype, rng):
    """Matrices, and tensors with several labels for rows and columns, as their memory lies and turned."""
    rows, inner, columns = shape
    a, b = ((8 * rng.standard_normal(size)).astype(dtype) for size in ((rows, inner), (inner, columns)))
    expected = np.stack([a[i] @ b for i in range(rows)])
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for x, y in zip(variants(a), variants(b), strict=True):
        found = tna.contract("ij,jk->ik", x, y)
        assert relative_error(found, expected) < tolerance
        assert found.dtype == expected.dtype
        assert relative_error(tna.contract("ij,jk->ki", x, y), expected.T) < tolerance
        pair = tna.contract("ij,jabk->kbai", x, y.reshape(inner, 1, 1, columns))
        assert relative_error(pair[:, 0, 0, :], expected.T) < tolerance


@pytest.mark.usefixtures("own_registry")
def test_a_result_shares_no_memory_with_an_operand():
    tna.register_operator(tna.Operator(name="largest", value="maximum(x, y)", unit=-np.inf))
    for shape, equation in (((2, 1), "ij->i"), ((2, 1, 3), "ijk->ki"), ((1,), "i->"), ((3, 2), "ij->ij")):
        a = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
        for found in (
            tna.contract(equation, a, reduce="largest"),
            tna.contract_expression(equation, shape, reduce="largest")(a),
        ):
            assert not np.may_share_memory(found, a)
            assert found.sum() == a.sum()


def test_a_masked_array_is_refused():
    masked = np.ma.masked_equal([1.0, 2.0, 3.0], 2)
    with pytest.raises(DTypeError, match="operands must be whole arrays; this one has a mask: fill it first"):
        tna.contract("i->", masked)
    assert tna.contract("i->", masked.filled(0)) == 4


def test_what_an_array_cannot_hold_is_refused_before_the_work():
    many = np.ones((1,) * 40)
    labels = [*range(80)]
    with pytest.raises(EquationError, match="this makes an array of 80 axes, but an array has at most 64"):
        tna.contract(many, labels[:40], many, labels[40:], labels)
    with pytest.raises(MemoryLimitError, match=r"more than the .* that there are: ask for entries"):
        tna.contract("i,j->ij", *np.broadcast_to(1.0, (2, 3_000_000)))


def test_limits_are_compared_as_bytes():
    a = np.ones((5, 7))
    tna.plan_cache.clear()
    for limit in (2**20, "1MiB", np.int64(2**20)):
        assert tna.contract("ij->i", a, memory_limit=limit).tolist() == [7] * 5
    assert tna.plan_cache.info().misses == 1
    for limit in (2.0**20, "0.5", "0%", True):
        with pytest.raises(MemoryLimitError, match="memory_limit must be bytes"):
            tna.contract("ij->i", a, memory_limit=limit)


def test_inner_products_with_more_labels_than_the_alphabet_has(rng):
    labels = "".join(chr(192 + i) for i in range(30))
    a, b = rng.standard_normal((2, *(2,) * 3, *(1,) * 27))
    found = tna.contract(f"{labels},{labels}->{labels[1:]}", a, b)
    np.testing.assert_allclose(found, (a * b).sum(0), rtol=1e-13)


def test_leaves_have_labels_that_an_equation_could_have():
    for labels, text in (
        ("...i", "'.' cannot be a label of leaf 'A'"),
        ("ij-i", "'-' cannot be a label"),
        (("",), "''"),
    ):
        with pytest.raises(EquationError, match=text):
            tna.leaf("A", labels)
    with pytest.raises(EquationError, match=r"leaf 'A' has shape \(2, -2\): no size may be negative"):
        tna.leaf("A", "ij").plan(A=(2, -2))


def test_a_promise_is_not_taken_where_numbers_leave_the_range():
    """Of 1e-300, 1e200 and 1e200 the product is a number, but not of the last two."""
    big, one = np.array([1e200]), np.ones(1)
    assert not is_kept(tna.operator("multiply"), tna.operator("maximum"), [np.array([1e-300]), big, big])
    assert is_kept(tna.operator("multiply"), tna.operator("maximum"), [one, big, one])
    assert is_kept(tna.operator("add"), tna.operator("rectifier"), [one, big, big])
    assert not is_kept(
        tna.operator("add"), tna.operator("rectifier"), [np.array([100], "int8"), np.array([100], "int8")]
    )
