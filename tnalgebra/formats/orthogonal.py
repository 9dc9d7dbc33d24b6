"""QR sweeps over formats for ξ = multiply, with scales kept apart so that long products neither over- nor underflow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from ..execute.scaling import (
    at_one,
    columns_at_one,
    exponent_of,
    is_moderate,
    largest,
    norm_exponent,
    normalised,
    rescaled,
    shifted,
)
from .levels import ht_leveled, tt_moderate
from .qr import qr, triangle
from .tree import DimensionTree, Nested

__all__ = [
    "Swept",
    "cp_columns",
    "cp_norm",
    "cp_weights",
    "evened",
    "fitted",
    "ht_center",
    "ht_inner",
    "ht_sweep",
    "scaled_norm",
    "shares",
    "spread",
    "tt_center",
    "tt_norm",
]

Array = Any


def spread(parts: Sequence[Array], exponent: int, center: int) -> list[Array]:
    """The parts with 2^exponent multiplied in: into the center as far as it goes, the rest shared by all others.

    Where the center cannot hold the scale of the whole, no single part can, and the product of all still does.
    """
    limits, own = np.finfo(parts[0].real.dtype), exponent
    if len(parts) > 1 and abs(exponent) > limits.maxexp // 2:
        top = (exponent_of(parts[center]) or 0) + parts[center].size.bit_length() // 2  # that of the norm, at most
        own = max(int(limits.minexp) - top, min(int(limits.maxexp) - 1 - top, exponent))
    rest, most = shares(exponent - own, len(parts) - 1), limits.maxexp // 2
    if max(map(abs, rest), default=0) > most:  # too much for the others as well: all parts alike
        own, *rest = shares(exponent, len(parts))
    rest.insert(center, own)
    return [rescaled(part, one) for part, one in zip(parts, rest, strict=True)]


def shares(exponent: int, count: int) -> list[int]:
    """An exponent as a sum of nearly equal integers."""
    return [exponent * (i + 1) // count - exponent * i // count for i in range(count)]


def evened(parts: Sequence[Array], exponent: int) -> list[Array] | None:
    """Parts of one scale with the same product times 2^exponent; None where that would change nothing that matters.

    Nothing matters where every product of some of the parts is far from the ends of their dtype.
    """
    room = np.finfo(parts[0].dtype).maxexp // 2
    sizes = (room if scale is None else abs(scale) for scale in map(norm_exponent, parts))
    if not exponent and sum(sizes) < room:
        return None
    bounds = [largest(part) for part in parts]
    found = [int(np.frexp(bound)[1]) if 0 < bound < np.inf else 0 for bound in bounds]
    scaled = [place for place, bound in enumerate(bounds) if 0 < bound < np.inf]  # the others have no scale to share
    wanted = shares(exponent + sum(found) if all(bounds) else 0, len(scaled))  # what zero is times has none either
    moves = [0] * len(parts)
    for place, share in zip(scaled, wanted, strict=True):
        moves[place] = share - found[place]
    if not exponent and (sum(map(abs, found)) < room or max(map(abs, moves)) <= 1):
        return None
    return [rescaled(part, move) for part, move in zip(parts, moves, strict=True)]


def fitted(cores: list[Array], xp: ModuleType) -> tuple[list[Array], int]:
    """Cores of the same train without ranks that no train has beside the others, and the exponent taken out."""
    if all(
        left.shape[2] <= min(left.shape[0] * left.shape[1], right.shape[1] * right.shape[2])
        for left, right in pairwise(cores)
    ):
        return cores, 0
    cores, forth = tt_center(cores, len(cores) - 1, xp)
    cores, back = tt_center(cores, 0, xp)
    return cores, forth + back


def cp_columns(factors: Sequence[Array], weights: Array, xp: ModuleType) -> tuple[list[Array], Array, Array]:
    """Factors and weights whose columns have entries of at most one, and the exponents of 2: (parts, terms)."""
    found, exponents = [], []
    for part in (*factors, weights[None, :]):
        columns, shifts = columns_at_one(part, xp)
        found.append(columns)
        exponents.append(shifts)
    return found[:-1], found[-1][0], xp.stack(exponents)


def cp_weights(weights: Array, exponents: Array, xp: ModuleType) -> tuple[Array, int]:
    """Weights times 2^exponents, one a term, as an array of moderate numbers and the exponent of the largest."""
    there = exponents[weights != 0]
    top = int(xp.max(there)) if there.size else 0
    return shifted(weights, xp.maximum(xp.minimum(exponents - top, 0), -4000), xp), top


def scaled_norm(array: Array, exponent: int, xp: ModuleType) -> tuple[float, int]:
    """Norm of array · 2^exponent as mantissa and exponent."""
    small, shift = normalised(array)
    return float(xp.linalg.norm(small.reshape(-1))), exponent + shift


def tt_center(cores: Sequence[Array], center: int, xp: ModuleType) -> tuple[list[Array], int]:
    """Cores that are isometries towards `center`, and the exponent that was taken out of the central one."""
    cores, total = tt_moderate(cores, xp)
    for mode in range(center):
        left, size, right = cores[mode].shape
        q, r = qr(cores[mode].reshape(left * size, right), xp)
        cores[mode] = q.reshape(left, size, -1)
        r, shift = normalised(r)
        total += shift
        _, *sizes = cores[mode + 1].shape
        cores[mode + 1] = (r @ cores[mode + 1].reshape(right, -1)).reshape(-1, *sizes)
    for mode in range(len(cores) - 1, center, -1):
        left, size, right = cores[mode].shape
        q, r = qr(cores[mode].reshape(left, size * right).T.conj(), xp)
        cores[mode] = q.T.conj().reshape(-1, size, right)
        r, shift = normalised(r)
        total += shift
        *sizes, _ = cores[mode - 1].shape
        cores[mode - 1] = (cores[mode - 1].reshape(-1, left) @ r.T.conj()).reshape(*sizes, -1)
    cores[center], shift = normalised(cores[center])
    return cores, total + shift


def tt_norm(cores: Sequence[Array], xp: ModuleType) -> tuple[float, int]:
    """Norm of a train as mantissa and exponent, by the triangular factors of a sweep alone."""
    cores, total = tt_moderate(cores, xp)
    rest = cores[0][0]
    for core in cores[1:]:
        rest, shift = normalised(triangle(rest, xp) if rest.shape[0] > rest.shape[1] else rest)
        rest = (rest @ core.reshape(core.shape[0], -1)).reshape(-1, core.shape[2])
        total += shift
    return scaled_norm(rest, total, xp)


def cp_norm(factors: Sequence[Array], weights: Array, xp: ModuleType) -> tuple[float, int]:
    """Norm of a CP tensor: each mode is rotated into at most R coordinates, so differences keep their digits."""
    factors, weights, exponents = cp_columns(factors, weights, xp)
    weights, total = cp_weights(weights, exponents.sum(axis=0), xp)
    rest = weights[None, :]
    for factor in factors:
        rows = (rest[:, None, :] * factor[None, :, :]).reshape(-1, factor.shape[1])
        rest, shift = normalised(triangle(rows, xp) if len(rows) > len(rows.T) else rows)
        total += shift
    return scaled_norm(rest.sum(axis=1), total, xp)


def ht_center(tree: DimensionTree, parts: dict[Nested, Array], center: Nested, xp: ModuleType) -> dict[Nested, Array]:
    """Parts that are isometries towards the root become isometries towards another node, QR by QR on the way down."""
    parts, above = dict(parts), {child: branch for branch in tree.inner for child in branch}
    path = [center]
    while path[-1] in above:
        path.append(above[path[-1]])
    for node, child in pairwise(reversed(path)):
        assert isinstance(node, tuple)
        axis = node.index(child)
        part = xp.moveaxis(parts[node], axis, -1)
        q, r = qr(part.reshape(-1, part.shape[-1]), xp)
        parts[node] = xp.moveaxis(q.reshape(*part.shape[:-1], -1), -1, axis)
        parts[child] = xp.tensordot(parts[child], r, axes=((-1,), (1,)))
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
    """QR from the leaves to the root. Each column of a node carries its own rounding error, so scales do not mix.

    Errors climb as matrices of their second moments: from the squares of columns alone their bound would grow by a
    factor at every level of a deep tree.
    """
    nodes: list[Nested] = [*range(tree.ndim), *tree.inner]
    whole = dict(zip(nodes, (*leaves, *transfers), strict=True))
    if not all(map(is_moderate, whole.values())):
        whole = ht_leveled(tree, whole, xp)
    pairs = [at_one(part) for part in whole.values()]
    whole = {node: part for node, (part, _) in zip(nodes, pairs, strict=True)}
    unit = 2 * float(np.finfo(leaves[0].dtype).eps)
    parts: dict[Nested, Array] = {}
    carried: dict[Nested, tuple[Array, Array, Array]] = {}  # R of a node, its Gram matrix, and that of its errors
    total, shift, noise = sum(exponent for _, exponent in pairs), 0, xp.zeros((1, 1))
    for node in tree.nodes:
        part, children = whole[node], node if isinstance(node, tuple) else ()
        below = [carried.pop(child) for child in children]
        for axis, (r, _, _) in enumerate(below):
            part = xp.moveaxis(xp.tensordot(r, part, axes=((1,), (axis,))), 0, axis)
        noise = _spread_noise(whole[node], below, xp)
        if node == tree.nested:
            parts[node], shift = at_one(part)
        else:
            q, r = qr(part.reshape(-1, part.shape[-1]), xp)
            parts[node] = q.reshape(*part.shape[:-1], -1)
            r, shift = at_one(r)
            gram = r.T.conj() @ r
            own = unit**2 * gram * xp.eye(len(gram), dtype=gram.dtype)
            carried[node] = r, gram, rescaled(noise, -2 * shift) + own
        total += shift
    return Swept(parts, total, float(np.ldexp(float(noise.real.sum()), -2 * shift)))


def ht_inner(tree: DimensionTree, pairs: Mapping[Nested, tuple[Array, Array]], xp: ModuleType) -> tuple[Array, int]:
    """Σ conj(left) · right as a number and an exponent: inner products of the frames of two, from leaves to root."""
    grams: dict[Nested, Array] = {}
    total = 0
    for node in tree.nodes:
        (left, shift), (right, other) = map(normalised, pairs[node])
        shape = left.shape
        for axis, child in enumerate(node if isinstance(node, tuple) else ()):
            gram = grams.pop(child)
            right = xp.matmul(gram, right.reshape(prod(shape[:axis]), gram.shape[1], -1))
        rows = left.reshape(-1, shape[-1]).T.conj()
        grams[node], scale = at_one(rows @ right.reshape(rows.shape[1], -1))
        total += shift + other + scale
    return grams[tree.nested][0, 0], total


def _spread_noise(part: Array, below: Sequence[tuple[Array, Array, Array]], xp: ModuleType) -> Array:
    """Second moments of the errors of a node's columns, from those of its children, one at a time."""
    flat = part.reshape(-1, part.shape[-1])
    found = xp.zeros((part.shape[-1],) * 2, dtype=part.dtype)
    for wrong in range(len(below)):
        rest = part
        for axis, (_, gram, errors) in enumerate(below):
            moments = errors if axis == wrong else gram
            rest = xp.matmul(moments, rest.reshape(prod(part.shape[:axis]), part.shape[axis], -1))
        found = found + flat.T.conj() @ rest.reshape(flat.shape)
    return found
