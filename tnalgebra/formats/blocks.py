"""Tensors of one structure as blocks of a larger one."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

from ..execute.namespace import concatenate, namespace_of
from .structure import Structure

__all__ = ["block_sum", "inserted"]

Array = Any
T = TypeVar("T", bound=Structure)


def block_sum(tensors: Sequence[T]) -> T:
    """Σ of tensors of one structure: blocks on the diagonal of every part; an axis that is no bond is shared."""
    first = tensors[0]
    given = [tensor._blocks() for tensor in tensors]
    arrays = [array for parts in given for array in parts.values()]
    xp = namespace_of(arrays)
    dtypes = {next(iter(parts.values())).dtype for parts in given}
    dtype = dtypes.pop() if len(dtypes) == 1 else xp.result_type(*dtypes)
    return first._rebuild(
        {name: _diagonal([parts[name] for parts in given], first._bonds(name), dtype, xp) for name in given[0]}
    )


def _diagonal(parts: Sequence[Array], bonds: Sequence[int], dtype: Any, xp: ModuleType) -> Array:
    """Blocks that follow each other along the bonds and lie on one another elsewhere."""
    if len(bonds) == 1:
        return concatenate(parts, bonds[0], xp)
    shape, place = list(parts[0].shape), [slice(None)] * parts[0].ndim
    for axis in bonds:
        shape[axis], place[axis] = sum([part.shape[axis] for part in parts]), slice(0)
    out = xp.zeros(tuple(shape), dtype=dtype)
    for part in parts:
        for axis in bonds:
            place[axis] = slice(place[axis].stop, place[axis].stop + part.shape[axis])
        if bonds:
            out[tuple(place)] = part
        else:
            out += part
    return out


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
