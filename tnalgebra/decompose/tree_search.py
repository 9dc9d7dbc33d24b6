"""Dimension trees on which a tensor takes few parameters."""

from collections.abc import Iterator
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from ..errors import MemoryLimitError
from ..execute.namespace import as_array, to_device
from ..formats import DimensionTree, Format
from ..formats.later import implements
from ..formats.parts import check_eps
from ..formats.tree import Nested, as_tree, modes_of
from .basis import leading
from .cp_fit import at_norm_one
from .cp_search import short_core
from .dense import prepare

__all__ = ["tree_optimize"]

Array = Any
ALL_TREES = 10
"""Modes up to which all binary trees are compared; beyond, subtrees change places."""
CORE = 1 << 24
"""Entries of a Tucker core up to which its matricizations are decomposed."""


@implements("optimize", DimensionTree)
def tree_optimize(tree: DimensionTree, tensor: Any, *, eps: float | None, seed: Any, trials: int) -> DimensionTree:
    """The best binary tree for few modes, the end of a search for many, or the tree itself where neither is better."""
    sizes = _Sizes(tensor, check_eps(eps))
    as_tree(tree, len(sizes.shape))
    if tree.ndim <= ALL_TREES:
        found = sizes.best_binary()
    else:
        found = _climbed(tree.nested, sizes, np.random.default_rng(seed), trials)
    return DimensionTree(found) if sizes.of(found) < sizes.of(tree.nested) else tree


class _Sizes:
    """Parameters of trees for one tensor: the rank of each set of modes is computed once."""

    def __init__(self, tensor: Any, eps: float | None) -> None:
        if isinstance(tensor, Format):
            self.shape = tensor.shape
            core, _, kept = short_core(at_norm_one(tensor.to_device("cpu"))[0])
        else:
            array = to_device(as_array(tensor), "cpu")
            self.shape = array.shape
            dense = prepare(array, "optimize")
            core, _, kept = short_core(dense.array / (dense.norm or 1.0))
        if isinstance(core, Format) or core.size > CORE:
            raise MemoryLimitError(
                f"the Tucker core has the shape {tuple(core.shape)}, too large to compare trees by its matricizations; "
                "to_ht(tree).round(eps=…) says what one tree takes"
            )
        dense = prepare(core)
        cuts = max(1, 2 * len(self.shape) - 3)
        self.core, self.kept, self.total = dense.array, kept, dense.norm**2
        self.allowed = (dense.rounding**2 if eps is None else eps**2 / cuts) * self.total
        self._ranks: dict[frozenset[int], int] = {}

    def rank(self, modes: frozenset[int]) -> int:
        """Rank of the matricization with these modes as rows, at an equal share of the squared error."""
        inside = frozenset(axis for axis, mode in enumerate(self.kept) if mode in modes)
        others = frozenset(range(self.core.ndim)) - inside
        key = min(inside, others, key=lambda side: (prod(self.core.shape[m] for m in side), sorted(side)))
        if not key:
            return 1
        if key not in self._ranks:
            rows, columns = sorted(key), sorted(frozenset(range(self.core.ndim)) - key)
            matrix = self.core.transpose([*rows, *columns]).reshape(prod(self.core.shape[m] for m in rows), -1)
            basis, _ = leading(matrix, self.allowed, None, self.total, None, np)
            self._ranks[key] = basis.shape[1]
        return self._ranks[key]

    def of_branch(self, children: tuple[frozenset[int], ...]) -> int:
        """Entries of the transfer that joins these sets of modes."""
        return prod(map(self.rank, children)) * self.rank(frozenset[int]().union(*children))

    def of(self, node: Nested) -> int:
        """Parameters of a tree, or of a part of it."""
        if isinstance(node, int):
            return int(self.shape[node]) * self.rank(frozenset((node,)))
        return self.of_branch(tuple(frozenset(modes_of(child)) for child in node)) + sum(map(self.of, node))

    def best_binary(self) -> Nested:
        """The binary tree with the fewest parameters: the best tree of a set of modes splits it in two best trees."""
        best: dict[frozenset[int], tuple[int, Nested]] = {
            frozenset((mode,)): (self.of(mode), mode) for mode in range(len(self.shape))
        }
        for count in range(2, len(self.shape) + 1):
            for modes in combinations(range(len(self.shape)), count):
                whole, options = frozenset(modes), list[tuple[int, list[int]]]()
                for left in _halves(modes):
                    cost = best[left][0] + best[whole - left][0] + self.of_branch((left, whole - left))
                    options.append((cost, sorted(left)))
                cost, chosen = min(options)
                left = frozenset(chosen)
                best[whole] = cost, (best[left][1], best[whole - left][1])
        return best[frozenset(range(len(self.shape)))][1]


def _halves(modes: tuple[int, ...]) -> Iterator[frozenset[int]]:
    """Every way to split a set in two, the part with its first mode."""
    first, *rest = modes
    for count in range(len(rest)):
        for chosen in combinations(rest, count):
            yield frozenset((first, *chosen))


def _climbed(tree: Nested, sizes: _Sizes, rng: Any, trials: int) -> Nested:
    """Let two nodes of which neither is above the other change places, as long as one of `trials` changes helps."""
    failures, cost = 0, sizes.of(tree)
    while failures < trials:
        nodes = DimensionTree(tree).nodes[:-1]
        first, second = (nodes[i] for i in rng.choice(len(nodes), 2, replace=False))
        if set(modes_of(first)) & set(modes_of(second)):
            failures += 1
            continue
        changed = _swapped(tree, first, second)
        new = sizes.of(changed)
        tree, cost, failures = (changed, new, 0) if new < cost else (tree, cost, failures + 1)
    return tree


def _swapped(node: Nested, first: Nested, second: Nested) -> Nested:
    if node == first:
        return second
    if node == second:
        return first
    return node if isinstance(node, int) else tuple(_swapped(child, first, second) for child in node)
