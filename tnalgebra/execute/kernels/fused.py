"""The text of Σ W · ξ(…) as a matrix product whose left factor is ξ, made a few rows at a time where it is used.

BLAS would have it in memory. Here W is packed a block at a time into the cache of a core; for a few rows, ξ is computed
along that block into the nearest cache, and its product with W is summed up in registers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ...algebra.schedule import Schedule
from .jit import written
from .native import HEAD

__all__ = ["BLOCK_COLUMNS", "DEPTH", "ROWS", "Fused", "decoded", "filled", "lanes", "tile_head"]

ROWS = 6
"""Rows in registers: with two vectors of columns, their sums take 12 of 16 registers, or of 32."""
HEIGHT = 8 * ROWS
"""Rows for which ξ is made at a time where it is along these that entries are neighbours."""
DEPTH = 256
"""Summed entries that a block spans: ξ of a few rows, and two vectors of W, stay in the first cache."""
BLOCK_COLUMNS = 256
"""Columns that a block of W spans: it stays in the second cache."""


@lru_cache(maxsize=2)
def lanes(itemsize: int) -> int:
    """Numbers of one vector register of this machine."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return next((size for name, size in (("avx512f", 64), ("avx", 32)) if features.get(name)), 16) // itemsize


@dataclass(frozen=True, slots=True)
class Fused:
    """out[g, m, n] = Σ_k W[g, k, n] ξ(x0, x1, …)[g, m, k], where g, m and k are several labels each, and k one or more.

    value: ξ. batch, rows, outer: how many labels g and m have, and k without its last. is_along: whether an operand has
    the last label of k, or of m in a kernel that is turned; its entries are then neighbours. vectors: of columns, that
    are in registers together.
    Sizes and strides are numbers behind the places of the arrays, in the order of `names`, all in entries.
    """

    value: Schedule
    batch: int
    rows: int
    outer: int
    is_along: tuple[bool, ...]
    is_turned: bool
    vectors: int
    itemsize: int

    @property
    def width(self) -> int:
        """Columns in registers."""
        return self.vectors * lanes(self.itemsize)

    @property
    def made(self) -> int:
        """Rows for which ξ is made at a time."""
        return HEIGHT if self.is_turned else ROWS

    @property
    def names(self) -> tuple[str, ...]:
        """What the numbers are: the part that a thread does, sizes, and strides of W and of every operand."""
        groups = {"g": self.batch, "m": self.rows - self.is_turned, "k": self.outer}
        labels = [f"{group}{i}" for group, count in groups.items() for i in range(count)]
        operands = range(len(self.is_along))
        strides = [f"x{i}_{label}" for i in operands for label in labels]
        part = ("g_first", "g_last", "m_first", "m_last", "k_first", "k_last")
        sizes = ("all_rows", "columns", "padded", "inner", "w_group", "w_row", "w_column", "is_packed")
        line = ["line", *(f"x{i}_j" for i in operands)] if self.is_turned else []
        return (*part, *sizes, *line, *labels, *strides)

    def text(self) -> str:
        """The kernel of the operands, W, out with its columns padded, and room for a block of W and of ξ."""
        count, size, width = len(self.is_along), self.itemsize, self.width
        arrays = [*(f"x{i}" for i in range(count)), "w", "out", "block", "values"]
        head = tile_head(arrays, self.names, size, self.vectors)
        along = list(enumerate(self.is_along))
        # entries lie along j, or, in a kernel that is turned, along m from `at` on, for one j after the other
        starts = [f" + jj * x{i}_j{' + at' * has}" if self.is_turned else " + j" * has for i, has in along]
        place = [f"h{i} = carray(pointer(x{i}_at + {size} * (k_{i}{starts[i]})), MANY, NUMBER)" for i, _ in along]
        place += [f"v{i} = h{i}[0]" for i, has in along if not has]
        lines = [f"v{i} = h{i}[q]" for i, has in along if has]
        (end,) = written(self.value, [f"v{i}" for i in range(count)], "t", "", lines)
        row, labels = ("m // line", self.rows - 1) if self.is_turned else ("m + u", self.rows)
        parts = {
            "batch": decoded("g", self.batch, "g", count, "", "g_"),
            "row": decoded("m", labels, row, count, "g_", "m_"),
            "outer": decoded("k", self.outer, "kk", count, "m_", "k_"),
            "place": place,
            "value": [*lines, f"to[q] = {end}"],
        }
        body = BLOCKS + (TURNED if self.is_turned else STRAIGHT)
        return head + filled(body, parts, size=size, line=size * width, width=width)


BLOCKS = f"""
long = min(inner, {DEPTH})
step = max(1, {DEPTH} // inner)
for g in range(g_first, g_last):
    <batch>
    for n in range(0, columns, {BLOCK_COLUMNS}):
        wide = min({BLOCK_COLUMNS}, columns - n)
        panels = (wide + WIDTH - 1) // WIDTH
        for k in range(k_first, k_last, step):
            k_end = min(k_last, k + step)
            for j in range(0, inner, long):
                j_end = min(inner, j + long)
                depth, is_first = (k_end - k) * (j_end - j), (k == k_first) & (j == 0)
                source = w_at + SIZE * (g * w_group + (k * inner + j) * w_row + n * w_column)
                first = 0 if is_packed else wide // WIDTH
                for p in range(first, panels):
                    part, last = source + SIZE * p * WIDTH * w_column, min(WIDTH, wide - p * WIDTH)
                    pack(block_at + LINE * depth * p, part, SIZE * w_row, SIZE * w_column, depth, last)
"""
STRAIGHT = f"""
                for m in range(m_first, m_last, {ROWS}):
                    height = min({ROWS}, m_last - m)
                    for u in range(height):
                        <row>
                        for kk in range(k, k_end):
                            <outer>
                            <place>
                            to_at = values_at + SIZE * (u * {DEPTH} + (kk - k) * (j_end - j))
                            to = carray(pointer(to_at), MANY, NUMBER)
                            for q in range(j_end - j):
                                <value>
                    place, row = out_at + SIZE * ((g * all_rows + m) * padded + n), SIZE * padded
                    for p in range(panels):
                        part, part_row = block_at + LINE * depth * p, LINE
                        if p < first:
                            part, part_row = source + LINE * p, SIZE * w_row
                        a, a_row = values_at, SIZE * {DEPTH}
                        multiply(height, place + LINE * p, row, part, part_row, a, a_row, SIZE, depth, is_first)
"""
TURNED = f"""
                m = m_first
                while m < m_last:
                    at = m % line
                    height = min({HEIGHT}, m_last - m, line - at)
                    <row>
                    for kk in range(k, k_end):
                        <outer>
                        for jj in range(j, j_end):
                            <place>
                            to_at = values_at + SIZE * {HEIGHT} * ((kk - k) * (j_end - j) + jj - j)
                            to = carray(pointer(to_at), MANY, NUMBER)
                            for q in range(height):
                                <value>
                    place, row = out_at + SIZE * ((g * all_rows + m) * padded + n), SIZE * padded
                    for p in range(panels):
                        part, part_row = block_at + LINE * depth * p, LINE
                        if p < first:
                            part, part_row = source + LINE * p, SIZE * w_row
                        for u in range(0, height, {ROWS}):
                            spot, a, some = place + LINE * p + row * u, values_at + SIZE * u, min({ROWS}, height - u)
                            multiply(some, spot, row, part, part_row, a, SIZE, SIZE * {HEIGHT}, depth, is_first)
                    m += height
"""


def tile_head(arrays: Sequence[str], names: Sequence[str], itemsize: int, *given: object, kind: str = "tiles") -> str:
    """The beginning of a kernel of addresses that multiplies tiles: where its arrays are, and its numbers.

    kind: the function that makes the tiles; given: what it is told.
    """
    tiles = f"""from tnalgebra.execute.kernels.tiles import {kind}

t = {kind}("float{8 * itemsize}", {", ".join(map(repr, given))})
pack, multiply = t.pack, t.multiply
"""
    lines = [f"    {name}_at = b[s[{2 * i}]] + s[{2 * i + 1}]" for i, name in enumerate(arrays)]
    lines += [f"    {name} = s[{2 * len(arrays) + i}]" for i, name in enumerate(names)]
    return "\n".join([tiles + HEAD, *lines]) + "\n"


def decoded(group: str, count: int, counter: str, operands: int, before: str, after: str) -> list[str]:
    """Where the entries of the operands are: a counter taken apart into those of the labels of a group."""
    lines = [f"{group}_rest = {counter}"] if count else []
    terms: list[list[str]] = [[f"{before}{i}"] if before else ["0"] for i in range(operands)]
    for label in reversed(range(count)):
        lines.append(f"{group}_at{label} = {group}_rest" + (f" % {group}{label}" if label else ""))
        lines += [f"{group}_rest //= {group}{label}"] if label else []
        for i, term in enumerate(terms):
            term.append(f"{group}_at{label} * x{i}_{group}{label}")
    return [*lines, *(f"{after}{i} = {' + '.join(term)}" for i, term in enumerate(terms))]


def filled(body: str, parts: dict[str, list[str]], *, size: int, line: int, width: int) -> str:
    """The body of a kernel with lines put in, and what is known of its numbers."""
    lines = []
    for text in body.splitlines():
        name, indent = text.strip().strip("<>"), " " * (4 + len(text) - len(text.lstrip()))
        lines += [indent + part for part in (parts[name] if text.strip().startswith("<") else [text.strip()])]
    text = "\n".join(lines) + "\n"
    return text.replace("SIZE", str(size)).replace("LINE", str(line)).replace("WIDTH", str(width))
