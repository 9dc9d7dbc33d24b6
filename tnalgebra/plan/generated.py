"""Which steps may take ξ, or ⊕, by its generator: ξ(x, y, …) = g⁻¹(g(x) + g(y) + …)."""

from functools import lru_cache

import numpy as np

from ..algebra import Operator
from ..algebra.scalar import compiled
from .step import Step, Tree, union, volume

__all__ = ["exponential", "generating", "is_exponential"]

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


@lru_cache(maxsize=64)
def is_exponential(op: Operator) -> bool:
    """Whether the generator of a translative operator grows from g(0) = 1: g(x + y) = g(x) · g(y) then holds."""
    if op.generator is None or not op.is_translative:
        return False
    one, more = (float(compiled(op.generator[0], ("x",), np)(np.array(x))) for x in (0.0, 1.0))
    return one == 1.0 < more


def _only(tree: Tree | None) -> Operator | None:
    """The one operator of a tree with several leaves."""
    if not isinstance(tree, tuple) or not isinstance(tree[0], Operator):
        return None
    others = [_only(child) for child in tree[1] if isinstance(child, tuple)]
    return tree[0] if all(other == tree[0] for other in others) else None
