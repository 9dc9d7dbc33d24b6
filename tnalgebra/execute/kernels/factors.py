"""Σ_k log(x[b, i, k] + y[b, k, j]) as the logarithm of a product: one for an entry of the result, not for each term.

A few factors are multiplied; then the exponent of the product is put aside, as it would leave the range of the numbers.
"""

from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from .fused import filled, lanes, tile_head
from .native import machine_of
from .tiled import parts

__all__ = ["Factors", "log_of_product"]

Array = Any
GROUPS = (8, 2)
"""Factors whose product is taken before its exponent is put aside: many, where none of them is large or small."""
ROWS = 4
"""Rows in registers: with two vectors of columns, their products and exponents take 16 of 32."""
BLOCK = 256
"""Rows, columns and factors of a block: y, and what is known of the result, stay in the second cache."""
NAMES = ("b_first", "b_last", "m_first", "m_last", "rows", "inner", "columns")


@dataclass(frozen=True, slots=True)
class Factors:
    """out[b, i, j] = log Π_k (x[b, i, k] + y[b, k, j]) for positive numbers in C's order.

    group: so many factors are multiplied before the exponent of the product is put aside. vectors: of columns, that are
    in registers together.
    """

    group: int
    vectors: int
    itemsize: int

    def text(self) -> str:
        """The kernel of x, y, out, and room for blocks of y and x, and for products and exponents of a block."""
        size, width = self.itemsize, self.vectors * lanes(self.itemsize)
        numbers = f"from numpy import int{8 * size} as INTEGER\n\nLOG2 = NUMBER({log(2)!r})\n"
        arrays = ("x", "y", "out", "block", "values", "products", "powers")
        head = tile_head(arrays, NAMES, size, self.vectors, self.group, kind="factors")
        body = BODY.replace("GROUP", str(self.group)).replace("BIAS", str(np.finfo(f"float{8 * size}").maxexp - 1))
        return numbers + head + filled(body, {}, size=size, line=size * width, width=width)


BODY = f"""
row = SIZE * {BLOCK}
for b in range(b_first, b_last):
    for n in range(0, columns, {BLOCK}):
        wide = min({BLOCK}, columns - n)
        panels = (wide + WIDTH - 1) // WIDTH
        for first in range(m_first, m_last, {BLOCK}):
            last = min(m_last, first + {BLOCK})
            total = 0
            for k in range(0, inner, {BLOCK}):
                depth = min({BLOCK}, inner - k)
                groups = (depth + GROUP - 1) // GROUP
                total += groups
                for p in range(panels):
                    part, to_at = y_at + SIZE * ((b * inner + k) * columns + n + p * WIDTH), block_at + row * WIDTH * p
                    pack(to_at, part, SIZE * columns, SIZE, depth, min(WIDTH, wide - p * WIDTH))
                    rest = carray(pointer(to_at + LINE * depth), MANY, NUMBER)
                    for q in range(WIDTH * (groups * GROUP - depth)):
                        rest[q] = ONE
                for m in range(first, last, {ROWS}):
                    height = min({ROWS}, last - m)
                    for u in range(height):
                        h = carray(pointer(x_at + SIZE * ((b * rows + m + u) * inner + k)), MANY, NUMBER)
                        to = carray(pointer(values_at + row * u), MANY, NUMBER)
                        for q in range(depth):
                            to[q] = h[q]
                        for q in range(depth, groups * GROUP):
                            to[q] = ZERO
                    for p in range(panels):
                        at, part = row * (m - first) + LINE * p, block_at + row * WIDTH * p
                        c, e = products_at + at, powers_at + at
                        multiply(height, c, e, row, part, LINE, values_at, row, groups, k == 0)
            shift = INTEGER(total * BIAS)
            for m in range(first, last):
                o = carray(pointer(out_at + SIZE * ((b * rows + m) * columns + n)), MANY, NUMBER)
                c = carray(pointer(products_at + row * (m - first)), MANY, NUMBER)
                e = carray(pointer(powers_at + row * (m - first)), MANY, INTEGER)
                for q in range(wide):
                    o[q] = log(c[q]) + NUMBER(e[q] - shift) * LOG2
"""


def log_of_product(x: Array, y: Array) -> Array | None:
    """The result for arrays of three axes; None where a product might leave the range of the numbers."""
    info, (batches, rows, inner), columns = np.finfo(x.dtype), x.shape, y.shape[2]
    low, high = float(np.minimum(x.min(), y.min())), float(np.maximum(x.max(), y.max()))  # NaN, if there is one
    rooms = {group: 2.0 ** (info.maxexp // group - 2) for group in GROUPS}
    group = next((group for group, room in rooms.items() if 1 / room <= low and high <= room), None)
    if group is None:
        return None
    machine = machine_of(Factors(group, 1 if columns <= lanes(x.itemsize) else 2, x.itemsize))
    if machine is None:
        return None
    out = np.empty((batches, rows, columns), x.dtype)
    jobs = []
    for part in parts(x, y):
        own = [np.empty(BLOCK * size, x.dtype) for size in (BLOCK, ROWS, BLOCK, BLOCK)]
        jobs.append(((x, y, out, *own), (*part, rows, inner, columns)))
    machine(jobs)
    return out
