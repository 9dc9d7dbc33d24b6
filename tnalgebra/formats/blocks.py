"""Tensors of one structure as blocks of a larger one."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
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
    found = {}
    for name in given[0]:
        arrays = [parts[name] for parts in given]
        bonds = first._bonds(name)
        starts = [list(accumulate((a.shape[axis] for a in arrays), initial=0)) for axis in range(arrays[0].ndim)]
        starts = [start if axis in bonds else [0] * len(start) for axis, start in enumerate(starts)]
        shape = tuple(start[-1] or size for start, size in zip(starts, arrays[0].shape, strict=True))
        found[name] = xp.zeros(shape, dtype=xp.result_type(*arrays))
        for i, array in enumerate(arrays):
            spot = tuple(slice(start[i], start[i] + n) for start, n in zip(starts, array.shape, strict=True))
            found[name][spot] += array
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
