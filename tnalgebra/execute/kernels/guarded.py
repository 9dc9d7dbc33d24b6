"""Sums of what is 0 but where a condition on one operand holds: nothing is looped over where it holds nowhere."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Pointwise
from ...algebra.scalar import compiled
from ...plan import Step

__all__ = ["lower_guarded"]

Array = Any
Kernel = Callable[..., Array]


def lower_guarded(step: Step, xp: ModuleType, plain: Kernel) -> Kernel:
    """(operands) → Σ where(p and q, value, 0), which is 0 where q, a condition on one operand, never holds."""
    found = _condition(step)
    if found is None:
        return plain
    place, holds = found[0], compiled(found[1], (found[2],), xp)
    shape = tuple(step.sizes[label] for label in step.result)

    def guarded(*arrays: Array) -> Array:
        if bool(xp.any(holds(arrays[place]))):
            return plain(*arrays)
        return xp.zeros(shape, np.result_type(*(array.dtype for array in arrays)))

    return guarded


def _condition(step: Step) -> tuple[int, Any, str] | None:
    """The operand of the condition, the condition, and its variable."""
    if step.reduce is None or step.reduce.name != "add" or not step.summed or not isinstance(step.tree, tuple):
        return None
    (op, children), value = step.tree, getattr(step.tree[0], "value", None)
    match value:
        case ("where", (("logical_and", (_, (_, (str(name), int() | float())) as test)), _, 0)) if isinstance(
            op, Pointwise
        ):
            place = children[op.variables.index(name)]
            return (place, test, name) if isinstance(place, int) else None
    return None
