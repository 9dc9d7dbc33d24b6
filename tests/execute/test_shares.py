"""Gradients of the log semiring as matrix products: the shares of a softmax, whatever lies far apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import LOG2ADDEXP2, relative_error
from tnalgebra.algebra import registry
from tnalgebra.execute.kernels import shares
from tnalgebra.execute.kernels.guarded import lower_guarded
from tnalgebra.plan.generated import share

EQUATIONS = {  # equation: shapes, with all the sizes that make the step worth a matrix product
    "ij,jk->ik": ((31, 29), (29, 23)),
    "ji,kj->ki": ((29, 31), (23, 29)),
    "bij,bjk->bik": ((3, 17, 13), (3, 13, 11)),
    "ijl,ljk->ki": ((17, 5, 7), (7, 5, 13)),
    "ij,j->i": ((31, 29), (29,)),
}
LARGE = [equation for equation in EQUATIONS if equation != "ij,j->i"]


def gradients(equation, x, y, c):
    """Of Σ c · ⊕ (x + y) by both."""
    terms = equation.split("->")
    value = tna.contract(equation, *map(tna.leaf, "AB", terms[0].split(",")), xi="add", reduce="logaddexp")
    found = value.gradients(wrt=("A", "B"), seed="G")
    return [found[name].evaluate(A=x, B=y, G=c) for name in "AB"]


def truth(equation, x, y, c):
    """The same with all terms in one array, in more digits than float64 has."""
    terms, out = equation.split("->")
    terms = terms.split(",")
    labels = "".join(dict.fromkeys("".join(terms)))
    x, y, c = (
        np.einsum(f"{term}->{''.join(label for label in labels if label in term)}", array.astype(np.longdouble))[
            tuple(slice(None) if label in term else None for label in labels)
        ]
        for term, array in zip((*terms, out), (x, y, c), strict=True)
    )
    axes = tuple(axis for axis, label in enumerate(labels) if label not in out)
    with np.errstate(all="ignore"):
        top = (x + y).max(axes, keepdims=True)
        parts = np.exp(x + y - np.where(np.isfinite(top), top, 0))
        total = parts.sum(axes, keepdims=True)
        weighted = np.where(total > 0, parts / total * c, 0)
    found = []
    for term in terms:
        kept = [label for label in labels if label in term]
        part = weighted.sum(tuple(axis for axis, label in enumerate(labels) if label not in term))
        found.append(part.transpose([kept.index(label) for label in term]).astype(float))
    return found


def drawn(equation, rng, dtype="float64"):
    terms, out = equation.split("->")
    sizes = {
        label: size
        for term, shape in zip(terms.split(","), EQUATIONS[equation], strict=True)
        for label, size in zip(term, shape, strict=True)
    }
    arrays = [rng.standard_normal(shape) for shape in (*EQUATIONS[equation], [sizes[label] for label in out])]
    return [array.astype(dtype) for array in arrays]


@pytest.fixture
def slow(monkeypatch):
    """Whether loops over all labels were used instead."""
    found, lower = [], shares.lower_shares

    def lowered(step, xp, plain):
        def watched(*arrays):
            found.append(step)
            return plain(*arrays)

        return lower(step, xp, watched) if shares.share(step) else plain

    monkeypatch.setattr("tnalgebra.execute.kernels.lower_shares", lowered)
    tna.plan_cache.clear()
    yield found
    tna.plan_cache.clear()


@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize("scale", [1e-8, 1.0, 30.0, 1e3, 1e5])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 2e-6)])
def test_gradients_are_matrix_products(equation, scale, dtype, tolerance, rng, slow):
    x, y, c = drawn(equation, rng, dtype)
    x, y = x * np.array(scale, dtype), y * np.array(scale, dtype)
    for found, expected in zip(gradients(equation, x, y, c), truth(equation, x, y, c), strict=True):
        assert found.dtype == dtype
        if equation in LARGE:
            assert relative_error(found, expected) < tolerance
    assert slow == []


@pytest.mark.parametrize("equation", LARGE)
@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_what_lies_far_apart_keeps_its_digits(equation, offset, rng):
    """Operands of that size, whose sums are of the size of 1: an ulp of ⊕ would be worth many digits of a share."""
    x, y, c = drawn(equation, rng)
    shift = rng.standard_normal(np.shape(x)[-1]) * offset
    x = x + shift if equation in ("ij,jk->ik", "bij,bjk->bik") else x + offset
    y = y - (shift[:, None] if equation in ("ij,jk->ik", "bij,bjk->bik") else offset)
    for found, expected in zip(gradients(equation, x, y, c), truth(equation, x, y, c), strict=True):
        assert relative_error(found, expected) < 1e-13


@pytest.mark.parametrize("equation", LARGE)
def test_minus_infinity_has_no_share(equation, rng, slow):
    x, y, c = drawn(equation, rng)
    x[rng.random(x.shape) < 0.7], y[rng.random(y.shape) < 0.7] = -np.inf, -np.inf
    x[..., 2], y[..., 3] = -np.inf, -np.inf
    for found, expected, operand in zip(gradients(equation, x, y, c), truth(equation, x, y, c), (x, y), strict=True):
        assert not np.isnan(found).any()
        assert (found[np.isneginf(operand)] == 0).all()
        assert relative_error(found, expected) < 1e-13
    assert slow == []


def test_nothing_but_minus_infinity_gives_zero(rng):
    x, y, c = drawn("ij,jk->ik", rng)
    assert not any(part.any() for part in gradients("ij,jk->ik", np.full_like(x, -np.inf), y, c))


def test_terms_that_are_infinite_share_it(rng, slow):
    x, y, c = drawn("ij,jk->ik", rng)
    x[3, 5] = x[3, 7] = y[2, 4] = np.inf
    by_x, by_y = gradients("ij,jk->ik", x, y, c)
    row = np.delete(c[3], 4)
    assert by_x[3, 5] == pytest.approx(row.sum() / 2 + c[3, 4] / 3)
    assert by_x[3, 2] == pytest.approx(c[3, 4] / 3)
    assert by_y[2, 4] == pytest.approx(np.delete(c[:, 4], 3).sum() + c[3, 4] / 3)
    assert len(slow) == 2


@pytest.mark.parametrize("position", [0, 1, 2])
def test_nan_arrives(position, rng):
    operands = drawn("ij,jk->ik", rng)
    operands[position].flat[4] = np.nan
    by_x, by_y = gradients("ij,jk->ik", *operands)
    assert np.isnan(by_x if position == 1 else by_x[0]).all() or position == 1
    assert np.isnan(by_y).any()
    assert position == 1 or np.isfinite(by_x[1:]).all()


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e300])
def test_cotangents_of_any_size(size, rng):
    x, y, c = drawn("ij,jk->ik", rng)
    x[3, 5], y[5, 7] = 600.0, -600.0
    for found, expected in zip(gradients("ij,jk->ik", x, y, c * size), truth("ij,jk->ik", x, y, c), strict=True):
        np.testing.assert_allclose(found, expected * size, rtol=1e-9, atol=1e-13 * size)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1e4), st.floats(0, 1e4), st.booleans())
@settings(max_examples=40, deadline=None)
def test_rows_and_columns_of_any_size(seed, rows, columns, has_holes):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((13, 11)) + rng.standard_normal((13, 1)) * rows + rng.standard_normal(11) * columns
    y = rng.standard_normal((11, 17)) + rng.standard_normal((11, 1)) * rows + rng.standard_normal(17) * columns
    if has_holes:
        x[rng.random(x.shape) < 0.5] = -np.inf
    c = rng.standard_normal((13, 17))
    for found, expected in zip(gradients("ij,jk->ik", x, y, c), truth("ij,jk->ik", x, y, c), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(c).max())


def test_a_cotangent_that_is_computed_where_it_is_used(rng, slow):
    x, y, c = drawn("ij,jk->ik", rng)
    value = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi="add", reduce="logaddexp")
    loss = tna.contract("ik,ik,k->", value, tna.leaf("G", "ik"), tna.leaf("w", "k"))
    w = rng.standard_normal(23)
    call = tna.value_and_grad(loss, "A")
    (step,) = [step for step in call.plan(A=x, B=y, G=c, w=w).steps if share(step)]
    assert isinstance(share(step).weight, tuple)
    assert relative_error(call(A=x, B=y, G=c, w=w)[1]["A"], truth("ij,jk->ik", x, y, c * w)[0]) < 1e-13
    assert slow == []


def test_an_operand_with_itself(rng):
    x = rng.standard_normal((23, 19)) * 3
    value = tna.contract("ij,kj->ik", tna.leaf("A", "ij"), tna.leaf("A", "kj"), xi="add", reduce="logaddexp")
    c = rng.standard_normal((23, 23))
    found = value.gradients(wrt=("A",), seed="G")["A"].evaluate(A=x, G=c)
    by_x, by_y = truth("ij,kj->ik", x, x, c)
    assert relative_error(found, by_x + by_y) < 1e-13


def test_derivatives_of_gradients(rng):
    x, y, c = drawn("ij,jk->ik", rng)
    value = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi="add", reduce="logaddexp")
    first = value.gradients(wrt=("A",), seed="G")["A"]
    along = tna.contract("ij,ij->", first, tna.leaf("D", "ij"))
    direction, step = rng.standard_normal(x.shape), 1e-5
    _, second = tna.value_and_grad(along, "A")(A=x, B=y, G=c, D=direction)
    ends = [gradients("ij,jk->ik", x + sign * step * direction, y, c)[0] for sign in (1, -1)]
    np.testing.assert_allclose(second["A"], (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)


def test_the_explanation_and_an_operator_of_ones_own(rng, slow, monkeypatch):
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    own = tna.register_operator(LOG2ADDEXP2)
    x, y, c = drawn("ij,jk->ik", rng)
    x, y = x * 300, y * 300
    value = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi="add", reduce=own.name)
    gradient = value.gradients(wrt=("A",), seed="G")["A"]
    expected = truth("ij,jk->ik", x * np.log(2), y * np.log(2), c)[0]
    assert relative_error(gradient.evaluate(A=x, B=y, G=c), expected) < 1e-12
    assert slow == []
    told = gradient.plan(A=x, B=y, G=c).explain()
    assert "the shares of log2addexp2 by matrix products of exp(0.6931471805599453 * ·)" in told
    small = gradient.plan(A=(2, 3), B=(3, 2), G=(2, 2)).explain()
    assert "the shares of" not in small


def test_ties_are_looked_for_only_where_a_sum_is_infinite(rng):
    seen = []
    lower = shares.lower_blocked

    x, y, c = drawn("ij,jk->ik", rng)
    value = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi="add", reduce="logaddexp")
    plan = value.gradients(wrt=("A",), seed="G")["A"].plan(A=x, B=y, G=c)
    (ties,) = [step for step in plan.steps if "inf" in str(step.tree) and step.result == ("i", "k")]
    kernel = lower_guarded(ties, np, lambda *arrays: seen.append(1) or lower(ties, np)(*arrays))
    total = tna.contract("ij,jk->ik", x, y, xi="add", reduce="logaddexp")
    assert not kernel(x, y, total).any()
    assert seen == []
    x[3, 5] = x[3, 7] = np.inf
    total = tna.contract("ij,jk->ik", x, y, xi="add", reduce="logaddexp")
    np.testing.assert_array_equal(kernel(x, y, total), np.where(np.arange(31)[:, None] == 3, 2, 0) + np.zeros(23))
    assert seen == [1]


@pytest.mark.parametrize("limit", ["120kB", "140kB", "200kB", "4MB"])
def test_slices_do_not_take_a_part_of_a_sum_for_the_whole(limit, rng):
    """A loop over a label that ⊕ has summed sees a part of it; the shares of every entry still add up to one."""
    a, b = rng.random((6, 8, 20)), rng.random((20, 6, 68))
    total = tna.contract("ijl,lik->jk", tna.leaf("A", "ijl"), tna.leaf("B", "lik"), xi="add", reduce="logaddexp")
    gradient = tna.value_and_grad(tna.contract("jk->", total))
    truth = gradient(A=a, B=b)[1]
    for name, found in gradient(A=a, B=b, memory_limit=limit)[1].items():
        np.testing.assert_allclose(found, truth[name], rtol=1e-12)
        assert found.sum() == pytest.approx(8 * 68)
