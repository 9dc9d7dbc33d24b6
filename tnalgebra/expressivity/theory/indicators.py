"""Indicators: sums of one-hot tensors as networks whose ξ is a maximum."""

from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np

from ...algebra import Operator
from ...errors import ConstructionError
from ...formats import DimensionTree
from ...formats.tree import modes_of
from ...networks import HierarchicalNetwork, RecurrentNetwork, ShallowNetwork
from .templates import feature_map_of, realised

__all__ = ["Indicators"]

Array = Any


@dataclass(frozen=True, slots=True, eq=False)
class Indicators:
    """The grid tensor c + Σ_n δ_n ε^{j_n}, which is (c + Σ δ_n) − Σ δ_n N^{j_n} with N^j = 1 − ε^j.

    N^j[i₁ … i_T] = max over t of [i_t ≠ j_t]: one term of a network. It is made from rows that are 0 at one index.
    entries: j_n, of shape (n, T), each once. values: δ_n. constant: c.
    """

    entries: Array
    values: Array
    constant: float

    @property
    def total(self) -> float:
        """The weight c + Σ δ_n of the term that is 1 everywhere."""
        return fsum([self.constant, *self.values])

    def shallow(self, F: Array, xi: Operator) -> ShallowNetwork:
        """One term an entry, and one that is 1 everywhere."""
        count, steps = self.entries.shape
        factors = []
        for t in range(steps):
            ones = np.ones((len(F), count + 1))
            ones[self.entries[:, t], np.arange(count)] = 0
            factors.append(realised(F, ones))
        weights = np.append(-self.values, self.total)[:, None]
        return ShallowNetwork(feature_map_of(F), np.stack(factors), weights.astype(F.dtype), xi)

    def recurrent(self, F: Array, xi: Operator) -> RecurrentNetwork:
        """One state a prefix of the entries: the last step reads the sum off the prefixes of T − 1 steps."""
        size, (count, steps) = len(F), self.entries.shape
        rows = realised(F, np.hstack([1 - np.eye(size), np.ones((size, 1))])).T
        cores, state, rank = [], np.zeros(count, int), 1
        for t in range(steps - 1):
            following, new = _numbered(self.entries[:, : t + 1])
            core = np.zeros((rank, size + 1, max(1, new)), F.dtype)
            core[state, self.entries[:, t], following] = 1
            cores.append(core)
            state, rank = following, max(1, new)
        last = np.zeros((rank, size + 1, 1), F.dtype)
        last[state, self.entries[:, -1], 0] = -self.values
        last[0, size, 0] = self.total
        return RecurrentNetwork(feature_map_of(F), rows[None], (*cores, last), xi)

    def hierarchical(self, F: Array, xi: Operator) -> HierarchicalNetwork:
        """One state a restriction of the entries to the steps of a node, and the state 0, which is 1 everywhere."""
        size, (_, steps) = len(F), self.entries.shape
        tree = DimensionTree.balanced(steps)
        if steps == 1:
            return HierarchicalNetwork(feature_map_of(F), tree, (self._single(F, xi),), (), xi)
        states: dict[Any, Array] = {}
        ranks, leaves, transfers = dict[Any, int](), [], []
        for node in tree.nodes:
            states[node], count = _numbered(self.entries[:, modes_of(node)])
            states[node] += 1
            ranks[node] = count + 1
            if isinstance(node, int):
                frame = np.ones((size, count + 1))
                frame[self.entries[:, node], states[node]] = 0
                leaves.append((node, realised(F, frame)))
                continue
            is_root = node == tree.nested
            transfer = np.zeros((*(ranks[child] for child in node), 1 if is_root else count + 1), F.dtype)
            spot = tuple(states[child] for child in node)
            transfer[(*spot, 0 if is_root else states[node])] = -self.values if is_root else 1
            transfer[(0,) * (len(node) + 1)] = self.total if is_root else 1
            transfers.append(transfer)
        frames = tuple(frame for _, frame in sorted(leaves, key=lambda pair: pair[0]))
        return HierarchicalNetwork(feature_map_of(F), tree, frames, tuple(transfers), xi)

    def _single(self, F: Array, xi: Operator) -> Array:
        """The leaf of a tree of one step, which has no weights after ξ."""
        grid = np.full((len(F), 1), self.constant)
        grid[self.entries[:, 0], 0] += self.values
        if not xi.unit_is_strict and grid.min() < 0:
            raise ConstructionError(
                f"a tree of one step gives ξ(z, u) ≥ 0 for ξ = {xi}, but an entry is {grid.min():.3g}; "
                "a shallow or a recurrent network has weights after ξ"
            )
        return realised(F, grid)


def _numbered(rows: Array) -> tuple[Array, int]:
    """The number of every row among the distinct ones, and how many these are."""
    distinct, number = np.unique(rows, axis=0, return_inverse=True)
    return number.reshape(-1), len(distinct)
