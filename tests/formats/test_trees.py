"""Dimension trees: at random, without some modes, searched for, and drawn."""

import re
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tnalgebra.errors import MemoryLimitError, TreeError
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
