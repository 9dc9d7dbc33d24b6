"""Tensors of one structure as blocks of a larger one."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from ..execute.namespace import namespace_of
from .structure import Structure

__all__ = ["block_sum", "inserted"]

T = TypeVar("T", bound=Structure)


def block_sum(tensors: Sequence[T]) -> T:
    """Σ of tensors of one structure: blocks on the diagonal of every part; an axis that is no bond is shared."""
    first = tensors[0]
    given = [tensor.parameters() for tensor in tensors]
    xp = namespace_of([array for parts in given for array in parts.values()])
    dtype, found = xp.result_type(*(next(iter(parts.values())) for parts in given)), {}
    for name, part in given[0].items():
        shape, bonds = list(part.shape), first._bonds(name)
        for axis in bonds:
            shape[axis] = sum([parts[name].shape[axis] for parts in given])
        out = found[name] = xp.zeros(tuple(shape), dtype=dtype)
        start = [0] * part.ndim
        for parts in given:
            sizes = parts[name].shape
            out[tuple([slice(i, i + n) for i, n in zip(start, sizes, strict=True)])] += parts[name]
            for axis in bonds:
                start[axis] += sizes[axis]
    return first._rebuild(found)


def inserted(tensor: T, places: Mapping[int, tuple[int, int]]) -> T:
    """The tensor as a block of a larger one that is zero elsewhere; places[mode]: where it starts, and the new size."""
    parts, carriers = tensor.parameters(), tensor._carriers()
    for mode, (start, size) in places.items():
        name, axis = carriers[mode]
        part = parts[name]
        shape = [size if i == axis else n for i, n in enumerate(part.shape)]
        parts[name] = namespace_of([part]).zeros(tuple(shape), dtype=part.dtype)
        parts[name][(*(slice(None),) * axis, slice(start, start + part.shape[axis]))] = part
    return tensor._rebuild(parts)
