"""Gradients against central differences, the adjoint identity, the slow truth and conventions at kinks."""

import itertools
import re

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.algebra import known_operators
from tnalgebra.algebra.derivative import derivative
from tnalgebra.algebra.pointwise import SYMBOLS, Pointwise, shown
from tnalgebra.algebra.scalar import BINARY, COMPARE, FUNCTIONS, compile_arrays, parse
from tnalgebra.errors import AlgebraError, DTypeError, EquationError, LawError
from tnalgebra.execute import reference
from tnalgebra.execute.expression import Expression
from tnalgebra.graph import Contract, Leaf, Map, Sum
from tnalgebra.graph.vjp import leaves_of, vjp, vjp_by_name

SMOOTH = tuple(op.name for op in known_operators() if op.partial is not None)
PAIRS = tuple(itertools.product(SMOOTH, SMOOTH))
EQUATIONS = {
    "ij,jk->ik": ((3, 5), (5, 2)),
    "ij,jk,kl->il": ((2, 3), (3, 5), (5, 2)),
    "ii,ij->j": ((3, 3), (3, 5)),
    "iij->j": ((3, 3, 2),),
    "ij->i": ((3, 5),),
    "ij,j->ij": ((3, 5), (5,)),
    "ij,ik->k": ((1, 5), (3, 2)),
    "i,j,k->": ((2,), (3,), (5,)),
    "ab,bc,cd,de,ef,fg,ga->": ((2, 3), (3, 2), (2, 3), (3, 2), (2, 1), (1, 2), (2, 2)),
}
ORDERS = (("multiply", "add"), ("add", "maximum"), ("rectifier", "add"), ("logaddexp", "hypot"), ("hypot", "multiply"))
STEP = 1e-6


def scalar(equation, shapes, xi="multiply", reduce="add"):
    """Σ W · contraction, its leaves A, B, … and their shapes, with that of W."""
    terms, output = equation.split("->")
    names = "ABCDEFG"[: len(shapes)]
    leaves = [tna.leaf(name, "stuv"[: len(term)]) for name, term in zip(names, terms.split(","), strict=True)]
    inner = tna.contract(equation, *leaves, xi=xi, reduce=reduce)
    sizes = {}
    for term, shape in zip(terms.split(","), shapes, strict=True):
        for label, size in zip(term, shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    whole = tna.contract(f"{output},{output}->", inner, tna.leaf("W", output))
    return whole, inner, {**dict(zip(names, shapes, strict=True)), "W": tuple(sizes[label] for label in output)}


def random(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def slope(call, arrays, name, step=STEP):
    """Central differences of a scalar function by every entry of one array."""
    found = np.empty_like(arrays[name])
    for index in np.ndindex(found.shape):
        ends = []
        for sign in (1, -1):
            moved = arrays[name].copy()
            moved[index] += sign * step
            ends.append(float(call({**arrays, name: moved})))
        found[index] = (ends[0] - ends[1]) / (2 * step)
    return found


# --- every pair --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("equation", "xi", "reduce"),
    [(equation, *pair) for equation, shapes in EQUATIONS.items() for pair in (PAIRS if len(shapes) < 4 else ORDERS)],
)
def test_a_gradient_is_the_slope(equation, xi, reduce):
    expression, _, shapes = scalar(equation, EQUATIONS[equation], xi, reduce)
    arrays = random(shapes)
    value, gradient = tna.value_and_grad(expression)(**arrays)
    np.testing.assert_allclose(value, expression.evaluate(**arrays), rtol=1e-12)
    assert set(gradient) == set(arrays)
    for name in arrays:
        truth = slope(lambda given: expression.evaluate(**given), arrays, name)
        assert gradient[name].shape == arrays[name].shape
        np.testing.assert_allclose(gradient[name], truth, rtol=1e-5, atol=1e-6 * max(1, np.abs(truth).max()))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk,kl->il", ((3, 4), (4, 5), (5, 2))),
        ("ijk,,jl->li", ((2, 3, 4), (), (3, 5))),
        ("ij,jk,kl,lm->im", ((3, 4), (4, 5), (5, 2), (2, 3))),
    ],
)
@pytest.mark.parametrize("reduce", ["maximum", "minimum", "rectifier"])
@pytest.mark.parametrize("xi", ["multiply", "add", "logaddexp", "hypot"])
def test_a_tie_is_seen_whatever_the_order_of_the_operands(xi, reduce, equation, shapes, compiled):
    """ξ of many operands is rounded for the value as it is for the question which of the terms equal it."""
    if compiled:
        pytest.importorskip("numba")
    expression, _, shapes = scalar(equation, shapes, xi, reduce)
    gradient = tna.compile(tna.value_and_grad(expression)) if compiled else tna.value_and_grad(expression)
    for seed in range(3):
        arrays = random(shapes, seed)
        _, found = gradient(**arrays)
        for name in arrays:
            truth = slope(lambda given: expression.evaluate(**given), arrays, name)
            np.testing.assert_allclose(found[name], truth, rtol=1e-5, atol=1e-6 * max(1, np.abs(truth).max()))


@pytest.mark.parametrize("equation", ["ij,jk->ik", "ii,ij->j", "ij->i", "ij,ik->k"])
@pytest.mark.parametrize(("xi", "reduce"), PAIRS)
def test_a_plan_computes_the_gradients_that_its_graph_means(equation, xi, reduce):
    _, inner, shapes = scalar(equation, EQUATIONS[equation], xi, reduce)
    arrays = random(shapes)
    seed = arrays.pop("W")
    for expression in inner.gradients(seed="seed").values():
        given = {name: array for name, array in {**arrays, "seed": seed}.items() if name in expression.free}
        np.testing.assert_allclose(
            expression.evaluate(**given), reference.evaluate(expression.node, given), rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("equation", ["ij,jk->ik", "ii,ij->j"])
@pytest.mark.parametrize(("xi", "reduce"), PAIRS)
def test_a_gradient_has_a_gradient(equation, xi, reduce):
    """Hessian times a vector: the derivative of ⟨gradient, v⟩."""
    _, inner, shapes = scalar(equation, EQUATIONS[equation], xi, reduce)
    output = equation.split("->")[1]
    square = tna.contract(f"{output},{output},{output}->", inner, inner, tna.leaf("W", output))
    arrays, labels = random(shapes), "stuv"[: len(shapes["A"])]
    direction = np.random.default_rng(1).standard_normal(shapes["A"])
    first = square.gradients("A", seed="one")["A"]
    along = tna.contract(f"{labels},{labels}->", first, tna.leaf("V", labels))
    whole = {**arrays, "one": np.ones(()), "V": direction, "two": np.ones(())}
    for name, expression in along.gradients(["A", "W"], seed="two").items():
        found = expression.evaluate(**{leaf: whole[leaf] for leaf in expression.free})
        truth = slope(lambda given: np.sum(direction * tna.value_and_grad(square, "A")(**given)[1]["A"]), arrays, name)
        np.testing.assert_allclose(found, truth, rtol=1e-4, atol=1e-5 * max(1, np.abs(truth).max()))


# --- laws --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_the_adjoint_of_a_linear_map_is_its_gradient(equation, dtype):
    """⟨seed, e(V)⟩ = ⟨gradient, V⟩ in each operand, without conjugation."""
    _, inner, shapes = scalar(equation, EQUATIONS[equation])
    arrays = random(shapes)
    if dtype == "complex128":
        arrays = {name: array + 1j * random(shapes, 1)[name] for name, array in arrays.items()}
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    seed = arrays.pop("W")
    for name, expression in inner.gradients(seed="seed").items():
        other = random(shapes, 2)[name].astype(dtype)
        given = {leaf: array for leaf, array in {**arrays, "seed": seed}.items() if leaf in expression.free}
        found = expression.evaluate(**given)
        assert found.dtype == dtype
        assert found.shape == arrays[name].shape
        left = np.sum(seed * inner.evaluate(**{**arrays, name: other}))
        right = np.sum(found * other)
        assert abs(left - right) <= (1e-5 if dtype == "float32" else 1e-12) * np.abs(found * other).sum()


@pytest.mark.parametrize("xi", SMOOTH)
def test_a_step_of_a_network_has_the_gradient_of_its_parts(xi):
    """Two recurrent steps with shared weights: cotangents of one leaf from several users are added."""

    def network(leaf):
        first = tna.contract("bl,lr->br", tna.contract("bm,lm->bl", leaf("X", "bm"), leaf("C", "lm")), leaf("H", "lr"))
        second = tna.contract("bm,lm->bl", leaf("Y", "bm"), leaf("C", "lm"))
        third = tna.contract("bm,lm->bl", leaf("X", "bm"), leaf("C", "lm"))
        for step in (second, third):
            unit = tna.contract("bi,bj->bij", step, first, xi=xi)
            first = tna.contract("bij,ijk->bk", unit, leaf("G", "ijk"))
        return tna.contract("bk,bk->", first, leaf("W", "bk"))

    expression = network(tna.leaf)
    shapes = {"X": (7, 3), "Y": (7, 3), "C": (5, 3), "H": (5, 2), "G": (5, 2, 2), "W": (7, 2)}
    arrays = random(shapes, 3)
    value, gradient = tna.value_and_grad(expression, ["C", "H", "G"])(**arrays)
    np.testing.assert_allclose(value, expression.evaluate(**arrays), rtol=1e-12)
    for name, found in gradient.items():
        truth = slope(lambda given: expression.evaluate(**given), arrays, name)
        np.testing.assert_allclose(found, truth, rtol=1e-5, atol=1e-6 * np.abs(truth).max())


def test_all_gradients_of_a_long_train_cost_a_few_contractions():
    train = tna.TTTensor.random((3,) * 40, rank=5, seed=0)
    vectors = [tna.leaf(f"x{mode}", "bi") for mode in range(40)]
    operands = [train, list(range(1, 41))]
    for mode, vector in enumerate(vectors, 1):
        operands += [vector, [0, mode]]
    expression = tna.contract("b->", tna.contract(*operands, [0]))
    rng = np.random.default_rng(0)
    arrays = {f"x{mode}": rng.standard_normal((7, 3)) for mode in range(40)}
    both = tna.value_and_grad(expression, list(expression.bound))
    assert both.plan(**arrays).flops < 3 * expression.plan(**arrays).flops
    value, gradient = both(**arrays)
    core = gradient["core17"]
    direction = rng.standard_normal(core.shape)
    cores = [direction if mode == 17 else part for mode, part in enumerate(train.cores)]
    np.testing.assert_allclose(
        np.sum(core * direction), tna.TTTensor(cores).evaluate(list(arrays.values())).sum(), rtol=1e-10
    )
    np.testing.assert_allclose(value, np.sum(core * train.cores[17]), rtol=1e-10)


def test_no_array_over_all_labels_is_formed():
    unit = tna.contract("ai,bi->ab", tna.leaf("A", "ai"), tna.leaf("B", "bi"), xi="logaddexp")
    expression = tna.contract("ab,ab->", unit, tna.leaf("W", "ab"))
    plan = tna.value_and_grad(expression, "A").plan(A=(300, 200), B=(300, 200), W=(300, 300))
    assert plan.peak_bytes < 300 * 300 * 200 * 8 / 4


# --- kinks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("xi", "reduce"), PAIRS)
def test_nothing_is_nan_where_the_value_is_not(xi, reduce):
    expression = tna.contract("i,i->", tna.leaf("A", "i"), tna.leaf("B", "i"), xi=xi, reduce=reduce)
    both = tna.value_and_grad(expression)
    numbers = (-np.inf, -1.0, 0.0, 2.0, np.inf)
    for *a, c, d in itertools.islice(itertools.product(numbers, repeat=4), 0, None, 3):
        with np.errstate(all="ignore"):
            value, gradient = both(A=np.array(a), B=np.array([c, d]))
        assert np.isnan(value) or not np.isnan([gradient["A"], gradient["B"]]).any(), (a, c, d)


MAPS = ("exp(x)", "tanh(x)", "sqrt(x)", "log(x)", "abs(x)", "exp(-x * x)", "1 / (1 + exp(-x))", "x ** 3", "log1p(x)")
NESTED = {
    "max": lambda leaf, xi, reduce: tna.contract("i->", unit(leaf, xi, reduce), reduce="maximum"),
    "min": lambda leaf, xi, reduce: tna.contract("i->", unit(leaf, xi, reduce), reduce="minimum"),
    "Π": lambda leaf, xi, reduce: tna.contract("i->", unit(leaf, xi, reduce), reduce="multiply"),
    "ln Σ exp": lambda leaf, xi, reduce: tna.contract("i->", unit(leaf, xi, reduce), reduce="logaddexp"),
    "hypot": lambda leaf, xi, reduce: tna.contract("i->", unit(leaf, xi, reduce), reduce="hypot"),
    "weighted": lambda leaf, xi, reduce: tna.contract("i,i->", unit(leaf, xi, reduce), leaf("C", "i")),
    "three": lambda leaf, xi, reduce: tna.contract(
        "i,i,i->", leaf("B", "i"), leaf("C", "i"), leaf("D", "i"), xi=xi, reduce=reduce
    ),
}


def unit(leaf, xi, reduce):
    return tna.contract("ij,j->i", leaf("A", "ij"), leaf("B", "j"), xi=xi, reduce=reduce)


def assert_no_nan(expression, count):
    """At random special numbers: where the value is finite, so many times at least, the gradient is a number."""
    rng, both, seen = np.random.default_rng(0), tna.value_and_grad(expression), 0
    for _ in range(count):
        shapes = {"A": (2, 2), "B": (2,), "C": (2,), "D": (2,)}
        numbers = (-np.inf, -1.0, 0.0, 2.0, np.inf)
        arrays = {name: rng.choice(numbers, shapes[name]) for name in expression.free}
        with np.errstate(all="ignore"):
            value, gradient = both(**arrays)
        seen += bool(np.isfinite(value))
        if np.isfinite(value):
            assert not any(np.isnan(part).any() for part in gradient.values()), (arrays, gradient)
    return seen


@pytest.mark.parametrize("shape", NESTED)
@pytest.mark.parametrize("xi", SMOOTH)
def test_nothing_is_nan_behind_a_second_contraction(xi, shape):
    assert sum(assert_no_nan(NESTED[shape](tna.leaf, xi, reduce), 24) for reduce in SMOOTH) > 5


@pytest.mark.parametrize("function", MAPS)
def test_nothing_is_nan_behind_a_function(function):
    largest = tna.contract("i,i->i", tna.leaf("B", "i"), tna.leaf("C", "i"), xi="maximum")
    mapped = Expression(Map(function, largest.node))
    assert sum(assert_no_nan(tna.contract("i->", mapped, reduce=reduce), 24) for reduce in SMOOTH) > 5


def test_a_zero_cotangent_stays_zero_in_a_long_train():
    """The way round NaN keeps the order of the planner: 3^40 terms could not be added one by one."""
    rng = np.random.default_rng(0)
    train = tna.TTTensor([rng.random(core.shape) for core in tna.TTTensor.random((3,) * 40, rank=2, seed=0).cores])
    operands = [train, list(range(1, 41))]
    for mode in range(40):
        operands += [tna.leaf(f"x{mode}", "bi"), [0, mode + 1]]
    both = tna.value_and_grad(tna.contract("b->", tna.contract(*operands, [0]), reduce="maximum"))
    arrays = {f"x{mode}": rng.random((2, 3)) for mode in range(40)}
    arrays["x0"][1] = -np.inf
    with np.errstate(all="ignore"):
        value, gradient = both(**arrays)
    assert 0 < value < np.inf
    for mode, part in enumerate(gradient.values()):
        np.testing.assert_allclose(np.sum(part[0] * arrays[f"x{mode}"][0]), value, rtol=1e-10)
        assert part[1].tolist() == [0, 0, 0]


def test_conventions_at_kinks():
    def gradient(xi, reduce, a, b):
        expression = tna.contract("i,i->", tna.leaf("A", "i"), tna.leaf("B", "i"), xi=xi, reduce=reduce)
        return tna.value_and_grad(expression)(A=np.array(a), B=np.array(b))[1]

    assert gradient("rectifier", "add", [0.0, -1.0], [0.0, -2.0])["A"].tolist() == [0, 0]
    assert gradient("maximum", "add", [3.0, 1.0], [3.0, 2.0])["A"].tolist() == [0.5, 0]
    assert gradient("hypot", "add", [0.0, 3.0], [0.0, 4.0])["A"].tolist() == [0, 0.6]
    low = gradient("logaddexp", "add", [-np.inf, -np.inf], [-np.inf, 0.0])
    assert (low["A"].tolist(), low["B"].tolist()) == ([0, 0], [0, 1])
    ties = gradient("add", "maximum", [1.0, 1.0], [2.0, 2.0])
    assert ties["A"].tolist() == [0.5, 0.5]
    assert gradient("add", "logaddexp", [-np.inf, -np.inf], [0.0, 0.0])["A"].tolist() == [0, 0]
    assert gradient("multiply", "multiply", [0.0, 2.0], [3.0, 5.0])["A"].tolist() == [30, 0]
    assert gradient("multiply", "multiply", [0.0, 0.0], [3.0, 5.0])["A"].tolist() == [0, 0]
    assert gradient("add", "hypot", [0.0, 0.0], [0.0, 0.0])["A"].tolist() == [0, 0]


# --- scalar expressions ------------------------------------------------------------------------------------------

EXPRESSIONS = [
    "x * y + y / x", "x ** 3 - 2 / y", "x ** y", "abs(x - y)", "cos(x) * sin(y)", "exp(x) - expm1(y)", "log(x) * y",
    "log1p(x * y)", "sqrt(x) / (1 + y)", "tanh(x * y)", "hypot(x, y)", "logaddexp(x, 2 * y)", "maximum(x, y * y)",
    "minimum(x, 3 * y)", "where(x > y, x * x, y)", "sign(x) * y", "where(isinf(x), 0, x) - 3",
]  # fmt: skip


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_derivatives_of_expressions_are_slopes(text):
    x, y = np.array([0.3, 1.7, 2.9]), np.array([1.1, 0.4, 2.2])
    value = compile_arrays(text, ("x", "y"), np)
    for name, ends in (("x", ((x + STEP, y), (x - STEP, y))), ("y", ((x, y + STEP), (x, y - STEP)))):
        tree = derivative(parse(text, ("x", "y")), name)
        found = np.broadcast_to(compile_arrays(tree, ("x", "y"), np)(x, y), x.shape)
        truth = (value(*ends[0]) - value(*ends[1])) / (2 * STEP)
        np.testing.assert_allclose(found, truth, rtol=1e-7, atol=1e-8)


def test_every_function_of_the_language_has_a_derivative_and_a_text():
    for name, count in FUNCTIONS.items():
        tree = (name, ("x", "y", "z")[:count])
        derivative(tree, "y" if count == 3 else "x")
        assert parse(shown(tree), ("x", "y", "z")) == tree
    assert set(SYMBOLS) == {name for name, _ in (*BINARY.values(), *COMPARE.values())}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_prints_as_what_it_is(text):
    tree = parse(text, ("x", "y"))
    assert parse(shown(tree), ("x", "y")) == tree


@pytest.mark.parametrize(("xi", "reduce"), ORDERS)
def test_leaves_of_one_name_are_one_tensor(xi, reduce):
    """Labels are the leaf's own affair: with other labels for the second leaf the gradient is the same."""
    pairs = [(tna.leaf("A", "ij"), tna.leaf("A", labels)) for labels in ("ij", "jk")]
    arrays = random({"A": (3, 3), "W": (3, 3)})
    found = []
    for pair in pairs:
        square = tna.contract("ij,jk->ik", *pair, xi=xi, reduce=reduce)
        found.append(square.gradients("A")["A"].evaluate(A=arrays["A"], seed=arrays["W"]))
        whole = tna.contract("ik,ik->", square, tna.leaf("W", "ik"))
        found.append(tna.value_and_grad(whole, "A")(**arrays)[1]["A"])
    truth = slope(lambda given: whole.evaluate(**given), arrays, "A")
    for gradient in found:
        np.testing.assert_allclose(gradient, truth, rtol=1e-5, atol=1e-6 * np.abs(truth).max())


def test_maps_and_sums_have_gradients():
    a = Leaf("A", ("i", "j"))
    mapped = Map("tanh(x) * x", Sum((a, a)))
    root = Contract(tna.operator("multiply"), tna.operator("add"), (("i", "j"),), (mapped,), ())
    array = np.random.default_rng(0).standard_normal((3, 5))
    (node,) = vjp_by_name(root, leaves_of(root, ["A"]), Leaf("seed", ()))
    found = Expression(node).evaluate(A=array, seed=np.ones(()))
    truth = slope(lambda given: np.sum(np.tanh(2 * given["A"]) * 2 * given["A"]), {"A": array}, "A")
    np.testing.assert_allclose(found, truth, rtol=1e-6, atol=1e-8)


def test_a_leaf_that_nothing_differentiable_reads_has_gradient_zero():
    a = Leaf("A", ("i",))
    root = Contract(tna.operator("multiply"), tna.operator("add"), (("i",),), (Map("sign(x)", a),), ())
    (node,) = vjp(root, [a], Leaf("seed", ()))
    assert Expression(node).evaluate(A=np.array([np.nan, 2.0])).tolist() == [0, 0]


@pytest.mark.parametrize("reduce", ["maximum", "minimum"])
@pytest.mark.parametrize("xi", ["add", "logaddexp"])
def test_ties_are_looked_for_among_the_terms_that_gave_the_value(xi, reduce):
    """Other pairs of three operands would round otherwise, and no term would be the value."""
    given = [tna.leaf(name, term) for name, term in zip("ABC", ("ij", "jk", "kl"), strict=True)]
    gradient = tna.contract("ij,jk,kl->il", *given, xi=xi, reduce=reduce).gradients("A", seed="G")["A"]
    for seed in range(8):
        rng = np.random.default_rng(seed)
        arrays = {name: rng.standard_normal(shape) for name, shape in zip("ABC", ((4, 3), (3, 3), (3, 2)), strict=True)}
        arrays["G"] = np.ones((4, 2))
        np.testing.assert_allclose(
            gradient.evaluate(**arrays), reference.evaluate(gradient.node, arrays), rtol=1e-12, atol=1e-12
        )


def test_shapes_are_those_of_names_in_any_order():
    part = tna.contract("ij,ij->ij", tna.leaf("A", "ij"), tna.leaf("B", "ij")).gradients("A", seed="G")["A"]
    found = tna.value_and_grad(tna.contract("ij->", part, reduce="hypot"), "B")
    wide, flat = np.ones((2, 3)), np.ones((1, 3))
    assert abs(found(A=wide, B=flat, G=wide)[0] - 6**0.5) < 1e-14
    assert abs(found(B=wide, A=flat, G=wide)[0] - 12**0.5) < 1e-14


@pytest.mark.parametrize("labels", ["i", "ii"])
def test_a_leaf_of_which_only_the_shape_counts_has_gradient_zero(labels):
    a, b = tna.leaf("A", labels), tna.leaf("B", "i")
    part = tna.contract(f"{'ij'[: len(labels)]},i->", a, b, xi="add" if len(labels) > 1 else "multiply")
    second = tna.value_and_grad(tna.contract(f"{'ij'[: len(labels)]}->", part.gradients("A")["A"], reduce="hypot"))
    arrays = {"A": np.ones((2,) * len(labels)), "B": np.ones(2), "seed": np.ones(())}
    _, found = second(**arrays)
    np.testing.assert_array_equal(found["A"], np.zeros_like(arrays["A"]))


def test_gradients_that_are_equal_are_arrays_of_their_own():
    p, q = tna.leaf("P", "i"), tna.leaf("Q", "i")
    _, found = tna.value_and_grad(tna.contract("i,i->", p, q, xi="add"))(P=np.ones(2), Q=np.ones(2))
    assert not np.shares_memory(found["P"], found["Q"])


def test_a_shared_part_of_an_expression_is_computed_once():
    calls = []

    class Namespace:
        __name__ = "numpy"

        def __getattr__(self, name):
            return lambda *args: calls.append(name) or getattr(np, name)(*args)

    found = compile_arrays("exp(x - y) * exp(x - y) + sin(x - y)", ("x", "y"), Namespace())(1.0, 0.5)
    np.testing.assert_allclose(found, np.exp(1.0) + np.sin(0.5))
    assert sorted(calls) == ["add", "exp", "multiply", "sin", "subtract"]


# --- arguments ---------------------------------------------------------------------------------------------------


def test_gradients_keep_the_dtype_and_share_no_memory():
    expression, _, shapes = scalar("ij,j->ij", ((3, 5), (5,)), "logaddexp")
    arrays = {name: array.astype("float32") for name, array in random(shapes).items()}
    value, gradient = tna.value_and_grad(expression)(**arrays)
    assert value.dtype == "float32"
    assert {found.dtype.name for found in gradient.values()} == {"float32"}
    sums = tna.contract("i->", tna.leaf("A", "i"))
    double = tna.value_and_grad(tna.contract(",->", sums, tna.leaf("B", "")))
    a, b = np.ones(3), np.array(2.0)
    _, found = double(A=a, B=b)
    assert found["A"].tolist() == [2, 2, 2]
    found["A"][0] = 7
    assert (a.tolist(), b) == ([1, 1, 1], 2)


def test_a_memory_limit_holds_for_value_and_gradient():
    expression, _, shapes = scalar("ij,jk->ik", ((31, 37), (37, 29)), "hypot")
    arrays = random(shapes)
    both = tna.value_and_grad(expression)
    limit = both.plan(**arrays).peak_bytes
    value, gradient = both(memory_limit=limit, **arrays)
    free = both(**arrays)
    assert value == free[0]
    assert all(relative_error(gradient[name], free[1][name]) < 1e-14 for name in gradient)
    with pytest.raises(tna.errors.MemoryLimitError, match="memory_limit is 1000 bytes, but"):
        both(memory_limit=1000, **arrays)


def test_bad_arguments():
    a, b = tna.leaf("A", "ij"), tna.leaf("B", "jk")
    matrix, number = tna.contract("ij,jk->ik", a, b), tna.contract("ij,jk->", a, b)
    with pytest.raises(EquationError, match=re.escape("has 2 axes; contract it to `->`, take")):
        tna.value_and_grad(matrix)
    with pytest.raises(EquationError, match="value_and_grad needs an expression; got ndarray: a contraction without a"):
        tna.value_and_grad(tna.contract("ij->", np.ones((2, 3))))
    with pytest.raises(EquationError, match="no leaf is named 'Z'; the expression has A, B"):
        tna.value_and_grad(number, ["A", "Z"])
    with pytest.raises(EquationError, match="no leaf is named 'Z'"):
        matrix.gradients("Z")
    with pytest.raises(EquationError, match="the seed cannot be named 'B': the expression has a leaf of that name"):
        matrix.gradients("A", seed="B")
    with pytest.raises(DTypeError, match="leaf 'A' has dtype int64; a gradient needs real floating point"):
        tna.value_and_grad(number, "A")(A=np.ones((2, 3), "int64"), B=np.ones((3, 5)))
    with pytest.raises(DTypeError, match="leaf 'B' has dtype complex128"):
        tna.value_and_grad(number, "B")(A=np.ones((2, 3)), B=np.ones((3, 5), complex))
    truth = tna.contract("ij,jk->", a, b, xi="logical_and", reduce="logical_or")
    with pytest.raises(AlgebraError, match="operator 'logical_and' declares no partial"):
        truth.gradients("A")
    any_ = tna.contract("ij->", a, reduce="logical_or")
    with pytest.raises(AlgebraError, match="operator 'logical_or' declares no share, and no derivative as ⊕"):
        any_.gradients("A")


def test_a_wrong_share_is_refused():
    wrong = tna.Operator(name="wrongshare", value="x + y", partial="1", unit=0.0, share="x", tie="x == t")
    with pytest.raises(LawError, match="operator 'wrongshare' has another share than its partial"):
        tna.register_operator(wrong)


def test_a_pointwise_function_has_no_laws():
    function = Pointwise(("multiply", ("x0", "x1")), ("x0", "x1"))
    assert str(function) == "x0 * x1"
    a = Leaf("A", ("i",))
    node = Contract(function, tna.operator("add"), (("i",), ("i",)), (a, a), ())
    plan = Expression(node).plan(A=(3,))
    assert not plan.is_reorderable
    assert plan.reason == "a scalar expression of several operands is evaluated in one step"
    assert Expression(node).evaluate(A=np.array([1.0, 2.0, 3.0])) == 14


def test_gradients_agree_with_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    expression, _, shapes = scalar("ij,jk->ik", ((3, 5), (5, 2)), "logaddexp", "add")
    arrays = random(shapes)

    def value(a, b, w):
        return (jax.numpy.logaddexp(a[:, :, None], b[None]).sum(axis=1) * w).sum()

    truth = jax.grad(value, argnums=(0, 1, 2))(*arrays.values())
    _, gradient = tna.value_and_grad(expression)(**arrays)
    for name, found in zip(arrays, truth, strict=True):
        np.testing.assert_allclose(gradient[name], found, rtol=1e-10)


@pytest.mark.parametrize(("xi", "reduce"), ORDERS)
def test_explained_gradients_give_the_same_numbers(xi, reduce):
    expression, _, shapes = scalar("ii,ij->j", ((3, 3), (3, 5)), xi, reduce)
    arrays = random(shapes)
    both = tna.value_and_grad(expression)
    loops = both.plan(**arrays).explain().split("The same numbers, slowly:\n\n")[1]
    operators = {op.name: op.apply for op in known_operators()}
    names = {"np": np, **operators, **arrays, "seed": np.ones(())}
    with np.errstate(all="ignore"):
        exec(loops, names)
    value, gradient = both(**arrays)
    for found, slow in zip((value, *gradient.values()), names["out"], strict=True):
        np.testing.assert_allclose(found, slow, rtol=1e-12, atol=1e-13)


def test_a_gradient_prints_as_its_equations():
    expression = tna.contract("i,i->i", tna.leaf("A", "i"), tna.leaf("B", "i"), xi="add")
    assert str(expression.gradients("A", seed="G")["A"]) == ("t1[i] = G[i]\nout[i] = t1[i] in the shape of A[i]")


@pytest.mark.parametrize("xi", ["multiply", "add", "rectifier"])
@pytest.mark.parametrize("shapes", [((1, 3), (0, 3)), ((1, 1), (0, 3)), ((0, 1), (1, 3))])
def test_a_size_of_one_broadcasts_to_nothing(xi, shapes):
    """⊕ over nothing does not change with what would have been there."""
    a, b = map(np.ones, shapes)
    value, gradient = tna.value_and_grad(tna.contract("ij,ij->", tna.leaf("A", "ij"), tna.leaf("B", "ij"), xi=xi))(
        A=a, B=b
    )
    assert value == 0
    np.testing.assert_array_equal(gradient["A"], np.zeros(shapes[0]))
    np.testing.assert_array_equal(gradient["B"], np.zeros(shapes[1]))
