"""Tensors from functions: exact where the function has small ranks, honest where not, and within a budget of calls."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.decompose.maxvol import maxvol
from tnalgebra.decompose.sampler import OutOfCalls, Sampler
from tnalgebra.errors import (
    BudgetError,
    ConvergenceWarning,
    FormatError,
    IndexRangeError,
    NonFiniteError,
    RankError,
    ToleranceError,
)

KINDS = (tna.CPTensor, tna.TTTensor, tna.HTTensor)
GRID = np.linspace(0, 1, 20)


def hilbert(points):
    return 1 / (1 + GRID[points].sum(axis=1))


@given(seed=st.integers(0, 999), rank=st.integers(1, 6), more=st.integers(0, 5), kind=st.sampled_from([float, complex]))
def test_all_rows_follow_from_few_with_small_coefficients(seed, rank, more, kind):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((17, rank)).astype(kind)
    matrix = matrix + 1j * rng.standard_normal((17, rank)) if kind is complex else matrix
    picked, coefficients = maxvol(matrix, rank + more)
    assert len(set(picked.tolist())) == rank + more
    np.testing.assert_allclose(coefficients @ matrix[picked], matrix, atol=1e-10)
    assert np.max(np.abs(coefficients)) <= 1.06
    if not more:
        others = np.setdiff1d(np.arange(17), picked)
        swapped = [np.r_[np.delete(picked, j), i] for i in others[:4] for j in range(rank)]
        volume = abs(np.linalg.det(matrix[picked]))
        assert all(abs(np.linalg.det(matrix[rows])) <= 1.06 * volume for rows in swapped)


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_of_small_rank_is_found_exactly(kind):
    shape = (9, 8, 7, 6)
    for f, rank in (
        (lambda i: np.sin(i.sum(axis=1)), 2),
        (lambda i: np.exp(-0.3 * i.sum(axis=1)), 1),
        (lambda i: i.sum(axis=1), 2),
        (lambda i: np.exp(1j * i.sum(axis=1)), 1),
    ):
        found = kind.from_function(f, shape, eps=1e-6)
        dense = f(np.stack(np.indices(shape), axis=-1).reshape(-1, 4)).reshape(shape)
        assert relative_error(found.to_dense(), dense) < 1e-6
        assert found.max_rank == rank or (kind is tna.CPTensor and found.rank >= rank)
        assert found.dtype == (complex if np.iscomplexobj(dense) else float)
        assert found.fit.is_converged
        assert found.fit.calls <= np.prod(shape)


@pytest.mark.parametrize("rank", [5, 20])
def test_the_ranks_of_a_train_are_found_from_its_entries(rank):
    train = tna.TTTensor.random((8,) * 12, rank, seed=0)
    found = tna.TTTensor.from_function(train.gather, train.shape, eps=1e-8)
    assert found.ranks == train.round().ranks
    assert found.distance(train) < 1e-8 * train.norm()
    assert found.fit.calls < 40 * train.n_params


@pytest.mark.parametrize("eps", [1e-2, 1e-5, 1e-9])
def test_the_estimated_error_is_that_of_the_whole(eps):
    found = tna.TTTensor.from_function(hilbert, (20,) * 10, eps=eps)
    exact = tna.TTTensor.from_function(hilbert, (20,) * 10, eps=1e-12)
    assert found.fit.is_estimate
    assert found.fit.error <= eps
    assert found.distance(exact) / exact.norm() == pytest.approx(found.fit.error, rel=0.5)
    assert found.fit.calls < 10**5


def test_trees_are_laid_on_the_leaves_in_their_order():
    for nested in (((0, 2), (1, 3)), ((3, (1, 0)), 2), (0, 1, 2, 3)):
        tree = tna.DimensionTree(nested)
        found = tna.HTTensor.from_function(lambda i: 1 / (1 + i @ [1, 2, 3, 4]), (3, 4, 5, 6), eps=1e-8, tree=tree)
        assert found.tree == tree
        dense = 1 / (1 + sum((t + 1) * index for t, index in enumerate(np.indices((3, 4, 5, 6)))))
        assert relative_error(found.to_dense(), dense) < 1e-7


def test_ranks_are_capped_and_the_price_is_told():
    with pytest.warns(ConvergenceWarning, match=r"TT-cross reached an estimated relative error of .* raise max_rank"):
        found = tna.TTTensor.from_function(hilbert, (20,) * 6, eps=1e-9, max_rank=3)
    assert found.max_rank == 3
    assert not found.fit.is_converged
    assert 1e-6 < found.fit.error < 1e-2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        free = tna.TTTensor.from_function(hilbert, (20,) * 6, max_rank=3)
    assert free.max_rank == 3
    assert free.fit.error < 1e-2


@pytest.mark.parametrize("kind", [tna.CPTensor, tna.TTTensor, tna.HTTensor])
def test_reports_say_what_was_asked_for_and_what_was_reached(kind):
    with pytest.warns(
        ConvergenceWarning, match=r"relative error of 0\.8.*, not eps = 0\.001; raise max_rank"
    ) as caught:
        found = kind.from_function(lambda i: np.cos(i.sum(1)), (3, 4, 5), eps=1e-3, max_rank=1)
    assert (len(caught), caught[0].filename) == (1, __file__)
    assert found.truncation.requested == 1e-3
    assert found.truncation.bound == found.fit.error > 0.5
    assert not found.truncation.is_reached
    good = kind.from_function(lambda i: np.cos(i.sum(1)), (3, 4, 5), eps=1e-3)
    assert good.truncation.bound == good.fit.error <= good.truncation.requested == 1e-3
    with pytest.warns(ConvergenceWarning, match="not eps = 1e-12; raise max_calls = 300"):
        kind.from_function(lambda i: 1 / (1 + i.sum(1)), (6,) * 4, eps=1e-12, max_calls=300)


@pytest.mark.parametrize("kind", [tna.CPTensor, tna.TTTensor, tna.HTTensor])
def test_initial_points_find_a_peak_that_random_points_miss(kind):
    peak = np.array([3, 41, 17, 29, 11, 37])

    def f(points):
        return np.exp(-((points - peak) ** 2).sum(axis=1))

    options = {"tree": ((0, 3), (5, (1, (2, 4))))} if kind is tna.HTTensor else {}
    found = kind.from_function(f, (43,) * 6, eps=1e-8, initial=[peak], **options)
    truth = tna.CPTensor([np.exp(-((np.arange(43.0) - at) ** 2))[:, None] for at in peak])
    assert found.max_rank == 1
    assert found.distance(truth) <= 1e-8 * truth.norm()


def test_initial_points_are_checked():
    with pytest.raises(IndexRangeError, match="index 43 is outside mode 1 of size 43"):
        tna.TTTensor.from_function(hilbert, (43,) * 3, eps=1e-6, initial=[[0, 43, 0]])


@pytest.mark.parametrize("budget", [5000, 20000])
def test_no_point_beyond_the_budget_is_asked_for_and_none_twice(budget):
    asked = []

    def f(points):
        asked.extend(map(tuple, points.tolist()))
        return hilbert(points)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = tna.TTTensor.from_function(f, (20,) * 10, eps=1e-12, max_calls=budget)
    assert len(asked) == len(set(asked)) == found.fit.calls <= budget
    with pytest.raises(BudgetError, match=r"max_calls = 50 does not cover one sweep over the modes \(20, 20"):
        tna.TTTensor.from_function(hilbert, (20,) * 10, eps=1e-6, max_calls=50)


def test_the_sampler_keeps_a_reserve():
    sampler = Sampler(lambda i: i[:, 0] * 1.0, (1000,), 100)
    assert sampler.tested == 5
    sampler(np.arange(95)[:, None])
    with pytest.raises(OutOfCalls, match=r"^$"):
        sampler(np.arange(96)[:, None])
    np.testing.assert_array_equal(sampler(np.array([[3], [3], [97]]), reserve=0), [3, 3, 97])
    assert sampler.calls == 96


def test_the_edges():
    line = tna.TTTensor.from_function(lambda i: i[:, 0] ** 2, (7,), eps=1e-10)
    np.testing.assert_allclose(line.to_dense(), np.arange(7.0) ** 2, atol=1e-12)
    thin = tna.TTTensor.from_function(lambda i: i.sum(axis=1), (1, 5, 1, 3, 1), eps=1e-10)
    np.testing.assert_allclose(thin.to_dense().reshape(5, 3), np.add.outer(np.arange(5), np.arange(3)), atol=1e-12)
    for kind in KINDS:
        zero = kind.from_function(lambda i: np.zeros(len(i), np.float32), (5, 5, 5), eps=1e-8)
        assert zero.norm() == 0
        assert zero.dtype == np.float32
    bits = tna.TTTensor.from_function(lambda i: np.sin(3 * (i @ 2.0 ** -np.arange(1, 31))), (2,) * 30, eps=1e-10)
    assert bits.max_rank == 2
    tiny = tna.TTTensor.from_function(lambda i: 1e-200 / (1 + i.sum(axis=1)), (6, 7, 8), eps=1e-6)
    assert tiny.fit.error < 1e-6
    assert tiny.max_rank > 2


def test_what_has_no_small_ranks_ends_soon_and_says_so():
    noise = np.random.default_rng(0).standard_normal((6,) * 7)
    with pytest.warns(ConvergenceWarning, match="not eps = 0.001"):
        found = tna.TTTensor.from_function(lambda i: noise[tuple(i.T)], noise.shape, eps=1e-3, max_rank=8)
    assert found.fit.error > 0.5
    assert len(found.fit.losses) < 20


@pytest.mark.parametrize(
    ("f", "options", "error", "message"),
    [
        (hilbert, {}, RankError, "from_function needs eps, max_rank, or both"),
        (hilbert, {"eps": 2}, ToleranceError, "must be in [0, 1); got 2"),
        (hilbert, {"max_rank": 0}, RankError, "a rank must be at least 1; got 0"),
        (hilbert, {"eps": 0.1, "max_calls": 0}, BudgetError, "max_calls must be a positive integer or None; got 0"),
        (lambda i: i * 1.0, {"eps": 0.1}, FormatError, "must return one number a point: got shape ("),
        (lambda i: 1.0, {"eps": 0.1}, FormatError, "must return one number a point: got shape () for"),
        (lambda i: np.full(len(i), "a"), {"eps": 0.1}, FormatError, "the function must return numbers; got dtype <U1"),
        (lambda i: np.where(i[:, 1] == 4, np.nan, 1.0), {"eps": 0.1}, NonFiniteError, "the function is nan at the indices ("),
    ],
)  # fmt: skip
def test_bad_input_is_named(f, options, error, message):
    for kind in KINDS:
        with pytest.raises(error, match=re.escape(message)):
            kind.from_function(f, (5, 5, 5), **options)


def test_an_error_names_indices_in_the_order_of_the_modes():
    """The points of the search have the order of the leaves."""
    tree = tna.DimensionTree((3, ((2, 0), 1)))
    for form in (lambda i: np.where(i[:, 1] == 6, np.nan, 1.0), lambda i: np.where(i[:, 3] == 1, np.inf, 1.0)):
        with pytest.raises(NonFiniteError, match=r"the function is (nan at the indices \(., 6, ., .\)|inf .*, 1\)$)"):
            tna.HTTensor.from_function(form, (3, 7, 5, 2), eps=0.1, tree=tree)


def test_points_come_in_the_order_of_the_modes():
    tree, sizes = tna.DimensionTree((3, ((2, 0), 1))), (3, 7, 5, 2)

    def form(points):
        assert (points < sizes).all()
        return points @ np.array([1.0, 10, 100, 1000])

    found = tna.HTTensor.from_function(form, sizes, eps=1e-9, tree=tree, max_calls=2000, initial=[[0, 6, 0, 1]])
    np.testing.assert_allclose(found[2, 6, 4, 1], 1462.0, rtol=1e-8)
