"""Nodes of dimension trees: mode numbers, and tuples of children, in loops that no depth of a tree stops."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

__all__ = ["Branch", "Nested", "folded", "modes_of", "parsed", "postorder", "renumbered"]

T = TypeVar("T")
Nested = int | tuple["Nested", ...]
"""A leaf is a mode number; a branch is the tuple of its children."""


class Branch(tuple[Any, ...]):
    """The tuple of the children of a branch: Python compares and prints plain ones by recursion, a level a call."""

    __slots__ = ()
    __hash__ = tuple.__hash__

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, tuple) or (isinstance(other, Branch) and hash(self) != hash(other)):
            return False
        return _code(self) == _code(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __reduce__(self) -> Any:
        return parsed, (repr(self),)

    def __repr__(self) -> str:
        return folded(self, repr, lambda parts: f"({', '.join(parts)}{',' * (len(parts) == 1)})")


def postorder(root: Any) -> list[Any]:
    """Every node, children before parents."""
    found, rest = [], [root]
    while rest:
        found.append(node := rest.pop())
        if isinstance(node, tuple | list):
            rest.extend(node)
    return found[::-1]


def folded(root: Any, leaf: Callable[[Any], T], join: Callable[[Sequence[T]], T]) -> T:
    """A value of the root, from those of the leaves and what a branch makes of the values of its children."""
    values = list[T]()
    for node in postorder(root):
        if isinstance(node, tuple | list):
            start = len(values) - len(node)
            values[start:] = [join(values[start:])]
        else:
            values.append(leaf(node))
    return values[0]


def modes_of(node: Nested) -> tuple[int, ...]:
    """Modes under a node, left to right."""
    return (node,) if isinstance(node, int) else tuple(part for part in postorder(node) if isinstance(part, int))


def renumbered(node: Nested, number: Mapping[int, int]) -> Nested:
    """The node with other mode numbers."""
    found: Nested = folded(node, number.__getitem__, Branch)
    return found


def parsed(text: str) -> Nested:
    """The node that is printed so; raises `ValueError` for a text that is none."""
    values, starts = list[Any](), list[int]()
    for word in _words(text):
        if word == "(":
            starts.append(len(values))
        elif word == ")" and starts:
            start = starts.pop()
            values[start:] = [Branch(values[start:])]
        else:
            values.append(int(word))
    if starts or len(values) != 1:
        raise ValueError(f"{text[:80]!r} is no tree of mode numbers in parentheses")
    return values[0]  # type: ignore[no-any-return]


def _words(text: str) -> Iterable[str]:
    return text.replace("(", " ( ").replace(")", " ) ").replace(",", " ").split()


def _code(root: Any) -> list[Any]:
    """Leaves, and for a branch how many nodes it joins: no two trees have the same."""
    return [("branch", len(node)) if isinstance(node, tuple) else node for node in postorder(root)]
