"""Trains with other mode sizes: modes are merged, and split; a quantized train is one whose modes are all small."""

from collections.abc import Sequence
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import AxisMismatchError, FormatError
from ..execute.namespace import namespace_of
from ..execute.scaling import normalised
from ..formats import TTTensor
from ..formats.later import implements
from ..formats.parts import check_eps, check_shape, sealed

__all__ = ["tt_quantize", "tt_reshape"]

Array = Any


@implements("reshape", TTTensor)
def tt_reshape(tensor: TTTensor, shape: int | Sequence[int], eps: float | None) -> TTTensor:
    """The train of the reshaped tensor, in C order.

    Modes are taken together up to the next place at which old and new modes end alike. The core of such a group is cut
    into the new modes without arithmetic; rounding then finds the ranks that eps asks for.
    """
    sizes, eps = check_shape(_whole(shape, prod(tensor.shape))), check_eps(eps)
    if prod(sizes) != prod(tensor.shape):
        raise AxisMismatchError(
            f"shape {tensor.shape} has {prod(tensor.shape)} entries, but shape {sizes} has {prod(sizes)}"
        )
    xp, cores, start, exponent = namespace_of(tensor.cores), list[Array](), 0, 0
    given, shifts = zip(*map(normalised, tensor.cores), strict=True)
    for olds, news in _groups(tensor.shape, sizes):
        core = given[start]
        for other in given[start + 1 : start + olds]:
            core, shift = normalised(xp.tensordot(core, other, axes=1).reshape(core.shape[0], -1, other.shape[-1]))
            exponent += shift
        start += olds
        cores += _split(core, news, xp)
    return TTTensor(sealed(cores))._evened(exponent + sum(shifts)).round(eps=eps)


def _whole(shape: int | Sequence[int], entries: int) -> Sequence[int]:
    """The shape with what is left of the entries in place of −1; one number is one mode."""
    sizes = [shape] if isinstance(shape, int | np.integer) else list(shape)
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = max(1, entries // max(1, abs(prod(sizes))))
    return sizes


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, list[int]]]:
    """The shortest runs of old modes and of new ones with as many entries: how many old ones, and the new sizes."""
    groups, olds, news, left, right = list[tuple[int, list[int]]](), 0, list[int](), 1, 1
    before, after = list(old), list(new)
    while before or after:
        if before and (left <= right or not after):
            left *= before.pop(0)
            olds += 1
        else:
            right *= after.pop(0)
            news.append(new[len(new) - len(after) - 1])
        if left == right and olds and news:
            groups.append((olds, news))
            olds, news, left, right = 0, [], 1, 1
    if groups and (olds or news):  # modes of size 1 that are left over
        last, sizes = groups.pop()
        groups.append((last + olds, sizes + news))
    return groups


def _split(core: Array, sizes: Sequence[int], xp: ModuleType) -> list[Array]:
    """Cores of a chain whose product is the core: on the shorter side of a cut stands an identity."""
    found, left, right = list[Array](), core.shape[0], core.shape[2]
    for place, size in enumerate(sizes[:-1]):
        behind = prod(sizes[place + 1 :]) * right
        matrix = core.reshape(left * size, behind)
        if left * size <= behind:
            found.append(xp.eye(left * size, dtype=core.dtype).reshape(left, size, -1))
            core, left = matrix, left * size
        else:
            found.append(matrix.reshape(left, size, behind))
            core, left = xp.eye(behind, dtype=core.dtype), behind
    return [*found, core.reshape(left, sizes[-1], right)]


@implements("quantize", TTTensor)
def tt_quantize(tensor: TTTensor, base: int, eps: float | None) -> TTTensor:
    """The train with every mode of size base^m as m modes of size base."""
    shape = list[int]()
    for mode, size in enumerate(tensor.shape):
        digits = 0
        while base > 1 and base**digits < size:
            digits += 1
        if base < 2 or base**digits != size:
            raise FormatError(f"mode {mode} has size {size}, which is no power of base = {base}")
        shape += [base] * digits
    found: TTTensor = tt_reshape(tensor, shape or [1], eps)
    return found
