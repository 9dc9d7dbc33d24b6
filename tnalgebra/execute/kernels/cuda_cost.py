"""The way to lay a step over a GPU that takes the fewest cycles of its clock.

The constants are fitted to 855 measurements of twenty products, units and gradients on an H100, in float32. Predicted
times were off by a factor of 1.2 on the average, and no chosen way took more than 1.2 times what the best one did.
"""

from math import gcd
from typing import NamedTuple

from ...plan.step import volume
from .cuda_tiles import FACTORS, WORD, Tiling, tilings
from .cuda_work import SLOW, Work

__all__ = ["chosen", "lanes", "shares"]

PROCESSORS, LANES, RESIDENT, REGISTERS = 132, 128, 2048, 1 << 16
"""Multiprocessors; of each, instructions in a cycle, and threads and registers at a time."""
ENTRY, OPERAND, INDEX = 31, 3.5, 3
"""Instructions that bring one entry to shared memory: by itself, for each operand, and for each of its labels."""
START, WAIT, CHAIN = 1900, 530, 1.4
"""Cycles until a block computes; for every filling of shared memory; for every instruction in between."""
OWN, HOLD = 30, 1.3
"""Registers of a thread, and for each entry that it holds."""
FOLD, FOLDED = 4600, 178
"""Cycles of one more kernel that folds shares, and entries that it folds in one."""
ALONE_WAIT, ALONE_CHAIN, ALONE_PRICE, ALONE_START = 110, 3, 2, 100
"""Of a thread with one entry: cycles until an operand is there, cycles and instructions by the price of a term, and
instructions before the first one."""
LEAST_TERMS = 16
"""Of one share."""
TIE = 1.1
"""What is predicted to take that much longer may as well take less: the fewest threads win."""
LANES_OF_ENTRY = 32
"""Threads of a block that fold what they have of one entry, where there are no tiles."""


class _Load(NamedTuple):
    """What a tiling comes to for one block of threads: `chunk` instructions for every filling of shared memory."""

    chunk: float
    threads: int
    resident: int
    depth: int
    blocks: int


def chosen(work: Work) -> Tiling | None:
    """The way that costs least; None stands for one thread an entry of the result."""
    loads = {tiling: _load(work, tiling) for tiling in tilings(work)}
    costs = {tiling: min(_cycles(work, load, count) for count in _counts(work)) for tiling, load in loads.items()}
    best = min(costs, key=lambda tiling: (costs[tiling], work.result[-1] not in tiling.columns), default=None)
    return best if best is not None and costs[best] < min(_alone(work, count) for count in _counts(work)) else None


def shares(work: Work, tiling: Tiling) -> tuple[int, int]:
    """Into how many shares the terms of ⊕ are split, so that a GPU has enough to do, and how many terms one has."""
    terms, load = volume(work.summed, work.sizes), _load(work, tiling)
    count = min(_counts(work), key=lambda count: _cycles(work, load, count))
    chunk = -(-terms // count // load.depth) * load.depth
    return -(-terms // chunk), chunk


def lanes(work: Work) -> tuple[int, int]:
    """The same where there are no tiles: shares, and threads of a block that share each of them."""
    costs = {count: _alone(work, count) for count in _counts(work)}
    count = next(count for count, cost in costs.items() if cost <= TIE * min(costs.values()))
    return -(-count // LANES_OF_ENTRY), min(count, LANES_OF_ENTRY)


def _counts(work: Work) -> list[int]:
    most = volume(work.summed, work.sizes) // LEAST_TERMS
    return [1 << power for power in range(max(1, most.bit_length()))]


def _load(work: Work, tiling: Tiling) -> _Load:
    tile, axes, staged = tiling.tile, tiling.places(work), tiling.staged(work)
    by_products = work.product is not None and tiling.takes_products(work)
    needed = work.needed([work.product if by_products and work.product is not None else work.end])
    each = sum(work.price(place) for place in needed if axes[place] == "mnk") + by_products * SLOW / FACTORS
    words = {"mk": tile.height / gcd(WORD, tile.height), "nk": tile.width / gcd(WORD, tile.width)}
    reads = sum(words.get(where, 1) for where in staged.values())
    spans = {"mk": tile.rows, "nk": tile.columns, "k": 1}
    fill = sum(spans[where] * _brought(work, place) for place, where in staged.items() if where in spans)
    chunk = tile.depth * (tile.height * tile.width * each + reads + fill / tile.threads)
    resident = min(RESIDENT // tile.threads, int(REGISTERS / tile.threads / (OWN + HOLD * tiling.held(work))))
    return _Load(chunk, tile.threads, max(1, resident), tile.depth, tiling.blocks(work))


def _brought(work: Work, place: int) -> float:
    """Instructions until a value waits in shared memory."""
    parts = work.needed([place])
    operands = [work.terms[part] for part in parts if part < len(work.terms)]
    return ENTRY + sum(OPERAND + INDEX * len(term) for term in operands) + sum(map(work.price, parts[len(operands) :]))


def _cycles(work: Work, load: _Load, count: int) -> float:
    """Cycles of the multiprocessor with most blocks: it computes, or its blocks wait, and a bit of both."""
    fillings = max(1.0, volume(work.summed, work.sizes) / count / load.depth)
    blocks = -(-load.blocks * count // PROCESSORS)
    computes = blocks * fillings * load.chunk * load.threads / LANES
    waits = -(-blocks // load.resident) * (START + fillings * (WAIT + CHAIN * load.chunk))
    return _both(computes, waits) + _fold(work, count)


def _alone(work: Work, count: int) -> float:
    """Cycles where a thread has one entry of the result and one share of the terms."""
    terms = -(-volume(work.summed, work.sizes) // count)
    threads = volume(work.result, work.sizes) * count
    price = sum(map(work.price, work.needed([work.end])))
    computes = threads * (terms * price * ALONE_PRICE + ALONE_START) / PROCESSORS / LANES
    each = len(work.terms) * ALONE_WAIT + price * ALONE_CHAIN
    waits = -(-threads // (PROCESSORS * RESIDENT)) * terms * each
    return _both(computes, waits) + _fold(work, count // LANES_OF_ENTRY)


def _both(computes: float, waits: float) -> float:
    return float((computes**3 + waits**3) ** (1 / 3))


def _fold(work: Work, count: int) -> float:
    return FOLD + volume(work.result, work.sizes) * count / FOLDED if count > 1 else 0.0
