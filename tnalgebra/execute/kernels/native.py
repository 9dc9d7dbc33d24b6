"""The texts of kernels that work on addresses: all sizes and strides are numbers, so that small loops cost little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...algebra.schedule import Schedule
from ...graph import Labels
from .crew import run_tasks
from .jit import FUNCTIONS, jitted, written

__all__ = ["RUN", "Machine", "Operand", "Result", "address", "matrix_text", "nest_text"]

HEAD = """from numba import carray
from numpy import dot, int64

from tnalgebra.execute.kernels.intrinsics import pointer

MANY = 1 << 40


def kernel(base, slots):
    b, s = carray(pointer(base), MANY, int64), carray(pointer(slots), MANY, int64)
"""
RUN = f"""from numba import carray
from numpy import int64

from tnalgebra.execute.kernels.intrinsics import call, pointer, word


def kernel(arrays, count, base, rows, functions, steps, slots):
    b = carray(pointer(base), 1 << 40, int64)
    for i in range(count):
        array = word(arrays + {tuple.__basicsize__} + 8 * i)
        b[word(rows + 8 * i)] = word(array + {object.__basicsize__})
    for i in range(steps):
        call(word(functions + 16 * i), base, slots + word(functions + 16 * i + 8))
"""
"""Fill the rows of the table with the addresses of a tuple of arrays, and call one function after the other, each with
the table and its own part of a list of places.

CPython keeps the items of a tuple behind its head, and NumPy the address of the numbers behind that of an array: to ask
for it through `__array_interface__` takes longer than many a step."""


class Machine:
    """A kernel on addresses as a function of arrays and of the numbers that it reads after these."""

    def __init__(self, kernel: Any) -> None:
        self._kernel, self._fill = kernel, jitted(RUN, "float64")

    def __call__(self, jobs: Sequence[tuple[tuple[Any, ...], Sequence[int]]]) -> None:
        """Do every job, each by a thread of its own; arrays are NumPy's own, and the numbers tell their strides."""
        lines, tasks = [], []
        for arrays, numbers in jobs:
            count = len(arrays)
            places = [number for row in range(count) for number in (row, 0)]
            line = np.array([*range(count), *range(count), *places, *numbers], np.int64)
            table = address(line)
            self._fill(id(arrays), count, table, table + 8 * count, 0, 0, 0)
            tasks.append((self._kernel.address, table, table + 16 * count))
            lines.append(line)
        run_tasks(tasks, (lines, jobs))


def address(array: Any) -> int:
    """Where the numbers of an array begin."""
    return array.__array_interface__["data"][0]  # type: ignore[no-any-return]


SHORT = 16
"""Rounds below which LLVM lets a loop alone."""


@dataclass(frozen=True, slots=True)
class Operand:
    """An array by its labels and their strides, in entries."""

    labels: Labels
    strides: tuple[int, ...]

    def place(self, counters: Mapping[str, str]) -> str:
        """The expression that says where an entry is."""
        pairs = zip(self.labels, self.strides, strict=True)
        return (
            " + ".join(f"{counters[label]} * {stride}" for label, stride in pairs if stride and label in counters)
            or "0"
        )


@dataclass(frozen=True, slots=True)
class Result(Operand):
    """An array that is filled: by ⊕ of what there is and a value, from the unit, or by the values themselves."""

    fold: Schedule | None = None
    unit: float | None = None
    size: int = 0


def nest_text(
    calls: Schedule, operands: Sequence[Operand], results: Sequence[Result], sizes: Mapping[str, int]
) -> tuple[str, int]:
    """Loops over all labels, the innermost one along most arrays; what is summed along it stays in a register.

    The length of the innermost loop is also given, to stand after the places of arrays: a compiler that knows a loop to
    be short does not vectorise it, which the long functions would miss.
    """
    order = _order([*operands, *results], results, sizes)
    counters = {label: f"i{depth}" for depth, label in enumerate(order)}
    lines = [HEAD, *_arrays([f"x{i}" for i in range(len(operands))] + [f"o{k}" for k in range(len(results))])]
    for k, result in enumerate(results):
        if result.unit is not None:
            unit = f"{result.unit!r}" if abs(result.unit) < float("inf") else ("INF" if result.unit > 0 else "-INF")
            lines += [f"    for q in range({result.size}):", f"        o{k}[q] = NUMBER({unit})"]
    kept = [k for k, result in enumerate(results) if result.fold is not None and order and _lacks(result, order[-1])]
    has_functions = any(FUNCTIONS.search(f"{head}(") for head, _, _ in calls.calls)
    for depth, label in enumerate(order):
        indent = "    " * (depth + 1)
        if label == order[-1]:
            lines += [f"{indent}s{k} = o{k}[{results[k].place(counters)}]" for k in kept]
        is_told = label != order[-1] or sizes[label] >= SHORT or not has_functions
        length = sizes[label] if is_told else f"s[{2 * (len(operands) + len(results))}]"
        lines.append(f"{indent}for {counters[label]} in range({length}):")
    inside, after = "    " * (len(order) + 1), "    " * max(1, len(order))
    names = [f"v{i}" for i in range(len(operands))]
    lines += [
        f"{inside}{name} = x{i}[{x.place(counters)}]" for i, (name, x) in enumerate(zip(names, operands, strict=True))
    ]
    for k, (result, end) in enumerate(zip(results, written(calls, names, "t", inside, lines), strict=True)):
        place = f"s{k}" if k in kept else f"o{k}[{result.place(counters)}]"
        if result.fold is not None:
            lines.append(f"{inside}p{k} = {place}")
            (end,) = written(result.fold, [f"p{k}", end], f"f{k}_", inside, lines)
        lines.append(f"{inside}{place} = {end}")
    lines += [f"{after}o{k}[{results[k].place(counters)}] = s{k}" for k in kept]
    return "\n".join(lines) + "\n", sizes[order[-1]] if order else 1


def matrix_text(batch: tuple[int, tuple[int, ...]], shapes: Sequence[tuple[int, int, bool]], itemsize: int) -> str:
    """Matrix products by BLAS: how many with the strides from one to the next; rows, columns and whether turned."""
    count, strides = batch
    lines = [HEAD, f"    for g in range({count}):"]
    for i, (stride, (rows, columns, is_turned)) in enumerate(zip(strides, shapes, strict=True)):
        shape = (columns, rows) if is_turned else (rows, columns)
        turn = ".T" if is_turned else ""
        address = f"b[s[{2 * i}]] + s[{2 * i + 1}] + g * {stride * itemsize}"
        lines.append(f"        m{i} = carray(pointer({address}), {shape}, NUMBER){turn}")
    return "\n".join([*lines, "        dot(m0, m1, m2)"]) + "\n"


def _arrays(names: Sequence[str]) -> list[str]:
    return [
        f"    {name} = carray(pointer(b[s[{2 * i}]] + s[{2 * i + 1}]), MANY, NUMBER)" for i, name in enumerate(names)
    ]


def _lacks(result: Result, label: str) -> bool:
    return not any(name == label and stride for name, stride in zip(result.labels, result.strides, strict=True))


def _order(arrays: Sequence[Operand], results: Sequence[Result], sizes: Mapping[str, int]) -> Labels:
    """Labels of all results outside; innermost the one along which most entries have neighbours."""
    labels = tuple(dict.fromkeys(label for array in arrays for label in array.labels if sizes[label] > 1))
    labels = tuple(sorted(labels, key=lambda label: any(_lacks(result, label) for result in results)))
    if not labels:
        return labels
    near = dict.fromkeys(labels, 0)
    for array in arrays:
        for label, stride in zip(array.labels, array.strides, strict=True):
            if stride == 1 and label in near:
                near[label] += prod(sizes[name] for name in array.labels)
    innermost = max(labels, key=lambda label: (near[label], sizes[label]))
    return (*(label for label in labels if label != innermost), innermost)
