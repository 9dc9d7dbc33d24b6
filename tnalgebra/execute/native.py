"""A plan as one call: every step is machine code for its sizes, and one loop runs them on a table of addresses.

It is for plans that run many times on arrays that stay cached, where the interpreter, and memory that is new to the
machine, would take longer than the numbers. Threads share out what is long, and go through the steps together.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np

from ..plan import Plan, Step
from ..plan.generated import exponential
from .fuse import grouped
from .kernels.bilinear import unit
from .kernels.crew import led, left
from .kernels.jit import jitted, native, numba_or_none, told
from .kernels.matrix import is_matrix
from .kernels.native import RUN, address
from .recipe import Recipe, recipe
from .threads import thread_count

__all__ = ["NativeProgram", "native_program"]

Array = Any
SMALL = 1 << 18
"""Operations of a step, on the average, from which its kernel counts, where that has blocks, and not the call."""
ROOM = 1 << 26
"""Bytes that the values between the steps may take where no limit was given."""
MUCH = 1 << 20
"""Operations of a plan that are worth several threads."""
WORDS = 8
"""Words of a line of the cache: a thread writes to one of its own."""


def native_program(plan: Plan, dtype: Any) -> "NativeProgram | None":
    """The program for leaves of that dtype; None where a step has no such form, or where nothing would be gained."""
    if _is_large(plan) or numba_or_none() is None or not _can_read_arrays():
        return None
    found = recipe(plan, dtype.itemsize, thread_count() if plan.flops >= MUCH else 1)
    if found is None or found.bytes(dtype.itemsize) > (plan.memory_limit or ROOM):
        return None
    try:
        return NativeProgram(found, dtype)
    except numba_or_none().errors.NumbaError as error:
        told(error)
        return None


def _is_large(plan: Plan) -> bool:
    """Whether steps are better done by kernels that there are not here."""
    groups = [group for group in grouped(plan.steps, plan.outputs) if group[0].kind != "product" or len(group) == 1]
    rest = sum(step.flops for group in groups for step in group if _has_blocks(step))
    return rest > SMALL * len(plan.steps) or any(map(exponential, plan.steps))


def _has_blocks(step: Step) -> bool:
    """Whether a step has a kernel that does better than loops where there is much to do."""
    return step.kind == "product" or is_matrix(step) or (step.kind == "weighted" and unit(step) is None)


class NativeProgram:
    """Calls in order; what they need is allocated by the first call of a thread and used again."""

    def __init__(self, made: Recipe, dtype: Any) -> None:
        self._dtype, self._made, self._run = dtype, made, jitted(RUN, dtype.name)
        self._shapes = [shape for _, shape in made.outputs]
        self._words = -(-made.count // WORDS) * WORDS
        self._kernels = [native(call.text, dtype.name) for call in made.calls]
        self._orders, self._free = self._ordered(), list[tuple[int, Array, Array]]()
        self._at = address(self._orders)

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """The values for these leaves, in new arrays."""
        try:
            held = self._free.pop()
        except IndexError:
            held = self._new()
        outs = [np.empty(shape, self._dtype) for shape in self._shapes]
        given = (*[x if type(x) is np.ndarray and x.flags.carray else _ready(x) for x in arrays], *outs)
        threads = min(self._made.threads, thread_count()) if self._made.threads > 1 else 1
        job = led(threads) if threads > 1 else 0
        try:
            self._run(id(given), held[0], self._at, job, threads)
        finally:
            if job:
                left()
        self._free.append(held)
        return outs

    def _ordered(self) -> Array:
        """Rows of what is given, the tasks of every step, and behind all of them the places that kernels read."""
        made, steps = self._made, [call.parts() for call in self._made.calls]
        rows = [*range(made.leaves), *(row for row, _ in made.outputs)]
        first = [*accumulate(map(len, steps), initial=0)]
        tasks = 3 + len(rows) + 2 * len(steps)
        places = [[*(n for place in part.arrays for n in place), *part.numbers] for parts in steps for part in parts]
        starts = accumulate(map(len, places), initial=tasks + 3 * len(places))
        head = [8 * self._words, len(rows), len(steps), *rows]
        for start, parts in zip(first, steps, strict=False):
            head += [8 * (tasks + 3 * start), len(parts)]
        orders = np.array([*head, *[0] * (3 * len(places)), *(n for part in places for n in part)], np.int64)
        kernels = [kernel for kernel, parts in zip(self._kernels, steps, strict=True) for _ in parts]
        words = [(kernel.address, 0, address(orders) + 8 * at) for kernel, at in zip(kernels, starts, strict=False)]
        orders[tasks : tasks + 3 * len(places)] = np.ravel(words)
        return orders

    def _new(self) -> tuple[int, Array, Array]:
        """The tables of addresses and the first of these, and the memory that those of the values between point to."""
        made, size = self._made, self._dtype.itemsize
        arena = np.empty(made.room + made.threads * made.own, self._dtype)
        tables = np.zeros((made.threads, self._words), np.int64)
        for row, offset in made.places.items():
            tables[:, row] = address(arena) + offset * size
        for row, offset in made.rooms.items():
            tables[:, row] = [address(arena) + (made.room + n * made.own + offset) * size for n in range(made.threads)]
        return address(tables), tables, arena


@lru_cache(maxsize=1)
def _can_read_arrays() -> bool:
    """Whether the kernel finds the numbers of arrays, as it does in CPython."""
    arrays, table, orders = (np.ones(1), np.ones(2)), np.zeros(2, np.int64), np.array([0, 2, 0, 0, 1])
    jitted(RUN, "float64")(id(arrays), address(table), address(orders), 0, 1)
    return table.tolist() == [*map(address, arrays)]


def _ready(array: Array) -> Array:
    return np.require(array, requirements=["C", "A"])
