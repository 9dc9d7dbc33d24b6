"""Conversions keep every entry, and the ranks are those that the rank laws predict."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import AlgebraError, FormatError, TreeError

SHAPE = (2, 3, 5, 2)
TREES = [((0, 1), (2, 3)), (((0, 1), 2), 3), (0, 1, 2, 3), ((3, 0), (1, 2)), (((2, 0), 3), 1), (0, (1, 2, 3))]


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("shape", [SHAPE, (3, 5), (5,), (1, 3, 1)])
def test_conversions_keep_entries_and_dtype(shape, dtype):
    cp = tna.CPTensor.random(shape, 3, seed=0, dtype=dtype) * 2
    tt = tna.TTTensor.random(shape, 2 if len(shape) > 1 else (), seed=1, dtype=dtype)
    tol = 1e-5 if dtype == "float32" else 1e-13
    for source, found in (
        (cp, cp.to_tt()),
        (cp, cp.to_ht()),
        (cp, cp.to_cp()),
        (tt, tt.to_cp()),
        (tt, tt.to_ht()),
        (tt, tt.to_tt()),
    ):
        assert found.dtype == dtype
        assert relative_error(found.to_dense(), source.to_dense()) < tol


@pytest.mark.parametrize("nested", TREES)
def test_any_tree(nested):
    tree = tna.DimensionTree(nested)
    for source in (tna.CPTensor.random(SHAPE, 3, seed=0), tna.TTTensor.random(SHAPE, (2, 3, 2), seed=1)):
        found = source.to_ht(tree)
        assert found.tree == tree
        assert relative_error(found.to_dense(), source.to_dense()) < 1e-13
        assert found.to_ht(tree) is found


def test_rank_laws():
    """CP: R everywhere. TT: the bonds that leave a node; for rank 2, d = 8 and a balanced tree, 4 inside."""
    cp = tna.CPTensor.random((4,) * 8, 5, seed=0)
    assert cp.to_tt().ranks == (1, *[5] * 7, 1)
    assert set(cp.to_ht().ranks[:-1]) == {5}
    tt = tna.TTTensor.random((4,) * 8, 2, seed=0)
    ht = tt.to_ht()
    assert [ht.node_rank(node) for node in ((0, 1), (2, 3), (4, 5), (6, 7))] == [2, 4, 4, 2]
    assert ht.round().ranks == tna.HTTensor.from_dense(tt.to_dense()).ranks
    small = tna.TTTensor.random((3, 3, 3), (2, 4), seed=0)
    assert small.to_cp().rank == 8
    assert cp.to_tt().round().ranks == tna.TTTensor.from_dense(cp.to_dense()).ranks


@pytest.mark.parametrize("xi", ["rectifier", "add", "hypot", "maximum"])
def test_conversions_that_are_exact_for_every_xi(xi):
    cp = tna.CPTensor.random(SHAPE, 3, seed=0, xi=xi)
    tt = tna.TTTensor.random((2, 3, 2), 2, seed=0, xi=xi)
    for nested in TREES:
        assert relative_error(cp.to_ht(tna.DimensionTree(nested)).to_dense(), cp.to_dense()) < 1e-13
    assert relative_error(tt.to_cp().to_dense(), tt.to_dense()) < 1e-13
    with pytest.raises(AlgebraError, match=re.escape("CP to TT is defined for ξ = multiply")):
        cp.to_tt()
    with pytest.raises(AlgebraError, match=re.escape("TT to HT is defined for ξ = multiply")):
        tt.to_ht()


@given(seed=st.integers(0, 99), order=st.permutations(range(5)))
def test_a_train_on_a_shuffled_tree(seed, order):
    a, b, c, d, e = order
    tt = tna.TTTensor.random((2, 3, 2, 3, 2), (2, 3, 2, 2), seed=seed)
    assert relative_error(tt.to_ht(tna.DimensionTree((((a, b), c), (d, e)))).to_dense(), tt.to_dense()) < 1e-12


def test_what_cannot_be_converted_says_so():
    ht = tna.HTTensor.random(SHAPE, 2, seed=0)
    with pytest.raises(
        FormatError, match=re.escape("HTTensor has no to_tt; from_dense(t.to_dense(), …) decomposes it anew")
    ):
        ht.to_tt()
    with pytest.raises(
        TreeError, match=re.escape("the tensor has the tree ((0, 1), (2, 3)); on (((0, 1), 2), 3) from_dense")
    ):
        ht.to_ht(tna.DimensionTree.linear(4))
    with pytest.raises(TreeError, match=re.escape("tree (0, 1) has 2 modes, but the tensor has 4")):
        tna.CPTensor.random(SHAPE, 2).to_ht(tna.DimensionTree((0, 1)))
    np.testing.assert_array_equal(ht.to_ht().to_dense(), ht.to_dense())
