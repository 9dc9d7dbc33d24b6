"""Simultaneous diagonalization finds the one decomposition where there is one, and says why where there is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tnalgebra.errors import FormatError, NonFiniteError, RankError, ToleranceError
from tnalgebra.expressivity import cp_bounds, simultaneous_diagonalization


@given(st.integers(1, 5), st.integers(0, 300), st.sampled_from(["float64", "complex128"]))
def test_random_terms_are_found_again(rank, seed, dtype):
    x = tna.CPTensor.random((5, 7, 3), rank, seed=seed, dtype=dtype)
    found = simultaneous_diagonalization(x.to_dense(), rank)
    assert found.tensor.rank == rank
    assert found.tensor.dtype == dtype
    difference = np.linalg.norm(found.tensor.to_dense() - x.to_dense()) / x.norm()
    assert difference <= 1e-8
    assert found.residual == pytest.approx(difference, abs=1e-12)
    assert found.tensor.factor_match_score(x) > 1 - 1e-4


def test_modes_are_grouped_where_single_ones_are_too_short():
    x = tna.CPTensor.random((2, 3, 2, 3, 2), 6, seed=0)
    found = simultaneous_diagonalization(x, 6)
    assert found.tensor.shape == x.shape
    assert found.tensor.factor_match_score(x) > 1 - 1e-6
    assert sorted(mode for group in found.groups for mode in group) == [0, 1, 2, 3, 4]
    given_groups = simultaneous_diagonalization(x, 6, ((0, 1), (2, 3), 4))
    assert given_groups.groups == ((0, 1), (2, 3), (4,))
    long = tna.CPTensor.random((2,) * 8, 7, seed=0)
    assert simultaneous_diagonalization(long, 7).tensor.factor_match_score(long) > 1 - 1e-6


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_scales_do_not_matter(scale):
    x = tna.CPTensor.random((5, 6, 3), 4, seed=0) * scale
    found = simultaneous_diagonalization(x.to_dense(), 4)
    assert found.residual < 1e-12
    assert found.tensor.distance(x) <= 1e-10 * x.norm()


def test_unit_tensors_and_rank_one():
    n = 5
    x = np.zeros((n,) * 3)
    x[(np.arange(n),) * 3] = 1
    found = simultaneous_diagonalization(x, n)
    assert found.residual < 1e-14
    assert found.condition == pytest.approx(1)
    assert found.separation == pytest.approx(1)
    assert simultaneous_diagonalization(np.ones((1, 2, 3)), 1).residual < 1e-14


def test_rotations_have_a_complex_decomposition_only():
    """Slices 1 and [[0, 1], [−1, 0]]: rank 2 over the complex numbers, 3 over the reals."""
    x = np.stack([np.eye(2), np.array([[0.0, 1.0], [-1.0, 0.0]])], axis=2)
    with pytest.raises(RankError, match=r"complex eigenvalues, so over the reals there is none .* x.astype\(complex\)"):
        simultaneous_diagonalization(x, 2)
    assert simultaneous_diagonalization(x.astype(complex), 2).residual < 1e-14
    assert (cp_bounds(x).upper, cp_bounds(x.astype(complex)).upper) == (3, 2)


def parallel():
    factors = [np.array(factor) for factor in tna.CPTensor.random((5, 6, 3), 4, seed=0).factors]
    factors[2][:, 1] = 2 * factors[2][:, 0]
    return tna.CPTensor(factors).to_dense()


def w_tensor():
    x = np.zeros((2, 2, 2))
    x[0, 0, 1] = x[0, 1, 0] = x[1, 0, 0] = 1
    return x


CP = tna.CPTensor.random((5, 6, 3), 4, seed=0).to_dense()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: simultaneous_diagonalization(CP, 3), RankError, "of rank 3 by .*: the best residual is 0.* above tol = 1e-08"),
        (lambda: simultaneous_diagonalization(CP, 5), RankError, r"the modes \(0,\) have rank 4, so their factor has not full"),
        (lambda: simultaneous_diagonalization(CP, 6), RankError, "no two of three groups of its modes have sizes of 6 or more"),
        (lambda: simultaneous_diagonalization(parallel(), 4), RankError, "eigenvalues that coincide: two columns of C are parallel"),
        (lambda: simultaneous_diagonalization(w_tensor(), 2), RankError, "of rank 2 by simultaneous diagonalization"),
        (lambda: simultaneous_diagonalization(CP * 0, 1), RankError, "the zero tensor has rank 0, and no decomposition of rank 1"),
        (lambda: simultaneous_diagonalization(CP[0], 1), FormatError, "needs three modes; got 2"),
        (lambda: simultaneous_diagonalization(CP, 4, (0, 1)), FormatError, "out among three; got"),
        (lambda: simultaneous_diagonalization(CP, 4, tol=0), ToleranceError, r"must be in \(0, 1\); got 0"),
        (lambda: simultaneous_diagonalization(CP, 0), RankError, "must be at least 1; got 0"),
        (lambda: simultaneous_diagonalization(np.full((2, 2, 2), np.nan), 1), NonFiniteError, "8 of 8 are not"),
    ],
)  # fmt: skip
def test_reasons_are_given(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_cp_bounds_use_it_before_a_fit():
    x = tna.CPTensor.random((19, 23, 29), 17, seed=0).to_dense()
    found = cp_bounds(x)
    assert (found.lower, found.upper) == (17, 17)
    assert found.upper_by.startswith("simultaneous diagonalization with residual ")
