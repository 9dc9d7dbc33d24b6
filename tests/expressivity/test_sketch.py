"""Ranks by pivoted QR and by sketches: what they promise holds, on matrices whose singular values are known."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tnalgebra.errors import FormatError, NonFiniteError, RankError, ToleranceError
from tnalgebra.expressivity import rank_by_qr, sketched_rank
from tnalgebra.expressivity.sketch import _inverse


def with_values(values, m, n, seed=0, dtype=float):
    """A matrix with these singular values."""
    rng = np.random.default_rng(seed)

    def isometry(rows):
        draw = rng.standard_normal((rows, len(values)))
        return np.linalg.qr(draw + (1j * rng.standard_normal(draw.shape) if dtype is complex else 0))[0]

    return isometry(m) * np.asarray(values) @ isometry(n).conj().T


def kahan(n, angle=1.2):
    """Kahan's matrix: column pivoting exchanges nothing, and no diagonal entry of R is as small as σ_n."""
    s, c = np.sin(angle), np.cos(angle)
    matrix = np.diag(s ** np.arange(n)) @ (np.eye(n) - c * np.triu(np.ones((n, n)), 1))
    return matrix * (1 + 1e-13 * np.arange(n)[::-1])


@given(st.integers(0, 12), st.integers(0, 1000), st.sampled_from([float, complex]), st.booleans())
def test_bounds_of_both_hold_for_falling_singular_values(decades, seed, dtype, is_wide):
    values = 10.0 ** -np.linspace(0, decades, 17)
    m, n = (19, 37) if is_wide else (37, 19)
    matrix = with_values(values, m, n, seed, dtype)
    truth = tna.matricization_rank(matrix, 0, tol=1e-6).rank
    by_qr, sketch = rank_by_qr(matrix, 0, tol=1e-6), sketched_rank(matrix, size=13, tol=1e-6, seed=seed)
    assert by_qr.lower <= truth <= by_qr.upper
    assert sketch.lower <= truth
    assert sketch.upper is None or truth <= sketch.upper
    assert by_qr.shape == sketch.shape == (m, n)


@pytest.mark.parametrize("kind", ["array", "cp", "tt", "ht"])
def test_exact_ranks_are_found_and_certain(kind):
    cp = tna.CPTensor.random((12, 13, 14), 5, seed=0)
    x = {"array": cp.to_dense(), "cp": cp, "tt": cp.to_tt(), "ht": cp.to_ht()}[kind]
    for found in (rank_by_qr(x, [0, 2]), sketched_rank(x, [0, 2], size=20)):
        assert (found.rank, found.lower, found.upper) == (5, 5, 5)
        assert found.shape == (12 * 14, 13)
    assert rank_by_qr(x, [0]).gap > 1e10


def test_the_diagonal_may_miss_what_singular_values_show():
    """Kahan: the diagonal counts 60, the smallest singular value is below tol, and the lower bound knows its limits."""
    matrix = kahan(60)
    found, truth = rank_by_qr(matrix, 0, tol=1e-8), tna.matricization_rank(matrix, 0, tol=1e-8)
    assert (found.rank, truth.rank) == (60, 59)
    assert found.diagonal[-1] > 1e4 * truth.singular_values[-1]
    assert found.lower <= 59 <= found.upper


def test_large_trains_have_sketches():
    train = tna.TTTensor.random((4,) * 64, 7, seed=0)
    assert sketched_rank(train, range(30), size=7).lower == 7
    assert rank_by_qr(train, range(30)).upper == 7


def test_operators_multiply_and_their_norm_is_estimated():
    from scipy.sparse import csr_array, eye_array
    from scipy.sparse.linalg import aslinearoperator

    matrix = with_values([3.0, 2.0, 1.0], 31, 23)
    for operator in (aslinearoperator(matrix), csr_array(matrix)):
        found = sketched_rank(operator, size=12)
        assert (found.rank, found.lower, found.upper, found.shape) == (3, 3, 3, (31, 23))
        assert found.norm_failure == pytest.approx(1e-12)
    assert sketched_rank(matrix, size=12).norm_failure == 0
    assert sketched_rank(eye_array(100), size=20).upper is None  # the sketch is full: there may be more


@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1.0, 1e100, 1e200])
def test_scales_do_not_matter(scale):
    matrix = with_values([3.0, 2.0, 1e-3], 11, 13) * scale
    for found in (rank_by_qr(matrix, 0), sketched_rank(matrix, size=9)):
        assert (found.rank, found.lower, found.upper) == (3, 3, 3)
    for found in (rank_by_qr(matrix * 0, 0), sketched_rank(matrix * 0, size=9)):
        assert (found.rank, found.lower, found.upper) == (0, 0, 0)


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize(("j", "size"), [(1, 1), (3, 3), (3, 5), (5, 11)])
def test_inverses_of_normal_matrices_exceed_their_bound_as_seldom_as_stated(j, size, is_complex):
    rng, runs, failure = np.random.default_rng(0), 4000, 0.05
    draw = rng.standard_normal((runs, j, size))
    if is_complex:
        draw = (draw + 1j * rng.standard_normal(draw.shape)) / sqrt(2)
    least = np.linalg.svd(draw, compute_uv=False)[:, -1]
    seen = np.mean(1 / least > _inverse(j, size, failure, is_complex))
    assert seen <= failure + 4 * sqrt(failure / runs)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sketched_rank(np.eye(3), size=0), RankError, "a size of at least 1; got 0"),
        (lambda: sketched_rank(np.eye(3), size=2, failure=1.5), ToleranceError, "between 0 and 1; got 1.5"),
        (lambda: sketched_rank(np.eye(3), size=2, tol=-1), ToleranceError, r"must be in \[0, 1\); got -1"),
        (
            lambda: sketched_rank(object(), size=2),
            FormatError,
            r"two sizes of at least 1 and `@`; got object of shape \(\)",
        ),
        (lambda: rank_by_qr(np.ones((2, 3)), [0], [0]), FormatError, r"rows \[0\] and cols \[0\] must share out"),
        (lambda: rank_by_qr(np.array([[1.0, np.inf]]), 0), NonFiniteError, "1 of 2 are not"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_operator_that_is_not_finite_is_named():
    from scipy.sparse import csr_array

    with pytest.raises(NonFiniteError, match="products with the operator are not"):
        sketched_rank(csr_array(np.array([[np.nan, 1.0]])), size=1)
