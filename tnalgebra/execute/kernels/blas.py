"""Σ of products of two operands as one matrix product, with no transposition that BLAS does not need."""

from collections.abc import Callable
from string import ascii_letters
from types import ModuleType
from typing import Any

import numpy as np

from ...graph import Labels
from ...plan import Step
from ...plan.cost import layout
from ...plan.step import volume

__all__ = ["lower_product", "product"]

Array = Any
Kernel = Callable[..., Array]
LARGE = 1 << 14
"""Entries of a result that take longer to be set to zero than a call of `matmul` takes more than one of `dot`."""

REUSED = 4
"""Times that an entry is read from which a copy pays whose rows lie in memory."""


def lower_product(step: Step, xp: ModuleType) -> Kernel:
    """(left, right) → Σ left · right."""
    return product(step.terms[0], step.terms[1], step.result, step.sizes, xp)


def product(left: Labels, right: Labels, result: Labels, sizes: dict[str, int], xp: ModuleType) -> Kernel:
    """Return the function of two arrays for these labels; every label of one operand alone is in the result."""
    shared = {label for label in left if label in right}
    if shared <= set(result):
        return _entrywise(left, right, result, sizes, xp)
    groups = layout(left, right, result, sizes)
    if groups.batch and not groups.rows and not groups.columns:
        return _vectors(left, right, result, xp)
    perm_a, shape_a = _move(left, (groups.batch, groups.rows, groups.inner), sizes)
    perm_b, shape_b = _move(right, (groups.batch, groups.inner, groups.columns), sizes)
    shape = tuple(sizes[label] for label in groups.result)
    back = None if groups.result == result else tuple(map(groups.result.index, result))
    if groups.batch:
        return _batched(perm_a, shape_a, perm_b, shape_b, shape, back, xp)
    dot = _dot(shape_a[0], shape_a[1], shape_b[1], xp)
    if len(left) == len(right) == len(shape) == 2:
        return _matrices(perm_a is not None, perm_b is not None, back is not None, dot)

    def matrix_product(x: Array, y: Array) -> Array:
        if perm_a is not None:
            x = x.transpose(perm_a)
        if perm_b is not None:
            y = y.transpose(perm_b)
        out = dot(x.reshape(shape_a), y.reshape(shape_b)).reshape(shape)
        return out if back is None else out.transpose(back)

    return matrix_product


def _dot(rows: int, inner: int, columns: int, xp: ModuleType) -> Kernel:
    """`dot` of two matrices; where the result is most of its memory, without the zeros that it fills it with first."""
    dot, matmul = xp.dot, xp.matmul
    if rows * columns < LARGE or inner > min(rows, columns):
        return dot  # type: ignore[no-any-return]
    if inner == 1:
        return xp.multiply if rows <= columns else dot  # type: ignore[no-any-return]

    def large(x: Array, y: Array) -> Array:
        is_whole = x.flags.forc and y.flags.forc  # else matmul may leave BLAS for a slow loop
        return matmul(x, y) if is_whole else dot(x, y)

    return large


def _matrices(turn_left: bool, turn_right: bool, turn_back: bool, dot: Kernel) -> Kernel:
    """Product of two matrices: nothing to reshape, which would take longer than a tiny product itself."""
    if not (turn_left or turn_right or turn_back):
        return dot

    def matrix_product(x: Array, y: Array) -> Array:
        out = dot(x.transpose() if turn_left else x, y.transpose() if turn_right else y)
        return out.transpose() if turn_back else out

    return matrix_product


def _move(
    term: Labels, groups: tuple[Labels, Labels, Labels], sizes: dict[str, int]
) -> tuple[tuple[int, ...] | None, tuple[int, ...]]:
    """The transposition (None if there is none) and the shape with each group merged, but for the first, of batches."""
    batch, *matrix = groups
    order = tuple(label for group in groups for label in group)
    perm = None if order == term else tuple(map(term.index, order))
    return perm, (*(sizes[label] for label in batch), *(volume(group, sizes) for group in matrix))


def _entrywise(left: Labels, right: Labels, result: Labels, sizes: dict[str, int], xp: ModuleType) -> Kernel:
    """No label is summed: one multiplication with broadcasting, in the order of the result."""
    align_left, align_right = (_rows(term, result, sizes, xp) for term in (left, right))
    multiply = xp.multiply

    def entrywise(x: Array, y: Array) -> Array:
        return multiply(align_left(x), align_right(y))

    return entrywise


def _rows(term: Labels, result: Labels, sizes: dict[str, int], xp: ModuleType) -> Kernel:
    """As `aligner`; a small operand whose entries are read again and again lies in the order in which they are."""
    align = aligner(term, result)
    is_turned = term != tuple(label for label in result if label in term)
    if xp is not np or not is_turned or REUSED * volume(term, sizes) > volume(result, sizes):
        return align
    return lambda x: np.ascontiguousarray(align(x))


def aligner(term: Labels, order: Labels) -> Kernel:
    """Return the view with one axis a label of `order`, of size 1 where the operand lacks the label."""
    perm = tuple(term.index(label) for label in order if label in term)
    index = tuple(slice(None) if label in term else None for label in order)
    if perm == tuple(range(len(order))):
        return lambda x: x
    if perm == tuple(range(len(term))):
        return lambda x: x[index]
    return lambda x: x.transpose(perm)[index]


def _vectors(left: Labels, right: Labels, result: Labels, xp: ModuleType) -> Kernel:
    """Inner products of many vectors: einsum's loop has no overhead a vector."""
    letters = dict(zip(dict.fromkeys(left + right), ascii_letters, strict=False))
    equation = ",".join("".join(map(letters.__getitem__, term)) for term in (left, right))
    equation += "->" + "".join(map(letters.__getitem__, result))
    einsum = xp.einsum
    return lambda x, y: einsum(equation, x, y)


def _batched(perm_a: Any, shape_a: Any, perm_b: Any, shape_b: Any, shape: Any, back: Any, xp: ModuleType) -> Kernel:
    matmul, contiguous = xp.matmul, xp.ascontiguousarray

    def ready(x: Array) -> Array:
        """Matmul leaves BLAS for a slow loop unless one of the last two axes has unit stride."""
        return x if x.itemsize in x.strides[-2:] else contiguous(x)

    def batched_product(x: Array, y: Array) -> Array:
        if perm_a is not None:
            x = x.transpose(perm_a)
        if perm_b is not None:
            y = y.transpose(perm_b)
        out = matmul(ready(x.reshape(shape_a)), ready(y.reshape(shape_b))).reshape(shape)
        return out if back is None else out.transpose(back)

    return batched_product
