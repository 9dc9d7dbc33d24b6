"""Dimension trees: which modes a hierarchical Tucker tensor joins, and in which order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ..canvas import Diagram, Diagrammed, outline
from ..errors import TreeError
from .branch import Branch, Nested, folded, modes_of, parsed, postorder, renumbered
from .later import later

__all__ = ["DimensionTree", "Nested", "as_tree", "climbed", "modes_of", "renumbered"]


T = TypeVar("T")
SHOWN = 100
"""Nodes that a message lists."""


@dataclass(frozen=True, slots=True)
class DimensionTree(Diagrammed):
    """A tree whose leaves are the modes 0, …, d−1, each once; a branch has two children or more.

    A node is written as what it joins: the mode number for a leaf, the tuple of its children for a branch.
    A tree of depth one is Tucker, a linear one (a caterpillar) has the ranks of a tensor train.

    Raises `TreeError` where a mode is missing or stands twice, or a branch has one child.

    >>> import tnalgebra as tna
    >>> tree = tna.DimensionTree.from_nested(((0, 1), (2, 3)))
    >>> tree == tna.DimensionTree.balanced(4)
    True
    """

    nested: Nested
    nodes: tuple[Nested, ...] = field(init=False, repr=False, compare=False)
    """Every node, children before parents; the root is the last."""
    inner: tuple[tuple[Nested, ...], ...] = field(init=False, repr=False, compare=False)
    """The branches, children before parents: the order of an `HTTensor`'s transfers."""

    _places: dict[Nested, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check that the leaves are 0, …, d−1."""
        nested = _frozen(self.nested)
        nodes = tuple(postorder(nested))
        inner = tuple(node for node in nodes if isinstance(node, tuple))
        places = {node: place for place, node in enumerate(nodes)}
        for name, value in (("nested", nested), ("nodes", nodes), ("inner", inner), ("_places", places)):
            object.__setattr__(self, name, value)
        modes = modes_of(nested)
        if sorted(modes) != list(range(len(modes))):
            raise TreeError(
                f"tree {self.nested} covers the modes {sorted(modes)}; it must cover 0, …, {len(modes) - 1} once each"
            )
        for branch in self.inner:
            if len(branch) < 2:
                raise TreeError(
                    f"branch {branch} of tree {self.nested} has {len(branch)} child; a branch joins two or more"
                )

    def __reduce__(self) -> Any:
        """Pickle and copy by what is printed: Python would take nodes in nodes by recursion, a level a call."""
        return _printed, (repr(self.nested),)

    @classmethod
    def from_nested(cls, nested: Any) -> "DimensionTree":
        """Return the tree written as nested tuples (or lists) of mode numbers."""
        return cls(nested)

    @classmethod
    def balanced(cls, ndim: int) -> "DimensionTree":
        """Split the modes in halves, the first half never the smaller one."""
        return cls(_halves(0, _order(ndim)))

    @classmethod
    def linear(cls, ndim: int) -> "DimensionTree":
        """Join one mode after the other: ((((0, 1), 2), 3), …)."""
        nested: Nested = 0
        for mode in range(1, _order(ndim)):
            nested = Branch((nested, mode))
        return cls(nested)

    @classmethod
    def random(cls, ndim: int, *, seed: Any = None) -> "DimensionTree":
        """Join two nodes drawn at random until one is left; every order of joining is equally likely.

        >>> DimensionTree.random(6, seed=0).ndim
        6
        """
        rng, nodes = np.random.default_rng(seed), list[Nested](range(_order(ndim)))
        while len(nodes) > 1:
            first, second = sorted(rng.choice(len(nodes), 2, replace=False))
            nodes.append(Branch((nodes[first], nodes[second])))
            del nodes[second], nodes[first]
        return cls(nodes[0])

    def optimize(self, tensor: Any, *, eps: float | None = None, seed: Any = 0, trials: int = 200) -> "DimensionTree":
        """A tree on which a tensor takes fewer parameters at relative error eps than on this one, or this one.

        A node's rank is that of the matricization of its modes, whatever the tree is. Up to 10 modes all binary trees
        are compared, by dynamic programming over sets of modes; beyond, subtrees change places as long as that helps.
        tensor: an array, or a format whose Tucker core is small. trials: of changes that may fail one after the other.
        Raises `TreeError` for another number of modes, `MemoryLimitError` for a core that is too large.

        >>> import numpy as np
        >>> pairs = np.einsum("ik,jl->ijkl", np.eye(3), np.eye(3))
        >>> DimensionTree.balanced(4).optimize(pairs).nested
        ((0, 2), (1, 3))
        """
        found: DimensionTree = later("optimize", DimensionTree)(self, tensor, eps=eps, seed=seed, trials=trials)
        return found

    def node(self, given: Any) -> Nested:
        """A node of the tree, given by its mode or by the tuple of its children; raises `TreeError` with all nodes."""
        found = _frozen(given)
        if found not in self._places:
            nodes = self.nodes if len(self.nodes) <= SHOWN else f"{len(self.nodes)}, from {self.nodes[0]} to the root"
            raise TreeError(f"{given!r} is no node of the tree {self.nested}; its nodes: {nodes}")
        return self.nodes[self._places[found]]

    def diagram(self) -> Diagram:
        """The picture of the tree as a value."""
        from .picture import tree_diagram

        return tree_diagram(self)

    @property
    def ndim(self) -> int:
        """Number of modes."""
        return len(self.nodes) - len(self.inner)

    def without(self, modes: Sequence[int]) -> "DimensionTree":
        """The tree without some modes, the rest numbered anew; a branch with one child left becomes that child.

        >>> DimensionTree.balanced(4).without((1, 2)).nested
        (0, 1)
        """
        rest = [mode for mode in range(self.ndim) if mode not in modes]
        if len(rest) + len(set(modes)) != self.ndim:
            raise TreeError(f"tree {self.nested} has the modes 0, …, {self.ndim - 1}; got {tuple(modes)}")
        if not rest:
            raise TreeError(f"tree {self.nested} without the modes {tuple(modes)} is empty")
        pruned: Any = folded(self.nested, lambda mode: None if mode in modes else mode, _joined)
        return DimensionTree(renumbered(pruned, {old: new for new, old in enumerate(rest)}))

    def show(self) -> str:
        """Draw the tree with lines.

        >>> print(DimensionTree.balanced(3).show())
        0 1 2
        ├─ 0 1
        │  ├─ 0
        │  └─ 1
        └─ 2
        """
        return outline(self.nested, _children, climbed(self, str, " ".join).__getitem__)


def climbed(tree: DimensionTree, leaf: Callable[[int], T], join: Callable[[list[T]], T]) -> dict[Nested, T]:
    """A value of every node, from those of the leaves and what a branch makes of the values of its children."""
    found: dict[Nested, T] = {}
    for node in tree.nodes:
        found[node] = leaf(node) if isinstance(node, int) else join([found[child] for child in node])
    return found


def as_tree(tree: Any, ndim: int) -> DimensionTree:
    """Return a tree over `ndim` modes from a tree, nested tuples, or None for the balanced one."""
    if tree is None:
        return DimensionTree.balanced(ndim)
    if isinstance(tree, int | np.integer) and ndim > 1:
        raise TreeError(f"a tree over {ndim} modes is needed; got the number {tree}")
    found = tree if isinstance(tree, DimensionTree) else DimensionTree(tree)
    if found.ndim != ndim:
        raise TreeError(f"tree {found.nested} has {found.ndim} modes, but the tensor has {ndim}")
    return found


def _order(ndim: int) -> int:
    if not isinstance(ndim, int | np.integer) or isinstance(ndim, bool) or ndim < 1:
        raise TreeError(f"a tree needs a positive number of modes; got {ndim!r}")
    return int(ndim)


def _printed(text: str) -> DimensionTree:
    return DimensionTree(parsed(text))


def _frozen(nested: Any) -> Nested:
    return nested if isinstance(nested, Branch) else folded(nested, _mode, Branch)


def _mode(given: Any) -> int:
    if isinstance(given, bool) or not hasattr(given, "__index__"):
        raise TreeError(
            f"a tree is written with mode numbers in nested tuples, such as ((0, 1), (2, 3)); got {given!r}"
        )
    return int(given.__index__())


def _joined(children: Sequence[Any]) -> Any:
    """The branch of those that are left, the only one, or none."""
    rest = [child for child in children if child is not None]
    return Branch(rest) if len(rest) > 1 else rest[0] if rest else None


def _halves(start: int, stop: int) -> Nested:
    if stop - start == 1:
        return start
    middle = start + (stop - start + 1) // 2
    return Branch((_halves(start, middle), _halves(middle, stop)))


def _children(node: Nested) -> tuple[Nested, ...]:
    return node if isinstance(node, tuple) else ()
