"""Kernels by kind of step: each `lower_*` turns a step into a function of arrays."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from ...plan import Step
from ..namespace import is_numpy_like
from .bilinear import lower_fused
from .blas import lower_product
from .blocked import lower_blocked
from .compiled import CompiledEvaluator, lower_compiled
from .cuda import lower_cuda_product
from .cuda_guarded import lower_cuda_guarded
from .exponential import lower_exponential
from .generated import lower_generated
from .generic import lower_generic
from .guarded import lower_guarded
from .matrix import lower_matrix
from .part import lower_stack, lower_take
from .pieces import lower_pieces
from .shares import lower_shares
from .unary import lower_reduce, lower_shape, lower_sum, lower_view, mapped
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
    "map": mapped,
    "sum": lower_sum,
    "shape": lower_shape,
    "take": lower_take,
    "stack": lower_stack,
}


def lower(step: Step, xp: ModuleType, *, is_compiled: bool = False) -> Kernel:
    """Return the function that does one step on arrays of the namespace `xp`.

    is_compiled: whether loops over ξ are compiled, on NumPy arrays; kernels that no compiler makes faster are not. On
        CuPy arrays, whether all kernels are those that a CUDA graph may hold.
    """
    if not is_numpy_like(xp):
        return lower_generic(step, xp)
    if xp is not np:
        return _lower_cuda(step, xp, lower_cuda_product if is_compiled else lower_product)
    if step.kind not in ("blocked", "weighted"):
        return LOWER[step.kind](step, xp)
    make = COMPILED[step.kind] if is_compiled else LOWER[step.kind]
    return lower_guarded(step, xp, lower_shares(step, xp, lower_exponential(step, xp, lower_generated(step, xp, make))))


def _lower_cuda(step: Step, xp: ModuleType, product: Callable[[Step, ModuleType], Kernel]) -> Kernel:
    if step.kind == "product":
        return product(step, xp)
    if step.kind == "pieces":
        step = replace(step, kind="weighted")  # numbers are looked up in tables on the CPU alone
    if step.kind not in ("blocked", "weighted"):
        return LOWER[step.kind](step, xp)
    return lower_cuda_guarded(step, xp, product)


def _blocked(step: Step, xp: ModuleType) -> Kernel:
    nest = lower_compiled([step], xp)
    return lower_matrix(step, xp, lambda *arrays: nest(*arrays)[0])


def _weighted(step: Step, xp: ModuleType) -> Kernel:
    is_matrix = isinstance(step.tree, int)  # a matrix product of `fuse`, for numbers that BLAS alone takes
    plain = lower_product(step, xp) if is_matrix else lower_weighted(step, xp, CompiledEvaluator)
    return lower_fused(step, plain)


COMPILED: dict[str, Callable[[Step, ModuleType], Kernel]] = {"blocked": _blocked, "weighted": _weighted}
