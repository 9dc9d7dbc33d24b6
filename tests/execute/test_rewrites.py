"""Exact rewrites of ξ: tables for what is piecewise linear, generators, shifts; compared with the nested loops."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.algebra import registry
from tnalgebra.errors import LawError
from tnalgebra.execute.kernels import generated

LINEAR = ["rectifier", "maximum", "minimum"]
GENERATED = ["logaddexp", "hypot"]
REWRITTEN = [*LINEAR, *GENERATED, "add"]
SIZES = {"p": 11, "q": 997, "i": 7, "j": 3, "k": 2, "s": 1}
EQUATIONS = [
    ("pi,qj->pqij", "pqij,ijk->qpk"),
    ("qj,pi->pqij", "pqij,jki->pqk"),
    ("pi,qj->qpji", "qpji,ij->qp"),
    ("pi,qj->pqij", "pqij,kij->pkq"),
    ("spi,qj->spqij", "spqij,ijk->qpsk"),
]


def arrays(equation, rng, scale=1.0, dtype="float64"):
    pair, weight = equation[0].split("->")[0].split(","), equation[1].split("->")[0].split(",")[1]
    shapes = [tuple(SIZES[label] for label in labels) for labels in (*pair, weight)]
    return [
        (rng.standard_normal(shape) * factor).astype(dtype)
        for shape, factor in zip(shapes, (scale, scale, 1), strict=True)
    ]


def weighted(equation, a, b, w, xi, **options):
    first, second = equation[0].split("->")[0].split(",")
    tile = tna.contract(equation[0], tna.leaf("A", first), tna.leaf("B", second), xi=xi)
    e = tna.contract(equation[1], tile, tna.leaf("W", equation[1].split("->")[0].split(",")[1]))
    return e.evaluate(A=a, B=b, W=w, **options), e


def truth(equation, a, b, w, xi):
    """ξ on the whole broadcast array, and an einsum."""
    terms, labels = equation[0].split("->")
    sizes = [SIZES[label] for label in labels]

    def aligned(term, x):
        order = [term.index(label) for label in labels if label in term]
        return x.transpose(order).reshape(
            [size if label in term else 1 for label, size in zip(labels, sizes, strict=True)]
        )

    x, y = (aligned(term, z) for term, z in zip(terms.split(","), (a, b), strict=True))
    with np.errstate(all="ignore"):
        return np.einsum(equation[1], tna.operator(xi).apply(x, y), w)


@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize("xi", LINEAR)
def test_tables_are_the_sum_over_the_pieces(equation, xi, rng):
    a, b, w = arrays(equation, rng)
    found, e = weighted(equation, a, b, w, xi)
    assert [step.kind for step in e.plan(A=a, B=b, W=w).steps].count("pieces") == 1
    assert relative_error(found, truth(equation, a, b, w, xi)) < 1e-14


@pytest.mark.parametrize("equation", EQUATIONS)
def test_a_weighted_sum_of_sums_is_taken_apart(equation, rng):
    a, b, w = arrays(equation, rng)
    found, e = weighted(equation, a, b, w, "add")
    plan = e.plan(A=a, B=b, W=w)
    assert "weighted" not in [step.kind for step in plan.steps]
    assert "the weighted sums of single operands: add separates" in plan.explain()
    assert plan.flops < w.size * SIZES["p"] * SIZES["q"]
    assert relative_error(found, truth(equation, a, b, w, "add")) < 1e-14


@pytest.mark.parametrize(
    ("batch", "k", "is_apart"),
    [(17, 997, True), (2, 13, False), (2, 99_991, False)],  # a weight that is read twice must be worth it
)
def test_a_sum_that_reads_more_than_it_saves_is_not_taken_apart(batch, k, is_apart):
    a, h, w = tna.leaf("A", "bi"), tna.leaf("H", "bj"), tna.leaf("W", "ijk")
    e = tna.contract("bij,ijk->bk", tna.contract("bi,bj->bij", a, h, xi="add"), w)
    plan = e.plan(A=(batch, 7), H=(batch, 3), W=(7, 3, k))
    assert ("weighted" not in [step.kind for step in plan.steps]) == is_apart


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bil,bj,ik->bk", ((11, 7, 3), (11, 5), (7, 2))),  # l and j are summed beside the weight
        ("i,bj,jk->kbi", ((7,), (11, 5), (5, 2))),
        ("b,b,bk->bk", ((11,), (11,), (11, 2))),  # nothing to gain: added first
        ("bi,bj,ij->b", ((1, 1), (1, 5), (1, 5))),
    ],
)
def test_labels_that_only_some_operands_have_are_counted(equation, shapes, rng):
    terms, out = equation.split("->")
    x, y, w = terms.split(",")
    a, b, g = (rng.standard_normal(shape) for shape in shapes)
    inner = "".join(dict.fromkeys(x + y))
    tile = tna.contract(f"{x},{y}->{inner}", tna.leaf("A", x), tna.leaf("B", y), xi="add")
    e = tna.contract(f"{inner},{w}->{out}", tile, tna.leaf("W", w))
    expected = np.einsum(f"{inner},{w}->{out}", tna.contract(f"{x},{y}->{inner}", a, b, xi="add"), g)
    np.testing.assert_allclose(e.evaluate(A=a, B=b, W=g), expected, rtol=1e-13)


@pytest.mark.parametrize("xi", REWRITTEN)
@pytest.mark.parametrize("scale", [1e-150, 1e-3, 1.0, 300.0, 1e5, 1e150])
def test_rewrites_hold_at_every_scale(xi, scale, rng):
    a, b, w = arrays(EQUATIONS[0], rng, scale)
    found, _ = weighted(EQUATIONS[0], a, b, w, xi)
    assert relative_error(found / scale, truth(EQUATIONS[0], a, b, w, xi) / scale) < 1e-14


@pytest.mark.parametrize("xi", REWRITTEN)
def test_rewrites_in_single_precision(xi, rng):
    a, b, w = arrays(EQUATIONS[0], rng, 3.0, "float32")
    found, _ = weighted(EQUATIONS[0], a, b, w, xi)
    assert found.dtype == np.float32
    wide = [x.astype(float) for x in (a, b, w)]
    assert relative_error(found, truth(EQUATIONS[0], *wide, xi)) < 1e-6


@pytest.mark.parametrize("xi", REWRITTEN)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_what_is_not_finite_arrives(xi, value, where, rng):
    operands = arrays(EQUATIONS[0], rng)
    operands[where].flat[4] = value
    with np.errstate(invalid="ignore"):
        found, _ = weighted(EQUATIONS[0], *operands, xi)
    expected = truth(EQUATIONS[0], *operands, xi)
    rest = np.isfinite(expected)
    if xi == "add":  # as in a chain of products, ∞ − ∞ may come out as the ∞ that is met first
        assert (np.isfinite(found) == rest).all()
        assert not np.isnan(value) or np.isnan(found[~rest]).all()
    else:
        assert (np.isnan(found) == np.isnan(expected)).all()
        assert (np.isposinf(found) == np.isposinf(expected)).all()
    assert relative_error(found[rest], expected[rest]) < 1e-13


@pytest.mark.parametrize("xi", GENERATED)
def test_zeros_units_and_tiny_numbers(xi, rng):
    a, b, w = arrays(EQUATIONS[0], rng)
    a[0], b[:5], b[7] = 0.0, tna.operator(xi).unit, 1e-200
    with np.errstate(invalid="ignore"):
        found, _ = weighted(EQUATIONS[0], a, b, w, xi)
    assert relative_error(found, truth(EQUATIONS[0], a, b, w, xi)) < 1e-13


@pytest.mark.parametrize("offset", [0.0, 1000.0, -1000.0, 1e6])
def test_logaddexp_shifts_where_one_operand_is_wide(offset, rng, monkeypatch):
    a, b, w = arrays(EQUATIONS[0], rng)
    b = b * 1e4 + offset
    calls, original = [], generated._shift_one

    def watched(*arguments):
        kernel = original(*arguments)

        def called(*operands):
            value = kernel(*operands)
            calls.append(value is not None)
            return value

        return called

    monkeypatch.setattr(generated, "_shift_one", watched)
    tna.plan_cache.clear()
    found, _ = weighted(EQUATIONS[0], a, b, w, "logaddexp")
    tna.plan_cache.clear()
    assert calls[-1], "by the shift, not by the slow way"
    assert relative_error(found, truth(EQUATIONS[0], a, b, w, "logaddexp")) < 1e-14


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=SIZES["i"]), st.sampled_from(LINEAR), st.integers(0, 2**32 - 1)
)
@settings(max_examples=60, deadline=None)
def test_tables_at_ties_and_on_the_points_themselves(numbers, xi, seed):
    """Numbers that lie on the points where ξ bends, or are equal, belong to either side."""
    a, rng = np.resize(numbers, (SIZES["p"], SIZES["i"])), np.random.default_rng(seed)
    b = rng.choice([*numbers, 0.0, -0.0], (SIZES["q"], SIZES["j"]))
    w = np.random.default_rng(0).standard_normal((SIZES["i"], SIZES["j"], SIZES["k"]))
    found, _ = weighted(EQUATIONS[0], a, b, w, xi)
    expected = truth(EQUATIONS[0], a, b, w, xi)
    scale = max(1.0, np.abs(a).max())
    assert np.abs(found - expected).max() <= 1e-12 * scale


@pytest.mark.parametrize("xi", REWRITTEN)
def test_gradients_of_a_rewritten_step(xi, rng):
    a, b, w = arrays(EQUATIONS[0], rng)
    _, e = weighted(EQUATIONS[0], a, b, w, xi)
    value, gradients = tna.value_and_grad(tna.contract("qpk->", e), ("B",))(A=a, B=b, W=w)
    direction, step = rng.standard_normal(b.shape), 1e-6
    ends = [weighted(EQUATIONS[0], a, b + s * step * direction, w, xi)[0].sum() for s in (1, -1)]
    assert np.isclose((ends[0] - ends[1]) / (2 * step), (gradients["B"] * direction).sum(), rtol=1e-4, atol=1e-3)
    assert np.isclose(value, weighted(EQUATIONS[0], a, b, w, xi)[0].sum())


def test_the_plan_says_that_it_looks_up(rng):
    a, b, w = arrays(EQUATIONS[0], rng)
    _, e = weighted(EQUATIONS[0], a, b, w, "rectifier")
    plan = e.plan(A=a, B=b, W=w)
    assert [step.kind for step in plan.steps] == ["pieces"]
    assert "look up slope and intercept" in plan.explain()
    few = e.plan(A=(11, 7), B=(2, 3), W=(7, 3, 2))
    assert "pieces" not in [step.kind for step in few.steps], "tables pay only where many numbers look into them"


@pytest.mark.parametrize("scale", [1e-2, 1e-4, 1e-8])
@pytest.mark.parametrize("low", [-np.inf, -50.0])
def test_small_logarithms_keep_their_digits(scale, low, rng):
    """ξ(x, −∞) = x, also where x is near 0 and log(1 + x) would lose it."""
    a, b, w = arrays(EQUATIONS[0], rng)
    a, b = np.full_like(a, low), b * scale
    found, _ = weighted(EQUATIONS[0], a, b, w, "logaddexp")
    assert relative_error(found, truth(EQUATIONS[0], a, b, w, "logaddexp")) < 1e-13


def test_tables_that_overflow_are_not_taken(rng):
    a, b, _ = arrays(EQUATIONS[0], rng, 1e-10)
    w = np.full((SIZES["i"], SIZES["j"], SIZES["k"]), 1.7e308)
    for xi in ("rectifier", "maximum"):
        found, _ = weighted(EQUATIONS[0], abs(a), b, w, xi)
        assert relative_error(found / 1e290, truth(EQUATIONS[0], abs(a), b, w / 1e290, xi)) < 1e-13


@pytest.mark.parametrize(
    ("value", "g", "inverse", "unit"),
    [
        ("-logaddexp(-x, -y)", "exp(-x)", "-log(x)", np.inf),
        ("logaddexp(x, y)", "2 * exp(x)", "log(x / 2)", -np.inf),
    ],
)
def test_a_shift_takes_a_generator_that_grows_from_one(value, g, inverse, unit, rng, monkeypatch):
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    own = tna.Operator(name=f"own {g}", value=value, unit=unit, generator=(g, inverse), is_translative=True)
    tna.register_operator(own)
    a, b, w = arrays(EQUATIONS[0], rng)
    a[0, 0], b[0, 0] = 1000.0, -1000.0
    found, _ = weighted(EQUATIONS[0], a, b, w, own)
    x, y = a[:, None, :, None], b[None, :, None, :]
    with np.errstate(all="ignore"):
        assert relative_error(found, np.einsum("pqij,ijk->qpk", own.apply(x, y), w)) < 1e-13


@pytest.mark.parametrize("output", ["qpk", "pqk", "kpq"])
def test_tables_keep_to_the_memory_that_was_planned(output, rng):
    tile = tna.contract("pi,qj->pqij", tna.leaf("A", "pi"), tna.leaf("B", "qj"), xi="rectifier")
    e = tna.contract(f"pqij,ijk->{output}", tile, tna.leaf("W", "ijk"))
    given = {"A": rng.random((128, 20)), "B": rng.random((1024, 20)), "W": rng.random((20, 20, 2))}
    e.evaluate(**given)
    tracemalloc.start()
    e.evaluate(**given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.05 * e.plan(**given).peak_bytes + 2**18


def test_the_plan_names_a_generator(rng):
    a, b, w = arrays(EQUATIONS[0], rng)
    for xi, words in (("hypot", "hypot as sqrt(·) of a sum of · * ·"), ("logaddexp", "log(·) of a sum of exp(·)")):
        _, e = weighted(EQUATIONS[0], a, b, w, xi)
        assert words in e.plan(A=a, B=b, W=w).explain()
        assert "of a sum of" not in e.plan(A=(11, 7), B=(1, 3), W=(7, 3, 2)).explain(), "every operand is used once"
    least = tna.contract_path("pi,iq->pq", (11, 7), (7, 97), xi="hypot", reduce="minimum")
    assert "of a sum of" not in least.explain(), "the least term is looked for by its digits"


def test_the_memory_of_tables_is_planned(rng):
    a, b, w = arrays(EQUATIONS[0], rng)
    _, e = weighted(EQUATIONS[0], a, b, w, "rectifier")
    plan = e.plan(A=a, B=b, W=w)
    (step,) = (step for step in plan.steps if step.kind == "pieces")
    assert step.scratch_bytes > 0
    limited, _ = weighted(EQUATIONS[0], a, b, w, "rectifier", memory_limit=plan.peak_bytes)
    assert relative_error(limited, truth(EQUATIONS[0], a, b, w, "rectifier")) < 1e-14


def test_laws_of_the_rewrites_are_checked():
    with pytest.raises(LawError, match="'bent' is not linear on either side of its breakpoint"):
        tna.register_operator(tna.Operator(name="bent", value="maximum(x, y)", unit=-np.inf, breakpoint="y + 1"))
    far = tna.Operator(name="far", value="minimum(maximum(x, y), 1000)", unit=-np.inf, breakpoint="y")
    with pytest.raises(LawError, match="'far' is not linear on either side"):
        tna.register_operator(far)
    with pytest.raises(LawError, match="'power' is not what its generator makes"):
        tna.register_operator(
            tna.Operator(name="power", value="hypot(x, y)", unit=0.0, unit_is_strict=False, generator=("abs(x)", "x"))
        )
    with pytest.raises(LawError, match="'still' is not translative"):
        tna.register_operator(
            tna.Operator(name="still", value="hypot(x, y)", unit=0.0, unit_is_strict=False, is_translative=True)
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.usefixtures("own_registry")
def test_a_bend_that_rounding_blurs_is_where_it_is(dtype, rng):
    """minimum(x + y, 1) bends at x = 1 − y, which x + y may find or not; the tables take no slope from there."""
    tna.register_operator(
        tna.Operator(
            name="capped", value="minimum(x + y, 1)", unit=0.0, breakpoint="1 - y", samples=(0.0, 0.25, 0.5, 1.0),
            partial="where(x + y < 1, 1, where(x + y > 1, 0, 0.5))",
        )
    )  # fmt: skip
    for scale in (1.0, 1e-6, 1e-12):
        a, b, w = (scale * abs(x) / 3 for x in arrays(EQUATIONS[0], rng, dtype=dtype))
        found, e = weighted(EQUATIONS[0], a, b, w, "capped")
        assert [step.kind for step in e.plan(A=a, B=b, W=w).steps].count("pieces") == 1
        assert relative_error(found, truth(EQUATIONS[0], a, b, w, "capped")) < 10 * np.finfo(dtype).eps


def test_a_product_is_not_taken_apart():
    """The parts of a product may be beyond the range of the numbers, or lose digits near its end."""
    a = np.random.default_rng(0).random(1200)
    assert abs(tna.contract("k,k->", a, 1 / a, reduce="multiply") - 1) < 1e-12
    assert tna.contract("i,k->i", [1e-3], np.full(200, 1e3), reduce="multiply") == pytest.approx([1], rel=1e-12)
    found = tna.contract("k,k->", np.full(161, 0.01), np.full(161, 60.0), reduce="multiply")
    assert found == pytest.approx(0.6**161, rel=1e-12)


def test_sums_are_taken_apart_only_where_that_saves_something(rng):
    a, b = rng.standard_normal((2, 64)) + np.array([[1e6], [-1e6]])
    assert tna.contract("k,k->", a, b, xi="add") == pytest.approx((a + b).sum(), rel=1e-13)
    assert not tna.contract_path("k,k->", a.shape, b.shape, xi="add").is_reorderable
    assert tna.contract_path("jk,k->j", (3, 64), (64,), xi="add").is_reorderable


@pytest.mark.parametrize("scale", [1e-10, 1e-20])
@pytest.mark.usefixtures("own_registry")
def test_small_numbers_of_a_soft_minimum_keep_their_digits(scale):
    tna.register_operator(
        tna.Operator(
            name="softmin", value="-logaddexp(-x, -y)", unit=np.inf, is_translative=True,
            generator=("exp(-x)", "-log(x)"),
        )
    )  # fmt: skip
    small, large = np.full(7, scale), np.full(11, 50.0)
    mirrored = -tna.contract("i,j->i", -small, -large, xi="logaddexp")
    np.testing.assert_allclose(tna.contract("i,j->i", small, large, xi="softmin"), mirrored, rtol=1e-14)
    a, b, w = tna.leaf("A", "i"), tna.leaf("B", "j"), tna.leaf("W", "ij")
    e = tna.contract("ij,ij->", tna.contract("i,j->ij", a, b, xi="softmin"), w)
    assert e.evaluate(A=small, B=large, W=np.ones((7, 11))) == pytest.approx(mirrored.sum(), rel=1e-14)
