"""Pairs of modes: tensors that are 1 where the two indices of every pair agree, in the formats."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...formats import DimensionTree, HTTensor, TTTensor
from ...formats.tree import modes_of

__all__ = ["Pairs"]

Array = Any


class Pairs:
    """W[i₁ … i_d] = Π over the pairs (a, b) of δ_{i_a i_b}; other modes do not matter.

    A matricization has the rank n^(pairs that it cuts). pairs: disjoint, and such that no bond and no node that is
    asked for cuts two of them. n: the size of every mode. r: the size of a cut bond, n if not given; indices beyond
    agree with none.
    """

    def __init__(self, d: int, n: int, pairs: Sequence[tuple[int, int]], r: int | None = None) -> None:
        self.d, self.n, self.r = d, n, n if r is None else r
        self.partner = {a: b for pair in pairs for a, b in (pair, pair[::-1])}

    def train(self) -> TTTensor:
        """A bond carries the index of the pair that it cuts."""
        cores, open_mode = [], None
        for mode in range(self.d):
            if mode not in self.partner:
                core = np.eye(self.r if open_mode is not None else 1)[:, None, :].repeat(self.n, axis=1)
            elif open_mode is None:
                core, open_mode = np.eye(self.n, self.r)[None], mode
            else:
                core, open_mode = np.eye(self.r, self.n)[:, :, None], None
            cores.append(core)
        return TTTensor(tuple(cores))

    def tree(self, tree: DimensionTree) -> HTTensor:
        """A node carries the index of the pair that it cuts; binary trees only."""
        leaves = [np.eye(self.n) if mode in self.partner else np.ones((self.n, 1)) for mode in range(self.d)]
        return HTTensor(tree, tuple(leaves), tuple(self._transfer(branch) for branch in tree.inner))

    def _transfer(self, branch: Any) -> Array:
        left, right = (self._cut(child) for child in branch)
        eye = np.eye(self.n)
        if left and right:
            return eye[:, :, None]
        if left:
            return eye[:, None, :]
        return eye[None] if right else np.ones((1, 1, 1))

    def _cut(self, node: Any) -> bool:
        modes = modes_of(node)
        return any(self.partner.get(mode, mode) not in modes for mode in modes)
