"""Similarity: one function that is narrow as a recurrent network and wide as a shallow one."""

from typing import Any

import numpy as np

from ...formats import DimensionTree
from ...formats.tree import Nested
from ...networks import FeatureMap, HierarchicalNetwork, RecurrentNetwork, ShallowNetwork
from .pairs import Pairs
from .templates import check_kind, check_size, pairs_of

__all__ = ["pairwise_similarity"]


def pairwise_similarity(n: int, d: int, *, kind: str = "recurrent") -> Any:
    """The multiply network that multiplies the inner products of d/2 pairs of vectors.

        l(X) = Π_k ⟨x_k, x_{k+d/2}⟩,    k = 1, …, d/2

    The steps are in the order x₁, x_{1+d/2}, x₂, x_{2+d/2}, …, for every kind: step 2k − 1 is x_k, and step 2k its
    partner. n: the size of the vectors. d: their number, even. kind: recurrent has width n, hierarchical too, on the
    tree that joins partners first; shallow needs the width n^(d/2).
    Raises `ConstructionError` for an odd d, `FormatError` for sizes below 1, `UnknownNameError` for another kind.
    Source: ERNN (12). A bond inside a pair carries the coordinate, a bond between pairs carries nothing. Multiplied
    out, the product has n^(d/2) terms, and fewer are not possible: that is the odd/even rank of the weights.

    >>> import numpy as np, tnalgebra as tna
    >>> x1, x2, x3, x4 = np.array([[1.0, 2.0], [3.0, 1.0], [1.0, 1.0], [0.0, 4.0]])
    >>> tna.theory.pairwise_similarity(2, 4)(np.array([[x1, x3, x2, x4]]))  # ⟨x1, x3⟩ ⟨x2, x4⟩
    array([[12.]])
    """
    check_size(n=n)
    kind, pairs, f = check_kind(kind), pairs_of(d=d), FeatureMap.identity(n)
    found = Pairs(d, n, [(2 * k, 2 * k + 1) for k in range(pairs)])
    if kind == "hierarchical":
        tree = found.tree(DimensionTree(_doubled(DimensionTree.balanced(pairs).nested)))
        return HierarchicalNetwork(f, tree.tree, tree.leaves, tree.transfers)
    train = found.train()
    if kind == "recurrent":
        return RecurrentNetwork(f, np.eye(n)[None], train.cores)
    factors = train.to_cp().factors
    return ShallowNetwork(f, factors, np.ones((n**pairs, 1)))


def _doubled(node: Nested) -> Nested:
    """A tree over pairs as a tree over their modes."""
    return (2 * node, 2 * node + 1) if isinstance(node, int) else tuple(map(_doubled, node))
