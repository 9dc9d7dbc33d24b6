"""Partial derivatives of scalar expressions, as scalar expressions.

A condition has no derivative, and neither have sign and the truth values. Where one of the functions that are operators
has a kink, the operator's own partial says what stands there: ties are split, and 0 stands at 0 and at −∞.
"""

from functools import lru_cache, reduce
from typing import Any

from ..errors import LawError
from .builtin import BUILTIN
from .scalar import COMPARE, as_ufunc, parse
from .schedule import Tree

__all__ = ["derivative", "substituted", "times"]

VALUES = {op.name: op for op in BUILTIN if op.partial is not None and as_ufunc(op.value, ("x", "y")) == op.name}
"""Operators that are functions of the language themselves: maximum, minimum, hypot, logaddexp."""
FLAT = {"sign", "isfinite", "isinf", "isnan", "logical_and", "logical_or", *(name for name, _ in COMPARE.values())}
CHAIN = {
    "abs": "sign(x)",
    "cos": "-sin(x)",
    "exp": "exp(x)",
    "expm1": "exp(x)",
    "log": "1 / x",
    "log1p": "1 / (1 + x)",
    "sin": "cos(x)",
    "sqrt": "0.5 / sqrt(x)",
    "tanh": "1 - tanh(x) ** 2",
}


@lru_cache(maxsize=1024)
def derivative(tree: Tree, variable: str) -> Tree:
    """∂tree/∂variable.

    >>> derivative(("multiply", ("x", ("sin", ("x",)))), "x")
    ('add', (('sin', ('x',)), ('multiply', ('x', ('cos', ('x',))))))
    """
    if not isinstance(tree, tuple):
        return 1 if tree == variable else 0
    head, children = tree
    if head in FLAT:
        return 0
    if head == "where":
        return _where(children[0], *(derivative(child, variable) for child in children[1:]))
    terms = [times(slope, derivative(child, variable)) for slope, child in zip(_slopes(tree), children, strict=True)]
    return reduce(_plus, terms)


def _slopes(tree: Any) -> list[Tree]:
    """The partial derivatives of a function by its arguments."""
    head, children = tree
    if head in CHAIN:
        return [substituted(parse(CHAIN[head], ("x",)), {"x": children[0]})]
    x, y = children
    if head in ("add", "subtract"):
        return [1, 1 if head == "add" else -1]
    if head == "multiply":
        return [y, x]
    if head == "divide":
        return [("divide", (1, y)), ("subtract", (0, ("divide", (tree, y))))]
    if head == "power":
        if isinstance(y, int | float):
            return [times(y, x if y == 2 else ("power", (x, y - 1))), 0]
        return [("multiply", (y, ("power", (x, ("subtract", (y, 1)))))), ("multiply", (tree, ("log", (x,))))]
    if head not in VALUES:
        raise LawError(f"{head} has no derivative; write the expression without it")
    partial = parse(str(VALUES[head].partial), ("x", "y", "t"))
    return [substituted(partial, {"x": a, "y": b, "t": tree}) for a, b in ((x, y), (y, x))]


def substituted(tree: Tree, values: dict[str, Tree]) -> Tree:
    """The expression with others in place of its variables; a part that stands in it twice is one part still."""
    done: dict[int, Tree] = {}

    def visit(node: Any) -> Tree:
        if not isinstance(node, tuple):
            return values.get(node, node) if isinstance(node, str) else node
        if id(node) not in done:
            done[id(node)] = node[0], tuple(map(visit, node[1]))
        return done[id(node)]

    return visit(tree)


def _plus(x: Tree, y: Tree) -> Tree:
    return y if x == 0 else x if y == 0 else ("add", (x, y))


def times(x: Tree, y: Tree) -> Tree:
    """The product, simplified."""
    if x == 0 or y == 0:
        return 0
    return y if x == 1 else x if y == 1 else ("multiply", (x, y))


def _where(condition: Tree, x: Tree, y: Tree) -> Tree:
    return x if x == y and not isinstance(x, tuple) else ("where", (condition, x, y))
