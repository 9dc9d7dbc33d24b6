"""Trains whose ranks separate the formats, and trees that do."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...formats import DimensionTree, HTTensor, TTTensor
from ...formats.parts import normal, share
from ...formats.tree import Nested, modes_of
from .pairs import Pairs
from .templates import check_size, pairs_of

__all__ = [
    "equal_cores_train",
    "maximal_cp_rank_train",
    "maximal_equal_cores_train",
    "train_against_tree",
    "tree_against_train",
]


def maximal_cp_rank_train(d: int, n: int, r: int) -> TTTensor:
    """The train of rank r whose CP rank is q^(d/2), with q = min(n, r).

        W[i₁ … i_d] = δ_{i₁i₂} δ_{i₃i₄} ⋯ δ_{i_{d−1}i_d} for indices up to q, else 0

    d: modes, an even number. n: the size of each. Its TT ranks are (r, 1, r, …, 1, r) as stored.
    Raises `ConstructionError` for an odd d, `FormatError` for sizes below 1.
    Source: ERNN Theorem 1. The cores are Kronecker deltas. Odd against even modes, W is an identity matrix of size
    q^(d/2), and the CP rank is at least that. As one train has this rank, almost every train of rank r has it or more.

    >>> import tnalgebra as tna
    >>> tna.matricization_rank(tna.theory.maximal_cp_rank_train(6, 3, 2), [0, 2, 4]).rank
    8
    """
    check_size(n=n, r=r)
    return Pairs(d, n, [(2 * k, 2 * k + 1) for k in range(pairs_of(d=d))], r).train()


def equal_cores_train(d: int, n: int, r: int, *, seed: Any = None, dtype: Any = "float64") -> TTTensor:
    """A random train whose cores between the first and the last are one and the same.

        W[i₁ … i_d] = G¹[i₁] G[i₂] ⋯ G[i_{d−1}] G^d[i_d]

    d: modes, 2 or more. n: the size of each. r: the rank of every bond. The entries of the three cores are normal.
    Raises `FormatError` for sizes that are too small.
    Source: ERNN Hypothesis 1: for even d its odd/even rank is at least min(n, r)^(d/2) for almost every draw. The paper
    has numerical evidence; `maximal_equal_cores_train` is a proof.

    >>> import tnalgebra as tna
    >>> train = tna.theory.equal_cores_train(5, 3, 2, seed=0)
    >>> train.ranks, bool((train.cores[1] == train.cores[3]).all())
    ((1, 2, 2, 2, 2, 1), True)
    """
    check_size(2, d=d)
    check_size(n=n, r=r)
    first, between, last = normal([(1, n, r), (r, n, r), (r, n, 1)], share((r,) * (d - 1), d), seed, dtype)
    return TTTensor((first, *(between,) * (d - 2), last))


def maximal_equal_cores_train(d: int, n: int, r: int) -> TTTensor:
    """The train with equal cores whose CP rank is q^(d/2) or more, with q = min(n, r).

        G¹[i, s] = G^d[s, i] = δ_{is},    G[0, i, s] = δ_{is},    G[s, i, 0] = δ_{is} for s > 0,    all else 0

    d: modes, an even number. n: the size of each. r: the rank of every bond.
    Raises `ConstructionError` for an odd d, `FormatError` for sizes below 1.
    Source: a proof of ERNN Hypothesis 1, for which the paper looked for such a train. It reads indices one after the
    other: in state 0 it goes to the state i that it reads, and back to 0 if it reads i again. An entry is 1 where that
    never fails, and 0 elsewhere. Where all pairs i₁i₂, i₃i₄, … are equal it does not. Otherwise the state before the
    first unequal pair is 0, and that pair must be (0, a) with a > 0: the row (i₁, i₃, …) comes before the column
    (i₂, i₄, …) in lexicographic order. So the odd/even matricization has ones on its diagonal and nothing below it,
    and its determinant is 1. As one train with equal cores has this rank, almost every one has it or more.

    >>> import tnalgebra as tna
    >>> tna.matricization_rank(tna.theory.maximal_equal_cores_train(6, 3, 3), [0, 2, 4]).rank
    27
    """
    pairs_of(d=d)
    check_size(n=n, r=r)
    end, between, others = np.eye(n, r), np.zeros((r, n, r)), range(1, min(n, r))
    between[0], between[others, others, 0] = end, 1
    return TTTensor((end[None], *(between,) * (d - 2), end.T[:, :, None]))


def train_against_tree(d: int, r: int) -> TTTensor:
    """The train of rank r that has rank r² on the balanced tree.

        W[i₁ … i_d] = δ_{i_a i_b} δ_{i_c i_e}:    rank_TT ≤ r,    rank_HT = r²

    d: modes, 6 or more, of size r. a, b, c, e are neighbours, and the tree joins b and c first: their node is cut off
    from a and from e.
    Raises `FormatError` for less than 6 modes: no such node is there.
    Source: ERNN Theorem 2, first bound. Two bonds of the train cut off a node of the tree, and each carries r numbers.

    >>> import tnalgebra as tna
    >>> train = tna.theory.train_against_tree(8, 3)
    >>> train.max_rank, tna.matricization_rank(train, [2, 3]).rank
    (3, 9)
    """
    check_size(6, d=d)
    check_size(r=r)
    inner = (modes_of(branch) for branch in DimensionTree.balanced(d).inner)
    left, right = next(modes for modes in inner if len(modes) == 2 and modes[0] > 0 and modes[1] < d - 1)
    return Pairs(d, r, [(left - 1, left), (right, right + 1)]).train()


def tree_against_train(d: int, r: int) -> HTTensor:
    """The tensor of rank r on the balanced tree with the largest TT rank that such a tensor can have.

        rank_HT ≤ r,    rank_TT = r^p,    p = log₂(d)/2 rounded up, for d a power of 2

    d: modes, 2 or more, of size r. p is the least number of whole subtrees that make up one side of a bond.
    Raises `FormatError` for sizes that are too small.
    Source: ERNN Theorem 2, second bound; erratum: the paper does not round up. A bond of the train cuts edges of the
    tree, in turn on its left and on its right; an index on the left agrees with one on the right for each.

    >>> import tnalgebra as tna
    >>> tree = tna.theory.tree_against_train(8, 3)
    >>> tree.max_rank, max(tna.matricization_rank(tree, range(bond)).rank for bond in range(1, 8))
    (3, 9)
    """
    check_size(2, d=d)
    check_size(r=r)
    tree = DimensionTree.balanced(d)
    return Pairs(d, r, max((_matched(tree.nested, bond) for bond in range(1, d)), key=len)).tree(tree)


def _matched(root: Nested, bond: int) -> list[tuple[int, int]]:
    """Pairs of modes across a bond such that every node is cut off from at most one partner."""
    pairs, waiting = list[tuple[int, int]](), None
    for mode in _pieces(root, bond):
        if waiting is None:
            waiting = mode
        elif (waiting < bond) != (mode < bond):
            pairs, waiting = [*pairs, (waiting, mode)], None
    return pairs


def _pieces(node: Nested, bond: int) -> Iterator[int]:
    """The first mode of every largest subtree on one side of the bond, from the inside out."""
    modes = modes_of(node)
    if modes[-1] < bond or modes[0] >= bond:
        yield modes[0]
        return
    assert isinstance(node, tuple)
    crossing = [child for child in node if modes_of(child)[0] < bond <= modes_of(child)[-1]]
    for child in [*crossing, *(child for child in node if child not in crossing)]:
        yield from _pieces(child, bond)
