"""Powers of two along bonds: numbers that meet there may have far scales, of which only the product matters."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ..execute.scaling import normalised, shifted
from .tree import DimensionTree, Nested

__all__ = ["ht_leveled", "tt_leveled", "tt_moderate"]

Array = Any


def tt_leveled(cores: Sequence[Array], xp: ModuleType) -> list[Array]:
    """Cores of the same train with powers of two moved along its bonds: what meets there is of one scale."""
    found, bonds = list(cores), range(len(cores) - 1)
    for bond in (*bonds, *reversed(bonds)):
        found[bond], found[bond + 1] = _leveled(found[bond], 2, found[bond + 1], 0, xp)
    return found


def ht_leveled(tree: DimensionTree, parts: Mapping[Nested, Array], xp: ModuleType) -> dict[Nested, Array]:
    """The same for the parts of a tree."""
    found, edges = dict(parts), [(child, branch, axis) for branch in tree.inner for axis, child in enumerate(branch)]
    for child, branch, axis in (*edges, *reversed(edges)):
        found[child], found[branch] = _leveled(found[child], -1, found[branch], axis, xp)
    return found


def _leveled(left: Array, axis: int, right: Array, other: int, xp: ModuleType) -> tuple[Array, Array]:
    """Two parts of which the largest entries at each index of their bond, an axis of both, are of one scale."""
    ends = (left, axis % left.ndim), (right, other)
    with np.errstate(over="ignore"):  # the modulus of a complex number that is near the end of the range
        tops = [xp.max(abs(part), axis=tuple(i for i in range(part.ndim) if i != own)) for part, own in ends]
    is_there = [(top > 0) & (top < np.inf) for top in tops]
    low, high = (xp.frexp(xp.where(is_there[0] & is_there[1], top, 1))[1] for top in tops)
    move = (high - low) // 2
    if not bool(xp.any(move)):
        return left, right
    shapes = [[-1 if i == own else 1 for i in range(part.ndim)] for part, own in ends]
    return shifted(left, move.reshape(shapes[0]), xp), shifted(right, -move.reshape(shapes[1]), xp)


def tt_moderate(cores: Sequence[Array], xp: ModuleType) -> tuple[list[Array], int]:
    """Cores of moderate scale, and the exponent of 2 that was taken out of all, leveled where one is not moderate."""
    pairs = [normalised(core) for core in cores]
    if any(shift for _, shift in pairs):
        pairs = [normalised(core) for core in tt_leveled(cores, xp)]
    return [core for core, _ in pairs], sum(shift for _, shift in pairs)
