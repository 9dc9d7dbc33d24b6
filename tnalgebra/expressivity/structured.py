"""Matricizations of a format without its entries: a small matrix with the same singular values.

A train and a tree are networks without loops. Seen from one part, everything behind a bond is an array (row, column,
bond), of which QR keeps the triangle: isometries on the rows or on the columns change no singular value. What is left
at the last part is the small matrix. Rows that are the modes of a node, or a prefix, a suffix or an interval of a train
stay within products of two ranks; rows and columns that alternate grow as their rank does.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..decompose.dense import finite
from ..decompose.factor import lower_factor
from ..execute.scaling import at_one, rescaled
from ..formats import CPTensor, Format
from ..formats.network import Part

__all__ = ["NetworkMatrices", "SmallMatrix"]

Array = Any
UNIT = (2 * float(np.finfo(float).eps)) ** 2
"""Square of the relative rounding error of one QR step, as in the sweeps over formats."""


@dataclass(frozen=True, slots=True, eq=False)
class SmallMatrix:
    """A matrix with the singular values of a matricization, over 2^exponent.

    noise: norm of the rounding errors that it carries. extent: about how many of them meet in one singular value.
    """

    array: Array
    exponent: int = 0
    noise: float = 0.0

    @property
    def extent(self) -> int:
        """The larger side."""
        return int(max(self.array.shape))


@dataclass(frozen=True, slots=True, eq=False)
class _Behind:
    """What stands behind a bond: (rows, columns, bond) over 2^exponent, and the squared error of each index."""

    array: Array
    exponent: int
    noise: Array

    def turned(self) -> "_Behind":
        """Rows as columns."""
        return _Behind(self.array.transpose(1, 0, 2), self.exponent, self.noise)


@dataclass(frozen=True, slots=True)
class _Extent:
    """Rows, columns and bond of an array that is not formed; multiplications and the most entries on the way to it."""

    rows: int
    cols: int
    bond: int
    work: int
    peak: int


class NetworkMatrices:
    """Small matrices for the matricizations of a train, a tree or a CP tensor (as its train), for ξ = multiply."""

    def __init__(self, x: Format) -> None:
        even: Any = (x.to_tt() if isinstance(x, CPTensor) else x).to_device("cpu")._evened()
        network: Sequence[Part] = even.network()
        self.parts, self.exponent = list[Part](), 0
        for part in network:
            array, shift = finite(part.array, "a rank")
            array, further = at_one(array.astype(np.result_type(array.dtype, np.float64), copy=False))
            self.parts.append(Part(array, part.labels))
            self.exponent += shift + further
        ends: dict[Hashable, list[int]] = {}
        for number, part in enumerate(self.parts):
            for label in part.labels:
                if not isinstance(label, int):
                    ends.setdefault(label, []).append(number)
        self._beside: list[dict[Hashable, int]] = [
            {label: next(p for p in ends[label] if p != number) for label in part.labels if label in ends}
            for number, part in enumerate(self.parts)
        ]
        self._pure: dict[tuple[int, int], _Behind] = {}
        self._below: dict[tuple[int, int], frozenset[int]] = {}

    def work(self, rows: Iterable[int]) -> tuple[int, int]:
        """About the multiplications for these rows, and the entries of the largest array."""
        found = self._best(frozenset(rows))[1]
        return found.work, found.peak

    def matrix(self, rows: Iterable[int]) -> SmallMatrix:
        """The small matrix for these rows."""
        chosen = frozenset(rows)
        root, _ = self._best(chosen)
        behind: dict[int, _Behind] = {}
        for number, above in reversed(list(self._from(root))):
            found = self._joined(number, above, behind, chosen)
            if above is None:
                array, exponent = at_one(found.array[:, :, 0])
                noise = float(np.sqrt(rescaled(found.noise, -2 * exponent).sum()))
                return SmallMatrix(array, self.exponent + found.exponent + exponent, noise)
            behind[number] = found
        raise AssertionError("a network has a part")

    def _from(self, root: int) -> Iterator[tuple[int, int | None]]:
        """Every part with the one above it, parents first."""
        order: list[tuple[int, int | None]] = [(root, None)]
        for number, above in order:
            yield number, above
            order += [(other, number) for other in self._beside[number].values() if other != above]

    def _joined(self, number: int, above: int | None, behind: dict[int, _Behind], rows: frozenset[int]) -> _Behind:
        """A part with all that is behind it, as triangles; kept where all of it is rows, or columns."""
        beside = self._beside[number]
        below = {label: behind.pop(other) for label, other in beside.items() if other != above}
        if above is None:
            return self._contracted(self.parts[number], below, None, rows)
        bond = next(label for label, other in beside.items() if other == above)
        modes = self._modes(number, above)
        if not (is_rows := modes <= rows) and modes & rows:
            return _compressed(self._contracted(self.parts[number], below, bond, rows))
        if (number, above) not in self._pure:
            below = below if is_rows else {label: each.turned() for label, each in below.items()}
            found = _compressed(self._contracted(self.parts[number], below, bond, modes))
            self._pure[number, above] = found
        pure = self._pure[number, above]
        return pure if is_rows else pure.turned()

    def _modes(self, number: int, above: int) -> frozenset[int]:
        """Modes behind a bond."""
        if (number, above) not in self._below:
            found: set[int] = set()
            todo = [(number, above)]
            for part, before in todo:
                found |= {label for label in self.parts[part].labels if isinstance(label, int)}
                todo += [(other, part) for other in self._beside[part].values() if other != before]
            self._below[number, above] = frozenset(found)
        return self._below[number, above]

    def _contracted(
        self, part: Part, below: Mapping[Hashable, _Behind], bond: Hashable, rows: frozenset[int]
    ) -> _Behind:
        array, axes = part.array, list[Any](part.labels)
        for label, state in below.items():
            array = np.tensordot(array, state.array, axes=((axes.index(label),), (2,)))
            axes.remove(label)
            axes += [(label, True), (label, False)]
        sides = [axis in rows if isinstance(axis, int) else axis[1] for axis in axes if axis != bond]
        places = [place for place, axis in enumerate(axes) if axis != bond]
        first = [place for place, is_row in zip(places, sides, strict=True) if is_row]
        rest = [place for place in places if place not in first]
        ends = [axes.index(bond)] if bond is not None else []
        shape = [prod(array.shape[place] for place in side) for side in (first, rest, ends)]
        array, shift = at_one(array.transpose([*first, *rest, *ends]).reshape(shape))
        noise = rescaled(_noise(part, below, bond), -2 * shift)
        exponent = shift + sum(state.exponent for state in below.values())
        return _Behind(array, exponent, noise + UNIT * (abs(array) ** 2).sum(axis=(0, 1)))

    def _best(self, rows: frozenset[int]) -> tuple[int, _Extent]:
        """The part at which the sweeps should meet, and what that takes."""
        order = list(self._from(0))
        found: dict[tuple[int, int], _Extent] = {}
        for number, above in reversed(order):
            if above is not None:
                found[number, above] = self._extent(number, above, found, rows)
        for number, above in order[1:]:
            assert above is not None
            found[above, number] = self._extent(above, number, found, rows)
        wholes = [self._extent(number, None, found, rows) for number in range(len(self.parts))]
        best = min(range(len(wholes)), key=lambda number: wholes[number].work)
        return best, wholes[best]

    def _extent(
        self, number: int, above: int | None, found: Mapping[tuple[int, int], _Extent], rows: frozenset[int]
    ) -> _Extent:
        part, m, n, bond = self.parts[number], 1, 1, 1
        work, peak, inside = 0, int(part.array.size), int(part.array.size)
        for label, size in zip(part.labels, part.array.shape, strict=True):
            if isinstance(label, int):
                m, n = (m * size, n) if label in rows else (m, n * size)
            elif (other := self._beside[number][label]) == above:
                bond = size
            else:
                behind = found[other, number]
                m, n, work = m * behind.rows, n * behind.cols, work + behind.work + inside * behind.rows * behind.cols
                inside = inside * behind.rows * behind.cols // size
                peak = max(peak, behind.peak, inside)
        work += 2 * m * n * bond * (min(m, n * bond) + min(n, m * bond))
        if above is not None:
            m = min(m, n * bond)
            n = min(n, m * bond)
        return _Extent(m, n, bond, work, peak)


def _compressed(state: _Behind) -> _Behind:
    """Triangles in place of more rows than columns and bond can tell apart, and of more columns."""
    array = state.array
    for _ in range(2):
        sides = array.shape
        if sides[0] > sides[1] * sides[2]:
            flat = array.reshape(sides[0], -1)
            array = lower_factor(flat.T.conj(), np).T.conj().reshape(-1, *sides[1:])
        array = array.transpose(1, 0, 2)
    array, shift = at_one(np.ascontiguousarray(array))
    return _Behind(array, state.exponent + shift, rescaled(state.noise, -2 * shift))


def _noise(part: Part, below: Mapping[Hashable, _Behind], bond: Hashable) -> Array:
    """Squared rounding errors at every index of the bond, from those behind the part, one at a time."""
    squares = abs(part.array) ** 2
    total = np.zeros(squares.shape[part.labels.index(bond)] if bond is not None else 1)
    norms = {label: (abs(state.array) ** 2).sum(axis=(0, 1)) for label, state in below.items()}
    for wrong, state in below.items():
        rest, axes = squares, list(part.labels)
        for label, norm in norms.items():
            rest = np.tensordot(rest, state.noise if label == wrong else norm, axes=((axes.index(label),), (0,)))
            axes.remove(label)
        total = total + rest.sum(axis=tuple(axis for axis, label in enumerate(axes) if label != bond))
    return total
