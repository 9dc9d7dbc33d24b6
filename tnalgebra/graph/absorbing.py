"""Derivatives in which 0 times anything is 0: what has no part in a value has none in its slope, be it infinite."""

from collections.abc import Sequence
from math import inf
from typing import Any

from ..algebra import Operator, Pointwise
from ..algebra.schedule import Tree
from .node import Contract, Node, postorder

__all__ = ["absorbing"]

PRODUCT = Operator(
    name="absorbing product",
    value="where(logical_or(x == 0, y == 0), 0, x * y)",
    unit=1.0,
    distributes_over=frozenset({"add"}),
    samples=(-inf, -1.0, 0.0, 2.0, inf),
)


def absorbing(value: Node, derivatives: Sequence[Node]) -> list[Node]:
    """The same derivatives with 0 · ∞ = 0 in every node that the value does not have."""
    own, done = set(postorder(value)), dict[Node, Node]()
    for root in derivatives:
        for node in postorder(root):
            if node not in done:
                done[node] = node if node in own else _absorbed(node.rebuilt([done[child] for child in node.operands]))
    return [done[root] for root in derivatives]


def _absorbed(node: Node) -> Node:
    if not isinstance(node, Contract):
        return node
    xi = node.xi
    if isinstance(xi, Pointwise):
        xi = Pointwise(_products(xi.value, {}), xi.variables)
    elif xi.name == "multiply":
        xi = PRODUCT
    return Contract(xi, node.reduce, node.inputs, node.children, node.output)


def _products(tree: Tree, done: dict[int, Tree]) -> Tree:
    """The expression with a product that is 0 where a factor is; a part that stands in it twice is one part still."""
    if not isinstance(tree, tuple):
        return tree
    if id(tree) not in done:
        head, children = tree
        parts: Any = tuple([_products(child, done) for child in children])
        is_zero = ("logical_or", tuple([("equal", (part, 0)) for part in parts]))
        done[id(tree)] = ("where", (is_zero, 0, (head, parts))) if head == "multiply" else (head, parts)
    return done[id(tree)]
