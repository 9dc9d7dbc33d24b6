"""Trees in characters."""

from collections.abc import Callable, Iterable
from typing import TypeVar

__all__ = ["outline"]

T = TypeVar("T")


def outline(root: T, children: Callable[[T], Iterable[T]], text: Callable[[T], str]) -> str:
    """One line a node, with lines that lead to it from its parent; deep trees need no deep recursion.

    >>> print(outline(((0, 1), 2), lambda node: node if isinstance(node, tuple) else (), str))
    ((0, 1), 2)
    ├─ (0, 1)
    │  ├─ 0
    │  └─ 1
    └─ 2
    """
    lines, stack = list[str](), [(root, "", "")]
    while stack:
        node, first, rest = stack.pop()
        lines.append(first + text(node))
        below = [(child, rest + "├─ ", rest + "│  ") for child in children(node)]
        if below:
            below[-1] = (below[-1][0], rest + "└─ ", rest + "   ")
        stack.extend(reversed(below))
    return "\n".join(lines)
