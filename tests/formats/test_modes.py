"""Operations on modes, for all three formats, against the same operation on the dense array."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import AlgebraError, AxisMismatchError, FormatError, IndexRangeError

KINDS = (tna.CPTensor, tna.TTTensor, tna.HTTensor)
SHAPE = (3, 5, 1, 7)
NESTED = (((0, 2), 3), 1)


def make(kind, shape=SHAPE, seed=0, dtype="float64", xi="multiply", nested=None):
    inner = () if len(shape) == 1 and kind is not tna.CPTensor else 2
    tree = {"tree": tna.DimensionTree(nested)} if kind is tna.HTTensor and nested is not None else {}
    return kind.random(shape, inner, seed=seed, dtype=dtype, xi=xi, **tree)


def examples(shape=SHAPE, **options):
    found = [make(kind, shape, **options) for kind in KINDS]
    return [*found, make(tna.HTTensor, shape, nested=NESTED, **options)] if len(shape) == 4 else found


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("shape", [SHAPE, (5, 3), (5,), (1, 3, 1)])
def test_mode_dot_is_that_of_the_dense_array(shape, dtype, rng):
    tol = 1e-5 if dtype == "float32" else 1e-13
    for tensor in examples(shape, dtype=dtype):
        dense = tensor.to_dense()
        for mode, size in enumerate(shape):
            matrix, vector = rng.standard_normal((4, size)).astype(dtype), rng.standard_normal(size).astype(dtype)
            found = tensor.mode_dot(matrix, mode - len(shape))
            expected = np.moveaxis(np.tensordot(matrix, dense, axes=(1, mode)), 0, mode)
            assert found.ranks == tensor.ranks
            assert found.dtype == dtype
            assert relative_error(found.to_dense(), expected) < tol
            less, expected = tensor.mode_dot(vector, mode), np.tensordot(vector, dense, axes=(0, mode))
            if len(shape) == 1:
                assert less == pytest.approx(expected, rel=10 * tol)
            else:
                assert type(less) is type(tensor)
                assert relative_error(less.to_dense(), expected) < tol


@given(seed=st.integers(0, 99), modes=st.sets(st.integers(0, 4)))
def test_sums_over_modes(seed, modes):
    shape = (2, 3, 1, 5, 2)
    tensors = [make(kind, shape, seed) for kind in KINDS] + [
        make(tna.HTTensor, shape, seed, nested=((0, 3, 4), (1, 2)))
    ]
    for tensor in tensors:
        found, expected = tensor.sum(sorted(modes)), tensor.to_dense().sum(axis=tuple(modes))
        found = found if len(modes) == 5 else found.to_dense()
        assert relative_error(found, expected) < 1e-12
    assert tensors[0].sum() == pytest.approx(tensors[0].to_dense().sum(), rel=1e-12)
    assert relative_error(tensors[1].sum(-1).to_dense(), tensors[1].to_dense().sum(axis=-1)) < 1e-12


@given(seed=st.integers(0, 99), order=st.permutations(range(5)))
def test_permute_is_transpose(seed, order):
    shape = (2, 3, 1, 5, 2)
    tensors = [make(kind, shape, seed) for kind in KINDS] + [
        make(tna.HTTensor, shape, seed, nested=((0, 3, 4), (1, 2)))
    ]
    for tensor in tensors:
        found = tensor.permute(order)
        assert relative_error(found.to_dense(), tensor.to_dense().transpose(order)) < 1e-12
        assert type(found) is type(tensor)
        if not isinstance(tensor, tna.TTTensor):
            assert sorted(found.ranks) == sorted(tensor.ranks)


def test_the_rank_of_a_permuted_train_is_the_product_of_the_bonds_that_cross():
    train = tna.TTTensor.random((4, 4, 4, 4), (2, 3, 2), seed=0)
    assert train.permute((3, 2, 1, 0)).ranks == (1, 2, 3, 2, 1)
    assert train.permute((1, 0, 2, 3)).ranks == (1, 6, 3, 2, 1)
    assert train.permute((0, 2, 1, 3)).ranks == (1, 2, 12, 2, 1)
    for order in ((1, 0, 2, 3), (0, 2, 1, 3), (2, 0, 3, 1)):
        dense = train.to_dense().transpose(order)
        assert train.permute(order).round().ranks == tna.TTTensor.from_dense(dense).ranks


@pytest.mark.parametrize("xi", ["rectifier", "logaddexp", "add", "hypot"])
def test_cp_and_ht_permute_for_every_xi(xi):
    for tensor in (make(tna.CPTensor, xi=xi), make(tna.HTTensor, xi=xi), make(tna.HTTensor, xi=xi, nested=NESTED)):
        found = tensor.permute((2, 0, 3, 1)).to_dense()
        assert relative_error(found, tensor.to_dense().transpose(2, 0, 3, 1)) < 1e-13


@pytest.mark.parametrize("pair", [(0, 1), (1, 0), (0, 3), (3, 1), (2, 3), (-1, 0)])
def test_a_diagonal_keeps_the_place_of_its_first_mode(pair):
    shape = tuple(3 if mode in [m % 4 for m in pair] else 2 + mode for mode in range(4))
    one, two = (mode % 4 for mode in pair)
    letters = ["a", "b", "c", "d"]
    letters[two] = letters[one]
    output = "".join(letter for mode, letter in enumerate(letters) if mode != two)
    for tensor in examples(shape, seed=3):
        found = tensor.diagonal(*pair)
        assert type(found) is type(tensor)
        expected = np.einsum(f"{''.join(letters)}->{output}", tensor.to_dense())
        assert relative_error(found.to_dense(), expected) < 1e-13
    for kind in KINDS:
        square = make(kind, (3, 3))
        np.testing.assert_allclose(square.diagonal(0, 1).to_dense(), np.diagonal(square.to_dense()), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_kronecker_and_outer_products(dtype):
    for a, b in zip(examples(dtype=dtype), examples((2, 3, 5, 1), seed=1, dtype=dtype), strict=True):
        x, y = a.to_dense(), b.to_dense()
        assert relative_error(a.kron(b).to_dense(), np.kron(x, y)) < 1e-13
        found = a.outer(b)
        assert relative_error(found.to_dense(), np.tensordot(x, y, axes=0)) < 1e-13
        assert found.max_rank == (a.max_rank * b.max_rank if isinstance(a, tna.CPTensor) else a.max_rank)
        assert a.kron(b).max_rank == a.max_rank * b.max_rank
    for kind in KINDS:
        line = make(kind, (5,))
        np.testing.assert_allclose(line.outer(line).to_dense(), np.outer(line.to_dense(), line.to_dense()), rtol=1e-12)
        np.testing.assert_allclose(line.kron(line).to_dense(), np.kron(line.to_dense(), line.to_dense()), rtol=1e-12)


@pytest.mark.parametrize("rows", [0, (1,), (0, 2), (3, 0), (0, 1, 2, 3), ()])
@pytest.mark.parametrize("xi", ["multiply", "rectifier"])
def test_matricize_is_transpose_and_reshape(rows, xi):
    left = [rows] if isinstance(rows, int) else list(rows)
    right = [mode for mode in range(4) if mode not in left]
    for tensor in examples(xi=xi):
        expected = tensor.to_dense().transpose(left + right).reshape(int(np.prod([SHAPE[m] for m in left])), -1)
        assert relative_error(tensor.matricize(rows), expected) < 1e-13
    np.testing.assert_allclose(
        make(tna.TTTensor).matricize([1, 0], [3, 2]), make(tna.TTTensor).to_dense().transpose(1, 0, 3, 2).reshape(15, 7)
    )


def test_a_long_train_loses_modes_without_its_entries():
    train = tna.TTTensor.random((10,) * 60, 3, seed=0)
    some = train.sum(range(1, 60, 2))
    assert some.shape == (10,) * 30
    assert some.ranks == (1, *[3] * 29, 1)
    assert np.isfinite(train.sum())
    assert train[(0,) * 30 + (slice(None),) * 30].shape == (10,) * 30


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: t.mode_dot(np.ones((4, 6)), 1), AxisMismatchError, "mode 1 has size 5, but axis 1 of the factor has 6"),
        (lambda t: t.mode_dot(np.ones(6), 1), AxisMismatchError, "mode 1 has size 5, but axis 0 of the factor has 6"),
        (lambda t: t.mode_dot(np.ones((4, 5)), 4), IndexRangeError, "mode 4 is outside the modes 0, …, 3"),
        (lambda t: t.mode_dot(np.ones((0, 5)), 1), FormatError, "mode_dot would leave mode 1 empty: the factor has shape (0, 5)"),
        (lambda t: t.mode_dot(np.ones((1, 4, 5)), 1), FormatError, "mode_dot needs a matrix or a vector; got shape (1, 4, 5)"),
        (lambda t: t.sum([0, 0]), IndexRangeError, "modes [0, 0] of a sum must be distinct"),
        (lambda t: t.sum(1.5), IndexRangeError, "a mode is given by its number; got 1.5"),
        (lambda t: t.permute((0, 1, 2)), IndexRangeError, "order (0, 1, 2) must name each of the modes 0, …, 3 once"),
        (lambda t: t.diagonal(0, 0), IndexRangeError, "a diagonal needs two different modes; got 0 and 0"),
        (lambda t: t.diagonal(0, 1), AxisMismatchError, "mode 0 has size 3, but mode 1 has 5"),
        (lambda t: t.matricize([0, 1], [1, 2, 3]), FormatError, "rows [0, 1] and cols [1, 2, 3] must share out the modes 0, …, 3"),
        (lambda t: t.matricize([0, 9]), IndexRangeError, "mode 9 is outside the modes 0, …, 3"),
        (lambda t: t.matricize([0, 0]), FormatError, "must share out the modes 0, …, 3, each once"),
        (lambda t: t.kron(np.ones(3)), FormatError, "needs another one; got ndarray: to_tt() and to_ht() convert exactly"),
        (lambda t: t.outer(tna.CPTensor([np.ones((2, 1))]).to_tt() if not isinstance(t, tna.TTTensor) else t.to_ht()),
         FormatError, "needs another one; got"),
        (lambda t: t.kron(make(type(t), (2, 3))), FormatError, "operands of kron have 4 and 2 modes"),
        (lambda t: t.distance(np.ones(SHAPE)), FormatError, "distance needs a format; got ndarray: from_dense makes one of an array"),
        (lambda t: t.distance(make(type(t), (3, 5, 1, 2))), AxisMismatchError, "mode 3 has size 7 in the left operand of distance but 2 in the right"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, message):
    for tensor in examples():
        with pytest.raises(error, match=re.escape(message)):
            call(tensor)


def test_what_needs_linearity_says_what_can_be_done_instead():
    calls = {
        "mode_dot": lambda t: t.mode_dot(np.ones((2, 3)), 0),
        "the sum over modes": lambda t: t.sum(0),
        "diagonal": lambda t: t.diagonal(0, 1),
        "the Kronecker product": lambda t: t.kron(t),
        "the outer product": lambda t: t.outer(t),
        "distance": lambda t: t.distance(t),
    }
    for kind in KINDS:
        for name, call in calls.items():
            with pytest.raises(AlgebraError, match=rf"{name} is defined for ξ = multiply, not hypot: .*; \w+"):
                call(make(kind, (3, 3, 2), xi="hypot"))
    with pytest.raises(AlgebraError, match="the permutation of a train is defined for ξ = multiply"):
        make(tna.TTTensor, xi="hypot").permute((1, 0, 2, 3))
    with pytest.raises(AlgebraError, match=re.escape("operands have ξ = multiply and ξ = hypot")):
        make(tna.CPTensor).outer(make(tna.CPTensor, xi="hypot"))


def test_distances_between_all_formats_keep_their_digits():
    base = tna.CPTensor.random((3, 5, 2, 7), 2, seed=0)
    step = tna.CPTensor.random((3, 5, 2, 7), 1, seed=1)
    for size in (1.0, 1e-6, 1e-12):
        near = base + step * (size * base.norm() / step.norm())
        left = (base, base.to_tt(), base.to_ht(), base.to_ht(tna.DimensionTree(NESTED)))
        right = (near, near.to_tt(), near.to_ht(), near.to_ht(tna.DimensionTree(NESTED)))
        for a in left:
            for b in right:
                assert a.distance(b) / base.norm() == pytest.approx(size, rel=1e-3)
                assert b.distance(a) / base.norm() == pytest.approx(size, rel=1e-3)
    assert base.distance(base.to_tt()) <= 1e-14 * base.norm()


@pytest.mark.parametrize("tree", ["balanced", "linear"])
def test_a_large_tree_loses_modes_without_its_entries(tree):
    ht = tna.HTTensor.random((2,) * 300, 2, tree=getattr(tna.DimensionTree, tree)(300), seed=0)
    some = ht[(0,) * 290]
    assert some.shape == (2,) * 10
    index = np.indices(some.shape).reshape(10, -1).T
    entries = ht.gather(np.hstack([np.zeros((len(index), 290), int), index]))
    assert relative_error(some.to_dense().reshape(-1), entries) < 1e-10
