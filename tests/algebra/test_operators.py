"""Laws, slopes and pairs: what operators declare is checked, and every check can fail."""

import itertools
import re

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import EQUATIONS, operands, relative_error
from tests.execute.test_contract import truth
from tnalgebra.algebra import SEMIRINGS, known_operators
from tnalgebra.algebra.builtin import BUILTIN
from tnalgebra.algebra.laws import check_laws
from tnalgebra.algebra.scalar import as_ufunc, compile_arrays, parse, temporaries
from tnalgebra.algebra.schedule import schedule
from tnalgebra.errors import AlgebraError, DTypeError, LawError, UnknownNameError
from tnalgebra.execute.kernels.line import straight

INF = np.inf
SMOOTH = [op for op in BUILTIN if op.partial is not None]


@pytest.mark.parametrize("op", BUILTIN, ids=str)
def test_builtin_operators_keep_their_laws(op):
    check_laws(op, {other.name: other for other in BUILTIN})


BROKEN = [
    ({"value": "x - y"}, "operator 'mine' is not commutative: ξ(-2.5, -1.0) = -1.5 but ξ(-1.0, -2.5) = 1.5"),
    ({"value": "x * y + 1"}, "operator 'mine' is not associative: ξ(ξ(-2.5, -2.5), -1.0) = -6.25 but"),
    ({"value": "x + y", "unit": 1.0}, "operator 'mine' does not have the unit 1.0: ξ(-2.5, -2.5, u) = -4 but"),
    ({"value": "hypot(x, y)"}, "operator 'mine' does not have the strict unit 0.0: ξ(-2.5, u) = 2.5 but the value"),
    ({"value": "x + y", "repeat": "x * n + 1"},
     "operator 'mine' has another n-fold value than `repeat`: repeat(-2.5, 3) = -6.5 but ξ(-2.5, -2.5, -2.5) = -7.5"),
    ({"value": "x + y", "partial": "x"},
     "operator 'mine' has another slope than `partial`: ∂ξ/∂x(-2.5, -2.4869) = -2.5 but a finite difference gives 1"),
    ({"value": "x + y", "distributes_over": frozenset({"add"})},
     "operator 'mine' does not distribute over 'add': ξ(-2.5, -2.5 ⊕ -2.5) = -7.5 but ξ(-2.5, -2.5) ⊕"),
    ({"value": "x + y", "distributes_over": frozenset({"mine"})}, "operator 'mine' does not distribute over 'mine'"),
    ({"value": "x * y", "unit": 1.0, "distributes_over": frozenset({"maximum"})},
     "operator 'mine' does not distribute over 'maximum'"),
    ({"value": "x + y", "distributes_over_nonnegative": frozenset({"add"})},
     "operator 'mine' does not distribute over 'add': ξ(0.5, 0.0 ⊕ 0.0) = 0.5 but ξ(0.5, 0.0) ⊕ ξ(0.5, 0.0) = 1"),
    ({"value": "x + y - 1", "unit": 1.0, "distributes_over_nonnegative": frozenset({"maximum"})},
     "operator 'mine' is negative for numbers that are not: ξ(0.0, 0.0) = -1"),
    ({"value": "x + y", "distributes_over": frozenset({"maximun"})},
     "operator 'mine' says it distributes over 'maximun', which is not registered"),
    ({"value": "x + y", "name": "ADD"}, "operator 'add' is already registered with another definition; known: add, hypot"),
    ({"value": "maximum(x, y)", "unit": -INF, "reduction": "min"},
     "operator 'mine' is not what 'min' folds: ξ(ξ(-2.5, -2.5), -1.0) = -1 but min of them = -2.5"),
    ({"value": "log(2**x + 2**y) / log(2.0)", "unit": -INF, "reduction": "logsumexp"},
     "operator 'mine' is not what 'logsumexp' folds: ξ(ξ(-2.5, -2.5), -2.5) = -0.915037 but logsumexp of them"),
    ({"value": "x + y", "reduction": "mean"},
     "operator 'mine' has the reduction 'mean'; known: sum, prod, max, min, any, all, logsumexp"),
    ({"value": "x + y", "share": "2"},
     "operator 'mine' has another slope than `share`: ∂ξ/∂x(-2.5, -2.4869) = 2 but a finite difference gives 1"),
    ({"value": "maximum(x, y)", "unit": -INF, "share": "1", "tie": "x == t"},
     "operator 'mine' has another slope than `share`: ∂ξ/∂x(-2.5, -2.4869) = 1 but a finite difference gives 0"),
    ({"value": "x + y", "samples": ()}, "operator 'mine' has no samples, on which its laws are checked"),
    ({"value": "__import__('os')"}, "`__import__('os')` in `__import__('os')` is not a scalar expression; use + - *"),
    ({"value": "(lambda: x)()"}, "is not a scalar expression"),
    ({"value": "x.real + y"}, "`x.real` in `x.real + y` is not a scalar expression"),
    ({"value": "x[0] + y"}, "`x[0]` in `x[0] + y` is not a scalar expression"),
    ({"value": "x + z"}, "`z` in `x + z` is not a scalar expression"),
    ({"value": "x + True"}, "`True` in `x + True` is not a scalar expression"),
    ({"value": "x + '1'"}, "`'1'` in `x + '1'` is not a scalar expression"),
    ({"value": "maximum(x)"}, "`maximum(x)` in `maximum(x)` is not a scalar expression"),
    ({"value": "maximum(x, y=y)"}, "`maximum(x, y=y)` in `maximum(x, y=y)` is not a scalar expression"),
    ({"value": "x < y < 1"}, "is not a scalar expression"),
    ({"value": "x +"}, "`x +` is not a scalar expression: invalid syntax"),
    ({"value": "x; y"}, "`x; y` is not a scalar expression"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), BROKEN, ids=[fields["value"] for fields, _ in BROKEN])
@pytest.mark.usefixtures("own_registry")
def test_a_law_that_is_broken_is_named(fields, message):
    before = known_operators()
    with pytest.raises(LawError, match=re.escape(message)):
        tna.register_operator(tna.Operator(**{"name": "mine", "unit": 0.0, **fields}))
    assert known_operators() == before


@pytest.mark.usefixtures("own_registry")
def test_names_are_found_without_regard_to_case():
    mine = tna.register_operator(tna.Operator(name="P3", value="x + y", unit=0.0))
    assert tna.operator("p3") is tna.operator("P3") is tna.operator(mine) is mine
    assert tna.register_operator(tna.Operator(name="P3", value="x + y", unit=0.0)) == mine
    with pytest.raises(LawError, match="operator 'p3' is already registered with another definition"):
        tna.register_operator(tna.Operator(name="p3", value="x * y", unit=1.0))
    with pytest.raises(UnknownNameError, match="operator 'p3' is not registered; check its laws"):
        tna.operator(tna.Operator(name="p3", value="x * y", unit=1.0))
    with pytest.raises(UnknownNameError, match=r"unknown operator 'hypo'; known: add, .*; did you mean 'hypot'\?"):
        tna.operator("hypo")
    with pytest.raises(UnknownNameError, match="unknown operator 3; known: add"):
        tna.operator(3)


def test_registering_left_nothing_behind():
    assert {"P3", "p3", "mine"}.isdisjoint(op.name for op in known_operators())


@pytest.mark.parametrize("op", SMOOTH, ids=str)
def test_partials_are_slopes(op, rng):
    x, y = rng.standard_normal((2, 200)) * 3
    h = 1e-6
    dx, dy = op.partials(x, y)
    np.testing.assert_allclose(dx, (op.apply(x + h, y) - op.apply(x - h, y)) / (2 * h), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(dy, (op.apply(x, y + h) - op.apply(x, y - h)) / (2 * h), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("op", SMOOTH, ids=str)
def test_partials_are_finite_at_infinity_and_keep_the_dtype(op):
    x, y = np.meshgrid([-INF, -2.0, 0.0, 1.0, INF], [-INF, -2.0, 0.0, 1.0, INF])
    for dtype in (np.float32, np.float64):
        dx, dy = op.partials(x.astype(dtype), y.astype(dtype))
        assert dx.dtype == dy.dtype == dtype
        assert not np.isnan(dx).any()
        assert not np.isnan(dy).any()
        np.testing.assert_array_equal(dx, dy.T)
    nan = np.array([np.nan, np.nan]), np.array([1.0, np.nan])
    if op.name != "add":  # its slope is 1 wherever it is taken
        assert np.isnan(op.partials(*nan)[1]).all()
        with np.errstate(invalid="ignore"):
            assert np.isnan(op.apply(*nan)).all()


def test_conventions_at_kinks():
    for name, x, y, expected in (
        ("maximum", 2.0, 2.0, (0.5, 0.5)), ("maximum", INF, INF, (0.5, 0.5)), ("maximum", INF, 1.0, (1, 0)),
        ("minimum", 2.0, 2.0, (0.5, 0.5)), ("minimum", -INF, 1.0, (1, 0)), ("rectifier", 0.0, 0.0, (0, 0)),
        ("rectifier", 0.0, -1.0, (0, 0)), ("rectifier", 2.0, 2.0, (0.5, 0.5)), ("rectifier", 2.0, 1.0, (1, 0)),
        ("rectifier", -1.0, -1.0, (0, 0)), ("rectifier", INF, -INF, (1, 0)), ("hypot", 0.0, 0.0, (0, 0)),
        ("hypot", -INF, 1.0, (-1, 0)), ("hypot", INF, -INF, (0.5**0.5, -(0.5**0.5))), ("hypot", -3.0, 4.0, (-0.6, 0.8)),
        ("logaddexp", -INF, -INF, (0, 0)), ("logaddexp", INF, INF, (0.5, 0.5)), ("logaddexp", INF, -INF, (1, 0)),
        ("logaddexp", -INF, 1.0, (0, 1)), ("logaddexp", 1.0, 1.0, (0.5, 0.5)), ("logaddexp", 1e300, -1e300, (1, 0)),
        ("multiply", INF, 3.0, (3, INF)), ("add", INF, -INF, (1, 1)),
    ):  # fmt: skip
        np.testing.assert_allclose(tna.operator(name).partials(x, y), expected, rtol=1e-15, err_msg=f"{name} {x} {y}")


def test_an_operator_without_partial_says_so():
    with pytest.raises(AlgebraError, match=re.escape("operator 'logical_or' declares no partial; give")):
        tna.operator("logical_or").partials(1.0, 0.0)


def holds(xi, reduce, samples):
    """ξ(a, b ⊕ c) = ξ(a, b) ⊕ ξ(a, c), and the same for a ⊕ that starts from its unit."""
    a, b, c = (np.array(column) for column in zip(*itertools.product(samples, repeat=3), strict=True))
    f, g = xi.apply, reduce.apply
    u = np.full_like(a, reduce.unit)
    with np.errstate(all="ignore"):
        sides = [(f(a, g(b, c)), g(f(a, b), f(a, c))), (f(a, g(u, b)), g(u, f(a, b)))]
    return all(np.allclose(left, right, rtol=1e-9, atol=1e-12, equal_nan=True) for left, right in sides)


def test_the_table_of_distributive_pairs_is_true_and_complete(rng):
    real = (*rng.uniform(-3, 3, 7), -1.0, 0.0, 1.0)
    nonnegative = tuple(np.abs(real))
    for xi, reduce in itertools.product(BUILTIN, repeat=2):
        kinds = {name.startswith("logical") for name in (xi.name, reduce.name)}
        if kinds == {True, False}:  # numbers and truth values: declared for none
            assert not tna.distributes(xi, reduce, nonnegative=True)
            continue
        samples = (0.0, 1.0) if kinds == {True} else real
        assert tna.distributes(xi, reduce) == holds(xi, reduce, samples), (xi.name, reduce.name)
        if kinds == {False}:
            found = tna.distributes(xi, reduce, nonnegative=True)
            assert found == holds(xi, reduce, nonnegative), (xi.name, reduce.name)


@pytest.mark.parametrize("name", SEMIRINGS)
def test_semirings_reorder_and_agree_with_nested_loops(name, rng):
    pair = SEMIRINGS[name]
    kind = {"boolean": "boolean", "viterbi": "nonnegative"}.get(name, "real")
    for equation in EQUATIONS:
        arrays = operands(equation, rng, kind=kind)
        dtypes = [float, bool] if name == "boolean" else [float]
        for dtype in dtypes:
            given = [array.astype(dtype) for array in arrays]
            found = tna.contract(equation, *given, xi=pair.xi, reduce=pair.reduce)
            assert np.asarray(found).dtype == dtype
            assert relative_error(found, truth(equation, given, pair.xi.name, pair.reduce.name)) < 1e-12, equation
    shapes = (2, 3), (3, 5), (5, 7)
    assert tna.contract_path(
        "ij,jk,kl->il", *shapes, xi=pair.xi, reduce=pair.reduce, nonnegative=name == "viterbi"
    ).is_reorderable


OWN = (
    {"name": "p4norm", "value": "(x**4 + y**4) ** 0.25", "unit": 0.0, "unit_is_strict": False,
     "partial": "where(t == 0, 0, (x / where(t == 0, 1, t)) ** 3)"},
    {"name": "probability", "value": "x + y - x * y", "unit": 0.0, "partial": "1 - y", "samples": (0.0, 0.5, 1.0)},
    {"name": "larger", "value": "where(x > y, x, y)", "unit": -INF, "distributes_over": frozenset({"maximum"})},
    {"name": "plus", "value": "x + y", "unit": 0.0, "repeat": "x * n", "reduction": "sum", "is_complex": True},
)  # fmt: skip


@pytest.mark.parametrize("fields", OWN, ids=[fields["name"] for fields in OWN])
@pytest.mark.usefixtures("own_registry")
def test_an_own_operator_is_as_good_as_a_builtin_one(fields, rng):
    mine = tna.register_operator(tna.Operator(**fields))
    for xi, reduce in ((mine, "add"), ("multiply", mine), (mine, mine), (mine, "logaddexp"), (mine, "maximum")):
        for equation in EQUATIONS:
            arrays = operands(equation, rng, kind="nonnegative")
            found = tna.contract(equation, *arrays, xi=xi, reduce=reduce)
            xi_op, reduce_op = tna.operator(xi), tna.operator(reduce)
            assert relative_error(found, truth(equation, arrays, xi_op, reduce_op)) < 1e-12, (equation, reduce)
    if mine.partial:
        x, y = rng.uniform(0.1, 0.9, (2, 50))
        slope = (mine.apply(x + 1e-6, y) - mine.apply(x - 1e-6, y)) / 2e-6
        np.testing.assert_allclose(mine.partials(x, y)[0], slope, rtol=1e-6)


@pytest.mark.usefixtures("own_registry")
def test_a_constant_that_the_dtype_cannot_hold_is_named():
    value = "minimum(x + y, 1000)"
    tna.register_operator(tna.Operator(name="capped", value=value, unit=0.0, samples=(0.0, 1.0, 2.0)))
    a = np.ones((2, 3), np.int8)
    message = "cannot be computed.*: Python integer 1000 out of bounds for int8; use a wider dtype"
    for names in ({"xi": "capped"}, {"reduce": "capped"}):
        planned = tna.contract_expression("ij,ij->i", a, a, **names)
        for call in (planned, lambda *operands, names=names: tna.contract("ij,ij->i", *operands, **names)):
            with pytest.raises(DTypeError, match=message):
                call(a, a)
            assert call(a.astype(np.int16), a.astype(np.int16)).dtype == np.int16


def test_integers_repeat_as_the_fold_does():
    for dtype in ("int8", "uint8", "int32", "bool"):
        ones, few = np.ones(300, dtype), np.array([3, 2, 1]).astype(dtype)
        for name, fold in (("add", np.add), ("multiply", np.multiply), ("maximum", np.maximum)):
            with np.errstate(all="ignore"):
                expected = [fold.reduce(fold(ones, x), dtype=dtype) for x in few]
            found = tna.contract("i,j->j", ones, few, xi=name, reduce=name)
            assert found.dtype == dtype
            np.testing.assert_array_equal(found, expected, err_msg=f"{name} {dtype}")


def test_one_text_gives_the_same_numbers_with_and_without_a_buffer(rng):
    x, y = rng.standard_normal((2, 11))
    texts = (
        "(x**4 + y**4) ** 0.25", "where(x > y, x, -y)", "maximum(maximum(x, y), 0)", "x - (y - 2 * x)", "2 - x", "-x",
        "exp(-abs(x)) / (1 + hypot(x, -y))", "-inf + 0 * x", "(x > y) * x + (x <= y) * y",
    )  # fmt: skip
    for text in texts:
        expected = eval(text, {"x": x, "y": y, "inf": INF} | {name: getattr(np, name) for name in dir(np)})
        out = np.empty(11)
        np.testing.assert_array_equal(compile_arrays(text, ("x", "y"), np)(x, y), expected)
        line = straight(schedule((parse(text, ("x", "y")),), ("x", "y")), [frozenset({0})] * 2, [x.dtype] * 2, np)
        (out,) = line.call(x, y, out)
        np.testing.assert_array_equal(out, expected, err_msg=text)


def test_what_a_text_is():
    assert as_ufunc("x * y", ("x", "y")) == "multiply"
    assert as_ufunc(" hypot(x,y) ", ("x", "y")) == "hypot"
    assert as_ufunc("y * x", ("x", "y")) is None
    assert as_ufunc("x", ("x", "y")) is None
    for text, count in (("x + y", 0), ("maximum(maximum(x, y), 0)", 0), ("x**4 + y**4", 1), ("where(x > y, x, y)", 2)):
        assert temporaries(text, ("x", "y")) == count


@pytest.mark.parametrize("text", ["(abs(x)**3 + abs(y)**3)**(1/3)", "x + y - x*y*(1/1)", "log(2**x + 2**y) / log(2.0)"])
@pytest.mark.usefixtures("own_registry")
def test_numbers_that_a_text_computes_do_not_widen_float32(text, rng):
    unit, is_strict = (-np.inf, True) if "log" in text else (0.0, "abs" not in text)
    tna.register_operator(tna.Operator(name="mine", value=text, unit=unit, unit_is_strict=is_strict))
    a = rng.uniform(0.1, 0.9, (3, 5)).astype(np.float32)
    for given, dtype in ((a, np.float32), (a.astype(np.float64), np.float64)):
        assert tna.operator("mine").apply(given, given).dtype == dtype
        for equation in ("ij->", "ij->i"):
            assert tna.contract(equation, given, reduce="mine").dtype == dtype


def test_what_numbers_alone_make_is_one_number():
    assert parse("x ** (1 / 4) + -(2 + 1)", ("x",)) == ("add", (("power", ("x", 0.25)), -3))
    assert parse("9 ** 9 ** 9 ** 9", ()) == np.inf
    assert schedule((parse("where(x < 0, 0.0, -0.0)", ("x",)),), ("x",)).constants == (0, 0.0, -0.0)
    assert np.signbit(compile_arrays("where(x < 0, 0.0, -0.0)", ("x",), np)(np.array([1.0])))
    assert parse("where(1 < 2, x, 3)", ("x",)) == ("where", (("less", (1, 2)), "x", 3))
