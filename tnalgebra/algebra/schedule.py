"""Scalar expressions as calls in order: what several of them share is computed once."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Schedule", "Tree", "schedule"]

Tree = tuple[str, tuple[Any, ...]] | str | int | float
"""A variable, a constant, or a function with its arguments."""


SYMMETRIC = ("maximum", "minimum")
"""Functions of two operands that are often wanted of the same two in both orders: of (x, y) and of (y, x)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Calls of functions on places: the variables, the constants, then one place a call.

    calls: the function, the places of its arguments, and the places of calls that nothing reads later.
    ends: the places of the values.
    """

    constants: tuple[int | float, ...]
    calls: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    ends: tuple[int, ...]

    @property
    def temporaries(self) -> int:
        """How many values are held at once."""
        held = most = 0
        for head, _, done in self.calls:
            held += 1
            most, held = max(most, held + (head == "where")), held - len(done)
        return most


def schedule(trees: tuple[Tree, ...], variables: tuple[str, ...]) -> Schedule:
    """The calls that compute these expressions."""
    constants: dict[tuple[str, int | float], int] = {}
    known: dict[tuple[str, tuple[Any, ...]], int] = {}
    seen: dict[int, Any] = {}

    def visit(node: Tree) -> Any:
        """The number of a call, the name of a variable, or a constant as it is written, which tells 0 from −0."""
        if isinstance(node, str):
            return node
        if not isinstance(node, tuple):
            constants.setdefault((repr(node), node), len(constants))
            return repr(node), node
        if id(node) not in seen:
            children = map(visit, node[1])
            key = node[0], tuple(sorted(children, key=repr) if node[0] in SYMMETRIC else children)
            seen[id(node)] = known.setdefault(key, len(known))
        return seen[id(node)]

    def place(found: Any) -> int:
        if isinstance(found, str):
            return variables.index(found)
        if isinstance(found, tuple):
            return len(variables) + constants[found]
        return len(variables) + len(constants) + int(found)

    roots = [visit(tree) for tree in trees]
    calls = [(head, tuple(map(place, args))) for head, args in known]
    last = {argument: number for number, (_, args) in enumerate(calls) for argument in args}
    first, ends = len(variables) + len(constants), tuple(map(place, roots))
    steps = tuple(
        (head, args, tuple(p for p in dict.fromkeys(args) if p >= first and p not in ends and last[p] == number))
        for number, (head, args) in enumerate(calls)
    )
    return Schedule(tuple(value for _, value in constants), steps, ends)
