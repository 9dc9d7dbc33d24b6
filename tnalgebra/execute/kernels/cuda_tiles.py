"""How a step is laid over the threads of a GPU: which labels are rows, which are columns, and in which tiles."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import gcd, prod

from ...graph import Labels
from ...plan.step import volume
from .cuda_work import SLOW, Work

__all__ = ["BUSY", "FACTORS", "TILES", "Tile", "Tiling", "chosen", "shares", "tilings"]

BUSY = 1 << 16
"""Threads that keep a GPU busy."""
LEAST = 2
"""Times that shared memory is filled, at least, by a block of threads."""
GROUPS = 4
"""Groups of labels up to which all ways to lay them are tried."""

SHARED = 48 * 1024 // 8
"""Entries of float64 that a block may share."""
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
    """rows × columns of the result in one block of threads, `depth` terms of ⊕ at a time.

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
    Tile(128, 128, 8, 8, 8),
    Tile(128, 64, 8, 8, 4),
    Tile(64, 64, 16, 4, 4),
    Tile(64, 32, 16, 4, 2),
    Tile(64, 16, 16, 4, 1),
    Tile(32, 32, 16, 2, 2),
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
        """Whether there is room for what waits."""
        tile, own = self.tile, self.staged(work).values()
        rows, columns = tile.rows + WORD, tile.columns + WORD
        shared = {"k": 2 * tile.depth, "mk": 2 * tile.depth * rows, "nk": 2 * tile.depth * columns}
        held = {"m": tile.height, "n": tile.width, "mn": tile.height * tile.width, "mk": tile.height, "nk": tile.width}
        return (
            sum(shared.get(axes, 0) for axes in own) <= SHARED
            and held["mn"] * (1 + self.takes_products(work)) + sum(held.get(axes, 1) for axes in own) <= HELD
        )

    def blocks(self, work: Work) -> int:
        """How many tiles there are."""
        rows, columns = volume(self.rows, work.sizes), volume(self.columns, work.sizes)
        return volume(self.batch, work.sizes) * -(-rows // self.tile.rows) * -(-columns // self.tile.columns)

    def cost(self, work: Work) -> float:
        """Additions that the work comes to, those of idle threads included."""
        tile, terms, axes = self.tile, volume(work.summed, work.sizes), self.places(work)
        staged, blocks = self.staged(work), self.blocks(work)
        by_products = self.takes_products(work)
        needed = work.needed([work.product if by_products and work.product else work.end])
        inside = sum(work.price(place) for place in needed if axes[place] == "mnk") + by_products * SLOW / FACTORS
        spans = {"m": tile.rows, "n": tile.columns, "k": tile.depth}
        each = {"m": 1 / tile.width / gcd(WORD, tile.height), "n": 1 / tile.height / gcd(WORD, tile.width)}
        per_chunk = 0.0
        for place, where in staged.items():
            if "k" in where:
                per_chunk += prod(spans[axis] for axis in where) * sum(map(work.price, work.needed([place])))
        reads = sum(each.get(where[0], 0) for where in staged.values() if "k" in where)
        chunk = tile.rows * tile.columns * tile.depth * (inside + reads) + per_chunk
        idle = max(1.0, BUSY / (blocks * max(1, terms // (LEAST * tile.depth)) * tile.threads))
        return blocks * max(1.0, terms / tile.depth) * chunk * idle


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


def chosen(work: Work) -> Tiling | None:
    """The way that costs least; None stands for one thread an entry of the result."""

    def key(tiling: Tiling) -> tuple[float, bool]:
        return tiling.cost(work), work.result[-1] not in tiling.columns

    best = min(tilings(work), key=key, default=None)
    entries, terms = volume(work.result, work.sizes), volume(work.summed, work.sizes)
    price = sum(map(work.price, work.needed([work.end])))
    alone = entries * terms * price * max(1.0, BUSY / (entries * max(1, terms // 32)))
    return best if best is not None and best.cost(work) < alone else None


def shares(work: Work, tiling: Tiling | None) -> tuple[int, int]:
    """Into how many shares the terms of ⊕ are split, so that a GPU has enough to do, and how many terms one has."""
    terms = volume(work.summed, work.sizes)
    least, threads = 32, volume(work.result, work.sizes)
    if tiling is not None:
        least, threads = LEAST * tiling.tile.depth, tiling.blocks(work) * tiling.tile.threads
    count = max(1, min(BUSY // threads, terms // least))
    chunk = -(-terms // count)
    if tiling is not None:
        chunk = -(-chunk // tiling.tile.depth) * tiling.tile.depth
    return -(-terms // chunk), chunk
