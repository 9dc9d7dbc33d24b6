"""`eps` is the relative Frobenius error of the whole result, for every format, at every scale."""

import re
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.decompose import als, gauss_newton
from tnalgebra.errors import (
    ConvergenceWarning,
    DTypeError,
    FormatError,
    NonFiniteError,
    RankError,
    ToleranceError,
    TreeError,
)
from tnalgebra.formats.convert import trivial_factors

TT_AND_HT = (tna.TTTensor, tna.HTTensor)
ALL = (tna.CPTensor, *TT_AND_HT)


def error_of(tensor, array):
    """Relative error, computed at a scale where squares neither overflow nor vanish."""
    scale = np.max(np.abs(array)) or 1.0
    return relative_error(tensor.to_dense() / scale, array / scale)


def decaying(shape, seed=0, rate=0.5):
    """A tensor whose matricizations have singular values that fall by a factor."""
    rng = np.random.default_rng(seed)
    array = rng.standard_normal(shape)
    for mode, size in enumerate(shape):
        basis = np.linalg.qr(rng.standard_normal((size, size)))[0] * rate ** np.arange(size)
        array = np.moveaxis(np.tensordot(basis, array, axes=(1, mode)), 0, mode)
    return array


@pytest.mark.parametrize("kind", TT_AND_HT)
@pytest.mark.parametrize("eps", [0.5, 0.1, 1e-2, 1e-4, 1e-8, 1e-12])
@pytest.mark.parametrize("shape", [(7, 11), (5, 7, 3), (2, 3, 5, 7), (3, 2, 3, 2, 3, 2, 3), (2,) * 10])
def test_the_error_is_within_eps_and_within_the_bound(kind, eps, shape):
    array = decaying(shape)
    tensor = kind.from_dense(array, eps=eps)
    error = error_of(tensor, array)
    assert error <= eps * (1 + 1e-9) + 1e-14
    assert error == pytest.approx(tensor.truncation.bound, rel=1e-6, abs=1e-13)
    assert tensor.truncation.is_reached
    assert tensor.truncation.requested == eps
    assert tensor.truncation.bound == pytest.approx(
        np.sqrt(sum(v**2 for v in tensor.truncation.discarded.values())), rel=1e-9
    )


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-150, 1e-8, 1.0, 1e150, 1e300])
@pytest.mark.parametrize("kind", ALL)
def test_the_tolerance_is_relative_at_every_scale(kind, scale):
    array = decaying((5, 7, 3))
    tensor = kind.from_dense(array * scale, eps=1e-2)
    assert error_of(tensor, array * scale) <= 1e-2
    assert tensor.ranks == kind.from_dense(array, eps=1e-2).ranks


def test_subnormal_numbers_do_not_vanish():
    array = decaying((5, 7, 3)) * 1e-310
    for kind in TT_AND_HT:
        assert error_of(kind.from_dense(array, eps=1e-2), array) <= 1e-2


@given(
    shape=st.lists(st.sampled_from([1, 2, 3, 5]), min_size=1, max_size=5),
    eps=st.sampled_from([None, 1e-10, 1e-3, 0.3]),
    seed=st.integers(0, 99),
)
def test_any_shape_and_any_tree(shape, eps, seed):
    rng = np.random.default_rng(seed)
    array = rng.standard_normal(shape)
    modes = list(rng.permutation(len(shape)))
    nested = int(modes[0])
    for mode in modes[1:]:
        nested = (nested, int(mode)) if rng.random() < 0.5 else (int(mode), nested)
    for tensor in (
        tna.TTTensor.from_dense(array, eps=eps),
        tna.HTTensor.from_dense(array, eps=eps, tree=tna.DimensionTree(nested)),
    ):
        assert tensor.shape == array.shape
        assert error_of(tensor, array) <= (eps or 0) + 1e-13


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("kind", ALL)
def test_the_dtype_is_kept(kind, dtype):
    array = decaying((5, 7, 3)).astype(dtype)
    if dtype.startswith("complex"):
        array = array + 1j * array[::-1, ::-1].conj()
    tensor = kind.from_dense(array, eps=1e-3)
    assert tensor.dtype == array.dtype
    assert error_of(tensor, array) <= 1e-3
    assert kind.from_dense((array.real * 100).astype(int), eps=0.1).dtype == np.float64


@pytest.mark.parametrize("kind", TT_AND_HT)
def test_layouts_of_memory_do_not_matter(kind):
    array = decaying((6, 8, 4))
    for view in (
        np.asfortranarray(array),
        array[::-1, ::2],
        array.transpose(2, 0, 1),
        np.broadcast_to(array[:1], (5, 8, 4)),
    ):
        before = view.copy()
        assert error_of(kind.from_dense(view, eps=1e-6), view) <= 1e-6
        np.testing.assert_array_equal(view, before)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("dtype", [">f8", ">f4", ">f2", ">c16", ">i4"])
def test_every_order_of_bytes_is_taken(kind, dtype):
    x = np.arange(24).reshape(2, 3, 4)
    found = kind.from_dense(x.astype(dtype), eps=1e-4)
    assert found.dtype.isnative
    assert relative_error(found.to_dense(), x) < 1e-3


def test_exact_ranks_are_found():
    """Sums of known tensors have the ranks that they should, not one more."""
    for seed in range(5):
        train = tna.TTTensor.random((4, 5, 3, 6), (2, 3, 2), seed=seed)
        assert tna.TTTensor.from_dense(train.to_dense()).ranks == train.ranks
        assert tna.TTTensor.from_dense(train.to_dense(), eps=1e-10).ranks == train.ranks
        tree = tna.HTTensor.random((4, 5, 3, 6), 2, seed=seed)
        assert tna.HTTensor.from_dense(tree.to_dense()).ranks == tree.ranks
        both = train.to_dense() + tna.TTTensor.random((4, 5, 3, 6), (1, 2, 1), seed=seed + 50).to_dense()
        assert tna.TTTensor.from_dense(both).ranks == (1, 3, 5, 3, 1)


def test_a_train_of_rank_two_has_interior_ranks_four_in_a_balanced_tree():
    array = tna.TTTensor.random((4,) * 8, 2, seed=0).to_dense()
    tensor = tna.HTTensor.from_dense(array)
    assert [tensor.node_rank(node) for node in ((0, 1), (2, 3), (4, 5), (6, 7))] == [2, 4, 4, 2]
    linear = tna.HTTensor.from_dense(array, tree=tna.DimensionTree.linear(8))
    assert [linear.node_rank(branch) for branch in linear.tree.inner[:-1]] == [2] * 6
    assert tna.TTTensor.from_dense(array).ranks == (1, *[2] * 7, 1)


def test_zero_tensors_have_rank_one_and_keep_their_dtype():
    for kind in ALL:
        for dtype in (np.float32, complex):
            tensor = kind.from_dense(np.zeros((2, 3, 5), dtype), eps=0.1)
            assert set(tensor.ranks) == {1}
            assert tensor.dtype == dtype
            np.testing.assert_array_equal(tensor.to_dense(), np.zeros((2, 3, 5)))


@pytest.mark.parametrize("kind", TT_AND_HT)
def test_a_maximal_rank_is_kept_and_its_price_is_told(kind):
    array = decaying((5, 7, 11, 3), rate=0.8)
    tensor = kind.from_dense(array, eps=1e-6, max_rank=2)
    assert tensor.max_rank == 2
    assert not tensor.truncation.is_reached
    assert error_of(tensor, array) == pytest.approx(tensor.truncation.bound, rel=1e-6)
    assert "1e-06 requested" in str(tensor.truncation)


def test_ranks_above_the_possible_are_not_taken():
    array = decaying((2, 3, 5))
    assert tna.TTTensor.from_dense(array, max_rank=100).ranks == (1, 2, 5, 1)
    assert tna.HTTensor.from_dense(array, max_rank=100).ranks == (2, 3, 5, 5, 1)


def test_eps_of_exp_minus_xy_is_not_ignored():
    grid = np.linspace(0, 1, 20)
    array = np.exp(-grid[:, None, None] * grid[:, None] * grid)
    ranks = [max(tna.TTTensor.from_dense(array, eps=eps).ranks) for eps in (1e-1, 1e-3, 1e-6, 1e-9)]
    assert ranks == sorted(ranks)
    assert ranks[1] <= 3 < ranks[-1]


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("rank", [1, 2, 3, 5])
def test_cp_finds_the_rank_of_random_cp_tensors(rank, dtype):
    array = tna.CPTensor.random((5, 7, 6), rank, seed=rank, dtype=dtype).to_dense()
    tensor = tna.CPTensor.from_dense(array, eps=1e-7)
    assert tensor.rank == rank
    assert error_of(tensor, array) <= 1e-7
    assert tensor.fit.is_converged
    np.testing.assert_allclose([np.linalg.norm(factor, axis=0) for factor in tensor.factors], 1, rtol=1e-12)
    assert list(tensor.weights) == sorted(tensor.weights, key=abs, reverse=True)


def test_cp_losses_never_rise(rng):
    x = rng.standard_normal((5, 7, 6))
    x /= np.linalg.norm(x)
    start = [rng.standard_normal((size, 4)) for size in x.shape]
    for method in (als.als, gauss_newton.refine):
        _, losses = method(x, start, 0.0, 60)
        assert len(losses) > 5
        assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(losses))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_normal_matrix_of_gauss_newton_is_that_of_the_jacobian(dtype):
    factors = list(tna.CPTensor.random((2, 3, 5), 2, seed=0, dtype=dtype).factors)
    columns = []
    for mode, factor in enumerate(factors):
        for index in np.ndindex(factor.shape):
            unit = np.zeros_like(factor)
            unit[index] = 1
            moved = [unit if other == mode else f for other, f in enumerate(factors)]
            columns.append(np.einsum("az,bz,cz->abc", *moved)[..., None].reshape(-1))
    jacobian = np.stack(columns, axis=1)
    np.testing.assert_allclose(gauss_newton._normal_matrix(factors), jacobian.conj().T @ jacobian, atol=1e-12)
    x = np.ones((2, 3, 5), dtype)
    expected = jacobian.conj().T @ (x - np.einsum("az,bz,cz->abc", *factors)).reshape(-1)
    np.testing.assert_allclose(gauss_newton._gradient(x, factors), expected, atol=1e-12)


def test_cp_of_matrices_and_vectors_is_exact():
    matrix = decaying((5, 7))
    tensor = tna.CPTensor.from_dense(matrix, eps=1e-3)
    assert error_of(tensor, matrix) <= 1e-3
    assert tensor.rank == int(
        np.sum(np.sqrt(np.cumsum(np.linalg.svd(matrix)[1][::-1] ** 2)[::-1]) > 1e-3 * np.linalg.norm(matrix))
    )
    assert error_of(tna.CPTensor.from_dense(matrix[0], eps=0.1), matrix[0]) < 1e-14


def test_cp_with_eps_alone_always_ends():
    """A random tensor has no small rank; the trivial decomposition is the last resort and it is exact."""
    array = np.random.default_rng(0).standard_normal((3, 4, 3))
    tensor = tna.CPTensor.from_dense(array, eps=1e-9)
    assert error_of(tensor, array) <= 1e-9
    assert tensor.rank <= 9


def test_cp_says_when_it_did_not_reach_eps():
    array = np.random.default_rng(0).standard_normal((3, 4, 3))
    with pytest.warns(ConvergenceWarning, match=r"CP of rank 2 reached a relative error of 0\.\d+, not eps = 1e-06"):
        tensor = tna.CPTensor.from_dense(array, eps=1e-6, max_rank=2)
    assert not tensor.truncation.is_reached
    assert error_of(tensor, array) == pytest.approx(tensor.truncation.bound, rel=1e-6)


def w_tensor():
    """Rank 3, border rank 2: no best approximation of rank 2 exists."""
    w = np.zeros((2, 2, 2))
    w[0, 0, 1] = w[0, 1, 0] = w[1, 0, 0] = 1
    return w


def test_border_rank_is_detected_and_not_called_converged():
    with pytest.warns(ConvergenceWarning, match=r"grow against one another.*\(border rank\)"):
        tensor = tna.CPTensor.from_dense(w_tensor(), max_rank=2)
    assert tensor.fit.is_degenerate
    assert not tensor.fit.is_converged
    assert 0 < error_of(tensor, w_tensor()) < 0.02
    assert "degenerate" in str(tensor.fit)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tna.CPTensor.from_dense(w_tensor(), eps=1e-8).rank == 3


def test_collinear_factors_do_not_break_the_solver():
    a = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-9], [2.0, 2.0]])
    array = np.einsum("az,bz,cz->abc", a, a, a)
    tensor = tna.CPTensor.from_dense(array, eps=1e-6)
    assert tensor.rank == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert error_of(tna.CPTensor.from_dense(array, max_rank=3), array) < 1e-6


def test_a_hard_tensor_that_alternating_least_squares_alone_does_not_fit():
    array = 1.0 / (1.0 + sum(np.ogrid[:5, :5, :5]))
    tensor = tna.CPTensor.from_dense(array, eps=1e-3)
    assert tensor.rank <= 4
    assert error_of(tensor, array) <= 1e-3


def test_cp_fits_are_repeatable():
    array = decaying((5, 7, 3))
    first, second = (tna.CPTensor.from_dense(array, eps=0.2, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.to_dense(), second.to_dense())


def test_the_trivial_decomposition_is_exact(rng):
    for shape in ((2, 3, 5), (5, 3, 2), (3, 5, 2), (2, 2, 2, 2)):
        x = rng.standard_normal(shape)
        factors = trivial_factors(x)
        assert factors[0].shape[1] == np.prod(shape) // max(shape)
        np.testing.assert_array_equal(tna.CPTensor(factors).to_dense(), x)


NAN = np.array([[1.0, np.nan], [np.inf, 2.0]])


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("array", "options", "error", "message"),
    [
        (NAN, {"eps": 0.1}, NonFiniteError, "from_dense needs finite numbers; 2 of 4 entries are NaN or infinite"),
        (np.array([[1 + 1j * np.nan]]), {"eps": 0.1}, NonFiniteError, "1 of 1 entries are NaN or infinite"),
        (np.array([["a"]]), {"eps": 0.1}, DTypeError, "operands must be numbers; got dtype <U1"),
        (np.array([[None]]), {"eps": 0.1}, DTypeError, "operands must be numbers; got dtype object"),
        (np.ones((2, 2)), {"eps": 1.0}, ToleranceError, "must be in [0, 1); got 1.0"),
        (np.ones((2, 2)), {"eps": -0.1}, ToleranceError, "must be in [0, 1); got -0.1"),
        (np.ones((2, 2)), {"eps": "small"}, ToleranceError, "must be in [0, 1); got 'small'"),
        (np.ones((2, 2)), {"eps": np.nan}, ToleranceError, "must be in [0, 1); got nan"),
        (np.ones((2, 2)), {"max_rank": 0}, RankError, "a rank must be at least 1; got 0"),
        (np.ones((2, 2)), {"max_rank": 1.5}, RankError, "rank must be an integer or a sequence"),
        (np.ma.masked_equal([[1.0, 2.0]], 2), {"eps": 0.1}, FormatError, "from_dense needs every entry; from_samples"),
        (np.float64(3.0), {"eps": 0.1}, FormatError, "needs at least one mode, and no mode of size 0; got shape ()"),
        (
            np.ones((2, 0)),
            {"eps": 0.1},
            FormatError,
            "needs at least one mode, and no mode of size 0; got shape (2, 0)",
        ),
    ],
)
def test_bad_input_is_named(kind, array, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        kind.from_dense(array, **options)


def test_bad_input_of_one_format():
    with pytest.raises(RankError, match="needs eps, max_rank, or both"):
        tna.CPTensor.from_dense(np.ones((2, 2, 2)))
    with pytest.raises(TreeError, match=re.escape("tree (0, 1) has 2 modes, but the tensor has 3")):
        tna.HTTensor.from_dense(np.ones((2, 2, 2)), tree=tna.DimensionTree.balanced(2))
    with pytest.raises(RankError, match="rank has 3 entries, but there are 2 inner bonds"):
        tna.TTTensor.from_dense(np.ones((2, 2, 2)), max_rank=(1, 2, 3))
    with pytest.raises(TypeError, match="unexpected keyword argument 'rank'"):
        tna.TTTensor.from_dense(np.ones((2, 2)), rank=2)
    for kind in (tna.TTTensor, tna.HTTensor):
        with pytest.raises(
            FormatError, match=re.escape("needs at least one mode, and no mode of size 0; got shape ()")
        ):
            kind.from_dense(np.array(3.0), eps=0.1, memory_limit=1)
        with pytest.raises(FormatError, match="from_dense needs every entry"):
            kind.from_dense(np.ma.masked_less(np.arange(24.0).reshape(2, 3, 4), 3), eps=0.1, memory_limit=100)
