"""QR sweeps over formats for ξ = multiply, with scales kept apart so that long products neither over- nor underflow."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ..execute.scaling import normalised, rescaled
from .tree import DimensionTree, Nested

__all__ = ["cp_norm", "ht_sweep", "scaled_norm", "spread", "tt_center"]

Array = Any


def spread(parts: Sequence[Array], exponent: int, center: int) -> list[Array]:
    """The parts with 2^exponent multiplied in: into the center as far as it goes, the rest shared by all others.

    Where the center cannot hold the scale of the whole, no single part can, and the product of all still does.
    """
    parts = list(parts)
    most = int(np.finfo(parts[0].real.dtype).maxexp) // 2
    own = max(-most, min(most, exponent)) if len(parts) > 1 else exponent
    parts[center] = rescaled(parts[center], own)
    others = [position for position in range(len(parts)) if position != center]
    for count, position in enumerate(others):
        share = (exponent - own) * (count + 1) // len(others) - (exponent - own) * count // len(others)
        parts[position] = rescaled(parts[position], share)
    return parts


def scaled_norm(array: Array, exponent: int, xp: ModuleType) -> tuple[float, int]:
    """Norm of array · 2^exponent as mantissa and exponent."""
    small, shift = normalised(array)
    return float(xp.linalg.norm(small.reshape(-1))), exponent + shift


def tt_center(cores: Sequence[Array], center: int, xp: ModuleType) -> tuple[list[Array], int]:
    """Cores that are isometries towards `center`, and the exponent that was taken out of the central one."""
    cores, total = list(cores), 0
    for mode in range(center):
        left, size, right = cores[mode].shape
        q, r = xp.linalg.qr(cores[mode].reshape(left * size, right))
        cores[mode] = q.reshape(left, size, -1)
        r, shift = normalised(r)
        total += shift
        cores[mode + 1] = xp.tensordot(r, cores[mode + 1], axes=1)
    for mode in range(len(cores) - 1, center, -1):
        left, size, right = cores[mode].shape
        q, r = xp.linalg.qr(cores[mode].reshape(left, size * right).T.conj())
        cores[mode] = q.T.conj().reshape(-1, size, right)
        r, shift = normalised(r)
        total += shift
        cores[mode - 1] = xp.tensordot(cores[mode - 1], r.T.conj(), axes=1)
    cores[center], shift = normalised(cores[center])
    return cores, total + shift


def cp_norm(factors: Sequence[Array], weights: Array, xp: ModuleType) -> tuple[float, int]:
    """Norm of a CP tensor: each mode is rotated into at most R coordinates, so differences keep their digits."""
    rest, total = normalised(weights[None, :])
    for factor in factors:
        rows = (rest[:, None, :] * factor[None, :, :]).reshape(-1, factor.shape[1])
        rest, shift = normalised(xp.linalg.qr(rows, mode="r") if len(rows) > len(rows.T) else rows)
        total += shift
    return scaled_norm(rest.sum(axis=1), total, xp)


def ht_sweep(
    tree: DimensionTree, leaves: Sequence[Array], transfers: Sequence[Array], xp: ModuleType
) -> tuple[dict[Nested, Array], int]:
    """Parts that are isometries from the leaves up, the root holding what is left, and the exponent taken out of it."""
    parts: dict[Nested, Array] = {}
    carried: dict[Nested, Array] = {}
    total = 0
    whole: dict[Nested, Array] = {}
    whole.update(enumerate(leaves))
    whole.update(zip(tree.inner, transfers, strict=True))
    for node in tree.nodes:
        part = whole[node]
        for axis, child in enumerate(node if isinstance(node, tuple) else ()):
            part = xp.moveaxis(xp.tensordot(carried[child], part, axes=((1,), (axis,))), 0, axis)
        if node == tree.nested:
            parts[node], shift = normalised(part)
        else:
            q, r = xp.linalg.qr(part.reshape(-1, part.shape[-1]))
            parts[node] = q.reshape(*part.shape[:-1], -1)
            carried[node], shift = normalised(r)
        total += shift
    return parts, total
