"""Kernels by kind of step: each `lower_*` turns a step into a function of arrays."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from ...plan import Step
from ..namespace import is_numpy_like
from .blas import lower_product
from .blocked import lower_blocked
from .cuda import lower_cuda
from .generated import lower_generated
from .generic import lower_generic
from .part import lower_stack, lower_take
from .pieces import lower_pieces
from .unary import lower_map, lower_reduce, lower_shape, lower_sum, lower_view
from .weighted import lower_weighted

__all__ = ["Kernel", "lower"]

Kernel = Callable[..., Any]

LOWER: dict[str, Callable[[Step, ModuleType], Kernel]] = {
    "view": lower_view,
    "reduce": lower_reduce,
    "product": lower_product,
    "blocked": lower_blocked,
    "weighted": lower_weighted,
    "pieces": lower_pieces,
    "map": lower_map,
    "sum": lower_sum,
    "shape": lower_shape,
    "take": lower_take,
    "stack": lower_stack,
}


def lower(step: Step, xp: ModuleType) -> Kernel:
    """Return the function that does one step on arrays of the namespace `xp`."""
    if not is_numpy_like(xp):
        return lower_generic(step, xp)
    if xp.__name__ == "cupy" and step.kind in ("blocked", "weighted", "pieces"):
        return lower_generated(step, xp, lower_cuda)
    if step.kind in ("blocked", "weighted"):
        return lower_generated(step, xp, LOWER[step.kind])
    return LOWER[step.kind](step, xp)
