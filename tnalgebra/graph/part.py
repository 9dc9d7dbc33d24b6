"""Nodes in which numbers move and none is computed but by adding up: slices, stacks of them, and changes of shape."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import EquationError, IndexRangeError
from .node import Labels, Node
from .show import show_labels

__all__ = ["Shaped", "Stack", "Take"]


@dataclass(frozen=True, eq=False)
class Take(Node):
    """out[i, …] = child[i, index, …]: one slice along an axis, which is dropped."""

    child: Node
    axis: int
    index: int

    def __post_init__(self) -> None:
        """Refuse an axis that the child does not have."""
        if not 0 <= self.axis < self.child.ndim:
            raise EquationError(
                f"axis {self.axis} is none of the {self.child.ndim} axes of {show_labels(self.child.output)!r}"
            )
        super().__post_init__()

    @property
    def operands(self) -> tuple[Node, ...]:
        """The node that is sliced."""
        return (self.child,)

    @property
    def output(self) -> Labels:  # type: ignore[override]
        """The labels of the other axes."""
        return _without(self.child.output, self.axis)

    def right_side(self, terms: Sequence[str]) -> str:
        """The term at its index."""
        return f"{terms[0]} at {self.child.output[self.axis]} = {self.index}"

    def shape(self, child: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the slice; raises `IndexRangeError` where there is no such slice."""
        if not 0 <= self.index < child[self.axis]:
            raise IndexRangeError(
                f"index {self.index} is outside axis {self.axis} (label {self.child.output[self.axis]!r}), "
                f"which has size {child[self.axis]}"
            )
        return _without(child, self.axis)


@dataclass(frozen=True, eq=False)
class Stack(Node):
    """out[i, places[n], …] = children[n][i, …], and 0 elsewhere, in the shape of another node."""

    children: tuple[Node, ...]
    places: tuple[int, ...]
    like: Node
    axis: int

    def __post_init__(self) -> None:
        """Refuse two slices at one place."""
        if len(set(self.places)) < len(self.places) or len(self.places) != len(self.children):
            raise EquationError(
                f"a stack has one slice a place; got places {self.places} for {len(self.children)} slices"
            )
        super().__post_init__()

    @property
    def operands(self) -> tuple[Node, ...]:
        """The slices, and the node that has the shape."""
        return (*self.children, self.like)

    @property
    def sources(self) -> tuple[Node, ...]:
        """The slices."""
        return self.children

    @property
    def output(self) -> Labels:  # type: ignore[override]
        """The labels of the node that has the shape."""
        return self.like.output

    def rebuilt(self, operands: Sequence[Node]) -> Node:
        """The same stack of other slices."""
        return replace(self, children=tuple(operands[:-1]), like=operands[-1])

    def right_side(self, terms: Sequence[str]) -> str:
        """The terms at their places."""
        placed = ", ".join(f"{term} at {place}" for term, place in zip(terms, self.places, strict=False))
        return f"{placed} along {self.like.output[self.axis]} of {terms[-1]}"


@dataclass(frozen=True, eq=False)
class Shaped(Node):
    """A node in the shape of another: repeated along axes that it lacks, summed along those that the other broadcasts.

    names: labels of the child's axes. labels: those of the axes of `like`; where one stands twice, the value is on the
    diagonal, and 0 elsewhere. It is what a cotangent needs to have the shape of its operand.
    """

    child: Node
    names: Labels
    like: Node
    labels: Labels

    @property
    def operands(self) -> tuple[Node, ...]:
        """The node that is shaped, and the one that has the shape."""
        return (self.child, self.like)

    @property
    def sources(self) -> tuple[Node, ...]:
        """The node that is shaped."""
        return (self.child,)

    @property
    def output(self) -> Labels:  # type: ignore[override]
        """The labels of the node that has the shape."""
        return self.like.output

    def right_side(self, terms: Sequence[str]) -> str:
        """The value, and whose shape it takes."""
        return f"{terms[0]} in the shape of {terms[1]}"


def _without(values: tuple[Any, ...], axis: int) -> tuple[Any, ...]:
    return values[:axis] + values[axis + 1 :]
