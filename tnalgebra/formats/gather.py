"""Entries of trains and trees at many points: what points share is computed once, the rest in batches in cache."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from .tree import DimensionTree, Nested

__all__ = ["ht_entries", "tt_entries"]

Array = Any
BATCH = 4096
"""Points whose row vectors stay in cache."""
FEW = 8
"""Points with one index from which on a product of matrices pays."""
SHARED = 16
"""Possible values for each point up to which it pays to look for equal ones."""
BLOCK = 1 << 18
"""Entries of a temporary array that stays in cache."""


def tt_entries(cores: Sequence[Array], points: Array) -> Array:
    """A row vector a point, from the left; the first modes from a table, as long as that is shorter than the points."""
    if len(points) <= FEW and max([core.shape[0] * core.shape[2] for core in cores]) * FEW <= BLOCK:
        return _few_entries(cores, points)
    table, index, mode = cores[0][0], points[:, 0], 1
    while mode < len(cores) and 2 * len(table) * cores[mode].shape[1] <= len(points):
        index = index * cores[mode].shape[1] + points[:, mode]
        table = np.tensordot(table, cores[mode], axes=1).reshape(-1, cores[mode].shape[2])
        mode += 1
    if mode == len(cores):
        return table[index, 0]
    pieces = []
    for start in range(0, len(points), BATCH):
        piece = slice(start, start + BATCH)
        values = table[index[piece]]
        for core, column in zip(cores[mode:], points[piece, mode:].T, strict=True):
            values = _times_slices(values, core, column)
        pieces.append(values[:, 0])
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _few_entries(cores: Sequence[Array], points: Array) -> Array:
    """A product of slices a point."""
    slices = (core.take(column, axis=1).transpose(1, 0, 2) for core, column in zip(cores, points.T, strict=True))
    return reduce(np.matmul, slices)[:, 0, 0]


def _times_slices(values: Array, core: Array, index: Array) -> Array:
    """Row b of `values` times core[:, index[b], :]: points with one index together are one product of matrices."""
    left, size, right = core.shape
    if size * FEW > len(index):
        return _each_times_slice(values, core, index, max(1, BLOCK // (left * right)))
    found = np.empty((len(index), right), np.result_type(values, core))
    order = np.argsort(index, kind="stable")
    stops = np.cumsum(np.bincount(index, minlength=size))
    ordered, products, start = values[order], np.empty_like(found), 0
    for i, stop in enumerate(stops):
        if stop > start:
            np.dot(ordered[start:stop], core[:, i, :], out=products[start:stop])
            start = stop
    found[order] = products
    return found


def _each_times_slice(values: Array, core: Array, index: Array, step: int) -> Array:
    """The same, one product a point: slices of so many points at a time."""
    pieces = []
    for start in range(0, len(index), step):
        piece = slice(start, start + step)
        slices = core.take(index[piece], axis=1).transpose(1, 0, 2)  # (points, R before, R after)
        pieces.append(np.matmul(values[piece, None, :], slices)[:, 0])
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def ht_entries(tree: DimensionTree, leaves: Sequence[Array], transfers: Sequence[Array], points: Array) -> Array:
    """The values of every node, from the leaves up; points that agree in the modes of a node share its value."""
    values: dict[Nested, tuple[Array, Array]] = {mode: (leaf, points[:, mode]) for mode, leaf in enumerate(leaves)}
    for branch, transfer in zip(tree.inner, transfers, strict=True):
        children = [values.pop(child) for child in branch]
        tables, sizes = [table for table, _ in children], [len(table) for table, _ in children]
        rows = [index for _, index in children]
        if np.prod(sizes, dtype=float) <= SHARED * len(points):
            keys, index = np.unique(np.ravel_multi_index(tuple(rows), sizes), return_inverse=True)
            rows = list(np.unravel_index(keys, sizes))
        else:
            index = np.arange(len(points))
        values[branch] = _joined(tables, rows, transfer), index
    table, index = values[tree.nested]
    return table[index, 0]


def _joined(tables: Sequence[Array], rows: Sequence[Array], transfer: Array) -> Array:
    """Σ_{ij…} B[i, j, …, k] · z₁[row, i] · z₂[row, j] · …: products in cache-sized blocks, then BLAS."""
    weight = transfer.reshape(-1, transfer.shape[-1])
    count = len(rows[0])
    found = np.empty((count, weight.shape[1]), np.result_type(weight, *tables))
    step = max(1, BLOCK // len(weight))
    for start in range(0, count, step):
        piece = slice(start, start + step)
        product = tables[0][rows[0][piece]]
        for table, row in zip(tables[1:], rows[1:], strict=True):
            product = (product[:, :, None] * table[row[piece]][:, None, :]).reshape(len(product), -1)
        np.dot(product, weight, out=found[piece])
    return found
