"""CP tensors: products with factors, fits of formats, rounding, and what scales, orders and compares terms."""

import re
import warnings
from itertools import pairwise

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.decompose.als import als, residual
from tnalgebra.decompose.mttkrp import khatri_rao, mttkrps
from tnalgebra.errors import AlgebraError, AxisMismatchError, BudgetError, ConvergenceWarning, FormatError, RankError

KINDS = (tna.CPTensor, tna.TTTensor, tna.HTTensor)
SHAPES = [(3, 5, 2, 7), (4, 3, 5), (3, 5), (5,), (2, 3, 1, 2, 3)]


def targets(shape, dtype):
    inner = 2 if len(shape) > 1 else ()
    found = [tna.CPTensor.random(shape, 3, seed=1, dtype=dtype), tna.TTTensor.random(shape, inner, seed=2, dtype=dtype)]
    flat = tuple(range(len(shape))[::-1]) if len(shape) > 1 else 0
    trees = [None, tna.DimensionTree.linear(len(shape)), tna.DimensionTree(flat)]
    return found + [tna.HTTensor.random(shape, inner, seed=3, dtype=dtype, tree=tree) for tree in trees]


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_with_factors_of_arrays_and_formats(shape, dtype):
    """Each is that of the factors as they are at the time: a factor that ALS has replaced counts at once."""
    given = tna.CPTensor.random(shape, 4, seed=0, dtype=dtype)
    later = tna.CPTensor.random(shape, 4, seed=9, dtype=dtype)
    for tensor in targets(shape, dtype):
        dense = tensor.to_dense()
        for x in (dense, tensor):
            factors, seen = list(given.factors), []
            for mode, product in mttkrps(x, factors):
                letters = "abcde"[: len(shape)]
                others = [m for m in range(len(shape)) if m != mode]
                terms = "".join(f",{letters[m]}z" for m in others) or ",z"
                operands = [factors[m].conj() for m in others] or [np.ones(4)]
                expected = np.einsum(f"{letters}{terms}->{letters[mode]}z", dense, *operands)
                assert relative_error(product, expected) < 1e-12
                factors[mode] = later.factors[mode]
                seen.append(mode)
            assert sorted(seen) == list(range(len(shape)))


def test_nothing_else_has_products_with_factors():
    with pytest.raises(TypeError, match="no products with factors are defined for list"):
        mttkrps([1, 2], [np.ones((2, 1))])


def test_khatri_rao_is_the_columnwise_kronecker_product(rng):
    a, b = rng.standard_normal((3, 4)), rng.standard_normal((5, 4))
    np.testing.assert_allclose(khatri_rao([a, b]), np.stack([np.kron(a[:, r], b[:, r]) for r in range(4)], axis=1))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_losses_are_those_of_the_residual(dtype):
    """The expanded square gives the same error as the difference, for arrays and for formats."""
    shape = (4, 5, 3)
    start = list(tna.CPTensor.random(shape, 3, seed=5, dtype=dtype).factors)
    for tensor in targets(shape, dtype):
        unit = tensor / tensor.norm()
        for x in (unit, unit.to_dense()):
            factors, losses = als(x, start, 0.0, 12)
            assert losses[-1] == pytest.approx(residual(unit.to_dense(), factors), rel=1e-6, abs=1e-12)
            assert all(later <= earlier * (1 + 1e-6) + 1e-10 for earlier, later in pairwise(losses))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_a_format_of_small_cp_rank_is_fitted_exactly(kind, dtype):
    truth = tna.CPTensor.random((6, 7, 8, 9), 3, seed=0, dtype=dtype)
    given = {tna.CPTensor: truth, tna.TTTensor: truth.to_tt(), tna.HTTensor: truth.to_ht()}[kind]
    eps = 1e-3 if dtype == "float32" else 1e-7
    found = given.fit_cp(eps=eps)
    assert found.rank == 3
    assert found.dtype == dtype
    assert found.distance(truth) <= eps * truth.norm()
    assert found.factor_match_score(truth) > 1 - 1e-3 if dtype == "float32" else 1 - 1e-6
    assert found.truncation.is_reached


def test_a_long_train_is_fitted_without_its_entries():
    """4^30 entries: the cores themselves are the target; no array is formed."""
    truth = tna.CPTensor.random((4,) * 30, 3, seed=1).normalize()
    truth = tna.CPTensor([np.abs(factor) for factor in truth.factors], truth.weights)
    found = truth.to_tt().fit_cp(eps=1e-4, max_rank=3, sweeps=300, restarts=6)
    assert found.distance(truth) <= 1e-4 * truth.norm()
    again = (truth + truth * 0.5).round(eps=1e-4)
    assert again.rank <= 3
    assert again.distance(truth * 1.5) <= 1e-4 * again.norm()


@pytest.mark.parametrize("entry", [1e-200, 1e-120, 1e120])
def test_fits_at_scales_that_no_norm_can_hold(entry):
    train = tna.TTTensor([np.full((1, 4, 1), entry)] * 4) + tna.TTTensor([np.eye(4)[None, :, :1] * entry] * 4)
    found = train.fit_cp(eps=1e-6)
    assert found.rank == 2
    assert found.log_norm() == pytest.approx(train.log_norm(), rel=1e-9)
    assert (found.normalize() + found).round(eps=1e-6).rank == 2
    assert found.normalize().log_norm() == pytest.approx(train.log_norm(), rel=1e-9)


@pytest.mark.parametrize("count", [40, 70])
def test_modes_of_one_fibre_are_as_many_as_one_likes(count):
    """NumPy takes 32 arrays in a grid, and 64 axes."""
    train = tna.TTTensor.random((2,) * count, [2 if bond in (3, 9) else 1 for bond in range(count - 1)], seed=0)
    tree = train.to_ht().round()
    for tensor in (train, tree):
        assert tensor.fit_cp(eps=1e-6).distance(train) < 1e-6 * train.norm()
    assert tree.to_cp().distance(train) < 1e-12 * train.norm()
    assert tna.DimensionTree.balanced(count).optimize(train).ndim == count
    ones = tna.CPTensor.from_function(lambda points: np.ones(len(points)), (2,) * count, eps=1e-6)
    assert ones.norm() == pytest.approx(2.0 ** (count / 2))


def test_an_array_of_many_short_modes(rng):
    x = rng.standard_normal((3, 4) + (1,) * 40)
    assert relative_error(tna.CPTensor.from_dense(x, eps=1e-10).to_dense(), x) < 1e-9
    assert tna.CPTensor.from_dense(np.ones((1,) * 40), max_rank=1).norm() == pytest.approx(1)


def test_rounding_a_cp_tensor_is_a_fit_that_is_never_worse_than_eps():
    a, b = (tna.CPTensor.random((5, 6, 7), 2, seed=seed) for seed in (0, 1))
    assert (a + a).round(eps=1e-8).rank == 2
    assert (a - a / 2 + a).round().rank == 2
    both = (a + b).round(eps=1e-8)
    assert both.rank == 4
    assert both.distance(a + b) <= 1e-14 * both.norm()  # no smaller rank meets eps, so the terms stay as they are
    rough = (a + b).round(max_rank=3)
    assert rough.rank == 3
    assert rough.distance(a + b) / (a + b).norm() == pytest.approx(rough.truncation.bound, rel=1e-6)
    assert (a + b).round(max_rank=9).rank == 4
    assert (a - a).round(eps=0.1).norm() <= 1e-14 * a.norm()
    with pytest.warns(ConvergenceWarning, match=r"CP of rank 3 reached a relative error of 0\.\d+, not eps = 1e-06"):
        (a + b).round(eps=1e-6, max_rank=3)
    single = tna.CPTensor.random((5, 6, 7), 1, seed=0)
    assert single.round(eps=0.5).distance(single) <= 1e-14 * single.norm()


def test_a_border_rank_is_reported_for_formats_too():
    w = np.zeros((2, 2, 2))
    w[0, 0, 1] = w[0, 1, 0] = w[1, 0, 0] = 1
    with pytest.warns(ConvergenceWarning, match=r"grow against one another.*\(border rank\)"):
        found = tna.TTTensor.from_dense(w).fit_cp(max_rank=2)
    assert found.fit.is_degenerate
    assert not found.fit.is_converged


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_normalize_and_sort_keep_the_tensor(dtype):
    t = tna.CPTensor.random((3, 4, 5), 3, seed=0, dtype=dtype)
    t = tna.CPTensor(t.factors, np.array([-2, 1, 0.5]).astype(dtype))
    unit = t.normalize()
    assert unit.dtype == dtype
    assert relative_error(unit.to_dense(), t.to_dense()) < 1e-6
    for factor in unit.factors:
        np.testing.assert_allclose(np.linalg.norm(factor, axis=0), 1, rtol=1e-6)
    assert np.all(unit.weights.real >= 0)
    assert np.all(np.diff(unit.sort().weights.real) <= 0)
    assert relative_error(t.sort().to_dense(), t.to_dense()) < 1e-6
    zero = tna.CPTensor([np.zeros((2, 1)), np.ones((3, 1))]).normalize()
    np.testing.assert_array_equal(zero.weights, [0])
    other = tna.CPTensor(t.factors, t.weights, "add") if dtype == "float32" else t
    assert relative_error(other.sort().to_dense(), other.to_dense()) < 1e-6


def test_the_score_knows_no_order_signs_and_scales(rng):
    t = tna.CPTensor.random((3, 4, 5), 3, seed=0)
    signs = [np.array([1, -1, 2.0]), np.array([3, -1, 1.0]), np.array([1 / 3, 1, 0.5])]
    moved = tna.CPTensor([(f * s)[:, [2, 0, 1]] for f, s in zip(t.factors, signs, strict=True)])
    assert t.factor_match_score(moved) == pytest.approx(1, rel=1e-12)
    half = tna.CPTensor(t.factors, [0.5, 1, 1])
    assert t.factor_match_score(half) == pytest.approx((0.5 + 2) / 3, rel=1e-12)
    assert t.factor_match_score(t + t * 0) == pytest.approx(0.5, rel=1e-12)
    assert t.factor_match_score(tna.CPTensor.random((3, 4, 5), 3, seed=1)) < 0.9


def test_bad_input_is_named():
    t = tna.CPTensor.random((3, 4, 5), 2, seed=0)
    with pytest.raises(RankError, match="fit_cp of a CP tensor needs eps, max_rank, or both"):
        t.to_tt().fit_cp()
    with pytest.raises(AlgebraError, match="fit_cp is defined for ξ = multiply, not hypot"):
        tna.TTTensor.random((3, 4), 2, xi="hypot").fit_cp(max_rank=1)
    with pytest.raises(AlgebraError, match=re.escape("normalize is defined for ξ = multiply, not hypot")):
        tna.CPTensor.random((3, 4), 2, xi="hypot").normalize()
    with pytest.raises(AxisMismatchError, match="mode 2 has size 5 in the left operand of factor_match_score but 6"):
        t.factor_match_score(tna.CPTensor.random((3, 4, 6), 2))
    with pytest.raises(
        FormatError, match=re.escape("a CPTensor has no bond on which a basis could change: normalize()")
    ):
        t.orthogonalize()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tna.TTTensor([np.zeros((1, 3, 1))] * 3).fit_cp(eps=0.1).norm() == 0


@pytest.mark.parametrize("make", [tna.CPTensor.round, tna.CPTensor.fit_cp])
def test_errors_of_single_precision_are_those_of_double(make):
    """The norm that a fit divides by must have the digits of the error that is reported."""
    small = tna.CPTensor.random((3, 2, 3, 3), 2, seed=158, dtype="float32")
    tensor = small + small
    found = make(tensor, eps=4.67e-4)
    wide = [tna.CPTensor([f.astype(float) for f in x.factors], x.weights.astype(float)) for x in (tensor, found)]
    assert found.truncation.bound == pytest.approx(wide[0].distance(wide[1]) / wide[0].norm(), abs=2e-6)


def test_a_tree_whose_train_is_too_large_is_fitted():

    def halves(modes):
        return modes[0] if len(modes) == 1 else (halves(modes[: len(modes) // 2]), halves(modes[len(modes) // 2 :]))

    tree = halves([mode for i in range(20) for mode in (i, 20 + i)])
    tensor = tna.CPTensor.random((4,) * 40, 3, seed=0).to_ht(tree)
    found = tensor.fit_cp(eps=1e-6)
    assert found.rank <= 4
    assert found.distance(tensor) <= 1e-6 * tensor.norm()


def test_fits_of_long_formats_take_a_time_that_grows_with_their_length():
    ones = tna.TTTensor.ones((2,) * 800)
    assert ones.fit_cp(max_rank=1).log_norm() == pytest.approx(400 * np.log(2))


@pytest.mark.parametrize("options", [{"restarts": 0}, {"sweeps": 0}])
def test_a_fit_takes_a_start_and_a_sweep(options):
    with pytest.raises(BudgetError, match="a fit takes one start and one sweep or more; got"):
        tna.CPTensor.from_dense(np.arange(24.0).reshape(2, 3, 4), max_rank=2, **options)
