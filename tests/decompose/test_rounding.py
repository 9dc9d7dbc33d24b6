"""Rounding keeps what it promises where it is hard: cancellation, blocks of any scale, shortcuts and sketches."""

import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.decompose import basis, factor, tt_rounding
from tnalgebra.decompose.budget import NotCertified, cut
from tnalgebra.errors import NonFiniteError
from tnalgebra.formats.tree import modes_of

KINDS = (tna.TTTensor, tna.HTTensor)
SHAPE = (5, 7, 3, 4, 6, 2)


def pair(kind, seed=0, dtype="float64", shape=SHAPE):
    return kind.random(shape, 3, seed=seed, dtype=dtype), kind.random(shape, 2, seed=seed + 1, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_minus_itself_has_rank_one(kind, dtype):
    a, _ = pair(kind, dtype=dtype)
    for eps in (None, 1e-6, 0.1):
        for nothing in (a - a, a * 3 - a - 2 * a, (a - a).outer(a), a.outer(a - a)):
            found = nothing.round(eps=eps)
            assert found.max_rank == 1
            assert found.norm() <= 100 * np.finfo(dtype).eps * a.norm() ** (found.ndim // len(SHAPE))


@given(seed=st.integers(0, 999), kind=st.sampled_from(KINDS), exponent=st.integers(1, 11))
def test_a_small_difference_has_the_ranks_of_the_difference(seed, kind, exponent):
    """(a + δ·b) − a is δ·b: not a direction of rounding noise is kept."""
    a, b = pair(kind, seed, shape=(3, 4, 2, 5))
    step = b * (10.0**-exponent * a.norm() / b.norm())
    found = ((a + step) - a).round(eps=1e-3)
    assert all(mine <= exact for mine, exact in zip(found.ranks, b.round().ranks, strict=True))
    assert found.distance(step) <= 1e-2 * step.norm()


def test_blocks_of_any_scale_keep_their_digits():
    """Cores of one summand are ten times larger each: rounding errors of its blocks must not swamp the other's."""
    long = tna.TTTensor.random((4,) * 60, 3, seed=0)
    other = tna.TTTensor.random((4,) * 60, 2, seed=1)
    other = other._rebuild({name: core * 10 for name, core in other.parameters().items()})
    other = other * (1e-3 * np.exp(long.log_norm() - other.log_norm()))
    both = long + other
    assert both.round().max_rank == 5
    assert both.round().distance(both) < 1e-13 * both.norm()
    rest = (both - long).round(eps=1e-6)
    assert rest.max_rank == 2
    assert rest.distance(other) < 1e-6 * other.norm()


@given(seed=st.integers(0, 999), eps=st.sampled_from([1e-10, 1e-6, 1e-3, 0.1, 0.5]), seeded=st.booleans())
def test_eps_holds_whatever_way_is_taken(seed, eps, seeded):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 6, size=rng.integers(2, 6)))
    array = rng.standard_normal(shape) * 10.0 ** -sum(np.ogrid[tuple(map(slice, shape))])
    for kind in KINDS:
        tensor = kind.from_dense(array)
        tensor = tensor + kind.random(shape, 2, seed=seed) * (1e-4 * np.linalg.norm(array))
        found = tensor.round(eps=eps, seed=seed if seeded else None)
        assert found.distance(tensor) <= eps * tensor.norm() * (1 + 1e-6)
        assert found.distance(tensor) <= (found.truncation.bound * (1 + 1e-6) + 1e-13) * tensor.norm()
        assert found.truncation.is_reached


def spectrum(height, width, values, seed=0):
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.standard_normal((height, len(values))))[0]
    return left * values @ np.linalg.qr(rng.standard_normal((width, len(values))))[0].T


@pytest.mark.parametrize("shape", [(20, 3000), (100, 100), (60, 20)])
@pytest.mark.parametrize("decay", [0.9, 0.5, 0.1, 0.01])
def test_gram_matrices_decide_only_where_they_can(shape, decay):
    """Whatever `leading` takes, the rank is that of the SVD (of which it may miss one to rounding), and so is the loss."""
    values = decay ** np.arange(min(shape))
    matrix = spectrum(*shape, values)
    total, gram = float(np.sum(values**2)), []
    for eps in (0.33, 1.3e-2, 1.3e-5, 1.3e-7, 1.3e-9, 1.3e-12):
        allowed = eps**2 * total
        u, discarded = basis.leading(matrix, allowed, None, total, None, np)
        exact = cut(values**2, allowed, None)[0]
        assert exact <= u.shape[1] <= exact + 1
        np.testing.assert_allclose(u.T @ u, np.eye(u.shape[1]), atol=1e-13)
        missed = np.linalg.norm(matrix - u @ (u.T @ matrix)) ** 2
        assert missed <= min(allowed, discarded) * (1 + 1e-6) + 1e-28 * total
        try:
            gram.append(basis.gram_basis(matrix, allowed, None, np)[0].shape[1] in (exact, exact + 1))
        except NotCertified:
            gram.append(None)
    assert gram[:3] == [True, True, True]
    assert gram[-1] is None or values[-1] > 1e-6


def test_a_sketch_meets_what_is_allowed_and_a_cap():
    values = 0.8 ** np.arange(300)
    matrix, rng = spectrum(300, 400, values), np.random.default_rng(0)
    total = float(np.sum(values**2))
    for eps in (0.1, 1e-2, 1e-3):
        u, discarded = basis.sketched_basis(matrix, eps**2 * total, None, rng, np)
        exact = cut(values**2, eps**2 * total, None)[0]
        assert exact <= u.shape[1] <= exact + 2
        missed = np.linalg.norm(matrix - u @ (u.T @ matrix)) ** 2
        assert missed <= discarded * (1 + 1e-9) <= eps**2 * total * (1 + 1e-6)
    u, _ = basis.sketched_basis(matrix, 0.0, 5, rng, np)
    assert u.shape[1] == 5
    assert np.linalg.norm(matrix - u @ (u.T @ matrix)) <= 1.01 * np.sqrt(np.sum(values[5:] ** 2))
    assert basis.sketched_basis(matrix, 1e-30, None, rng, np) is None


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_factors_of_matrices(dtype, rng, monkeypatch):
    monkeypatch.setattr(factor, "COLUMNS", 7)
    matrix = rng.standard_normal((5, 131)).astype(dtype)
    matrix = matrix + 1j * rng.standard_normal((5, 131)) if dtype == "complex128" else matrix
    matrix[3] = matrix[1] * 1e-9  # rows of any scale that depend on one another
    for lower in (factor.lower_factor(matrix, np), factor.row_factor(matrix, 1e-14, np)):
        scale = np.sqrt(factor.row_squares(matrix, np))
        error = (lower @ lower.conj().T - matrix @ matrix.conj().T) / np.outer(scale, scale)
        assert np.max(np.abs(error)) < 1e-14
    assert factor.row_factor(matrix, 1e-14, np).shape == (5, 4)
    q, r = factor.qr(matrix.T, np)
    np.testing.assert_allclose(q @ r, matrix.T, atol=1e-13)
    values, vectors = factor.eigh(matrix @ matrix.conj().T, np)
    assert np.all(np.diff(values) <= 0)
    np.testing.assert_allclose(vectors * values @ vectors.conj().T, matrix @ matrix.conj().T, atol=1e-12)


def test_the_fast_way_is_taken_where_it_is_certified(monkeypatch):
    """Shortcuts that never come to work would go unnoticed: the exact way must not run here, and must run there."""
    a, b = (tna.TTTensor.random((6,) * 8, 10, seed=seed) for seed in (0, 1))
    both = a + b
    monkeypatch.setattr(tt_rounding, "exact_basis", None)
    for options in ({"eps": 1e-3}, {"max_rank": 10}, {"eps": 1e-10}, {"max_rank": 10, "seed": 0}):
        found = both.round(**options)
        assert found.max_rank == (20 if "eps" in options else 10)
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        (a + a * 2).round(eps=1e-10)


def test_a_capped_sum_is_as_good_by_any_way():
    """Truncation of a random sum to half of its ranks: Gram matrices and sketches lose no more than QR and SVD."""
    a, b = (tna.TTTensor.random((5,) * 7, 8, seed=seed) for seed in (0, 1))
    both = a + b
    exact = tt_rounding._rounded(both.cores, None, [8] * 6, tt_rounding._Exact(2.2e-16))
    for found in (both.round(max_rank=8), both.round(max_rank=8, seed=0)):
        assert found.max_rank == 8
        assert both.distance(found) <= 1.02 * both.distance(exact)
        assert both.distance(found) / both.norm() == pytest.approx(found.truncation.bound, rel=1e-3)


def test_rounding_refuses_what_is_not_finite():
    for kind in KINDS:
        a, _ = pair(kind)
        parts = {name: np.array(part) for name, part in a.parameters().items()}
        parts["core2" if kind is tna.TTTensor else "leaf2"].flat[1] = np.nan
        with pytest.raises(NonFiniteError, match=re.escape("round needs finite numbers; 1 of")):
            a._rebuild(parts).round(eps=0.1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("eps", [1e-3, 1e-10])
def test_a_decomposition_takes_less_than_two_and_a_half_times_its_array(kind, eps):
    grid = np.linspace(0, 1, 12)
    array = 1 / (1 + sum(np.meshgrid(*[grid] * 6, indexing="ij", sparse=True)))
    for dense, most in ((array, 1.0), (np.random.default_rng(0).standard_normal((30, 40, 50, 5)), 2.5)):
        kind.from_dense(dense, eps=eps)  # what is imported on the way is not counted
        tracemalloc.start()
        kind.from_dense(dense, eps=eps)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= most * dense.nbytes, peak / dense.nbytes  # beside the array itself


def test_an_array_that_cannot_be_compressed_is_copied_not_kept():
    array = np.random.default_rng(0).standard_normal((3, 4, 3))
    for kind in KINDS:
        found = kind.from_dense(array, eps=1e-3)
        before = found.to_dense()
        assert relative_error(before, array) <= 1e-3
        array += 1
        np.testing.assert_array_equal(found.to_dense(), before)
        assert array.flags.writeable


@pytest.mark.parametrize("count", [100, 400])
def test_rounding_errors_do_not_grow_along_a_deep_tree(count):
    """A bound that grew by a factor a level would take everything for noise."""
    tensor = tna.HTTensor.random((2,) * count, 2, tree=tna.DimensionTree.linear(count), seed=0)
    for found in (tensor.round(), tensor.round(eps=1e-12), (tensor + tensor).round(eps=1e-10)):
        assert found.max_rank == 2
    assert tensor.round(eps=1e-12).distance(tensor) < 1e-12 * tensor.norm()
    assert (tensor - tensor).round().max_rank == 1


RANK_TREES = (
    tna.DimensionTree.balanced(6),
    tna.DimensionTree.linear(6),
    tna.DimensionTree(((0, 1, 2), (3, 4, 5))),
    tna.DimensionTree(((0, (3, 1)), (2, 5), 4)),
    tna.DimensionTree(tuple(range(6))),
)


def exact_ranks(tensor):
    """Of the matricizations, from their singular values."""
    dense, ranks = tensor.to_dense(), []
    for node in tensor.tree.nodes:
        rows = list(modes_of(node))
        matrix = np.moveaxis(dense, rows, range(len(rows))).reshape(np.prod([dense.shape[i] for i in rows]), -1)
        ranks.append(max(1, np.linalg.matrix_rank(matrix, tol=1e-10 * np.linalg.norm(dense))))
    return tuple(ranks)


@pytest.mark.parametrize("tree", RANK_TREES, ids=str)
def test_ranks_of_rounded_sums_are_those_of_their_matricizations(tree):
    """None is larger than needed, whatever was cut at the other nodes."""
    a = tna.HTTensor.random(SHAPE, 2, tree=tree, seed=0)
    b = tna.CPTensor.random(SHAPE, 2, seed=1).to_ht(tree)
    c = tna.TTTensor.random(SHAPE, 2, seed=2).to_ht(tree)
    sums = (a, a + a, a + b - b, b + c, b + b + c, a * b, a - a + b, a + b * 1e-6, a - a)
    for tensor in sums:
        for options in ({}, {"eps": 1e-12}, {"eps": 1e-3}, {"eps": 0.3}, {"max_rank": 2}, {"eps": 0.1, "seed": 0}):
            found = tensor.round(**options)
            if found.norm() > 1e-12 * a.norm():
                assert found.ranks == exact_ranks(found)
                if "seed" not in options and "max_rank" not in options and options.get("eps", 0) < 1e-6:
                    assert found.ranks == exact_ranks(tensor)
            else:
                assert found.max_rank == 1


def by_memmap(array, folder):
    array.tofile(folder / "array")
    return np.memmap(folder / "array", array.dtype, "r", shape=array.shape)


def by_dask(array, folder):
    return pytest.importorskip("dask.array").from_array(array, chunks=(array.shape[0] // 3, *array.shape[1:]))


@pytest.mark.parametrize("lazy", [by_memmap, by_dask])
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_elsewhere_take_no_more(kind, lazy, tmp_path):
    """Where they fit they are decomposed whole: beside the array, which Dask computes and a file already holds."""
    hard = np.random.default_rng(0).standard_normal((30, 40, 50, 5))
    smooth = 1 / (1 + sum(np.ogrid[:30, :40, :50, :5]))
    for array, most in ((smooth, 2.0), (hard, 2.5)):
        given = lazy(array, tmp_path)
        kind.from_dense(given, eps=1e-3)  # what is imported on the way is not counted
        tracemalloc.start()
        kind.from_dense(given, eps=1e-3)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= (most + (lazy is by_dask)) * array.nbytes, peak / array.nbytes


@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150])
@pytest.mark.parametrize("form", [tna.TTTensor, tna.HTTensor])
def test_singular_values_that_are_nearly_equal(form, scale, rng):
    """A cut between values that differ in the last digits alone keeps as few as the tolerance allows, and no fewer."""
    values = np.array([1.0, 1 - 1e-13, *(1e-3 * (1 + np.array([1e-13, 0, -1e-13])))])
    left, middle, right = (np.linalg.qr(rng.standard_normal((n, 5)))[0] for n in (7, 11, 13))
    array = scale * np.einsum("ar,br,cr,r->abc", left, middle, right, values)
    tails = np.sqrt(np.cumsum(values[::-1] ** 2)[::-1]) / np.linalg.norm(values)
    for rank in (4, 3, 2):
        eps = 2.3 * float(tails[rank])  # what the bonds lose together that all lose this much
        for tensor in (form.from_dense(array, eps=eps), form.from_dense(array).round(eps=eps)):
            assert relative_error(tensor.to_dense(), array) <= eps * (1 + 1e-10)
            assert max(tensor.ranks.values() if isinstance(tensor.ranks, dict) else tensor.ranks) <= rank
