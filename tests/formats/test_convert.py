"""Conversions keep every entry, and the ranks are those that the rank laws predict."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import AlgebraError, TreeError
from tnalgebra.expressivity import predicted_widths

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


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("nested", TREES)
def test_trees_become_trains_cp_tensors_and_other_trees(nested, dtype):
    ht = tna.HTTensor.random(SHAPE, 2, seed=0, tree=tna.DimensionTree(nested), dtype=dtype)
    dense, tol = ht.to_dense(), 1e-5 if dtype == "float32" else 1e-13
    for found in (ht.to_tt(), ht.to_cp(), *(ht.to_ht(tna.DimensionTree(other)) for other in TREES)):
        assert found.dtype == dtype
        assert relative_error(found.to_dense(), dense) < tol
    assert ht.to_cp().rank == 8


@pytest.mark.parametrize("ndim", [2, 3, 4, 5, 6, 7, 8, 9])
def test_a_balanced_tree_as_a_train_has_the_ranks_that_theory_predicts(ndim):
    """The exponent of ERNN Table 2, corrected: the subtrees that make up a prefix of the modes, or what is left of it."""
    ht = tna.HTTensor.random((4,) * ndim, 2, seed=0)
    law = predicted_widths("HT", 2, ndim, 4)["TT"]
    assert f"≤ {ht.to_tt().max_rank}" == law
    if ndim <= 8:
        exact = tna.TTTensor.from_dense(ht.to_dense()).ranks
        assert ht.to_tt().round().ranks == exact
        assert max(exact) == ht.to_tt().max_rank or ndim <= 3


def test_rank_laws_of_trees():
    linear = tna.HTTensor.random((3,) * 6, 2, seed=0, tree=tna.DimensionTree.linear(6))
    assert linear.to_tt().ranks == (1, 2, 2, 2, 2, 2, 1)
    back = linear.to_tt().to_ht(linear.tree)
    assert [back.node_rank(node) for node in linear.tree.inner] == [2, 2, 2, 2, 1]
    assert [back.node_rank(mode) for mode in range(6)] == [2, 4, 4, 4, 4, 2]
    tucker = tna.HTTensor.random((3,) * 4, 2, seed=0, tree=tna.DimensionTree((0, 1, 2, 3)))
    assert tucker.to_tt().ranks == (1, 2, 4, 2, 1)
    assert tucker.to_cp().rank == 8
    moved = tna.HTTensor.random((3,) * 4, (2, 3, 2, 3, 4, 4), seed=0).to_ht(tna.DimensionTree(((0, 2), (1, 3))))
    assert moved.ranks[-1] == 1
    assert moved.node_rank(0) == 2
    assert moved.node_rank((0, 2)) == moved.node_rank((1, 3))
    assert moved.round().ranks == tna.HTTensor.from_dense(moved.to_dense(), tree=moved.tree).ranks


@given(seed=st.integers(0, 999), order=st.permutations(range(6)))
def test_any_tree_on_any_other(seed, order):
    a, b, c, d, e, f = order
    ht = tna.HTTensor.random((2, 3, 2, 1, 2, 3), 2, seed=seed, tree=tna.DimensionTree(((a, b, c), (d, (e, f)))))
    dense = ht.to_dense()
    assert relative_error(ht.to_tt().to_dense(), dense) < 1e-12
    assert relative_error(ht.to_ht(tna.DimensionTree.linear(6)).to_dense(), dense) < 1e-12
    assert relative_error(ht.to_tt().to_ht(ht.tree).to_dense(), dense) < 1e-12


def test_long_tensors_are_converted_without_their_entries():
    ht = tna.HTTensor.random((2,) * 64, 2, seed=0)
    tt = ht.to_tt()
    assert predicted_widths("HT", 2, 64, 2)["TT"] == f"≤ {tt.max_rank}" == "≤ 8"
    assert tt.log_norm() == pytest.approx(ht.log_norm(), rel=1e-12)


def test_what_cannot_be_converted_says_so():
    ht = tna.HTTensor.random(SHAPE, 2, seed=0)
    with pytest.raises(TreeError, match=re.escape("tree (0, 1) has 2 modes, but the tensor has 4")):
        tna.CPTensor.random(SHAPE, 2).to_ht(tna.DimensionTree((0, 1)))
    np.testing.assert_array_equal(ht.to_ht().to_dense(), ht.to_dense())
    other = tna.HTTensor.random(SHAPE, 2, seed=0, xi="hypot")
    assert other.to_ht(other.tree) is other
    for call, name in (
        (other.to_tt, "HT to TT"),
        (other.to_cp, "HT to CP"),
        (lambda: other.to_ht(tna.DimensionTree.linear(4)), "HT on another tree"),
    ):
        with pytest.raises(AlgebraError, match=f"{name} is defined for ξ = multiply, not hypot"):
            call()
