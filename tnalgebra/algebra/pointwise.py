"""A function of several numbers in place of ξ: what derivatives are made of."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from .operator import Operator
from .scalar import BINARY, cast, compiled
from .schedule import Tree, schedule

__all__ = ["Pointwise", "shown"]

Array = Any
SYMBOLS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "less": "<", "less_equal": "<=",
           "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!="}  # fmt: skip
COMPLEX = {*(name for name, _ in BINARY.values()), "cos", "exp", "sin", "tanh"}
"""Functions that are holomorphic: their derivatives hold for complex numbers."""


@dataclass(frozen=True, slots=True)
class Pointwise:
    """f(x0, x1, …), a scalar expression of one variable an operand. It has no laws, so nothing moves through it.

    value: the tree of the expression. share_of: the ⊕ where it is a cotangent times the share of one of its terms.
    """

    value: Tree
    variables: tuple[str, ...]
    share_of: Operator | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The expression as text."""
        return shown(self.value)

    def shown(self, terms: Sequence[str]) -> str:
        """The expression as text with these in place of its variables."""
        places = dict(zip(self.variables, terms, strict=True))
        return re.sub(r"\bx\d+\b", lambda found: places[found[0]], self.name)

    @property
    def is_complex(self) -> bool:
        """Whether complex numbers may be put in."""
        return all(head in COMPLEX for head, _, _ in schedule((self.value,), self.variables).calls)

    @property
    def is_floating(self) -> bool:
        """Whether f of integers is a fraction; derivatives are."""
        return True

    def function(self, xp: ModuleType) -> Callable[..., Array]:
        """Return f as a function of broadcastable arrays of the namespace `xp`; the value has their shape and dtype."""
        scalar = compiled(self.value, self.variables, xp)

        def evaluate(*arrays: Array) -> Array:
            with np.errstate(all="ignore"):  # `where` evaluates the branch that it does not take
                value = xp.asarray(scalar(*arrays))
            shape = np.broadcast_shapes(*(array.shape for array in arrays))
            return xp.broadcast_to(cast(value, xp.result_type(*arrays), xp), shape)

        return evaluate

    def apply(self, *arrays: Array) -> Array:
        """The value elementwise, with broadcasting, on NumPy arrays."""
        return self.function(np)(*arrays)


def shown(tree: Tree) -> str:
    """The text of an expression."""
    if not isinstance(tree, tuple):
        return str(tree)
    head, children = tree
    if head not in SYMBOLS:
        return f"{head}({', '.join(map(shown, children))})"
    texts = [f"({shown(child)})" if _is_infix(child) else shown(child) for child in children]
    return f" {SYMBOLS[head]} ".join(texts)


def _is_infix(tree: Tree) -> bool:
    return isinstance(tree, tuple) and tree[0] in SYMBOLS
