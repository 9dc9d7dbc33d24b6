"""Kernels that work on addresses: what calls one or many of them, and matrix products by BLAS."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from .crew import run_tasks
from .jit import jitted, native, numba_or_none, told

__all__ = ["CONTIGUOUS", "HEAD", "HEADER", "RUN", "Machine", "address", "machine_of", "matrix_text"]

HEAD = """from numba import carray
from numpy import dot, int64

from tnalgebra.execute.kernels.intrinsics import pointer

MANY = 1 << 40


def kernel(base, slots):
    b, s = carray(pointer(base), MANY, int64), carray(pointer(slots), MANY, int64)
"""
OBJECT = object.__basicsize__
"""Bytes of the head of an object."""
HEADER = 6
"""Words before the rows of arrays."""
CONTIGUOUS = 0x0101
"""The flags of an array whose entries lie in C order at addresses that suit them."""
RUN = f"""from numba import carray
from numpy import int64

from tnalgebra.execute.kernels.intrinsics import call, pointer, word
from tnalgebra.execute.kernels.job import share


def kernel(arrays, base, room, orders, job, threads):
    kind, flags, stride = word(orders), word(orders + 8), word(orders + 16)
    count, places, steps, rows = word(orders + 24), word(orders + 32), word(orders + 40), orders + {8 * HEADER}
    b = carray(pointer(base), 1 << 40, int64)
    for i in range(count):
        array = word(arrays + {tuple.__basicsize__} + 8 * i)
        if word(array + {OBJECT - 8}) != kind or word(array + {OBJECT + 48}) & flags != flags:
            return False
        for own in range(threads):
            b[own * stride // 8 + word(rows + 8 * i)] = word(array + {OBJECT})
    for i in range(places):
        spot = rows + 8 * count + 24 * i
        for own in range(threads):
            b[own * stride // 8 + word(spot)] = room + word(spot + 8) + own * word(spot + 16)
    for i in range(steps):
        step = rows + 8 * count + 24 * places + 16 * i
        tasks, parts = orders + word(step), word(step + 8)
        if parts > 1 and job:
            share(job, tasks, parts, base, stride, threads)
        else:
            for part in range(parts):
                task = tasks + 24 * part
                call(word(task), base + word(task + 8), word(task + 16))
    return True
"""
"""Fill rows of tables with the addresses of a tuple of arrays and of places in a room, and go through steps.

Nothing is done, and False returned, where an array is of another type, or lacks one of the flags.
orders: the type of arrays, and their flags; how many bytes after a thread's table that of the next one is; how many
arrays, places and steps there are; rows of arrays; for each place its row, where in the room it is, and how far behind
it that of the next thread; for each step where its tasks are, and how many, which threads share out as a job.
CPython keeps the type of an object and the items of a tuple at the end of its head, and NumPy the address of the
numbers behind that of an array, and six words later the flags: to ask for them takes longer than many a step."""


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
            head = [id(np.ndarray), 0, 0, count, 0, 0]
            line = np.array([*range(count), *head, *range(count), *places, *numbers], np.int64)
            table = address(line)
            if not self._fill(id(arrays), table, 0, table + 8 * count, 0, 1):
                raise TypeError(f"a kernel of addresses takes NumPy's own arrays; got {[*map(type, arrays)]}")
            tasks.append((self._kernel.address, table, table + 8 * (2 * count + HEADER)))
            lines.append(line)
        run_tasks(tasks)


class Kernel(Protocol):
    """A kernel of addresses that knows its text and the size of its numbers."""

    @property
    def itemsize(self) -> int: ...

    def text(self) -> str: ...


@lru_cache(maxsize=128)
def machine_of(kernel: Kernel) -> Machine | None:
    """The kernel as a function of arrays, None where it does not compile."""
    try:
        return Machine(native(kernel.text(), f"float{8 * kernel.itemsize}"))
    except numba_or_none().errors.NumbaError as error:
        told(error)
        return None


def address(array: Any) -> int:
    """Where the numbers of an array begin."""
    return array.__array_interface__["data"][0]  # type: ignore[no-any-return]


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
