"""Koszul flattenings bound the border rank: known tensors, and no bound above a rank that is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tnalgebra.errors import FormatError, MemoryLimitError, RankError
from tnalgebra.expressivity import cp_bounds, generic_cp_rank, koszul_bound


def matrix_multiplication(n):
    """⟨n, n, n⟩: A, B, C ↦ trace(A·B·C)."""
    i, j, k = np.ogrid[:n, :n, :n]
    x = np.zeros((n * n,) * 3)
    x[n * i + j, n * j + k, n * k + i] = 1
    return x


@pytest.mark.parametrize(("n", "bound"), [(2, 6), (3, 15)])
def test_matrix_multiplication_has_border_rank_at_least_2n2_minus_n(n, bound):
    """Landsberg and Ottaviani, Theorem 1.1; for n = 2 the border rank is 7, which no flattening of this kind reaches."""
    assert koszul_bound(matrix_multiplication(n)).bound == bound == 2 * n**2 - n


def test_border_ranks_are_bounded_not_ranks():
    w = np.zeros((2, 2, 2))
    w[0, 0, 1] = w[0, 1, 0] = w[1, 0, 0] = 1
    assert koszul_bound(w).bound == 2  # the border rank; the rank is 3
    padded = np.zeros((3, 5, 7))
    padded[:2, :2, :2] = w
    assert koszul_bound(padded, 1, (0, 1, 2)).bound <= 2


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_unit_tensors_attain_their_rank(n):
    x = np.zeros((n,) * 3)
    x[(np.arange(n),) * 3] = 1
    assert koszul_bound(x).bound == n
    if n > 2:
        assert koszul_bound(x, 1, (0, 1, 2)).bound <= n


@pytest.mark.parametrize(("n", "bound"), [(3, 5), (4, 6), (5, 9)])
def test_almost_every_cube_has_more_than_its_matricizations_show(rng, n, bound):
    found = koszul_bound(rng.standard_normal((n, n, n)))
    assert n < found.bound == bound <= generic_cp_rank((n, n, n)).rank
    assert found.p == (n - 1) // 2


@given(st.integers(1, 6), st.integers(0, 100), st.sampled_from(["float64", "complex128"]))
def test_no_bound_exceeds_the_rank_of_a_cp_tensor(rank, seed, dtype):
    x = tna.CPTensor.random((3, 5, 4), rank, seed=seed, dtype=dtype)
    for p, groups in ((None, None), (1, (0, 1, 2)), (1, (2, 0, 1)), (2, (1, 2, 0))):
        assert koszul_bound(x, p, groups, seed=seed).bound <= rank


def test_the_flattening_of_a_rank_one_tensor_has_rank_c_2p_p():
    x = np.einsum("i,j,k->ijk", np.arange(1.0, 6), np.arange(1.0, 4), np.arange(2.0, 4))
    for p, rank in ((1, 2), (2, 6)):
        found = koszul_bound(x, p, (0, 1, 2))
        assert (found.bound, found.p, found.estimate.rank) == (1, p, rank)
    core = tna.CPTensor.random((5, 5, 5), 5, seed=0).to_dense()
    assert koszul_bound(core, 2, (0, 1, 2)).estimate.rank == 5 * 6


def test_modes_are_grouped_in_three():
    x = tna.CPTensor.random((2, 3, 2, 3), 7, seed=0)
    assert koszul_bound(x, groups=((0, 1), 2, 3)).groups[0] == (0, 1)
    assert koszul_bound(x).bound <= 7
    assert koszul_bound(x, 1, ((0, 1), 2, 3)).bound <= 7


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_scales_do_not_matter(scale):
    x = np.random.default_rng(0).standard_normal((3, 3, 3)) * scale
    assert koszul_bound(x).bound == 5
    assert koszul_bound(x * 0).bound == 0


def test_cp_bounds_say_that_a_koszul_flattening_gave_more(rng):
    found = cp_bounds(rng.standard_normal((3, 3, 3)))
    assert (found.lower, found.lower_by) == (5, "a Koszul flattening, p = 1, of 0 × 1 × 2")
    assert 5 <= found.upper <= 9


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: koszul_bound(np.ones((2, 3))), FormatError, "needs three modes; got 2"),
        (lambda: koszul_bound(np.ones((2, 3, 5)), groups=((0, 1), 2)), FormatError, "modes 0, …, 2 out among three"),
        (
            lambda: koszul_bound(np.ones((2, 3, 5)), 2, (1, 0, 2)),
            RankError,
            "p = 2 needs 1 ≤ p and 2p . 1 ≤ dim A; .* at most 3",
        ),
        (lambda: koszul_bound(np.ones((2, 3, 5)), 0, (1, 0, 2)), RankError, "p = 0 needs 1 ≤ p"),
        (lambda: koszul_bound(np.ones((2, 3, 5)), 4), RankError, "p = 4 needs .* have at most 5"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_flattening_that_does_not_fit_is_refused(rng):
    with pytest.raises(MemoryLimitError, match=r"for p = 14 takes \d+ bytes, more than half .* a smaller p"):
        koszul_bound(rng.standard_normal((29, 5, 7)), 14, (0, 1, 2))
