"""A tree-shaped network of arrays on the nodes of another tree: the exact way from one format to another.

Every bond runs along the one path between the places of its two ends. An edge of the target carries all bonds that
cross it, so its rank is the product of their sizes; parts without a mode stand where the bonds are shortest.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log, prod
from typing import Any

import numpy as np

from ..algebra import operator
from ..errors import MemoryLimitError
from ..execute import contract
from ..execute.expression import evaluate_scaled
from ..execute.memory import as_bytes
from ..execute.namespace import namespace_of
from ..graph import Contract, Leaf
from .tree import DimensionTree

__all__ = ["Layout", "Part", "chain", "embed", "embedded_size", "met", "on_tree", "renamed", "without"]

Array = Any
Place = Hashable
Edge = frozenset[Place]
FEW = 8
"""Parts of which a product stays in the range of the numbers, as each is near one."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """An array with one label an axis: a number is a mode, anything else a bond, which two parts share."""

    array: Array
    labels: tuple[Hashable, ...]


def renamed(parts: Sequence[Part], order: Sequence[int]) -> list[Part]:
    """The network with mode `order[t]` as mode t; modes that `order` leaves out must be gone."""
    number = {old: new for new, old in enumerate(order)}
    return [
        Part(part.array, tuple(number[label] if isinstance(label, int) else label for label in part.labels))
        for part in parts
    ]


def without(parts: Sequence[Part], rows: Mapping[int, Array]) -> list[Part]:
    """The network in which `rows` stand for the parts of these modes; the others are numbered anew."""
    kept = sorted({label for part in parts for label in part.labels if isinstance(label, int) and label not in rows})
    found = []
    for part in parts:
        gone = next((label for label in part.labels if isinstance(label, int) and label in rows), None)
        if gone is not None:
            labels = tuple(label for label in part.labels if label != gone)
            sizes = [n for n, label in zip(part.array.shape, part.labels, strict=True) if label != gone]
            part = Part(rows[gone].reshape(sizes), labels)
        found.append(part)
    return renamed(found, kept)


def met(parts: Sequence[Part], first: int, second: int) -> list[Part]:
    """The network in which two modes are one: a new bond brings the index of `first` to the part of `second`."""
    found = []
    for part in parts:
        array, labels = part.array, part.labels
        if first in labels:
            axis = labels.index(first)
            eye = namespace_of([array]).eye(array.shape[axis], dtype=array.dtype)
            ones = [1] * (array.ndim - axis - 1)
            array = array[..., None] * eye.reshape(len(eye), *ones, len(eye))
            labels = (*labels, "met")
        if second in labels:
            labels = tuple("met" if label == second else label for label in labels)
        found.append(Part(array, labels))
    kept = {label for part in found for label in part.labels if isinstance(label, int)}
    return renamed(found, sorted(kept))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where parts can stand: a tree of places.

    parents: the parent of every place, None for the root, parents before children. axes: the neighbours of a place in
    the order of the axes of its array, None for an axis of size 1. homes: the place of every mode.
    """

    parents: Mapping[Place, Place | None]
    axes: Mapping[Place, Sequence[Place | None]]
    homes: Mapping[int, Place]

    def numbers(self) -> dict[Place, int]:
        """The places by number, parents before children."""
        return {place: number for number, place in enumerate(self.parents)}

    def distances(self) -> Array:
        """Number of edges between any two places, in the order of `parents`."""
        number = self.numbers()
        found = np.zeros((len(number),) * 2, int)
        for i, parent in enumerate(self.parents.values()):
            if parent is not None:
                found[i, :i] = found[:i, i] = found[number[parent], :i] + 1
        return found

    def path(self, start: Place, stop: Place, number: Mapping[Place, int]) -> Iterator[Edge]:
        """The edges between two places: the one with the larger number is no ancestor of the other, and climbs."""
        up, down = [start], [stop]
        while up[-1] != down[-1]:
            side = up if number[up[-1]] > number[down[-1]] else down
            above = self.parents[side[-1]]
            assert above is not None
            side.append(above)
        yield from map(frozenset, pairwise([*up, *down[-2::-1]]))


def chain(ndim: int) -> Layout:
    """The places of a train: one a mode, with the neighbours before and after it."""
    before: list[Place | None] = [None, *range(ndim - 1)]
    after: list[Place | None] = [*range(1, ndim), None]
    axes: dict[Place, Sequence[Place | None]] = dict(enumerate(zip(before, after, strict=True)))
    return Layout(dict(enumerate(before)), axes, {mode: mode for mode in range(ndim)})


def on_tree(tree: DimensionTree) -> Layout:
    """The places of a hierarchical tensor: the nodes of its tree, with the children before the parent."""
    parents: dict[Place, Place | None] = {tree.nested: None}
    for branch in reversed(tree.inner):
        parents |= dict.fromkeys(branch, branch)
    axes = {node: (*(node if isinstance(node, tuple) else ()), parents[node]) for node in parents}
    return Layout(parents, axes, {mode: mode for mode in range(tree.ndim)})


def embed(parts: Sequence[Part], layout: Layout) -> tuple[dict[Place, Array], int]:
    """One array a place: an axis for every neighbour, and the mode last where it has one; and an exponent of 2."""
    xp = namespace_of([part.array for part in parts])
    dtype = xp.result_type(*(part.array for part in parts))
    sizes, places, crossing = _laid(parts, layout)
    needed, limit = _entries(sizes, crossing, layout) * np.dtype(dtype).itemsize, as_bytes("50%")
    if limit is not None and needed > limit:
        raise MemoryLimitError(
            f"the exact conversion would take {needed} bytes, more than half of what is free: a rank is the product of "
            "the bonds that cross; round first, or take from_dense(t.to_dense(), …) if the entries fit"
        )
    held: dict[Place, list[Part]] = {place: [] for place in layout.parents}
    for part, place in zip(parts, places, strict=True):
        held[place].append(part)
    found = {place: _joined(place, held[place], layout, crossing, sizes, xp, dtype) for place in layout.parents}
    return {place: array for place, (array, _) in found.items()}, sum(exponent for _, exponent in found.values())


def embedded_size(parts: Sequence[Part], layout: Layout) -> int:
    """How many numbers the arrays of `embed` have, found without them."""
    sizes, _, crossing = _laid(parts, layout)
    return _entries(sizes, crossing, layout)


def _entries(sizes: Mapping[Hashable, int], crossing: Mapping[Edge, list[Hashable]], layout: Layout) -> int:
    ranks = {edge: prod(sizes[label] for label in labels) for edge, labels in crossing.items()}
    modes = {place: sizes[mode] for mode, place in layout.homes.items()}
    return sum(
        modes.get(place, 1) * prod(ranks.get(frozenset((place, axis)), 1) for axis in axes if axis is not None)
        for place, axes in layout.axes.items()
    )


def _laid(parts: Sequence[Part], layout: Layout) -> tuple[dict[Hashable, int], list[Place], dict[Edge, list[Hashable]]]:
    """Sizes of the labels, the place of every part, and the bonds that cross each edge."""
    sizes = {label: size for part in parts for label, size in zip(part.labels, part.array.shape, strict=True)}
    ends: dict[Hashable, list[int]] = {}
    for position, part in enumerate(parts):
        for label in part.labels:
            if not isinstance(label, int):
                ends.setdefault(label, []).append(position)
    places, number = _places(parts, ends, sizes, layout), layout.numbers()
    crossing: dict[Edge, list[Hashable]] = {}
    for label, (first, second) in ends.items():
        for edge in layout.path(places[first], places[second], number):
            crossing.setdefault(edge, []).append(label)
    return sizes, places, crossing


def _joined(
    place: Place,
    parts: Sequence[Part],
    layout: Layout,
    crossing: Mapping[Edge, list[Hashable]],
    sizes: Mapping[Hashable, int],
    xp: Any,
    dtype: Any,
) -> tuple[Array, int]:
    """Contract the parts of one place, many with an exponent of 2; a bond that only passes through is an identity."""
    sides = [crossing.get(frozenset((place, axis)), []) if axis is not None else [] for axis in layout.axes[place]]
    own = {label for part in parts for label in part.labels}
    numbers: dict[Hashable, int] = {}
    output: list[int] = []
    for side, labels in enumerate(sides):
        for label in labels:
            key = label if label in own else (side, label)
            output.append(numbers.setdefault(key, len(numbers)))
    modes = [label for part in parts for label in part.labels if isinstance(label, int)]
    operands: list[Any] = []
    for part in parts:
        operands += [part.array, [numbers.setdefault(label, len(numbers)) for label in part.labels]]
    passing = {label for labels in sides for label in labels} - own
    for label in sorted(passing, key=str):
        there = [numbers[side, label] for side, labels in enumerate(sides) if label in labels]
        operands += [xp.eye(sizes[label], dtype=dtype), there]
    shape = [prod(sizes[label] for label in labels) for labels in sides] + [sizes[mode] for mode in modes]
    if not operands:
        return xp.ones(tuple(shape), dtype=dtype), 0
    output += [numbers[mode] for mode in modes]
    if len(parts) <= FEW:
        return contract(*operands, output).reshape(shape), 0
    found, exponent = _scaled(operands[::2], operands[1::2], output)
    return found.reshape(shape), exponent


def _scaled(arrays: Sequence[Array], terms: Sequence[Sequence[int]], output: Sequence[int]) -> tuple[Array, int]:
    """The contraction of arrays whose product, or a part of it, may leave the range of the numbers."""
    bound = {f"p{i}": array for i, array in enumerate(arrays)}
    leaves = [Leaf(name, tuple(f"{axis}" for axis in range(array.ndim))) for name, array in bound.items()]
    inputs = tuple(tuple(map(str, term)) for term in terms)
    node = Contract(operator("multiply"), operator("add"), inputs, tuple(leaves), tuple(map(str, output)))
    return evaluate_scaled(node, bound)


def _places(
    parts: Sequence[Part], ends: Mapping[Hashable, list[int]], sizes: Mapping[Hashable, int], layout: Layout
) -> list[Place]:
    """Parts with a mode stand at its home; the others where Σ log(size) · length over all bonds is least.

    The free parts form a forest, so dynamic programming from its leaves finds the optimum.
    """
    names, distances = list(layout.parents), layout.distances()
    found = [next((layout.homes[label] for label in part.labels if isinstance(label, int)), None) for part in parts]
    number = layout.numbers()
    down = [(number[place], number[parent]) for place, parent in layout.parents.items() if parent is not None]
    steps = [*((parent, place) for place, parent in reversed(down)), *down]
    spots = {position: number[place] for position, place in enumerate(found) if place is not None}
    links: dict[int, list[tuple[int, float]]] = {position: [] for position in range(len(parts))}
    for label, (first, second) in ends.items():
        weight = log(sizes[label]) + 1e-9  # a bond of size 1 costs nothing, but needs no detour either
        links[first].append((second, weight))
        links[second].append((first, weight))
    for root in range(len(parts)):
        if root in spots:
            continue
        order, above = [root], {root: -1}
        for position in order:
            further = [other for other, _ in links[position] if other not in spots and other not in above]
            above |= dict.fromkeys(further, position)
            order += further
        costs = {position: np.zeros(len(names)) for position in order}
        best: dict[int, list[int]] = {}  # for every place of the part above, the best one of this
        for position in reversed(order):
            for other, weight in links[position]:
                if other in spots:
                    costs[position] += weight * distances[spots[other]]
            for other, weight in links[position]:
                if other == above[position]:
                    least, best[position] = _nearest(costs[position], weight, steps)
                    costs[other] += least
        for position in order:
            start = above[position]
            spots[position] = int(costs[position].argmin() if start < 0 else best[position][spots[start]])
    return [names[spots[position]] for position in range(len(parts))]


def _nearest(costs: Array, weight: float, steps: Sequence[tuple[int, int]]) -> tuple[Array, list[int]]:
    """For every place the least of costs + weight · distance over all, and where it is.

    steps: all edges from children to parents, then back; to where, and from where.
    """
    least, found = costs.tolist(), [*range(len(costs))]
    for to, start in steps:
        if least[start] + weight < least[to]:
            least[to], found[to] = least[start] + weight, found[start]
    return np.array(least), found
