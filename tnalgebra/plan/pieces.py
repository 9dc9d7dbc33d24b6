"""Where ξ is linear on either side of a point: Σ of W · ξ(a, b) is a linear function of b between the points of a."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt, log2

from ..algebra import Operator
from ..graph import Labels
from .step import Tree, volume

__all__ = ["Pieces", "pieces"]

TABLE = 1 << 17
"""Entries of the tables at once: they stay in cache while many numbers look into them."""
ROWS = 1 << 19
"""Numbers that are looked up, or their results, at once, on all threads together."""
LOOK = 30
"""Applications of ξ in a tile that take as long as to find the interval of a number, and to set it down."""
BLAS = 16
"""Products and sums of BLAS that take as long as one application of ξ in a tile."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Which operand gives the tables, and which is looked up in them.

    Σ_{i,j} W[i, j, k] ξ(a[p, i], b[q, j]) = Σ_j slope[n, j, p, k] · b[q, j] + intercept[n, j, p, k], where n says
    between which of the points of a, sorted, b[q, j] lies.

    table: the position of a. outer, inner: labels p and i of a. rows, looked: labels q and j of b. kept: labels k.
    chunk: so many p have their tables at once. flops, scratch: operations, and numbers held at once. cost: the time, in
    applications of ξ in a tile.
    """

    table: int
    outer: Labels
    inner: Labels
    rows: Labels
    looked: Labels
    kept: Labels
    chunk: int
    flops: int
    scratch: int
    cost: float


def pieces(tree: Tree, terms: Sequence[Labels], result: Labels, sizes: dict[str, int]) -> Pieces | None:
    """The tables of a weighted step, where there can be some and they take three quarters of the time at most."""
    if not isinstance(tree, tuple) or tree[1] not in ((0, 1), (1, 0)):
        return None
    op = tree[0]
    if not isinstance(op, Operator) or op.breakpoint is None or op.partial is None:
        return None
    *pair, weight = terms
    if set(pair[0]) & set(pair[1]):
        return None
    for term in pair:
        if any((label in weight) == (label in result) for label in term):
            return None
    best = min((_sides(table, pair, weight, result, sizes) for table in (0, 1)), key=lambda side: side.cost)
    plain = volume((*pair[0], *pair[1]), sizes) * (1 + volume(best.kept, sizes) / BLAS)
    return best if best.cost < 0.75 * plain else None


def _sides(table: int, pair: Sequence[Labels], weight: Labels, result: Labels, sizes: dict[str, int]) -> Pieces:
    own, other = pair[table], pair[1 - table]
    outer, rows = (tuple(label for label in result if label in term) for term in (own, other))
    inner, looked = (tuple(label for label in term if label in weight) for term in (own, other))
    kept = tuple(label for label in result if label in weight)
    p, i, q, j, k = (volume(labels, sizes) for labels in (outer, inner, rows, looked, kept))
    chunk = max(1, min(p, isqrt(TABLE // max(1, 2 * i * j * k))))
    points = chunk * i + 1
    chunks = -(-p // max(1, chunk))
    flops = chunks * (4 * points * chunk * i * j * k + q * j * (int(log2(points)) + 4 * chunk * k))
    cost = chunks * (2 * points * chunk * i * (1 + j * k / BLAS) + q * j * (LOOK + chunk * k / 2))
    lines = min(q, max(1, ROWS // max(1, j, chunk * k)))
    turned = p * q * k if (*rows, *outer, *kept) != result else 0  # the result is copied to its order
    scratch = points * chunk * (4 * j * k + i) + 3 * lines * j + 3 * lines * chunk * k + turned
    return Pieces(table, outer, inner, rows, looked, kept, chunk, flops, scratch, cost)
