"""⊕_k ξ(x[b, i, k], y[b, k, j]) where ξ and ⊕ are arithmetic, roots and orders: a few rows stay in registers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...algebra.schedule import Schedule, Tree
from ..threads import shares, thread_count
from .fused import BLOCK_COLUMNS, DEPTH, ROWS, filled, lanes, tile_head
from .generated import trusted
from .native import machine_of

__all__ = ["parts", "tiled_product", "trusting"]

Array = Any
ORDERS = frozenset(("maximum", "minimum"))
EXACT = frozenset(("add", "multiply", "subtract"))
"""Functions that make no NaN of two finite numbers."""
HEADS = ORDERS | EXACT | {"abs", "divide", "sqrt"}
"""Functions of which expressions may be made."""
SUM = ("add", ("x0", "x1"))
ROOT_OF_SUM = ("sqrt", (SUM,))
SHARE = 1 << 20
"""Evaluations of ξ that are worth threads."""
NAMES = ("b_first", "b_last", "m_first", "m_last", "rows", "inner", "columns", "padded")


@dataclass(frozen=True, slots=True)
class Tiled:
    """out[b, i, j] = out[b, i, j] ⊕ ⊕_k ξ(x[b, i, k], y[b, k, j]) in C's order, with the columns of out padded.

    value: ξ of x0 and x1. fold: ⊕ of x and y. vectors: of columns, that are in registers together.
    """

    value: Tree
    fold: Tree
    vectors: int
    itemsize: int

    @property
    def width(self) -> int:
        """Columns in registers."""
        return self.vectors * lanes(self.itemsize)

    def text(self) -> str:
        """The kernel of x, y, out, and room for a block of y."""
        head = tile_head(
            ("x", "y", "out", "block"), NAMES, self.itemsize, self.vectors, self.value, self.fold, kind="terms"
        )
        return head + filled(BODY, {}, size=self.itemsize, line=self.itemsize * self.width, width=self.width)


BODY = f"""
for b in range(b_first, b_last):
    for n in range(0, columns, {BLOCK_COLUMNS}):
        wide = min({BLOCK_COLUMNS}, columns - n)
        panels = (wide + WIDTH - 1) // WIDTH
        for k in range(0, inner, {DEPTH}):
            depth = min({DEPTH}, inner - k)
            source = y_at + SIZE * ((b * inner + k) * columns + n)
            for p in range(panels):
                last = min(WIDTH, wide - p * WIDTH)
                pack(block_at + LINE * depth * p, source + LINE * p, SIZE * columns, SIZE, depth, last)
            for m in range(m_first, m_last, {ROWS}):
                height = min({ROWS}, m_last - m)
                a, place = x_at + SIZE * ((b * rows + m) * inner + k), out_at + SIZE * ((b * rows + m) * padded + n)
                for p in range(panels):
                    part, spot = block_at + LINE * depth * p, place + LINE * p
                    multiply(height, spot, SIZE * padded, part, LINE, a, SIZE * inner, SIZE, depth, False)
"""


def trusting(value: Schedule, fold: Schedule) -> Callable[[Array, Array], bool] | None:
    """Whether tiles give the result for such operands: they take a NaN that they order for any number.

    None where they do for none.
    """
    made, folded = ([head for head, _, _ in line.calls] for line in (value, fold))
    if not HEADS.issuperset((*made, *folded)):
        return None
    if ORDERS.isdisjoint((*made, *folded)):
        return lambda x, y: True
    steps = [head for head in made if head not in ORDERS | {"abs"}]
    if len(steps) > 1 or not EXACT.issuperset(steps) or not (ORDERS.issuperset(folded) or ORDERS.isdisjoint(folded)):
        return None
    return partial(_makes_no_nan, may_differ=EXACT.isdisjoint(steps), may_be_infinite={"add"}.issuperset(steps))


def _makes_no_nan(x: Array, y: Array, *, may_differ: bool, may_be_infinite: bool) -> bool:
    """All are finite, or none is NaN and infinities are of one sign, or may differ."""
    low, high = np.minimum(x.min(), y.min()), np.maximum(x.max(), y.max())  # Python's own would lose a NaN of y
    is_above, is_below = bool(low > -np.inf), bool(high < np.inf)
    if is_above and is_below:
        return True
    return may_be_infinite and not np.isnan(low) and (may_differ or is_above or is_below)


def _has_roots(x: Array, y: Array) -> bool:
    """Whether the faster root takes every sum: none but 0 is too small or too large for float32."""
    if lanes(4) < 8:
        return False
    least, most = trusted(np.dtype("float32"))
    for array in (x, y):
        low, high = array.min(), array.max()
        if low == 0 and np.signbit(array).any():  # the inverse root of −0 is −∞
            return False
        low = array.min(where=array > 0, initial=high) if low == 0 < high else low
        if not ((least < low and high < most) or low == high == 0):
            return False
    return True


def parts(x: Array, y: Array) -> list[tuple[int, int, int, int]]:
    """For each thread its first and last batch, and its first and last row."""
    batches, rows = x.shape[:2]
    threads = thread_count() if x.size * y.shape[2] >= SHARE else 1
    if batches >= threads > 1:
        return [(part.start, part.stop, 0, rows) for part in shares(batches, threads)]
    return [(0, batches, part.start, part.stop) for part in shares(rows, threads)]


def tiled_product(value: Tree, fold: Tree, x: Array, y: Array, unit: float) -> Array | None:
    """The result for arrays of three axes; None where the kernel does not compile."""
    is_rooted = value == ROOT_OF_SUM and _has_roots(x, y)
    vectors = 1 if is_rooted or y.shape[2] <= lanes(x.itemsize) else 2
    kernel = Tiled(("root", (SUM,)) if is_rooted else value, fold, vectors, x.itemsize)
    machine = machine_of(kernel)
    if machine is None:
        return None
    (batches, rows, inner), columns = x.shape, y.shape[2]
    padded = -(-columns // kernel.width) * kernel.width
    out = np.full((batches, rows, padded), unit, x.dtype)
    jobs = []
    for part in parts(x, y):
        block = np.empty(DEPTH * BLOCK_COLUMNS, x.dtype)
        jobs.append(((x, y, out, block), (*part, rows, inner, columns, padded)))
    machine(jobs)
    return out[..., :columns]
