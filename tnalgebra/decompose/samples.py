"""What completion fits: entries of a tensor, a train or a CP tensor on them, and one step of least squares."""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ..errors import FormatError, NonFiniteError
from ..execute.namespace import as_array
from ..formats import CPTensor, TTTensor
from ..formats.indexing import checked_points
from ..formats.parts import check_shape, sealed
from .als import balance

__all__ = ["TINY", "Samples", "Terms", "Train"]

Array = Any
PROXIMAL = 1e-9
"""Weight of the distance to the last part, relative to the mean square of the design: it fills what data leave open."""
NOISE = 1e-3
"""Size of the random entries with which parts grow, relative to their mean."""
HELD_OUT = 0.1
"""Share of the entries that no fit sees: they judge it."""
TINY = float(np.finfo(np.float64).tiny)


class Samples:
    """Entries of a tensor, at mean square one: those that are fitted, and those that are held out to judge the fit.

    floor: a relative error that is rounding errors alone.
    """

    def __init__(self, indices: Any, values: Any, shape: Sequence[int], seed: Any) -> None:
        self.shape = check_shape(shape)
        points, array = checked_points(indices, self.shape), np.asarray(as_array(values))
        if array.shape != (len(points),):
            raise FormatError(f"values must be one number a point: got shape {array.shape} for {len(points)} points")
        if not len(points):
            raise FormatError("nothing to fit: give at least one entry")
        if not np.isfinite(array).all():
            bad = int(np.count_nonzero(~np.isfinite(array)))
            raise NonFiniteError(f"values must be finite; {bad} of {array.size} are NaN or infinite")
        points, array = _merged(points, array)
        for mode, size in enumerate(self.shape):
            if len(seen := np.unique(points[:, mode])) < size:
                missing = int(np.setdiff1d(np.arange(size), seen)[0])
                raise FormatError(f"no entry has index {missing} in mode {mode}: nothing is known of that slice")
        self.dtype = np.result_type(array.dtype, np.float32 if array.dtype.kind in "fc" else np.float64)
        self.rng, self.floor = np.random.default_rng(seed), 100 * float(np.finfo(self.dtype).eps)
        order = self.rng.permutation(len(points))
        order, held = _with_all_slices_fitted(points[order], order, int(HELD_OUT * len(points)))
        wide = array.astype(np.result_type(self.dtype, np.float64))
        largest = float(np.max(np.abs(wide))) or 1.0
        self.scale = largest * (float(np.sqrt(np.mean(np.abs(wide / largest) ** 2))) or 1.0)
        self.points, self.values = points[order[held:]], wide[order[held:]] / self.scale
        self.held_points, self.held_values = points[order[:held]], wide[order[:held]] / self.scale
        self.groups = [_groups(self.points[:, mode], size) for mode, size in enumerate(self.shape)]

    def solve(self, mode: int, design: Callable[[Array], Array], part: Array) -> Array:
        """Rows of `part` (n, columns), each by least squares on the entries with its index, the last as a prior.

        design: from positions of entries to their rows. Corrections are solved for, so squaring the design costs no
        digits in the end.
        """
        found = part.copy()
        for index, rows in enumerate(self.groups[mode]):
            if len(rows):
                block = design(rows)
                gram = block.conj().T @ block
                gram[np.diag_indices(len(gram))] += PROXIMAL * max(float(np.trace(gram).real) / len(gram), TINY)
                found[index] += np.linalg.solve(gram, block.conj().T @ (self.values[rows] - block @ part[index]))
        return found

    def error(self, tensor: Any, *, is_held: bool) -> float:
        """Relative error on the entries that were fitted, or on those that were not."""
        points, values = (self.held_points, self.held_values) if is_held else (self.points, self.values)
        return float(np.linalg.norm(tensor.gather(points) - values) / (np.linalg.norm(values) or 1.0))


def _merged(points: Array, values: Array) -> tuple[Array, Array]:
    """Each point once, with the mean of its values: what is fitted must not be held out as well."""
    distinct, place, counts = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    if len(distinct) == len(points):
        return points, values
    sums = np.zeros(len(distinct), np.result_type(values, np.float64))
    np.add.at(sums, place.reshape(-1), values)
    return distinct, (sums / counts).astype(np.result_type(values, np.float32))


def _with_all_slices_fitted(points: Array, order: Array, held: int) -> tuple[Array, int]:
    """The order with points moved out of the first `held` where no other has their index in some mode."""
    is_needed = np.zeros(held, bool)
    for column in points.T:
        is_needed |= ~np.isin(column[:held], column[held:])
    return np.concatenate([order[:held][~is_needed], order[:held][is_needed], order[held:]]), int(
        held - is_needed.sum()
    )


def _groups(index: Array, size: int) -> list[Array]:
    """Positions of every index."""
    order = np.argsort(index, kind="stable")
    return np.split(order, np.cumsum(np.bincount(index, minlength=size))[:-1])


class Train:
    """A train that is fitted core by core; the cores that are not at work are isometries."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.parts = [np.ones((1, size, 1), samples.values.dtype) / np.sqrt(size) for size in samples.shape]

    @property
    def tensor(self) -> TTTensor:
        """The train as it is."""
        return TTTensor(sealed(part.copy() for part in self.parts))

    @property
    def ranks(self) -> list[int]:
        """Ranks of the inner bonds."""
        return [part.shape[2] for part in self.parts[:-1]]

    def grow(self, ranks: Sequence[int], noise: float = NOISE) -> None:
        """Let the bonds have these ranks, or the largest possible, with random entries of this relative size."""
        sizes = self.samples.shape
        most = [min(prod(sizes[:bond]), prod(sizes[bond:])) for bond in range(1, len(sizes))]
        bonds = [1, *map(min, ranks, most), 1]
        shapes = [(bonds[mode], size, bonds[mode + 1]) for mode, size in enumerate(sizes)]
        pairs = zip(self.parts, shapes, strict=True)
        self.parts = [_padded(part, shape, noise, self.samples.rng) for part, shape in pairs]

    def sweep(self) -> None:
        """From the left to the right and back."""
        groups, last, ones = self.samples.groups, len(self.parts) - 1, np.ones((len(self.samples.points), 1))
        rights = [ones]
        for mode in range(last, 0, -1):
            self._shift(mode, -1)
            rights.append(_through(self.parts[mode].transpose(2, 1, 0), groups[mode], rights[-1]))
        lefts = [ones]
        for mode in range(last + 1):
            self._update(mode, lefts[-1], rights.pop())
            if mode < last:
                self._shift(mode, 1)
                lefts.append(_through(self.parts[mode], groups[mode], lefts[-1]))
        right = ones
        for mode in range(last, 0, -1):
            self._shift(mode, -1)
            right = _through(self.parts[mode].transpose(2, 1, 0), groups[mode], right)
            lefts.pop()
            self._update(mode - 1, lefts[-1], right)

    def _update(self, mode: int, left: Array, right: Array) -> None:
        before, size, after = self.parts[mode].shape
        part = self.parts[mode].transpose(1, 0, 2).reshape(size, -1)
        found = self.samples.solve(
            mode, lambda rows: (left[rows][:, :, None] * right[rows][:, None, :]).reshape(len(rows), -1), part
        )
        self.parts[mode] = found.reshape(size, before, after).transpose(1, 0, 2)

    def _shift(self, mode: int, step: int) -> None:
        """Make a core an isometry towards its neighbour, which takes the rest."""
        core, other = self.parts[mode], mode + step
        if step > 0:
            q, r = np.linalg.qr(core.reshape(-1, core.shape[2]))
            self.parts[mode] = q.reshape(*core.shape[:2], -1)
            self.parts[other] = np.tensordot(r, self.parts[other], axes=1)
        else:
            q, r = np.linalg.qr(core.reshape(len(core), -1).T)
            self.parts[mode] = q.T.reshape(-1, *core.shape[1:])
            self.parts[other] = np.tensordot(self.parts[other], r.T, axes=1)


class Terms:
    """A CP tensor that is fitted factor by factor."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.parts = [np.ones((size, 1), samples.values.dtype) for size in samples.shape]

    @property
    def tensor(self) -> CPTensor:
        """The tensor as it is."""
        return CPTensor(sealed(part.copy() for part in self.parts))

    @property
    def ranks(self) -> list[int]:
        """The number of terms."""
        return [self.parts[0].shape[1]]

    def grow(self, ranks: Sequence[int], noise: float = NOISE) -> None:
        """Add terms with random entries of this relative size."""
        self.parts = [_padded(part, (len(part), ranks[0]), noise, self.samples.rng) for part in self.parts]

    def sweep(self) -> None:
        """Over all modes."""
        points = self.samples.points
        for mode in range(len(self.parts)):
            others = [(factor, points[:, m]) for m, factor in enumerate(self.parts) if m != mode]
            ones = np.ones(self.parts[mode].shape[1])
            self.parts[mode] = self.samples.solve(mode, partial(_products, others, ones), self.parts[mode])
        balance(self.parts)


def _products(others: Sequence[tuple[Array, Array]], ones: Array, rows: Array) -> Array:
    """The product of the rows of all other factors, an entry a row."""
    found = np.tile(ones, (len(rows), 1))
    for factor, index in others:
        found = found * factor[index[rows]]
    return found


def _through(core: Array, groups: Sequence[Array], rows: Array) -> Array:
    """Rows times slices of the core: groups has the numbers of those that a slice is for."""
    found = np.empty((len(rows), core.shape[2]), np.result_type(rows, core))
    for i, chosen in enumerate(groups):
        found[chosen] = rows[chosen] @ core[:, i, :]
    return found


def _padded(part: Array, shape: tuple[int, ...], noise: float, rng: Any) -> Array:
    """The part in the corner of a larger one, with random entries everywhere."""
    found = rng.standard_normal(shape) * (noise * float(np.sqrt(np.mean(np.abs(part) ** 2))))
    found = found.astype(part.dtype)
    found[tuple(map(slice, part.shape))] += part
    return found
