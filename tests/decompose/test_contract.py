"""The tolerance contract under adversarial input: gauges, biased roundings, caps, and what is left of nothing."""

import re
import warnings

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import BudgetError, ConvergenceWarning, DTypeError, FormatError

KINDS = (tna.CPTensor, tna.TTTensor, tna.HTTensor)


def constant_with_a_ripple(size, ratio, dtype=float):
    """Two constant rows, whose products all round one way, and an orthogonal ripple of a relative size."""
    a, b = 0.6234897555375004, 0.776683114342298
    rows = np.repeat(np.array([[a], [b]], dtype), size, axis=1)
    sign = np.where(np.arange(size) % 2, 1.0, -1.0) / np.sqrt(size)
    ripple = np.outer([b, -a], sign) / np.hypot(a, b)
    return rows + (ratio * np.linalg.norm(rows) * ripple).astype(dtype)


@pytest.mark.parametrize("kind", [tna.TTTensor, tna.HTTensor])
@pytest.mark.parametrize("ratio", [1.02e-7, 1.05e-7, 1.1e-7, 1.5e-7])
def test_biased_rounding_errors_of_a_gram_matrix_do_not_break_eps(kind, ratio):
    x = constant_with_a_ripple(1 << 18, ratio)
    found = kind.from_dense(x, eps=1e-7)
    error = relative_error(found.to_dense(), x)
    assert error <= 1e-7
    assert error <= found.truncation.bound + 1e-13


@pytest.mark.parametrize("ratio", [2.4e-3, 2.6e-3, 2.88e-3])
def test_nor_do_those_of_rounding_in_single_precision(ratio):
    x = constant_with_a_ripple(100_000, ratio, np.float32)
    train = tna.TTTensor([np.eye(2, dtype=np.float32)[None], x[:, :, None]])
    found = train.round(eps=2.5e-3)
    error = found.distance(train) / train.norm()
    assert error <= 2.5e-3 * (1 + 1e-4)
    assert error <= found.truncation.bound + 1e-6


# --- scales inside a train ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "scale"), [("float64", 1e-165), ("float64", 1e-200), ("float32", 1e-25)])
def test_what_a_slice_leaves_is_not_taken_for_nothing(dtype, scale):
    second = np.array([[1, 1, 1], [scale] * 3], dtype)[:, :, None]
    small = tna.TTTensor([np.eye(2, dtype=dtype)[None], second])[1:]
    rounded = small.round(eps=1e-3)
    assert rounded.log_norm() == pytest.approx(small.log_norm(), rel=1e-6)
    assert rounded.truncation.is_reached


@pytest.mark.parametrize(("dtype", "scale", "eps"), [("float64", 1e-170, 1e-8), ("float32", 1e-22, 1e-4)])
def test_a_gauge_of_extreme_scale_changes_nothing(dtype, scale, eps):
    plain = tna.TTTensor.random((4, 4, 4), rank=2, seed=0, dtype=dtype)
    first, second, third = plain.cores
    gauge = np.array([1.0, scale], dtype)
    turned = tna.TTTensor([first * gauge, second / gauge[:, None, None], third])
    rounded = turned.round(eps=eps)
    assert rounded.ranks == plain.ranks
    assert relative_error(rounded.to_dense(), plain.to_dense()) <= eps


# --- caps --------------------------------------------------------------------------------------------------------


def test_a_cap_that_does_not_bind_leaves_sums_within_eps():
    large = [tna.TTTensor.random((6,) * 4, rank=2, seed=seed) * 1e8 for seed in (0, 2)]
    small = tna.TTTensor.random((6,) * 4, rank=2, seed=1)
    terms = [*large, small, *(-term for term in large)]
    total = tna.stack_sum(terms, eps=1e-2, max_rank=100)
    assert total.distance(small) <= 1e-2 * small.norm()
    assert total.ranks == (1, 2, 2, 2, 1)
    assert tna.stack_sum(terms, eps=1e-2, max_rank=1).max_rank == 1


def test_a_cap_holds_on_a_tree():
    found = tna.HTTensor.from_function(lambda i: np.sin(i.sum(axis=1) ** 2), (8,) * 4, max_rank=3)
    assert found.max_rank == 3
    truth = np.sin(np.indices((8,) * 4).sum(axis=0) ** 2.0)
    assert found.fit.error > 0.5 * relative_error(found.to_dense(), truth)
    x = tna.TTTensor.random((8, 8, 8, 8), rank=3, seed=0)
    points = np.random.default_rng(0).integers(0, 8, (4000, 4))
    assert tna.HTTensor.from_samples(points, x.gather(points), x.shape, max_rank=3).max_rank == 3
    with pytest.warns(
        ConvergenceWarning, match="max_rank = 3 on the tree leaves a relative error of .*; raise max_rank"
    ):
        tna.HTTensor.from_samples(points, x.gather(points), x.shape, max_rank=3, eps=1e-6)


def test_a_seed_meets_eps_where_the_cap_allows_it():
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.standard_normal((200, 200)))[0] for _ in range(2))
    x = (u / np.sqrt(np.arange(1, 201))) @ v.T
    exact = tna.TTTensor.from_dense(x, max_rank=20).truncation.bound
    eps = exact * 1.005
    for seed in range(3):
        found = tna.TTTensor.from_dense(x, eps=eps, max_rank=20, seed=seed)
        assert relative_error(found.to_dense(), x) <= eps
        rounded = tna.TTTensor.from_dense(x).round(eps=eps, max_rank=20, seed=seed)
        assert relative_error(rounded.to_dense(), x) <= eps


# --- ranks not larger than needed --------------------------------------------------------------------------------


def possible(train):
    ranks, shape = train.ranks, train.shape
    return all(ranks[k + 1] <= min(ranks[k] * shape[k], (shape[k + 1] * ranks[k + 2])) for k in range(len(shape) - 1))


def test_later_cuts_leave_no_rank_that_is_not_needed():
    x = np.random.default_rng(0).standard_normal((8, 2, 2, 8))
    for found in (
        tna.TTTensor.from_dense(x, max_rank=[8, 1, 8]),
        tna.TTTensor.from_dense(x).round(max_rank=[8, 1, 8]),
    ):
        assert found.ranks == (1, 2, 1, 2, 1)
        assert possible(found)
        assert relative_error(found.to_dense(), x) == pytest.approx(found.truncation.bound, rel=1e-10)
    tree = tna.HTTensor.from_dense(x, max_rank=[8, 2, 2, 8, 2, 1][: 2 * 4 - 2], tree=((0, 1), (2, 3)))
    assert all(size <= part.size // size for part in tree.transfers for size in part.shape)


def test_the_children_of_a_root_share_one_loss():
    x = np.random.default_rng(0).standard_normal((20, 20))
    h = tna.HTTensor.from_dense(x)
    exact = np.linalg.svd(x)[1]
    best = np.sqrt((exact[4:] ** 2).sum() / (exact**2).sum())
    cut = h.round(max_rank=4)
    assert cut.truncation.bound == pytest.approx(best)
    assert h.round(eps=best * 1.0001, max_rank=4).truncation.is_reached
    assert cut.ranks == (4, 4, 1)


# --- reports -----------------------------------------------------------------------------------------------------


def test_a_cp_tensor_of_a_function_reports_the_error_beside_the_function():
    def f(i):
        return np.sin((i**2).sum(axis=1) + i[:, 0] * i[:, 3])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = tna.CPTensor.from_function(f, (12,) * 4, eps=1e-3, max_calls=3000)
    assert found.fit.is_estimate
    assert not found.fit.is_converged
    assert not found.truncation.is_reached
    assert found.truncation.requested == 1e-3
    truth = f(np.stack([index.reshape(-1) for index in np.indices((12,) * 4)], axis=1)).reshape((12,) * 4)
    assert found.fit.error > 0.5 * relative_error(found.to_dense(), truth)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_all_initial_points_are_looked_at(d):
    peaks = np.random.default_rng(0).integers(0, 300, (12, d))

    def f(points):
        return (points[:, None, :] == peaks).all(axis=2).any(axis=1).astype(float)

    found = tna.TTTensor.from_function(f, (300,) * d, eps=1e-6, initial=peaks)
    np.testing.assert_allclose(found.gather(peaks), 1, rtol=1e-6)
    assert found.fit.is_converged


def test_trees_are_found_at_every_scale():
    pairs = np.einsum("ac,bd->abcd", *np.random.default_rng(0).standard_normal((2, 4, 4)))
    train = tna.TTTensor.from_dense(pairs)
    for scale in (1.0, 1e-20, 1e-170, 1e170):
        tree = tna.DimensionTree.balanced(4).optimize((train + train) * scale)
        assert tree.nested == ((0, 2), (1, 3))


# --- completion --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_slice_without_an_entry_cannot_be_completed(kind):
    x = tna.TTTensor.random((8, 9, 7), rank=2, seed=0)
    points = np.random.default_rng(0).integers(0, x.shape, (400, 3))
    points = points[points[:, 0] != 3]
    with pytest.raises(FormatError, match="no entry has index 3 in mode"):
        kind.from_samples(points, x.gather(points), x.shape, max_rank=2)


def test_entries_that_are_given_twice_judge_nothing():
    rng = np.random.default_rng(0)
    points, values = rng.integers(0, 4, (60, 3)), rng.standard_normal(60)
    points, first = np.unique(points, axis=0, return_index=True)
    once = tna.TTTensor.from_samples(points, values[first], (4, 4, 4), max_rank=3, seed=0)
    often = tna.TTTensor.from_samples(
        np.repeat(points, 10, axis=0), np.repeat(values[first], 10), (4, 4, 4), max_rank=3, seed=0
    )
    assert often.fit.error == pytest.approx(once.fit.error, rel=1e-6)
    assert often.fit.calls == once.fit.calls


def test_no_rank_is_kept_that_the_data_do_not_ask_for():
    for seed in range(4):
        x = tna.TTTensor.random((10, 10, 10, 10), rank=2, seed=seed)
        points = np.random.default_rng(seed).integers(0, 10, (3000, 4))
        found = tna.TTTensor.from_samples(points, x.gather(points), x.shape, max_rank=4, seed=seed)
        assert found.max_rank == 2
        assert found.distance(x) <= 1e-5 * x.norm()


def test_the_search_for_a_cp_rank_starts_at_a_lower_bound():
    two = tna.CPTensor([np.eye(2)] * 21, [1, 0.09])
    assert two.fit_cp(eps=0.1).rank == 1


# --- tangent spaces ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1e100])
def test_tangent_spaces_of_trains_with_ranks_that_are_too_large(scale):
    x = tna.TTTensor.random((2, 8, 8), rank=5, seed=0) * scale
    space = tna.TangentSpace(x)
    assert space.ranks == (1, 2, 5, 1)
    vector = space.random(seed=0)
    assert vector.to_tt().norm() == pytest.approx(1)
    assert space.project(x).to_tt().distance(x) <= 1e-12 * x.norm()
    assert space.retract(vector).ranks == space.ranks
    assert space.transport(vector).norm() == pytest.approx(1)


# --- arguments ---------------------------------------------------------------------------------------------------


def test_bad_arguments():
    with pytest.raises(BudgetError, match="from_function needs at least one sweep; got sweeps = 0"):
        tna.TTTensor.from_function(lambda i: i[:, 0] * 1.0, (3, 4), eps=1e-3, sweeps=0)
    if np.finfo(np.longdouble).nmant > np.finfo(float).nmant:
        with pytest.raises(DTypeError, match=re.escape("from_dense takes float32, float64, complex64 and complex128")):
            tna.TTTensor.from_dense(np.ones((2, 3), np.longdouble))


def test_norms_of_long_single_precision_arrays_have_their_digits():
    x = np.full((64, 64, 64, 32), 0.1, np.float32)
    found = tna.TTTensor.from_dense(x, max_rank=1)
    assert found.norm() == pytest.approx(float(np.float32(0.1)) * np.sqrt(x.size), rel=1e-5)
    assert found.truncation.bound < 1e-4
