"""Every kind of step by the array API standard alone: PyTorch, JAX, Dask and whatever follows it.

Nothing is written in place. A step whose broadcast array would be large is halved along a label, and the halves
are concatenated or combined by ⊕.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from types import ModuleType
from typing import Any

from ...algebra import Operator
from ...algebra.scalar import cast
from ...graph import Labels
from ...plan import Step
from ...plan.cost import layout, tree_labels
from ...plan.step import Tree, volume
from .part import lower_take, stacked
from .unary import check_domain, empty_reduction, halve, mapped, reshaped

__all__ = ["lower_generic"]

Array = Any
Kernel = Callable[..., Array]
ENTRIES = 1 << 21
"""Entries of the largest broadcast array that is formed: two of them in float64 take 32 MiB."""


def lower_generic(step: Step, xp: ModuleType) -> Kernel:
    """Return the function that does the step on arrays of `xp`."""
    match step.kind:
        case "view":
            return lambda x: _view(x, step.terms[0], step.result, xp)
        case "map":
            return mapped(step, xp)
        case "shape":
            return lambda x: reshaped(x, step.terms[0], step.result, step.sizes, xp)
        case "take":
            return lower_take(step, xp)
        case "stack":
            return lambda *arrays: stacked(step, arrays, xp)
        case "sum":
            return lambda *arrays: reduce(lambda x, y: x + y, arrays)
        case "product":
            return lambda x, y: _product(x, y, step.terms[0], step.terms[1], step.result, xp)
        case "reduce":
            return lambda x: _reduced(step.reduce, x, step.terms[0], step.result, xp)  # type: ignore[arg-type]
    return lambda *arrays: _halved(step, arrays, dict(step.sizes), xp)


def _align(x: Array, term: Labels, order: Labels, xp: ModuleType) -> Array:
    """One axis a label of `order`, of size 1 where the operand lacks it."""
    x = xp.permute_dims(x, tuple(term.index(label) for label in order if label in term))
    return x[tuple(slice(None) if label in term else None for label in order)] if order else x


def _view(x: Array, term: Labels, result: Labels, xp: ModuleType) -> Array:
    labels = list(term)
    while len(set(labels)) < len(labels):
        label = next(label for label in labels if labels.count(label) > 1)
        first = labels.index(label)
        second = labels.index(label, first + 1)
        rest = [axis for axis in range(len(labels)) if axis not in (first, second)]
        size = x.shape[first]
        x = xp.reshape(xp.permute_dims(x, (*rest, first, second)), (*(x.shape[axis] for axis in rest), size * size))
        x, labels = x[..., :: size + 1], [labels[axis] for axis in rest] + [label]
    x = x[tuple(slice(None) if label in result else 0 for label in labels)] if labels else x
    kept = [label for label in labels if label in result]
    return xp.permute_dims(x, tuple(map(kept.index, result)))


def _product(x: Array, y: Array, left: Labels, right: Labels, result: Labels, xp: ModuleType) -> Array:
    if {label for label in left if label in right} <= set(result):
        x, y = _align(x, left, result, xp), _align(y, right, result, xp)
        return xp.logical_and(x, y) if x.dtype == y.dtype == xp.bool else x * y
    if x.dtype == y.dtype == xp.bool:
        return _product(xp.astype(x, xp.int64), xp.astype(y, xp.int64), left, right, result, xp) != 0
    sizes = {**dict(zip(left, x.shape, strict=True)), **dict(zip(right, y.shape, strict=True))}
    groups = layout(left, right, result, sizes)
    batch = [sizes[label] for label in groups.batch]
    a = xp.permute_dims(x, tuple(map(left.index, (*groups.batch, *groups.rows, *groups.inner))))
    b = xp.permute_dims(y, tuple(map(right.index, (*groups.batch, *groups.inner, *groups.columns))))
    inner = volume(groups.inner, sizes)
    a = xp.reshape(a, (*batch, volume(groups.rows, sizes), inner))
    b = xp.reshape(b, (*batch, inner, volume(groups.columns, sizes)))
    out = xp.reshape(xp.matmul(a, b), tuple(sizes[label] for label in groups.result))
    return xp.permute_dims(out, tuple(map(groups.result.index, result)))


def _reduced(op: Operator, x: Array, term: Labels, result: Labels, xp: ModuleType) -> Array:
    """⊕ over the labels that are not in the result; the rest in its order."""
    axes = tuple(axis for axis, label in enumerate(term) if label not in result)
    kept = [label for label in term if label in result]
    if axes:
        check_domain(op, x.dtype, xp)
    return xp.permute_dims(_fold(op, x, axes, xp) if axes else x, tuple(map(kept.index, result)))


def _fold(op: Operator, x: Array, axes: tuple[int, ...], xp: ModuleType) -> Array:
    if 0 in x.shape:
        shape = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
        return xp.broadcast_to(empty_reduction(op, (), x.dtype, xp), shape)
    if op.reduction == "logsumexp":
        return _logsumexp(x, axes, xp)
    if op.reduction in ("any", "all") or (op.reduction == "sum" and x.dtype == xp.bool):
        truth = getattr(xp, op.reduction.replace("sum", "any"))(x if x.dtype == xp.bool else x != 0, axis=axes)
        return cast(truth, x.dtype, xp)
    if op.reduction in ("sum", "prod"):
        function, dtype = getattr(xp, op.reduction), x.dtype
        return reduce(lambda value, axis: function(value, axis=axis, dtype=dtype), sorted(axes, reverse=True), x)
    if op.reduction is not None:
        return reduce(
            lambda value, axis: getattr(xp, op.reduction or "")(value, axis=axis), sorted(axes, reverse=True), x
        )
    for axis in sorted(axes, reverse=True):
        x = halve(op.function(xp), xp.moveaxis(x, axis, 0))
    return x


def _logsumexp(x: Array, axes: tuple[int, ...], xp: ModuleType) -> Array:
    """Ln Σ exp, shifted by the maximum; where that is not finite it is the value. Nothing overflows or warns."""
    top = xp.max(x, axis=axes, keepdims=True)
    zero = xp.zeros_like(top)
    is_finite = xp.isfinite(top)
    terms = xp.exp(xp.minimum(x - xp.where(is_finite, top, zero), zero))
    total = xp.where(is_finite, xp.sum(terms, axis=axes, keepdims=True), zero + 1)
    return xp.squeeze(xp.log(total) + top, axis=axes)


def _evaluate(tree: Tree, arrays: Sequence[Array], xp: ModuleType) -> Array:
    if isinstance(tree, int):
        return arrays[tree]
    children = [_evaluate(child, arrays, xp) for child in tree[1]]
    for child in children:
        check_domain(tree[0], child.dtype, xp)
    function = tree[0].function(xp)
    return reduce(function, children) if isinstance(tree[0], Operator) else function(*children)


def _halved(step: Step, arrays: Sequence[Array], sizes: dict[str, int], xp: ModuleType) -> Array:
    """A blocked or weighted step: at once if it is small, else in two halves of its longest label."""
    assert step.tree is not None
    labels = tree_labels(step.tree, step.terms)
    if volume(labels, sizes) <= ENTRIES:
        return _at_once(step, arrays, labels, xp)
    label = max(labels, key=lambda name: (sizes[name], name in step.result))
    half = sizes[label] // 2
    parts = []
    for piece, size in ((slice(None, half), half), (slice(half, None), sizes[label] - half)):
        cut = [
            x[tuple(piece if name == label else slice(None) for name in term)] if label in term else x
            for x, term in zip(arrays, step.terms, strict=True)
        ]
        parts.append(_halved(step, cut, {**sizes, label: size}, xp))
    if label in step.result:
        return xp.concat(parts, axis=step.result.index(label))
    return parts[0] + parts[1] if step.kind != "blocked" else step.reduce.function(xp)(*parts)  # type: ignore[union-attr]


def _at_once(step: Step, arrays: Sequence[Array], labels: Labels, xp: ModuleType) -> Array:
    assert step.tree is not None
    assert step.reduce is not None
    operands = arrays[:-1] if step.kind != "blocked" else arrays
    aligned = [_align(x, term, labels, xp) for x, term in zip(operands, step.terms, strict=False)]
    value = _evaluate(step.tree, aligned, xp)
    if step.kind != "blocked":
        weight = step.terms[-1]
        kept = tuple(label for label in labels if label in weight or label in step.result)
        tile = _reduced(step.reduce, value, labels, kept, xp)
        return _product(tile, arrays[-1], kept, weight, step.result, xp)
    out = _reduced(step.reduce, value, labels, step.result, xp)
    if step.summed and not step.reduce.unit_is_strict:
        out = step.reduce.function(xp)(out, xp.full_like(out, step.reduce.unit))
    return out
