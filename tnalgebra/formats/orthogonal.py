"""QR sweeps over formats for ξ = multiply, with scales kept apart so that long products neither over- nor underflow."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ..execute.scaling import at_one, normalised, rescaled
from .tree import DimensionTree, Nested, modes_of

__all__ = ["Swept", "cp_norm", "ht_center", "ht_sweep", "scaled_norm", "spread", "tt_center"]

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
    pairs = [normalised(core) for core in cores]
    cores, total = [core for core, _ in pairs], sum(exponent for _, exponent in pairs)
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


def ht_center(tree: DimensionTree, parts: dict[Nested, Array], center: Nested, xp: ModuleType) -> dict[Nested, Array]:
    """Parts that are isometries towards the root become isometries towards another node, QR by QR on the way down."""
    parts, node = dict(parts), tree.nested
    while node != center:
        assert isinstance(node, tuple)
        axis = next(i for i, child in enumerate(node) if set(modes_of(center)) <= set(modes_of(child)))
        child = node[axis]
        part = xp.moveaxis(parts[node], axis, -1)
        q, r = xp.linalg.qr(part.reshape(-1, part.shape[-1]))
        parts[node] = xp.moveaxis(q.reshape(*part.shape[:-1], -1), -1, axis)
        parts[child] = xp.tensordot(parts[child], r, axes=((-1,), (1,)))
        node = child
    return parts


@dataclass(frozen=True, slots=True)
class Swept:
    """A tree whose parts are isometries from the leaves up; the root holds what is left.

    parts: by node. exponent: of 2, taken out of the root. noise: square of the rounding error that the root carries.
    """

    parts: dict[Nested, Array]
    exponent: int
    noise: float


def ht_sweep(tree: DimensionTree, leaves: Sequence[Array], transfers: Sequence[Array], xp: ModuleType) -> Swept:
    """QR from the leaves to the root. Each column of a node carries its own rounding error, so scales do not mix."""
    pairs = [at_one(part) for part in (*leaves, *transfers)]
    nodes: list[Nested] = [*range(tree.ndim), *tree.inner]
    whole = {node: part for node, (part, _) in zip(nodes, pairs, strict=True)}
    unit = 2 * float(np.finfo(leaves[0].dtype).eps)
    parts: dict[Nested, Array] = {}
    carried: dict[Nested, tuple[Array, Array, Array]] = {}  # R of a node, the squared norms and errors of its columns
    total, shift, noise = sum(exponent for _, exponent in pairs), 0, xp.zeros(1)
    for node in tree.nodes:
        part, children = whole[node], node if isinstance(node, tuple) else ()
        below = [carried.pop(child) for child in children]
        for axis, (r, _, _) in enumerate(below):
            part = xp.moveaxis(xp.tensordot(r, part, axes=((1,), (axis,))), 0, axis)
        noise = _spread_noise(whole[node], below, xp)
        if node == tree.nested:
            parts[node], shift = at_one(part)
        else:
            q, r = xp.linalg.qr(part.reshape(-1, part.shape[-1]))
            parts[node] = q.reshape(*part.shape[:-1], -1)
            r, shift = at_one(r)
            squares = (abs(r) ** 2).sum(axis=0)
            carried[node] = r, squares, rescaled(noise, -2 * shift) + unit**2 * squares
        total += shift
    return Swept(parts, total, float(np.ldexp(float(noise.sum()), -2 * shift)))


def _spread_noise(part: Array, below: Sequence[tuple[Array, Array, Array]], xp: ModuleType) -> Array:
    """Squared errors of the columns of a node, from those of its children, one at a time."""
    squares = abs(part) ** 2
    found = xp.zeros(part.shape[-1], dtype=squares.dtype)
    for wrong in range(len(below)):
        rest = squares
        for axis, (_, norms, errors) in enumerate(below):
            rest = xp.tensordot(errors if axis == wrong else norms, rest, axes=((0,), (0,)))
        found = found + rest
    return found
