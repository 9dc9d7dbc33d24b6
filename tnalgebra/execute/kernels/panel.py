"""The texts of compiled matrix products of ⊕ and ξ: rows and summed entries in registers, columns in vectors."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...algebra.schedule import Schedule
from .jit import FOLD, written

__all__ = ["Panel"]

ROWS, INNER = 4, 4
"""Rows, and summed entries, that one pass over the columns takes together."""
COLUMNS, DEPTH = 4096, 32
"""Bytes of a row of columns, and summed entries, that a block spans: it stays in the cache of a core."""


@dataclass(frozen=True, slots=True)
class Panel:
    """out[b, i, j] = out[b, i, j] ⊕ ⊕_k ξ(x[b, i, k], y[b, k, j]), for arrays in C's order.

    value: ξ of x and y. fold: ⊕ of what there is and a value.
    """

    value: Schedule
    fold: Schedule

    def text(self, dtype: Any) -> str:
        """The function of x, y, out, and the first and last batch and row that a thread takes.

        Blocks of columns and of summed entries; in each, so many rows and entries at a time, and the rest singly.
        """
        columns = COLUMNS // np.dtype(dtype).itemsize
        lines = [
            "def kernel(x, y, out, b0, b1, i0, i1):",
            f"    i2 = i0 + (i1 - i0) // {ROWS} * {ROWS}",
            "    for b in range(b0, b1):",
            f"        for j0 in range(0, y.shape[2], {columns}):",
            f"            j1 = min(y.shape[2], j0 + {columns})",
            f"            for k0 in range(0, y.shape[1], {DEPTH}):",
            f"                k1 = min(y.shape[1], k0 + {DEPTH})",
            f"                k2 = k0 + (k1 - k0) // {INNER} * {INNER}",
        ]
        for first, last, step in (("i0", "i2", ROWS), ("i2", "i1", 1)):
            lines.append(f"{' ' * 16}for i in range({first}, {last}, {step}):")
            lines += [f"{' ' * 20}o{u} = out[b, i + {u}, j0:j1]" for u in range(step)]
            for start, stop, depth in (("k0", "k2", INNER), ("k2", "k1", 1)):
                lines.append(f"{' ' * 20}for k in range({start}, {stop}, {depth}):")
                inside = [f"y{v} = y[b, k + {v}, j0:j1]" for v in range(depth)]
                inside += [f"a{u}_{v} = x[b, i + {u}, k + {v}]" for u in range(step) for v in range(depth)]
                lines += [" " * 24 + line for line in (*inside, *self._pass(step, depth))]
        return "\n".join(lines) + "\n"

    def _pass(self, rows: int, inner: int) -> list[str]:
        lines = [f"    b{v} = y{v}[j]" for v in range(inner)]
        for u in range(rows):
            lines.append(f"    s{u} = o{u}[j]")
            for v in range(inner):
                (term,) = written(self.value, [f"a{u}_{v}", f"b{v}"], "t", "    ", lines)
                lines.append(f"    p = {term}")
                (total,) = written(self.fold, [f"s{u}", "p"], "f", "    ", lines, FOLD)
                lines.append(f"    s{u} = {total}")
            lines.append(f"    o{u}[j] = s{u}")
        return ["for j in range(j1 - j0):", *lines]
