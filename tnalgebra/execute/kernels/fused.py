"""The text of Σ W · ξ(…) as a matrix product whose left factor is ξ, made a few rows at a time where it is used.

BLAS would have it in memory. Here W is packed a block at a time into the cache of a core; for a few rows, ξ is computed
along that block into the nearest cache, and its product with W is summed up in registers.
"""

from dataclasses import dataclass
from functools import lru_cache

from ...algebra.schedule import Schedule
from .jit import written
from .native import HEAD

__all__ = ["BLOCK_COLUMNS", "DEPTH", "ROWS", "Fused", "lanes"]

ROWS = 6
"""Rows of ξ in registers: with two vectors of columns, their sums take 12 of 16 registers, or of 32."""
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
    """out[g, m, n] = Σ_k W[g, k, n] ξ(x0, x1, …)[g, m, k], where g, m and k are several labels each; k has at least one.

    value: ξ. batch, rows, outer: how many labels g and m have, and k without its last. is_along: whether an operand has
    the last label of k; its entries are then neighbours. vectors: of columns, that are in registers together.
    Sizes and strides are numbers behind the places of the arrays, in the order of `names`, all in entries.
    """

    value: Schedule
    batch: int
    rows: int
    outer: int
    is_along: tuple[bool, ...]
    vectors: int
    itemsize: int

    @property
    def width(self) -> int:
        """Columns in registers."""
        return self.vectors * lanes(self.itemsize)

    @property
    def names(self) -> tuple[str, ...]:
        """What the numbers are: the part that a thread does, sizes, and strides of W and of every operand."""
        groups = {"g": self.batch, "m": self.rows, "k": self.outer}
        labels = [f"{group}{i}" for group, count in groups.items() for i in range(count)]
        strides = [f"x{i}_{label}" for i in range(len(self.is_along)) for label in labels]
        part = ("m_first", "m_last", "k_first", "k_last")
        sizes = ("groups", "all_rows", "columns", "padded", "inner")
        return (*part, *sizes, "w_group", "w_row", "w_column", "is_packed", *labels, *strides)

    def text(self) -> str:
        """The kernel of the operands, W, out with its columns padded, and room for a block of W and of ξ."""
        count, width = len(self.is_along), self.width
        bits = 8 * self.itemsize
        head = HEAD.replace(
            "MANY =",
            "from tnalgebra.execute.kernels.register_tile import register_tile\n\n"
            + "".join(
                f"tile{r} = register_tile({r}, {self.vectors}, {lanes(self.itemsize)}, {bits})\n"
                for r in range(1, ROWS + 1)
            )
            + "MANY =",
        )
        arrays = [*(f"x{i}" for i in range(count)), "w", "out", "block", "values"]
        lines = [head]
        for i, name in enumerate(arrays):
            lines.append(f"    {name}_at = b[s[{2 * i}]] + s[{2 * i + 1}]")
        lines += [f"    {name} = s[{2 * len(arrays) + i}]" for i, name in enumerate(self.names)]
        size = self.itemsize
        body = f"""
for q in range(groups):
    sums = carray(pointer(out_at + {size} * padded * (q * all_rows + m_first)), MANY, NUMBER)
    for r in range((m_last - m_first) * padded):
        sums[r] = ZERO
long = min(inner, {DEPTH})
for g in range(groups):
<g>
    for n in range(0, columns, {BLOCK_COLUMNS}):
        wide = min({BLOCK_COLUMNS}, columns - n)
        panels = (wide + {width - 1}) // {width}
        for k in range(k_first, k_last, max(1, {DEPTH} // inner)):
            k_end = min(k_last, k + max(1, {DEPTH} // inner))
            for j in range(0, inner, long):
                j_end = min(inner, j + long)
                depth = (k_end - k) * (j_end - j)
                begin = g * w_group + (k * inner + j) * w_row + n * w_column
                block_from, block_row, block_panel = w_at + {size} * begin, {size} * w_row, {size * width}
                if is_packed:
                    block_from, block_row, block_panel = block_at, {size * width}, {size * width} * depth
                    for p in range(panels):
                        last = min({width}, wide - p * {width})
                        for d in range(depth):
                            to = carray(pointer(block_at + {size * width} * (p * depth + d)), {width}, NUMBER)
                            at = w_at + {size} * (begin + d * w_row + p * {width} * w_column)
                            if w_column == 1 and last == {width}:
                                line = carray(pointer(at), {width}, NUMBER)
                                for v in range({width}):
                                    to[v] = line[v]
                            else:
                                for v in range({width}):
                                    to[v] = carray(pointer(at + {size} * v * w_column), 1, NUMBER)[0] if v < last else ZERO
                for m in range(m_first, m_last, {ROWS}):
                    height = min({ROWS}, m_last - m)
                    for u in range(height):
<m>
                        for kk in range(k, k_end):
<k>
                            to = carray(pointer(values_at + {size} * (u * {DEPTH} + (kk - k) * (j_end - j))), MANY, NUMBER)
<hoisted>
                            for jj in range(j_end - j):
<value>
                    spot = out_at + {size} * ((g * all_rows + m) * padded + n)
                    for p in range(panels):
                        source = block_from + p * block_panel
<tiles>"""
        parts = {
            "g": self._decoded("g", self.batch, "g", "", "g_", "    "),
            "m": self._decoded("m", self.rows, "m + u", "g_", "m_", " " * 24),
            "k": self._decoded("k", self.outer, "kk", "m_", "k_", " " * 28),
            "hoisted": [
                f"{' ' * 28}h{i} = carray(pointer(x{i}_at + {size} * (k_{i}{' + j' * along})), MANY, NUMBER)"
                for i, along in enumerate(self.is_along)
            ] + [f"{' ' * 28}v{i} = h{i}[0]" for i, along in enumerate(self.is_along) if not along],
            "value": self._value(" " * 32),
            "tiles": self._tiles(" " * 24),
        }
        for name, part in parts.items():
            body = body.replace(f"<{name}>", "\n".join(part) or "")
        return "\n".join([*lines, *(f"    {line}" for line in body.splitlines() if line.strip())]) + "\n"

    def _decoded(self, group: str, count: int, counter: str, before: str, after: str, indent: str) -> list[str]:
        """Where the entries of the operands are: a counter taken apart into those of the labels."""
        lines = [f"{indent}{group}_rest = {counter}"] if count else []
        terms: list[list[str]] = [[f"{before}{i}"] if before else ["0"] for i in range(len(self.is_along))]
        for label in reversed(range(count)):
            index = f"{group}_at{label}"
            last = label == 0
            lines.append(f"{indent}{index} = {group}_rest" + ("" if last else f" % {group}{label}"))
            lines += [] if last else [f"{indent}{group}_rest //= {group}{label}"]
            for i, term in enumerate(terms):
                term.append(f"{index} * x{i}_{group}{label}")
        return [*lines, *(f"{indent}{after}{i} = {' + '.join(term)}" for i, term in enumerate(terms))]

    def _value(self, indent: str) -> list[str]:
        lines = [f"{indent}v{i} = h{i}[jj]" for i, along in enumerate(self.is_along) if along]
        (end,) = written(self.value, [f"v{i}" for i in range(len(self.is_along))], "t", indent, lines)
        return [*lines, f"{indent}to[jj] = {end}"]

    def _tiles(self, indent: str) -> list[str]:
        size, width = self.itemsize, self.width
        call = f"(spot + {size * width} * p, {size} * padded, source, block_row, values_at, {size * DEPTH}, depth)"
        lines = []
        for rows in range(ROWS, 0, -1):
            word = "if" if rows == ROWS else "elif"
            lines += [f"{indent}{word} height == {rows}:", f"{indent}    tile{rows}{call}"]
        return lines
