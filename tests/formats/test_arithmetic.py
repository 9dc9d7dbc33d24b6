"""Sums, multiples, products, inner products, norms and rounding, against the dense arrays."""

import re
from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import (
    AlgebraError,
    AxisMismatchError,
    FormatError,
    IndexRangeError,
    RankError,
    ToleranceError,
    TreeError,
)

KINDS = (tna.CPTensor, tna.TTTensor, tna.HTTensor)
SHAPE = (3, 5, 2, 7)


def pair(kind, dtype="float64", xi="multiply", shape=SHAPE):
    inner = () if len(shape) == 1 and kind is not tna.CPTensor else 1
    return tuple(kind.random(shape, (rank * inner) or (), seed=rank, dtype=dtype, xi=xi) for rank in (2, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("shape", [SHAPE, (3, 5), (5,), (1, 3, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_arithmetic_is_that_of_the_dense_arrays(kind, shape, dtype):
    a, b = pair(kind, dtype, shape=shape)
    x, y = a.to_dense(), b.to_dense()
    tol = 1e-4 if dtype == "float32" else 1e-12
    for found, expected in (
        (a + b, x + y),
        (a - b, x - y),
        (-a, -x),
        (a * b, x * y),
        (2 * a, 2 * x),
        (a * np.float32(3), 3 * x),
        (a / 4, x / 4),
    ):
        assert type(found) is kind
        assert found.dtype == expected.dtype
        assert relative_error(found.to_dense(), expected) < tol
    assert (a + b).max_rank <= a.max_rank + b.max_rank
    assert (a * b).max_rank == a.max_rank * b.max_rank
    assert a.inner(b) == pytest.approx(np.vdot(x, y), rel=10 * tol, abs=1e-4 if tol > 1e-6 else 1e-12)
    assert a.inner(y) == pytest.approx(np.vdot(x, y), rel=10 * tol, abs=1e-4 if tol > 1e-6 else 1e-12)
    assert a.norm() == pytest.approx(np.linalg.norm(x), rel=tol)
    assert a.log_norm() == pytest.approx(log(np.linalg.norm(x)), rel=tol, abs=tol)


def test_inner_products_of_different_formats():
    tensors = [kind.random(SHAPE, 3, seed=7) for kind in KINDS]
    for a in tensors:
        for b in tensors:
            assert a.inner(b) == pytest.approx(np.vdot(a.to_dense(), b.to_dense()), rel=1e-12)


@given(seed=st.integers(0, 999), kind=st.sampled_from(KINDS), scalar=st.floats(-1e3, 1e3))
def test_inner_is_bilinear(seed, kind, scalar):
    a, b, c = (kind.random((2, 3, 5), 2, seed=seed + i) for i in range(3))
    left, right = (a + scalar * b).inner(c), a.inner(c) + scalar * b.inner(c)
    assert left == pytest.approx(right, rel=1e-9, abs=1e-9 * (1 + abs(scalar)))


@pytest.mark.parametrize("kind", [tna.CPTensor, tna.HTTensor])
@pytest.mark.parametrize("xi", ["rectifier", "logaddexp", "add", "hypot", "maximum"])
def test_block_addition_and_scaling_are_exact_for_every_xi(kind, xi):
    a, b = pair(kind, xi=xi)
    assert relative_error((a + b).to_dense(), a.to_dense() + b.to_dense()) < 1e-13
    assert relative_error((a - 2 * b).to_dense(), a.to_dense() - 2 * b.to_dense()) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_a_difference_keeps_its_digits(kind):
    """‖a − b‖ of 1e-9 by the inner product is 2.6e-8 (FEATURES 6.1); by orthogonalization it is right."""
    a = kind.random(SHAPE, 3, seed=0)
    a = a / a.norm()
    b = kind.random(SHAPE, 2, seed=1)
    nudge = b * (1e-9 / b.norm())
    assert ((a + nudge) - a).norm() == pytest.approx(1e-9, rel=1e-5)
    assert (a - a).norm() < 1e-14


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-20, 1e10])
def test_norms_of_long_products_neither_overflow_nor_vanish(kind, scale):
    one = kind.random((2,) * 40, 2, seed=0)
    scaled = one._rebuild({name: part * scale for name, part in one.parameters().items()})
    expected = one.log_norm() + (len(one.parameters()) if kind is not tna.CPTensor else 41) * log(scale)
    assert scaled.log_norm() == pytest.approx(expected, rel=1e-10)
    assert scaled.norm() in (0.0, inf) or 1e-300 < scaled.norm() < 1e300
    assert (one * 0).log_norm() == -inf
    assert (one * 0).norm() == 0


@pytest.mark.parametrize("center", [0, 1, 2, 3, -1])
def test_orthogonalize_moves_the_norm_into_one_core(center):
    train = tna.TTTensor.random(SHAPE, 3, seed=0, dtype=complex)
    found = train.orthogonalize(center)
    assert relative_error(found.to_dense(), train.to_dense()) < 1e-13
    assert np.linalg.norm(found.cores[center]) == pytest.approx(train.norm(), rel=1e-13)
    for mode, core in enumerate(found.cores):
        if mode < center % 4:
            matrix = core.reshape(-1, core.shape[2])
            np.testing.assert_allclose(matrix.conj().T @ matrix, np.eye(core.shape[2]), atol=1e-13)
        if mode > center % 4:
            matrix = core.reshape(core.shape[0], -1)
            np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(core.shape[0]), atol=1e-13)


ROUNDED = (tna.TTTensor, tna.HTTensor)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("kind", ROUNDED)
def test_rounding_finds_the_exact_ranks_of_sums(kind, dtype):
    a, b = pair(kind, dtype)
    both = kind.from_dense(a.to_dense() + b.to_dense()).ranks
    for found in ((a + b).round(), (a + b - a + b).round(eps=1e-10)):
        expected = both if found.ranks == both else kind.from_dense(2 * b.to_dense()).ranks
        assert found.ranks == expected
    assert relative_error((a + b).round().to_dense(), a.to_dense() + b.to_dense()) < 1e-12


@pytest.mark.parametrize("eps", [0.5, 0.1, 1e-2, 1e-5, 1e-9])
@pytest.mark.parametrize("kind", ROUNDED)
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_rounding_keeps_the_tolerance_of_the_whole(kind, eps, scale, rng):
    dense = rng.standard_normal((5, 7, 3, 4))
    for mode, size in enumerate(dense.shape):
        dense = dense * (0.4 ** np.arange(size)).reshape([-1 if m == mode else 1 for m in range(4)])
    tensor = kind.from_dense(dense) * scale
    rounded = tensor.round(eps=eps)
    error = relative_error(rounded.to_dense() / scale, dense)
    assert error <= eps * (1 + 1e-9)
    assert error <= rounded.truncation.bound * (1 + 1e-6) + 1e-13
    assert rounded.truncation.is_reached
    assert rounded.n_params <= tensor.n_params
    again = rounded.round(eps=1e-12)
    assert again.ranks == rounded.ranks
    assert relative_error(again.to_dense() / scale, rounded.to_dense() / scale) < 1e-11


def test_rounding_ranks_are_as_small_as_those_of_the_dense_array():
    grid = np.linspace(0, 1, 12)
    dense = np.exp(-grid[:, None, None] * grid[:, None] * grid)
    for kind in ROUNDED:
        for eps in (1e-2, 1e-4, 1e-8):
            direct = kind.from_dense(dense, eps=eps)
            assert kind.from_dense(dense).round(eps=eps).n_params <= 1.3 * direct.n_params


@pytest.mark.parametrize("kind", ROUNDED)
def test_rounding_at_the_edges(kind):
    a, _ = pair(kind)
    zero = (a - a).round(eps=1e-6)
    assert zero.norm() <= 1e-13 * a.norm()
    nothing = (a * 0).round(eps=0.1)
    assert set(nothing.ranks) == {1}
    assert nothing.norm() == 0
    capped = (a + a).round(max_rank=1)
    assert capped.max_rank == 1
    assert capped.truncation.bound > 0
    single = kind.random((5,), (), seed=0)
    np.testing.assert_allclose(single.round(eps=0.1).to_dense(), single.to_dense(), rtol=1e-13)
    with pytest.raises(ToleranceError, match=re.escape("must be in [0, 1); got 1")):
        a.round(eps=1)
    with pytest.raises(RankError, match="a rank must be at least 1"):
        a.round(max_rank=0)


def test_rounding_a_long_train_never_densifies():
    a = tna.TTTensor.random((10,) * 50, 5, seed=0)
    found = (a + a).round(eps=1e-10)
    assert found.ranks == a.ranks
    assert (found - 2 * a).log_norm() < a.log_norm() + log(1e-9)


def test_what_needs_linearity_says_so():
    train, other = pair(tna.TTTensor, xi="rectifier")
    with pytest.raises(
        AlgebraError,
        match=r"the sum of trains is defined for ξ = multiply, not rectifier.*CP and HT tensors add by blocks",
    ):
        train + other
    with pytest.raises(AlgebraError, match="the multiple of a train is defined for ξ = multiply"):
        2 * train
    with pytest.raises(AlgebraError, match=r"orthogonalize is defined for ξ = multiply.*no gauge freedom"):
        train.orthogonalize()
    for kind in KINDS:
        a, b = pair(kind, xi="hypot")
        for call, name in ((lambda a=a, b=b: a * b, "the entrywise product"), (lambda a=a, b=b: a.inner(b), "inner"),
                           (lambda a=a: a.norm(), "the norm"), (lambda a=a: a.log_norm(), "the norm"), (lambda a=a: a.round(eps=0.1), "round")):  # fmt: skip
            with pytest.raises(AlgebraError, match=f"{name}.* is defined for ξ = multiply, not hypot"):
                call()


def test_operands_that_do_not_fit_are_named():
    a, _ = pair(tna.TTTensor)
    with pytest.raises(
        AxisMismatchError, match=re.escape("mode 1 has size 5 in the left operand of + but 2 in the right")
    ):
        a + tna.TTTensor.random((3, 2, 2, 7), 2)
    with pytest.raises(FormatError, match=re.escape("operands of - have 4 and 2 modes")):
        a - tna.TTTensor.random((3, 5), 2)
    with pytest.raises(AlgebraError, match=re.escape("operands of + have ξ = multiply and ξ = hypot")):
        a + tna.TTTensor.random(SHAPE, 2, xi="hypot")
    with pytest.raises(
        TreeError, match=re.escape("operands of + have the trees ((0, 1), (2, 3)) and (((0, 1), 2), 3)")
    ):
        tna.HTTensor.random(SHAPE, 2) + tna.HTTensor.random(SHAPE, 2, tree=tna.DimensionTree.linear(4))
    with pytest.raises(TypeError, match="unsupported operand type"):
        a + tna.CPTensor.random(SHAPE, 2)
    with pytest.raises(TypeError, match="unsupported operand type"):
        a / "x"
    with pytest.raises(IndexRangeError, match="mode 4 is outside the modes 0, …, 3"):
        a.orthogonalize(4)
    assert (np.float64(2) * a).to_dense()[0, 0, 0, 0] == pytest.approx(2 * a[0, 0, 0, 0])


@pytest.mark.parametrize("entry", [1e-150, 1e150])
def test_rounding_keeps_tensors_whose_norm_no_number_can_hold(entry):
    train = tna.TTTensor([np.full((1, 10, 1), entry)] * 10)
    for found in (train.round(eps=1e-6), train.orthogonalize(3), train.to_ht().round(eps=1e-6)):
        assert found.log_norm() == pytest.approx(train.log_norm(), rel=1e-12)
    single = tna.TTTensor.random((10,) * 100, 3, seed=0, dtype="float32")
    assert single.round(eps=1e-3).log_norm() == pytest.approx(single.log_norm(), rel=1e-5)


def test_a_norm_beyond_the_dtype_does_not_spoil_a_decomposition():
    array = np.full((50, 50, 4), 1e37, np.float32)
    for kind in KINDS:
        assert relative_error(kind.from_dense(array, eps=1e-3).to_dense() / 1e37, array / 1e37) < 1e-3


def test_inner_needs_one_shape():
    with pytest.raises(AxisMismatchError, match="mode 0 has size 1 in the left operand of inner but 3 in the right"):
        tna.TTTensor.random((1, 4), 2).inner(np.ones((3, 4)))
    with pytest.raises(AxisMismatchError, match="operands of inner have 2 and 1 modes"):
        tna.TTTensor.random((1, 4), 2).inner(np.ones(4))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_inner_products_of_hundreds_of_parts_neither_overflow_nor_vanish(kind, scale):
    """Parts of one tensor are scaled up and those of the other down: only the result has to fit."""
    a, b = (kind.random((2, 3) * 60, 2, seed=seed) for seed in (0, 1))
    a, b = a / a.norm(), b / b.norm()
    up = a._rebuild({name: part * scale for name, part in a.parameters().items()})
    down = b._rebuild({name: part / scale for name, part in b.parameters().items()})
    assert up.inner(down) == pytest.approx(a.inner(b), rel=1e-9, abs=1e-20)
    assert up.inner(up) in (0.0, inf)
    assert (a * 1e-160).inner(a * 1e160) == pytest.approx(1, rel=1e-10)


def test_inner_of_parts_whose_entries_are_further_apart_than_one_exponent_bridges():
    cores = [np.array([[[1e200, 1e-200]]]), np.array([[[1e-200]], [[1e200]]])]
    assert abs(tna.TTTensor(cores).inner(np.ones((1, 1))) - 2) < 1e-14


def test_inner_of_infinite_and_undefined_entries_says_so():
    bad = tna.TTTensor([np.ones((1, 700, 1)), np.full((1, 2, 1), np.nan)])
    assert np.isnan(bad.inner(bad))
    hidden = np.ones((1, 1031, 1))
    hidden[0, 1000] = 1e300  # an entry that no sample of the operand sees
    big = tna.TTTensor([hidden, np.full((1, 2, 1), 1e-300)])
    assert big.inner(big) == pytest.approx(2.0, rel=1e-12)
    single = tna.TTTensor.random((3, 5), 2, seed=0, dtype="float32")
    assert single.inner(single).dtype == np.float32
