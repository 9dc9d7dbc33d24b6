"""Steps on one operand: views, reductions, maps; and the entrywise sum."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Operator, Pointwise
from ...algebra.operator import REDUCTIONS
from ...algebra.scalar import compile_arrays, is_complex, is_integral, is_numpy_like
from ...errors import AlgebraError, DTypeError
from ...plan import Step

__all__ = [
    "check_domain",
    "empty_reduction",
    "fold",
    "halve",
    "lower_reduce",
    "lower_shape",
    "lower_sum",
    "lower_view",
    "mapped",
    "reshaped",
]

Array = Any
Kernel = Callable[..., Array]


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
    op, reduction = step.reduce, native(step.reduce.reduction, xp)

    def reduce_axes(x: Array) -> Array:
        check_domain(op, x.dtype)
        if x.size == 0:
            return empty_reduction(op, tuple(step.sizes[label] for label in step.result), x.dtype, xp)
        return xp.asarray(reduction(x, axes), dtype=x.dtype).transpose(perm)

    return reduce_axes


def native(name: str, xp: ModuleType) -> Callable[[Array, tuple[int, ...]], Array]:
    """Return the library's reduction over axes; as in einsum, a sum of small integers keeps their dtype."""
    if xp is np:  # the ufunc is a layer of Python less
        ufunc = REDUCTIONS[name]
        if name in ("any", "all"):
            return lambda x, axes: ufunc.reduce(x, axis=axes, dtype=bool)
        # a ufunc refuses a dtype of the other byte order
        return lambda x, axes: ufunc.reduce(
            x, axis=axes, dtype=x.dtype if x.dtype.isnative else x.dtype.newbyteorder("=")
        )
    function = getattr(xp, name)  # CuPy's ufuncs reduce by add and multiply alone
    if name in ("sum", "prod"):
        return lambda x, axes: function(x, axis=axes, dtype=x.dtype)
    return lambda x, axes: function(x, axis=axes)


def check_domain(op: Operator | Pointwise, dtype: Any, xp: ModuleType = np) -> None:
    """Refuse complex numbers where the operator has no meaning for them."""
    if not op.is_complex and is_complex(dtype, xp):
        raise DTypeError(
            f"operator {op.name!r} is not defined for complex operands; take their real part or modulus first"
        )


def empty_reduction(op: Operator, shape: tuple[int, ...], dtype: Any, xp: ModuleType) -> Array:
    """⊕ over nothing is its unit, where the dtype can hold it."""
    if is_integral(dtype, xp) and not np.isfinite(op.unit):
        raise AlgebraError(
            f"{op.name} over a label of size 0 is {op.unit}, which {dtype} cannot hold; use floating point"
        )
    return xp.full(shape, op.unit, dtype=dtype)


def fold(op: Operator, value: Array, axes: tuple[int, ...], xp: ModuleType) -> Array:
    """⊕ over axes of a small block, for NumPy or CuPy."""
    if op.reduction == "logsumexp":
        return _logsumexp(value, axes, xp)
    if op.reduction is not None:
        return native(op.reduction, xp)(value, axes)
    for axis in sorted(axes, reverse=True):
        value = halve(op.function(xp), xp.moveaxis(value, axis, 0))
    return value


def halve(function: Kernel, value: Array) -> Array:
    """Fold the first axis as a balanced tree: few calls, small rounding; odd rows are combined aside."""
    aside = None
    while (count := value.shape[0]) > 1:
        half = count // 2
        if count % 2:
            odd = value[2 * half, ...]
            aside = odd if aside is None else function(aside, odd)
        value = function(value[:half, ...], value[half : 2 * half, ...])
    return value[0, ...] if aside is None else function(value[0, ...], aside)


def _logsumexp(value: Array, axes: tuple[int, ...], xp: ModuleType) -> Array:
    """Ln Σ exp, shifted by the maximum; a row of −∞ stays −∞, and +∞ stays +∞."""
    value = value if value.dtype.kind == "f" else value.astype(xp.float64)
    with np.errstate(all="ignore"):
        top = xp.max(value, axis=axes, keepdims=True)
        shift = xp.where(xp.isfinite(top), top, 0)
        terms = value - shift
        total = xp.sum(xp.exp(terms, out=terms), axis=axes, keepdims=True)
        return (xp.log(total) + shift).squeeze(axes)


def mapped(step: Step, xp: ModuleType) -> Kernel:
    """Return the scalar expression of a map step, or the n-fold value of its operator."""
    if step.text == "repeat":
        times, op = prod(size for label, size in step.sizes.items() if label not in step.result), step.reduce
        assert op is not None
        return lambda x: op.times(x, times, xp)
    return compile_arrays(step.text, ("x",), xp)


def lower_shape(step: Step, xp: ModuleType) -> Kernel:
    """Bring a cotangent into the shape of its operand."""
    return lambda x: reshaped(x, step.terms[0], step.result, step.sizes, xp)


def reshaped(x: Array, names: Sequence[str], labels: Sequence[str], sizes: Mapping[str, int], xp: ModuleType) -> Array:
    """Sum axes that the result broadcasts, repeat those that it has beside, lay what is named twice on a diagonal."""
    axes = tuple(axis for axis, name in enumerate(names) if sizes.get(name) == 1 and x.shape[axis] != 1)
    x = xp.sum(x, axis=axes, keepdims=True, dtype=x.dtype) if axes else x
    unique = list(dict.fromkeys(labels))
    x = x[tuple(slice(None) if label in names else None for label in unique)] if unique else x
    x = xp.broadcast_to(x, tuple(sizes[label] for label in unique))
    out = x[tuple(slice(None) if labels.index(label) == i else None for i, label in enumerate(labels))] if labels else x
    for i, label in enumerate(labels):
        if labels.index(label) < i:
            first, second = (
                xp.arange(sizes[label])[(slice(None), *[None] * (len(labels) - 1 - axis))]
                for axis in (labels.index(label), i)
            )
            out = xp.where(first == second, out, xp.zeros_like(out))
    return out.copy() if is_numpy_like(xp) else out


def lower_sum(step: Step, xp: ModuleType) -> Kernel:
    """Add operands of one shape."""
    return lambda *arrays: reduce(xp.add, arrays)
