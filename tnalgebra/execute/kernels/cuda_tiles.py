"""How a step is laid over the threads of a GPU: which labels are rows, which are columns, and in which tiles."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from ...graph import Labels
from ...plan.step import volume
from .cuda_work import SLOW, Work

__all__ = ["FACTORS", "TILES", "WORD", "Tile", "Tiling", "tilings"]

GROUPS = 4
"""Groups of labels up to which all ways to lay them are tried."""
SHARED = 48 * 1024 // 4
"""Entries of float32 that a block may share."""
HELD = 96
"""Entries that a thread may hold in registers."""
WORD = 4
"""Entries of float32 that a thread reads from shared memory at once."""
FACTORS = 8
"""Terms whose product is taken before its logarithm."""
BOTH = [(0, "mk"), (1, "nk")], [(0, "nk"), (1, "mk")]
"""Two operands, one along rows and one along columns."""


@dataclass(frozen=True, slots=True)
class Tile:
    """rows × columns of the result in one block of threads, `depth` terms of ⊕ at a time, half as many of float64.

    height, width: entries of one thread.
    """

    rows: int
    columns: int
    depth: int
    height: int
    width: int

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return (self.rows // self.height) * (self.columns // self.width)


TILES = (
    Tile(128, 128, 16, 8, 8),
    Tile(128, 64, 16, 8, 4),
    Tile(64, 64, 32, 4, 4),
    Tile(64, 32, 32, 4, 2),
    Tile(64, 16, 16, 4, 1),
    Tile(32, 32, 32, 2, 2),
)


@dataclass(frozen=True, slots=True)
class Tiling:
    """Labels of the result by their part: those of `batch` are never within a tile."""

    batch: Labels
    rows: Labels
    columns: Labels
    tile: Tile

    def axes(self, labels: Labels, summed: Labels) -> str:
        """Along which of m (rows), n (columns) and k (terms) something with these labels changes."""
        groups = zip("mnk", (self.rows, self.columns, summed), strict=True)
        return "".join(axis for axis, group in groups if not set(group).isdisjoint(labels))

    def places(self, work: Work) -> dict[int, str]:
        """The axes of every operand and of every value computed from them; the total is new with every term."""
        found = {i: self.axes(term, work.summed) for i, term in enumerate(work.terms)} | {len(work.terms): "mnk"}
        for place in range(work.constants.start, work.constants.stop + len(work.calls.calls)):
            parts = {axis for argument in work.arguments(place) for axis in found[argument]}
            found[place] = "".join(axis for axis in "mnk" if axis in parts)
        return found

    def staged(self, work: Work) -> dict[int, str]:
        """The values that are at hand when a term is added to an entry's total: computed once for many entries."""
        axes, count = self.places(work), len(work.terms)
        inside = [place for place in work.needed([work.end]) if axes[place] == "mnk"]
        read = dict.fromkeys(argument for place in inside for argument in work.arguments(place))
        found = {place: axes[place] for place in read if axes[place] != "mnk" and place not in work.constants}
        for own in sorted(set(found.values())):
            values = [place for place in found if found[place] == own]
            parts = work.needed(values)
            operands = {place: axes[place] for place in parts if place < count}
            if len(operands) < len(values) and all(work.price(place) < SLOW for place in parts):
                found = {place: found[place] for place in found if found[place] != own} | operands
        return found

    def takes_products(self, work: Work) -> bool:
        """Whether logarithms are taken of products of some terms, whose factors all wait in shared memory."""
        return work.product is not None and sorted(self.staged(work).items()) in BOTH

    def fits(self, work: Work) -> bool:
        """Whether there is room for what waits, and everything that is read waits for several entries."""
        if any(self.axes(term, work.summed) == "mnk" for term in work.terms):
            return False
        tile, own = self.tile, self.staged(work).values()
        rows, columns = tile.rows + WORD, tile.columns + WORD
        shared = {"k": 2 * tile.depth, "mk": 2 * tile.depth * rows, "nk": 2 * tile.depth * columns}
        return sum(shared.get(axes, 0) for axes in own) <= SHARED and self.held(work) <= HELD

    def held(self, work: Work) -> int:
        """Entries in the registers of a thread: totals, products, and what it reads for them."""
        height, width = self.tile.height, self.tile.width
        room = {"m": height, "n": width, "mn": height * width, "mk": height, "nk": width}
        waiting = sum(room.get(axes, 1) for axes in self.staged(work).values())
        return room["mn"] * (1 + self.takes_products(work)) + waiting

    def blocks(self, work: Work) -> int:
        """How many tiles there are."""
        rows, columns = volume(self.rows, work.sizes), volume(self.columns, work.sizes)
        return volume(self.batch, work.sizes) * -(-rows // self.tile.rows) * -(-columns // self.tile.columns)


def tilings(work: Work) -> Iterator[Tiling]:
    """All ways to lay the labels of the result; labels that the same operands carry stay together."""
    groups: dict[frozenset[int], list[str]] = {}
    for label in work.result:
        groups.setdefault(frozenset(i for i, term in enumerate(work.terms) if label in term), []).append(label)
    if not work.summed or not 2 <= len(groups) <= GROUPS:
        return
    for parts in product("bmn", repeat=len(groups)):
        batch, rows, columns = (
            tuple(l for group, part in zip(groups.values(), parts, strict=True) if part == name for l in group)
            for name in "bmn"
        )
        if rows and columns:
            tried = (Tiling(batch, rows, columns, tile) for tile in TILES)
            yield from (tiling for tiling in tried if tiling.fits(work))
