"""⊕_k ξ(x[b, i, k], y[b, k, j]) where ξ and ⊕ add, multiply and order numbers: sums of a few rows stay in registers."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...algebra.schedule import Tree
from ..threads import shares, thread_count
from .fused import BLOCK_COLUMNS, DEPTH, ROWS, filled, lanes, tile_head
from .native import machine_of

__all__ = ["HEADS", "Ordered", "ordered_product"]

Array = Any
HEADS = {"add", "multiply", "maximum", "minimum"}
"""Functions of which expressions may be made."""
SHARE = 1 << 20
"""Evaluations of ξ that are worth threads."""
NAMES = ("b_first", "b_last", "m_first", "m_last", "rows", "inner", "columns", "padded")


@dataclass(frozen=True, slots=True)
class Ordered:
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
            ("x", "y", "out", "block"), NAMES, self.itemsize, self.vectors, self.value, self.fold, kind="ordered"
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


def ordered_product(kernel: Ordered, x: Array, y: Array, unit: float) -> Array | None:
    """The result for arrays of three axes, with no NaN on the way; None where the kernel does not compile."""
    machine = machine_of(kernel)
    if machine is None:
        return None
    (batches, rows, inner), columns = x.shape, y.shape[2]
    padded = -(-columns // kernel.width) * kernel.width
    out = np.full((batches, rows, padded), unit, x.dtype)
    threads = thread_count() if x.size * columns >= SHARE else 1
    is_batch, jobs = batches >= threads > 1, []
    for part in shares(batches if is_batch else rows, threads):
        batch, lines = ((part.start, part.stop), (0, rows)) if is_batch else ((0, batches), (part.start, part.stop))
        block = np.empty(DEPTH * BLOCK_COLUMNS, x.dtype)
        jobs.append(((x, y, out, block), (*batch, *lines, rows, inner, columns, padded)))
    machine(jobs)
    return out[..., :columns]
