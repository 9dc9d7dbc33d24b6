"""Trains reshaped and quantized: the same entries in another shape, with no rank larger than needed."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import AlgebraError, AxisMismatchError, FormatError

SHAPES = [
    (4, 6, 5),
    (8, 3, 5),
    (24, 5),
    (4, 30),
    (120,),
    (2, 2, 2, 3, 5),
    (1, 4, 1, 6, 5, 1),
    (10, 12),
    (3, 40),
    (5, 4, 6),
]


@pytest.mark.parametrize("new", SHAPES)
@pytest.mark.parametrize("old", SHAPES)
def test_reshape_is_that_of_the_dense_array(old, new):
    train = tna.TTTensor.random(old, 2 if len(old) > 1 else (), seed=0)
    found = train.reshape(new)
    assert found.shape == new
    assert relative_error(found.to_dense(), train.to_dense().reshape(new)) < 1e-12
    assert found.ranks == tna.TTTensor.from_dense(train.to_dense().reshape(new)).ranks


@given(seed=st.integers(0, 99), data=st.data())
def test_any_factors_in_any_grouping(seed, data):
    factors = data.draw(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=6))

    def grouped():
        cuts = sorted(data.draw(st.sets(st.integers(1, len(factors) - 1)))) if len(factors) > 1 else []
        return tuple(int(np.prod(part)) for part in np.split(np.array(factors), cuts))

    old, new = grouped(), grouped()
    train = tna.TTTensor.random(old, 2 if len(old) > 1 else (), seed=seed, dtype="complex128")
    assert relative_error(train.reshape(new).to_dense(), train.to_dense().reshape(new)) < 1e-12


def test_eps_is_that_of_the_whole():
    grid = np.linspace(0, 1, 64)
    train = tna.TTTensor.from_dense(1 / (1 + grid[:, None] + grid))
    for eps in (1e-2, 1e-6):
        found = train.quantize(eps=eps)
        assert found.shape == (2,) * 12
        assert relative_error(found.to_dense(), train.to_dense().reshape((2,) * 12)) <= eps
        assert found.truncation.requested == eps
        back = found.reshape(train.shape)
        assert back.distance(train) <= eps * train.norm() * (1 + 1e-9)


def test_quantized_functions_have_the_ranks_that_are_known():
    """Exponentials have rank 1, sines 2, polynomials of degree p at most p + 1."""
    x = np.arange(2.0**16) / 2**16
    for values, rank in ((np.exp(-x), 1), (np.sin(20 * x), 2), (1 + x - 3 * x**3, 4)):
        line = tna.TTTensor([values[None, :, None]])
        found = line.quantize(eps=1e-12)
        assert found.max_rank == rank
        assert found.ndim == 16
        assert found.distance(line.reshape((2,) * 16)) < 1e-11 * line.norm()
    assert tna.TTTensor.random((9, 27), 2, seed=0).quantize(base=3).shape == (3,) * 5
    assert tna.TTTensor.random((1, 1), 1, seed=0).quantize().shape == (1,)


def test_a_quantized_function_of_a_million_points_never_forms_them():
    f = tna.TTTensor.from_function(lambda i: np.cos(i @ 2.0 ** -np.arange(1, 41)), (2,) * 40, eps=1e-10)
    assert f.reshape((1024,) * 4).reshape((2,) * 40).distance(f) < 1e-9 * f.norm()


def test_bad_input_is_named():
    train = tna.TTTensor.random((4, 6), 2)
    with pytest.raises(AxisMismatchError, match=re.escape("shape (4, 6) has 24 entries, but shape (5, 5) has 25")):
        train.reshape((5, 5))
    with pytest.raises(FormatError, match="mode 1 has size 6, which is no power of base = 2"):
        train.quantize()
    with pytest.raises(FormatError, match="mode 0 has size 4, which is no power of base = 1"):
        train.quantize(base=1)
    with pytest.raises(AlgebraError, match="reshape is defined for ξ = multiply, not hypot"):
        tna.TTTensor.random((4, 6), 2, xi="hypot").reshape((24,))
    with pytest.raises(AlgebraError, match="quantize is defined for ξ = multiply, not hypot"):
        tna.TTTensor.random((4, 8), 2, xi="hypot").quantize()


def test_shapes_as_numpy_takes_them():
    train = tna.TTTensor.random((4, 3, 5), 2, seed=0)
    dense = train.to_dense()
    for shape in (60, -1, (-1, 5), (12, -1), (3, -1, 4)):
        np.testing.assert_allclose(train.reshape(shape).to_dense(), dense.reshape(shape), atol=1e-13)
    for shape, error, text in (
        ((-1, -1), FormatError, "shape must be one positive size a mode"),
        ((7, -1), AxisMismatchError, "has 60 entries, but shape .* has 56"),
        ((0, -1), FormatError, "shape must be one positive size a mode"),
    ):
        with pytest.raises(error, match=text):
            train.reshape(shape)
