"""Which steps may take ξ by its generator: ξ(x, y, …) = g⁻¹(g(x) + g(y) + …)."""

from ..algebra import Operator
from .step import Step, Tree, union, volume

__all__ = ["generating"]

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


def _only(tree: Tree | None) -> Operator | None:
    """The one operator of a tree with several leaves."""
    if not isinstance(tree, tuple) or not isinstance(tree[0], Operator):
        return None
    others = [_only(child) for child in tree[1] if isinstance(child, tuple)]
    return tree[0] if all(other == tree[0] for other in others) else None
