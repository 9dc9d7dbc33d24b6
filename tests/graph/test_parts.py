"""Slices of expressions: their values, their derivatives, and what stacks them again."""

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import EquationError, IndexRangeError
from tnalgebra.execute import Expression, reference
from tnalgebra.graph import Leaf, Stack, Take

X = tna.leaf("X", "btn")


def slices(xi):
    """Σ_bn ξ(X₀, X₂, …), one slice used twice and one not at all."""
    return tna.contract("bn,bm,bn,b->", X[:, 0], X[:, 2], X[:, 0], X[:, 3, 1], xi=xi)


@pytest.mark.parametrize("xi", ["multiply", "rectifier", "logaddexp", "hypot"])
@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"])
def test_a_slice_has_the_value_and_the_gradient_of_its_part(rng, xi, backend):
    x, direction = rng.standard_normal((2, 3, 5, 2))
    xp = np if backend == "numpy" else pytest.importorskip(backend)
    value, gradient = tna.value_and_grad(slices(xi))(X=xp.asarray(x))
    value, found = float(value), np.asarray(gradient["X"])
    truth = tna.contract("bn,bm,bn,b->", x[:, 0], x[:, 2], x[:, 0], x[:, 3, 1], xi=xi)
    np.testing.assert_allclose(value, truth, rtol=1e-12)
    assert found.shape == x.shape
    assert not found[:, [1, 4]].any()
    ends = [float(slices(xi).evaluate(X=x + step * direction)) for step in (1e-6, -1e-6)]
    np.testing.assert_allclose(np.sum(found * direction), (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


def test_a_gradient_of_slices_is_what_its_graph_means_and_has_a_gradient(rng):
    x, other = rng.standard_normal((2, 3, 5, 2))
    e = slices("multiply")
    first = e.gradients("X", seed="one")["X"]
    given = {"X": x, "one": np.ones(())}
    assert relative_error(first.evaluate(**given), reference.evaluate(first.node, given)) < 1e-14
    along = tna.contract("btn,btn->", first, tna.leaf("V", "btn"))
    second = along.gradients("X", seed="two")["X"].evaluate(**given, V=other, two=np.ones(()))
    ends = [first.evaluate(X=x + step * other, one=np.ones(())) for step in (1e-6, -1e-6)]
    assert relative_error(second, (ends[0] - ends[1]) / 2e-6) < 1e-8


@pytest.mark.parametrize("places", [(0, 1, 2), (2, 0), (1, 1)])
def test_a_stack_lays_slices_along_an_axis(rng, places):
    like = Leaf("L", ("a", "t", "b"))
    children = tuple(Leaf(f"P{i}", ("a", "b")) for i in range(len(places)))
    if len(set(places)) < len(places):
        with pytest.raises(EquationError, match="a stack has one slice a place; got places"):
            Stack(children, places, like, 1)
        return
    e = Expression(Stack(children, places, like, 1))
    parts = rng.standard_normal((len(places), 2, 5))
    expected = np.zeros((2, 3, 5))
    for place, part in zip(places, parts, strict=True):
        expected[:, place] = part
    given = {f"P{i}": part for i, part in enumerate(parts)}
    shapes = {**given, "L": np.zeros((2, 3, 5))}
    np.testing.assert_array_equal(e.evaluate(**shapes), expected)
    np.testing.assert_array_equal(reference.evaluate(e.node, shapes), expected)
    back = e.gradients("P0", seed="G")["P0"]
    np.testing.assert_array_equal(back.evaluate(**{"G": expected}), parts[0])


def test_a_slice_of_an_operand_is_a_copy(rng):
    x = rng.standard_normal((3, 5, 2))
    found = X[:, 1].evaluate(X=x)
    np.testing.assert_array_equal(found, x[:, 1])
    assert not np.shares_memory(found, x)
    assert not np.shares_memory(X.evaluate(X=x), x)
    assert tna.value_and_grad(slices("multiply")).plan(X=x).peak_bytes > 0


def test_a_plan_with_slices_explains_itself_by_code_that_runs(rng):
    e = tna.contract("bn,bn->b", X[:, 1], X[:, 3])
    x = rng.standard_normal((3, 5, 2))
    text = e.plan(X=x).explain()
    assert "take one slice" in text
    names = {"np": np, "X": x, **{name: getattr(np, name) for name in ("add", "multiply")}}
    exec(text.split("The same numbers, slowly:")[1], names)
    np.testing.assert_allclose(names["out"], e.evaluate(X=x))


def test_slices_that_there_are_not():
    with pytest.raises(IndexRangeError, match=r"index 7 is outside axis 1 \(label 't'\), which has size 5"):
        X[:, 7].evaluate(X=np.ones((3, 5, 2)))
    with pytest.raises(EquationError, match="4 indices are given, but the expression has 3 axes"):
        X[0, 0, 0, 0]
    for wrong in (-1, slice(0, 2), "a", True, None, 0.5):
        with pytest.raises(EquationError, match=r"axis 1 is indexed with .*; give a number from 0, or a colon"):
            X[:, wrong]
    with pytest.raises(EquationError, match="axis 3 is none of the 3 axes of 'btn'"):
        Take(X.node, 3, 0)
