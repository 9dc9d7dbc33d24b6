"""Steps on one operand: views, reductions, maps; and the entrywise sum."""

from collections.abc import Callable
from functools import reduce
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Operator
from ...algebra.scalar import compile_arrays
from ...errors import AlgebraError, DTypeError
from ...plan import Step

__all__ = [
    "check_domain",
    "empty_reduction",
    "fold",
    "halve",
    "lower_map",
    "lower_reduce",
    "lower_sum",
    "lower_view",
    "mapped",
]

Array = Any
Kernel = Callable[..., Array]
UFUNC = {
    "sum": "add",
    "prod": "multiply",
    "max": "maximum",
    "min": "minimum",
    "any": "logical_or",
    "all": "logical_and",
}


def lower_view(step: Step, xp: ModuleType) -> Kernel:
    """Take diagonals of repeated labels, drop what the result lacks, order the rest."""
    labels, pairs = list(step.terms[0]), []
    while len(set(labels)) < len(labels):
        label = next(label for label in labels if labels.count(label) > 1)
        first = labels.index(label)
        second = labels.index(label, first + 1)
        pairs.append((first, second))
        labels = [name for axis, name in enumerate(labels) if axis not in (first, second)] + [label]
    index = tuple(slice(None) if label in step.result else 0 for label in labels)
    kept = [label for label in labels if label in step.result]
    perm = tuple(map(kept.index, step.result))
    must_copy = step.text == "copy"

    def view(x: Array) -> Array:
        for axes in pairs:
            x = x.diagonal(0, *axes)
        x = x[index].transpose(perm)
        return x.copy() if must_copy else x

    return view


def lower_reduce(step: Step, xp: ModuleType) -> Kernel:
    """⊕ over axes by the library's own reduction."""
    assert step.reduce is not None
    assert step.reduce.reduction is not None
    (term,) = step.terms
    axes = tuple(axis for axis, label in enumerate(term) if label not in step.result)
    kept = [label for label in term if label in step.result]
    perm = tuple(map(kept.index, step.result))
    op, ufunc = step.reduce, getattr(xp, UFUNC[step.reduce.reduction])
    is_boolean = step.reduce.reduction in ("any", "all")

    def reduce_axes(x: Array) -> Array:
        check_domain(op, x.dtype)
        if x.size == 0:
            return empty_reduction(op, tuple(step.sizes[label] for label in step.result), x.dtype, xp)
        dtype = bool if is_boolean else x.dtype  # as in einsum, a sum of small integers keeps their dtype
        return xp.asarray(ufunc.reduce(x, axis=axes, dtype=dtype), dtype=x.dtype).transpose(perm)

    return reduce_axes


def check_domain(op: Operator, dtype: Any) -> None:
    """Refuse complex numbers where the operator has no meaning for them."""
    if not op.is_complex and np.dtype(dtype).kind == "c":
        raise DTypeError(
            f"operator {op.name!r} is not defined for complex operands; take their real part or modulus first"
        )


def empty_reduction(op: Operator, shape: tuple[int, ...], dtype: Any, xp: ModuleType) -> Array:
    """⊕ over nothing is its unit, where the dtype can hold it."""
    if dtype.kind in "iub" and not np.isfinite(op.unit):
        raise AlgebraError(
            f"{op.name} over a label of size 0 is {op.unit}, which {dtype} cannot hold; use floating point"
        )
    return xp.full(shape, op.unit, dtype=dtype)


def fold(op: Operator, value: Array, axes: tuple[int, ...], xp: ModuleType) -> Array:
    """⊕ over axes of a small block, for NumPy or CuPy."""
    if op.reduction == "logsumexp":
        return _logsumexp(value, axes, xp)
    if op.reduction is not None:
        ufunc = getattr(xp, UFUNC[op.reduction])
        return ufunc.reduce(value, axis=axes, dtype=None if op.reduction in ("any", "all") else value.dtype)
    for axis in sorted(axes, reverse=True):
        value = halve(op.function(xp), xp.moveaxis(value, axis, 0), xp)
    return value


def halve(function: Kernel, value: Array, xp: ModuleType) -> Array:
    """Fold the first axis as a balanced tree: few calls, small rounding."""
    while value.shape[0] > 1:
        half = value.shape[0] // 2
        paired = function(value[:half, ...], value[half : 2 * half, ...])
        odd = value[2 * half :, ...]
        value = paired if odd.shape[0] == 0 else xp.concat([function(paired[:1, ...], odd), paired[1:, ...]], axis=0)
    return value[0, ...]


def _logsumexp(value: Array, axes: tuple[int, ...], xp: ModuleType) -> Array:
    """Ln Σ exp, shifted by the maximum; a row of −∞ stays −∞, and +∞ stays +∞."""
    value = value if value.dtype.kind == "f" else value.astype(xp.float64)
    with np.errstate(all="ignore"):
        top = xp.maximum.reduce(value, axis=axes, keepdims=True)
        shift = xp.where(xp.isfinite(top), top, 0)
        total = xp.add.reduce(xp.exp(value - shift), axis=axes, keepdims=True)
        return (xp.log(total) + shift).squeeze(axes)


def mapped(step: Step, xp: ModuleType) -> Kernel:
    """Return the scalar expression of a map step, or the n-fold value of its operator."""
    if step.text.startswith("repeat "):
        times, op = int(step.text.removeprefix("repeat ")), step.reduce
        assert op is not None
        return lambda x: op.times(x, times, xp)
    return compile_arrays(step.text, ("x",), xp)


def lower_map(step: Step, xp: ModuleType) -> Kernel:
    """Apply a scalar expression to every entry."""
    return mapped(step, xp)


def lower_sum(step: Step, xp: ModuleType) -> Kernel:
    """Add operands of one shape."""
    return lambda *arrays: reduce(xp.add, arrays)
