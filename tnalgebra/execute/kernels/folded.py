"""The text of a matrix product that is folded at once: Σ over rows of a function of it and of other operands.

So is every gradient of a bilinear unit, Σ_i ∂ξ(a, h) Σ_k G[i, j, k] ȳ[k]. A few rows of the product are made in the
nearest cache, and what is summed over them is added up from there; the product itself is nowhere.
"""

from dataclasses import dataclass

from ...algebra.schedule import Schedule
from .fused import ROWS, decoded, filled, lanes, tile_head
from .jit import written

__all__ = ["SPAN", "Folded"]

SPAN = 64
"""Columns of a block: the product of these and of a few rows stays in the first cache."""


@dataclass(frozen=True, slots=True)
class Folded:
    """out_s[…, v] = Σ_r value_s(x0, x1, …, p)[r, v] with p[r, v] = Σ_k A[r, k] B[k, v], over the rows that out_s lacks.

    values: of the operands and of p, one an output. rows: how many labels r has. is_along: whether an operand has v.
    Entries along v are neighbours, in outputs too, and those of A along k.
    Sizes and strides are numbers behind the places of the arrays, in the order of `names`, all in entries; those of the
    outputs come as those of operands after the others.
    """

    values: Schedule
    rows: int
    is_along: tuple[bool, ...]
    itemsize: int

    @property
    def width(self) -> int:
        """Columns in registers."""
        return 2 * lanes(self.itemsize)

    @property
    def names(self) -> tuple[str, ...]:
        """What the numbers are: the columns that a thread does, sizes, and strides."""
        labels = [f"r{i}" for i in range(self.rows)]
        count = len(self.is_along) + len(self.values.ends)
        strides = [f"x{i}_{label}" for i in range(count) for label in labels]
        heights = [f"height{s}" for s in range(len(self.values.ends))]
        part = ("v_first", "v_last")
        return (*part, "columns", "all_rows", "depth", "a_rows", "b_row", "b_column", *heights, *labels, *strides)

    def text(self) -> str:
        """The kernel of A, B, the operands, the outputs, and room for B and for a block of the product."""
        operands, outputs = len(self.is_along), len(self.values.ends)
        count, size, width = operands + outputs, self.itemsize, self.width
        arrays = ["a", "b_", *(f"x{i}" for i in range(count)), "block", "part"]
        along = [*self.is_along, *[True] * outputs]
        place = [
            f"h{i} = carray(pointer(x{i}_at + SIZE * (r_{i}{' + v' * is_along})), MANY, NUMBER)"
            for i, is_along in enumerate(along)
        ]
        single = [f"v{i} = h{i}[0]" for i, is_along in enumerate(self.is_along) if not is_along]
        lines = [f"v{i} = h{i}[q]" for i, is_along in enumerate(self.is_along) if is_along]
        lines.append("p = line[q]")
        ends = written(self.values, [*(f"v{i}" for i in range(operands)), "p"], "t", "", lines)
        lines += [f"h{operands + s}[q] += {end}" for s, end in enumerate(ends)]
        clear = [
            line
            for s in range(outputs)
            for line in (
                f"for q in range(height{s}):",
                f"    line = carray(pointer(x{operands + s}_at + SIZE * (q * columns + v)), MANY, NUMBER)",
                "    for u in range(wide):",
                "        line[u] = ZERO",
            )
        ]
        parts = {
            "clear": clear,
            "row": [*decoded("r", self.rows, "r + u", count, "", "r_"), *place, *single],
            "value": lines,
        }
        head = tile_head(arrays, self.names, size, 2)
        return head + filled(BODY, parts, size=size, line=size * width, width=width)


BODY = f"""
for v in range(v_first, v_last, {SPAN}):
    wide = min({SPAN}, v_last - v)
    panels = (wide + WIDTH - 1) // WIDTH
    <clear>
    for p in range(panels):
        source, last = b__at + SIZE * (v + p * WIDTH) * b_column, min(WIDTH, wide - p * WIDTH)
        pack(block_at + LINE * depth * p, source, SIZE * b_row, SIZE * b_column, depth, last)
    for r in range(0, all_rows, {ROWS}):
        height = min({ROWS}, all_rows - r)
        for p in range(panels):
            spot, source = part_at + LINE * p, block_at + LINE * depth * p
            rows = a_at + SIZE * r * a_rows
            multiply(height, spot, SIZE * {SPAN}, source, LINE, rows, SIZE * a_rows, SIZE, depth, True)
        for u in range(height):
            line = carray(pointer(part_at + SIZE * {SPAN} * u), MANY, NUMBER)
            <row>
            for q in range(wide):
                <value>
"""
