"""Dimension trees: at random, without some modes, searched for, and drawn."""

import re
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tnalgebra.errors import MemoryLimitError, TreeError
from tnalgebra.formats.branch import parsed
from tnalgebra.formats.tree import modes_of

Tree = tna.DimensionTree


@given(ndim=st.integers(1, 20), seed=st.integers(0, 999))
def test_random_trees_are_binary_and_cover_every_mode(ndim, seed):
    tree = Tree.random(ndim, seed=seed)
    assert tree.ndim == ndim
    assert len(tree.inner) == ndim - 1
    assert all(len(branch) == 2 for branch in tree.inner)
    assert tree == Tree.random(ndim, seed=np.random.default_rng(seed))


def test_random_trees_are_of_every_shape():
    trees = [Tree.random(4, seed=seed) for seed in range(400)]
    shapes = {frozenset(frozenset(modes_of(branch)) for branch in tree.inner) for tree in trees}
    assert len(shapes) == 15  # (2n − 3)!! binary trees with labelled leaves, the order of children aside


def test_a_tree_without_some_modes():
    tree = Tree((((0, 1), 2), (3, 4)))
    assert tree.without(()).nested == tree.nested
    assert tree.without((1,)).nested == ((0, 1), (2, 3))
    assert tree.without((0, 1)).nested == (0, (1, 2))
    assert tree.without((3, 4)).nested == ((0, 1), 2)
    assert tree.without((0, 1, 2, 4)).nested == 0
    assert Tree((0, 1, 2, 3)).without((2,)).nested == (0, 1, 2)
    with pytest.raises(TreeError, match=re.escape("tree (0, 1) without the modes (0, 1) is empty")):
        Tree((0, 1)).without((0, 1))


def parameters(tensor, tree, eps):
    return tna.HTTensor.from_dense(tensor, eps=eps, tree=tree).n_params


def test_the_best_tree_is_found_among_all():
    """All pairings of four modes: no binary tree takes fewer parameters than the one that is found."""
    for seed in range(4):
        order = [int(mode) for mode in np.random.default_rng(seed).permutation(4)]
        array = tna.TTTensor.random((4, 3, 4, 3), (2, 3, 2), seed=seed).to_dense().transpose(order)
        found = Tree.balanced(4).optimize(array, eps=1e-9)
        trees = [Tree(((a, b), (c, d))) for a, b, c, d in permutations(range(4))]
        trees += [Tree((((a, b), c), d)) for a, b, c, d in permutations(range(4))]
        assert parameters(array, found, 1e-9) == min(parameters(array, tree, 1e-9) for tree in trees)


@pytest.mark.parametrize("ndim", [6, 12])
def test_the_tree_that_made_a_tensor_is_found_again(ndim):
    """Few modes by comparing all trees, many by exchanges; a format is compared on its core, without its entries."""
    made = tna.HTTensor.random((3,) * ndim, 2, seed=0)
    order = [int(mode) for mode in np.random.default_rng(1).permutation(ndim)]
    mixed = made.permute(order)
    found = Tree.balanced(ndim).optimize(mixed, eps=1e-8)
    assert mixed.to_ht(found).round(eps=1e-8).n_params <= made.n_params
    assert mixed.to_ht(Tree.balanced(ndim)).round(eps=1e-8).n_params > made.n_params


def test_a_tree_that_is_best_stays():
    tucker = Tree((0, 1, 2))
    array = np.random.default_rng(0).standard_normal((2, 2, 2))
    assert tucker.optimize(array) is tucker
    assert Tree.balanced(1).optimize(np.ones(3)).nested == 0
    assert Tree.balanced(2).optimize(np.zeros((3, 4))).nested == (0, 1)
    assert Tree.balanced(3).optimize(tna.CPTensor.random((4, 5, 6), 2, seed=0).to_tt(), eps=1e-6).ndim == 3


def test_what_no_tree_can_be_searched_for_says_so():
    with pytest.raises(TreeError, match=re.escape("tree ((0, 1), 2) has 3 modes, but the tensor has 2")):
        Tree.balanced(3).optimize(np.ones((2, 3)))
    long = tna.TTTensor.random((10,) * 12, 4, seed=0)
    with pytest.raises(MemoryLimitError, match=r"too large to compare trees.*to_ht\(tree\).round"):
        Tree.balanced(12).optimize(long)


# --- deep trees ------------------------------------------------------------------------------------------------------


def test_branches_are_tuples_that_compare_print_and_hash_as_such():
    plain = ((0, 1), (2, (3, 4)))
    nested = tna.DimensionTree(plain).nested
    assert nested == plain
    assert plain == nested
    assert (nested != plain) is False
    assert {plain: "found"}[nested] == "found"
    assert (repr(nested), f"{nested}") == (repr(plain), f"{plain}")
    for other in (((0, 1), (2, (4, 3))), ((0, 1), (2, 3, 4)), ((0, 1), 2, 3, 4), (0, 1, 2, 3, 4), 0, None):
        assert nested != other
        assert other != nested


@pytest.mark.parametrize("nested", [0, (0, 1), ((0, 2), (3, 1)), (((1, 0), 12), 3)], ids=str)
def test_a_tree_is_read_from_what_is_printed(nested):
    assert parsed(repr(nested)) == nested


@pytest.mark.parametrize("text", ["", "(0, 1", "0, 1)", "0 1", "(0, x)"])
def test_a_text_that_is_no_tree_is_refused(text):
    with pytest.raises(ValueError, match=r"is no tree of mode numbers in parentheses|invalid literal for int"):
        parsed(text)


def test_a_linear_tree_of_two_thousand_modes(tmp_path, rng):
    """Deeper than Python's recursion goes; its parts are those of a train, core by core."""
    count = 2000
    tree, again = tna.DimensionTree.linear(count), tna.DimensionTree.linear(count)
    assert tree == again
    assert hash(tree) == hash(again)
    tensor = tna.HTTensor.random((2,) * count, 2, tree=tree, seed=0)
    other = tna.HTTensor.random((2,) * count, 2, tree=again, seed=1)
    train = tensor.to_tt()
    assert train.max_rank == 2
    between = np.ones((1, 1))
    for left, right in zip(train.cores, other.to_tt().cores, strict=True):
        between = np.einsum("ab,anc,bnd->cd", between, left, right)
    assert tensor.inner(other) == pytest.approx(between[0, 0], rel=1e-9)
    assert tensor.log_norm() == pytest.approx(train.log_norm(), rel=1e-12)
    points = rng.integers(0, 2, (3, count))
    np.testing.assert_allclose(tensor.gather(points), train.gather(points), rtol=1e-9)
    rounded = (tensor * 2).round(eps=1e-6)
    assert rounded.ranks == (2,) * (len(tree.nodes) - 1) + (1,)
    assert rounded.log_norm() - np.log(2) == pytest.approx(tensor.log_norm(), rel=1e-12)
    assert (tensor - tensor).round().max_rank == 1
    assert repr(tensor).startswith("HTTensor(shape=(2, 2, ")
    assert len(repr(tree)) > 2 * count
    assert tree.show().count("\n") == len(tree.nodes) - 1
    assert len(tree.diagram().nodes) == len(tree.nodes)
    tensor.save(tmp_path / "deep.tna")
    found = tna.load(tmp_path / "deep.tna")
    assert found.tree == tree
    assert found.log_norm() == tensor.log_norm()
    assert tree.without(range(1, count)).nested == 0
    with pytest.raises(TreeError, match=r"\(5, 7\) is no node of the tree .*; its nodes: 3999, from 0 to the root$"):
        tensor.node_rank((5, 7))
