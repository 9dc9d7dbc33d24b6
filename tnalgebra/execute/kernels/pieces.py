"""Σ of W · ξ(a, b) for a ξ that is linear on either side of a point: by tables between the points, exactly."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Operator
from ...algebra.scalar import compiled
from ...graph import Labels
from ...plan import Step
from ...plan.pieces import ROWS, pieces
from ...plan.step import volume
from ..threads import in_threads, thread_count
from .weighted import lower_weighted

__all__ = ["lower_pieces"]

Array = Any
Kernel = Callable[..., Array]
MUCH = 1 << 15
"""Numbers from which looking them up is worth threads."""


def lower_pieces(step: Step, xp: ModuleType) -> Kernel:
    """(a, b, W) → Σ W · ξ(a, b); numbers that are not finite have no place in a table and take the way by tiles."""
    plain = lower_weighted(step, xp)
    assert isinstance(step.tree, tuple)
    op, sides = step.tree[0], pieces(step.tree, step.terms, step.result, step.sizes)
    if xp is not np or sides is None or not isinstance(op, Operator):
        return plain
    labels = (*sides.rows, *sides.outer, *sides.kept)
    sizes = {label: step.sizes[label] for label in labels}
    turn = None if labels == step.result else tuple(map(labels.index, step.result))

    def looked_up(*arrays: Array) -> Array:
        weight, a, b = arrays[2], arrays[sides.table], arrays[1 - sides.table]
        if any(array.dtype != a.dtype for array in arrays) or a.dtype.kind != "f" or not _is_finite(arrays):
            return plain(*arrays)
        a = _matrix(a, step.terms[sides.table], sides.outer, sides.inner, step.sizes)
        b = _matrix(b, step.terms[1 - sides.table], sides.rows, sides.looked, step.sizes)
        weight = _matrix(weight, step.terms[2], sides.inner, (*sides.looked, *sides.kept), step.sizes)
        shape = len(a), b.shape[1], volume(sides.kept, step.sizes)
        out = np.empty((len(b), shape[0], shape[2]), a.dtype)
        for start in range(0, len(a), sides.chunk):
            part = a[start : start + sides.chunk]
            with np.errstate(all="ignore"):
                points, slopes, intercepts = _tables(op, part, weight, (len(part), *shape[1:]))
            if not _is_finite((slopes, intercepts)):  # terms of the tables are larger than those of the sum
                return plain(*arrays)
            _look_up(b, points, slopes, intercepts, out[:, start : start + sides.chunk])
        found = out.reshape(tuple(sizes.values()))
        return found if turn is None else np.ascontiguousarray(found.transpose(turn))

    return looked_up


def _is_finite(arrays: Any) -> bool:
    return all(np.isfinite(array).all() for array in arrays)


def _matrix(array: Array, labels: Labels, rows: Labels, columns: Labels, sizes: dict[str, int]) -> Array:
    turned = array.transpose([labels.index(label) for label in (*rows, *columns)])
    return turned.reshape(volume(rows, sizes), volume(columns, sizes))


def _tables(op: Operator, a: Array, weight: Array, shape: tuple[int, int, int]) -> tuple[Array, Array, Array]:
    """The points where some ξ(a, ·) bends, and slope and intercept of Σ W · ξ in the intervals: (j · n, p · k) each.

    Every sum runs over the terms that are there, not over differences of terms that cancel.
    """
    bends, below, above, start, rise = _lines(op, a)
    points, place = np.unique(bends, return_inverse=True)
    is_above = place.reshape(1, *a.shape) < np.arange(len(points) + 1)[:, None, None]
    p, j, k = shape

    def table(low: Array, high: Array) -> Array:
        sums = np.where(is_above, high, low) @ weight  # (n, p, j · k)
        return np.ascontiguousarray(sums.reshape(-1, p, j, k).transpose(2, 0, 1, 3)).reshape(-1, p * k)

    return points, table(below, above), table(start, rise)


def _lines(op: Operator, y: Array) -> tuple[Array, ...]:
    """ξ(·, y) as two lines: where they meet, their slopes and their intercepts."""
    assert op.breakpoint is not None
    with np.errstate(all="ignore"):
        bends = np.broadcast_to(compiled(op.breakpoint, ("y",), np)(y), y.shape).astype(y.dtype)
        value, origin = op.apply(bends, y), op.apply(np.zeros_like(y), y)
        away = 1 + abs(bends) + abs(y)  # near the point rounding may take a number for the point itself
        below, above = (op.partials(bends + step, y)[0].astype(y.dtype) for step in (-away, away))
    start, rise = np.where(bends < 0, value - below * bends, origin), np.where(bends > 0, value - above * bends, origin)
    return bends, below, above, start, rise


def _look_up(b: Array, points: Array, slopes: Array, intercepts: Array, out: Array) -> None:
    """out[q] ← Σ_j slope · b[q, j] + intercept, on all threads where that is much."""
    threads = thread_count() if b.size >= MUCH else 1
    count = max(1, ROWS // threads // max(b.shape[1], slopes.shape[1]))

    def part(rows: slice) -> None:
        _look_up_one(b[rows], points, (slopes, intercepts), out[rows], count)

    in_threads(part, len(b), threads)


def _look_up_one(b: Array, points: Array, tables: tuple[Array, Array], out: Array, count: int) -> None:
    """The same on one thread, some rows at a time: two products of sparse matrices that have the same places."""
    from scipy.sparse import csr_array

    slopes, intercepts = tables
    first = np.arange(b.shape[1]) * (len(points) + 1)
    for start in range(0, len(b), count):
        numbers = b[start : start + count]
        places = np.searchsorted(points, numbers)
        places += first
        ends = np.arange(0, numbers.size + 1, b.shape[1])
        shape = len(numbers), len(slopes)
        lines = csr_array((np.ascontiguousarray(numbers).reshape(-1), places.reshape(-1), ends), shape=shape)
        part = lines @ slopes
        lines.data = np.ones(numbers.size, b.dtype)
        part += lines @ intercepts
        out[start : start + count] = part.reshape(-1, *out.shape[1:])
