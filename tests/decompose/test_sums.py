"""Sums of many tensors, tensors joined along a mode, and arrays that are decomposed slab by slab."""

import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.decompose import streaming
from tnalgebra.errors import AlgebraError, AxisMismatchError, FormatError, MemoryLimitError, NonFiniteError, TreeError

KINDS = (tna.CPTensor, tna.TTTensor, tna.HTTensor)
TT_AND_HT = KINDS[1:]
SHAPE = (3, 5, 2, 7)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("mode", [0, 1, 3, -2])
@pytest.mark.parametrize("kind", KINDS)
def test_concatenate_joins_along_a_mode(kind, mode, dtype):
    tensors = []
    for seed, size in enumerate((2, 1, 4)):
        shape = list(SHAPE)
        shape[mode] = size
        tensors.append(kind.random(shape, 2, seed=seed, dtype=dtype))
    found = tna.concatenate(tensors, mode)
    expected = np.concatenate([tensor.to_dense() for tensor in tensors], axis=mode)
    assert type(found) is kind
    assert found.dtype == dtype
    assert relative_error(found.to_dense(), expected) < (1e-5 if dtype == "float32" else 1e-13)
    one = tna.concatenate(tensors[:1], mode)
    np.testing.assert_array_equal(one.to_dense(), tensors[0].to_dense())
    lines = [kind.random((n,), 2 if kind is tna.CPTensor else (), seed=n) for n in (2, 3)]
    expected = np.concatenate([line.to_dense() for line in lines])
    np.testing.assert_allclose(tna.concatenate(lines, 0).to_dense(), expected, rtol=1e-13)


def test_what_cannot_be_joined_is_named():
    a = tna.TTTensor.random(SHAPE, 2)
    with pytest.raises(FormatError, match="nothing to concatenate"):
        tna.concatenate([], 0)
    with pytest.raises(AxisMismatchError, match="mode 1 has size 5 in tensor 0 but 6 in tensor 1"):
        tna.concatenate([a, tna.TTTensor.random((3, 6, 2, 7), 2)], 0)
    with pytest.raises(FormatError, match="operands of concatenate have 4 and 2 modes"):
        tna.concatenate([a, tna.TTTensor.random((3, 5), 2)], 0)
    with pytest.raises(FormatError, match=re.escape("concatenate of a TTTensor needs another one; got CPTensor")):
        tna.concatenate([a, tna.CPTensor.random(SHAPE, 2)], 0)
    linear = tna.HTTensor.random(SHAPE, 2, tree=tna.DimensionTree.linear(4))
    with pytest.raises(TreeError, match="operands of concatenate have the trees"):
        tna.concatenate([tna.HTTensor.random(SHAPE, 2), linear], 0)
    with pytest.raises(AlgebraError, match="concatenation is defined for ξ = multiply, not hypot"):
        tna.concatenate([tna.CPTensor.random(SHAPE, 2, xi="hypot")] * 2, 0)


@pytest.mark.parametrize("count", [1, 2, 3, 13, 40])
@pytest.mark.parametrize("kind", TT_AND_HT)
def test_a_sum_of_many_tensors_has_the_ranks_of_the_sum(kind, count):
    terms = [kind.random(SHAPE, 1, seed=seed) for seed in range(count)]
    dense = sum(term.to_dense() for term in terms)
    for eps in (1e-10, None):
        found = tna.stack_sum(terms, eps=eps)
        assert relative_error(found.to_dense(), dense) < 1e-10
        assert found.ranks == kind.from_dense(dense).ranks
    assert tna.stack_sum(terms, eps=1e-10).truncation.is_reached


@given(seed=st.integers(0, 99), eps=st.sampled_from([1e-8, 1e-4, 1e-2, 0.2]), kind=st.sampled_from(TT_AND_HT))
def test_eps_is_that_of_the_sum_even_where_terms_cancel(seed, eps, kind):
    """Large terms cancel in pairs; what is left is a thousand times smaller, and keeps its digits."""
    large = [kind.random((4, 3, 5), 3, seed=seed + i) for i in range(6)]
    small = [kind.random((4, 3, 5), 1, seed=seed + 50 + i) * 1e-3 for i in range(5)]
    terms = [*large, *small, *(-1 * term for term in large)]
    found = tna.stack_sum(terms, eps=eps)
    expected = sum(term.to_dense() for term in small)
    assert relative_error(found.to_dense(), expected) <= eps * (1 + 1e-6) + 1e-10
    assert relative_error(found.to_dense(), expected) <= found.truncation.bound * (1 + 1e-6) + 1e-10


def test_sums_of_what_is_only_added_by_blocks():
    terms = [tna.CPTensor.random(SHAPE, 2, seed=seed, xi="hypot") for seed in range(5)]
    found = tna.stack_sum(terms)
    assert found.rank == 10
    assert relative_error(found.to_dense(), sum(term.to_dense() for term in terms)) < 1e-13
    trees = [tna.HTTensor.random(SHAPE, 2, seed=seed, xi="rectifier") for seed in range(3)]
    assert relative_error(tna.stack_sum(trees).to_dense(), sum(tree.to_dense() for tree in trees)) < 1e-13
    with pytest.raises(AlgebraError, match="the sum of trains is defined for ξ = multiply"):
        tna.stack_sum([tna.TTTensor.random(SHAPE, 2, xi="hypot")] * 2)
    with pytest.raises(FormatError, match="nothing to sum"):
        tna.stack_sum([])
    with pytest.raises(FormatError, match="stack_sum needs formats; got ndarray: from_dense makes one of an array"):
        tna.stack_sum([np.ones(3)])
    with pytest.raises(
        AxisMismatchError, match="mode 0 has size 3 in the left operand of stack_sum but 2 in the right"
    ):
        tna.stack_sum([tna.TTTensor.random((3, 5), 2), tna.TTTensor.random((2, 5), 2)])


def test_a_sum_of_nothing_but_cancelling_terms():
    a = tna.TTTensor.random(SHAPE, 3, seed=0)
    found = tna.stack_sum([a, -1 * a, 2 * a, -2 * a], eps=1e-6)
    assert found.max_rank == 1
    assert found.norm() < 1e-13 * a.norm()
    huge = [tna.TTTensor([np.full((1, 10, 1), 1e150)] * 4) * (1 + i) for i in range(3)]
    assert tna.stack_sum(huge, eps=1e-6).log_norm() == pytest.approx(huge[0].log_norm() + np.log(6), rel=1e-10)


def smooth(shape):
    grids = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij", sparse=True)
    return 1 / (1 + sum((i + 1) * grid for i, grid in enumerate(grids)))


@pytest.mark.parametrize("limit", ["1 KiB", "3 KiB", "20KiB", "1MiB"])
@pytest.mark.parametrize("kind", TT_AND_HT)
def test_slabs_give_the_same_tensor_as_the_whole(kind, limit):
    array = smooth((7, 6, 5, 8))
    for eps in (1e-2, 1e-6, None):
        found, whole = kind.from_dense(array, eps=eps, memory_limit=limit), kind.from_dense(array, eps=eps)
        assert relative_error(found.to_dense(), array) <= (eps or 1e-13)
        assert found.truncation.is_reached
        assert all(a <= b + 1 for a, b in zip(found.ranks, whole.ranks, strict=True))
    capped = kind.from_dense(array, max_rank=2, memory_limit=limit)
    assert capped.max_rank == 2
    assert relative_error(capped.to_dense(), array) <= capped.truncation.bound * (1 + 1e-9)
    assert relative_error(capped.to_dense(), array) <= 1.5 * kind.from_dense(array, max_rank=2).truncation.bound


def test_a_file_that_is_larger_than_the_limit(tmp_path):
    """The file is read slab by slab: what is allocated stays far below its size."""
    array = smooth((40, 30, 20, 20))
    np.save(tmp_path / "large.npy", array)
    mapped = np.load(tmp_path / "large.npy", mmap_mode="r")
    for kind in TT_AND_HT:
        tracemalloc.start()
        found = kind.from_dense(mapped, eps=1e-8, memory_limit=array.nbytes // 4)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= array.nbytes / 4
        assert relative_error(found.to_dense(), array) <= 1e-8
        assert "slabs" in found.truncation.discarded
        assert relative_error(kind.from_dense(mapped, eps=1e-8).to_dense(), array) <= 1e-8


def test_arrays_of_dask(monkeypatch):
    da = pytest.importorskip("dask.array")
    array = smooth((12, 10, 8, 6)).astype(np.float32)
    lazy = da.from_array(array, chunks=(5, 4, 8, 3))
    for kind in TT_AND_HT:
        found = kind.from_dense(lazy, eps=1e-4, memory_limit="20 KiB")
        assert found.dtype == np.float32
        assert relative_error(found.to_dense(), array) <= 1e-4
        assert relative_error(kind.from_dense(lazy, eps=1e-4).to_dense(), array) <= 1e-4


def test_slabs_of_integers_and_of_nothing_and_what_is_not_finite():
    counts = np.arange(2 * 3 * 5 * 7).reshape(2, 3, 5, 7)
    found = tna.TTTensor.from_dense(counts, eps=1e-10, memory_limit=300)
    np.testing.assert_allclose(found.to_dense(), counts, atol=1e-7)
    assert found.max_rank == 2
    zero = tna.HTTensor.from_dense(np.zeros((4, 5, 6)), eps=0.1, memory_limit=300)
    assert zero.max_rank == 1
    assert zero.norm() == 0
    bad = np.ones((4, 5, 6))
    bad[3, 2, 1] = np.nan
    with pytest.raises(NonFiniteError, match="1 of 6 entries are NaN or infinite"):
        tna.TTTensor.from_dense(bad, eps=0.1, memory_limit=300)
    with pytest.raises(MemoryLimitError, match="memory_limit must be bytes"):
        tna.TTTensor.from_dense(bad, eps=0.1, memory_limit="much")


def test_slabs_cover_an_array_once():
    for shape, entries in (((7, 6, 5), 12), ((7, 6, 5), 1), ((7, 6, 5), 60), ((3,), 2), ((5, 4), 10**9)):
        seen = np.zeros(shape, int)
        for slab in streaming._slabs(shape, entries):
            seen[slab] += 1
            assert seen[slab].size <= max(entries, 1)
        assert np.all(seen == 1)
