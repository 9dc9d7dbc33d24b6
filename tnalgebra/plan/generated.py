"""Which steps may take ξ, or ⊕, by its generator: ξ(x, y, …) = g⁻¹(g(x) + g(y) + …)."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..algebra import Operator, Pointwise
from ..algebra.derivative import substituted
from ..algebra.scalar import compiled, parse
from .step import Step, Tree, leaves, union, volume

__all__ = ["Share", "exponential", "generating", "is_exponential", "is_rising", "share"]

FACTOR = 4
"""Generators pay where every operand is used that many times."""


def generating(step: Step) -> Operator | None:
    """The operator of a step that sums over ξ and may take its generator, None where there is no such.

    Only sums are taken so: what looks for the term that is a minimum must find it with the same digits.
    """
    if step.kind not in ("blocked", "weighted") or step.reduce is None or step.reduce.name != "add" or not step.summed:
        return None
    op = _only(step.tree)
    if op is None or op.generator is None:
        return None
    terms = step.terms[: len(step.terms) - (step.kind == "weighted")]
    largest = max(volume(term, step.sizes) for term in terms)
    return op if volume(union(*terms), step.sizes) >= FACTOR * largest else None


def exponential(step: Step) -> Operator | None:
    """The ⊕ of a step ⊕ (x + y) with g(x + y) = g(x) · g(y): it is a matrix product behind g; None where it is not."""
    op = step.reduce
    if step.kind != "blocked" or op is None or len(step.terms) != 2 or not step.summed:
        return None
    own = _only(step.tree)
    if own is None or own.name != "add" or not is_exponential(op):
        return None
    is_product = all(label in term for label in step.summed for term in step.terms)
    largest = max(volume(term, step.sizes) for term in (*step.terms, step.result))
    return op if is_product and volume(union(*step.terms), step.sizes) >= FACTOR * largest > 0 else None


@dataclass(frozen=True, slots=True)
class Share:
    """A step Σ c · ∂t/∂x with t = ⊕ (x + y), for the labels of x: where its operands are, and the ⊕.

    weight: the tree of c, on the operands at `weights`.
    """

    op: Operator
    own: int
    other: int
    total: int
    weight: Tree
    weights: tuple[int, ...]


def share(step: Step) -> Share | None:
    """The gradient of an `exponential` step: matrix products behind g as well; None where it is none, or too small."""
    if step.kind != "blocked" or not isinstance(step.tree, tuple) or not isinstance(step.tree[0], Pointwise):
        return None
    (point, children), op = step.tree, step.tree[0].share_of
    if op is None or op.share is None or not is_exponential(op) or point.value != _shared(op.share):
        return None
    x, y, weight, total = children[:4]
    if not (isinstance(x, int) and isinstance(y, int) and isinstance(total, int)):
        return None
    own, other = (x, y) if step.terms[x] == step.result else (y, x)
    left, right, whole = (step.terms[place] for place in (own, other, total))
    inner = {label for label in union(left, right) if label not in whole}
    weights = tuple(leaves(weight))
    is_whole = {*union(*(step.terms[place] for place in weights))} == {*whole} <= {*left, *right}
    is_product = is_whole and left == step.result and inner == {*left} & {*right} - {*whole}
    largest = max(volume(term, step.sizes) for term in (left, right, whole))
    is_worth = volume(union(left, right), step.sizes) >= FACTOR * largest > 0
    return Share(op, own, other, total, weight, weights) if is_product and inner and is_worth else None


def _shared(text: str) -> Any:
    """The share of x0 + x1 in x3, x4 times tied, by the cotangent x2, as derivatives write it."""
    names: Any = {"x": ("add", ("x0", "x1")), "t": "x3", "n": "x4"}
    return "multiply", ("x2", substituted(parse(text, ("x", "t", "n", "p")), names))


@lru_cache(maxsize=64)
def is_exponential(op: Operator) -> bool:
    """Whether the generator of a translative operator grows from g(0) = 1: g(x + y) = g(x) · g(y) then holds."""
    if op.generator is None or not op.is_translative:
        return False
    return float(compiled(op.generator[0], ("x",), np)(np.array(0.0))) == 1.0 and is_rising(op)


@lru_cache(maxsize=64)
def is_rising(op: Operator) -> bool:
    """Whether the generator of a translative operator grows: ξ(x, y) is then max(x, y) or more, else min or less."""
    assert op.generator is not None
    at_zero, at_one = compiled(op.generator[0], ("x",), np)(np.array([0.0, 1.0]))
    return bool(at_zero < at_one)


def _only(tree: Tree | None) -> Operator | None:
    """The one operator of a tree with several leaves."""
    if not isinstance(tree, tuple) or not isinstance(tree[0], Operator):
        return None
    others = [_only(child) for child in tree[1] if isinstance(child, tuple)]
    return tree[0] if all(other == tree[0] for other in others) else None
