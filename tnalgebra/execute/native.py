"""A plan as one call: every step is machine code for its sizes, and one loop runs them on a table of addresses.

It is for plans that run many times on arrays that stay cached, where the interpreter, and memory that is new to the
machine, would take longer than the numbers. Threads share out what is long, and go through the steps together.
"""

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, repeat
from typing import Any

import numpy as np

from ..plan import Plan, Step
from ..plan.generated import exponential
from .fuse import grouped
from .kernels.bilinear import unit
from .kernels.crew import free_crew
from .kernels.jit import jitted, native, numba_or_none, told
from .kernels.matrix import is_matrix
from .kernels.native import CONTIGUOUS, HEADER, RUN, address
from .recipe import Recipe, recipe
from .threads import thread_count

__all__ = ["NativeProgram", "native_program"]

Array = Any
SMALL = 1 << 18
"""Operations of a step, on the average, from which its kernel counts, where that has blocks, and not the call."""
ROOM = 1 << 26
"""Bytes that the values between the steps may take where no limit was given, and that are kept between calls."""
KEPT = 8
"""Calls at once whose memory is kept for the next ones."""
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
        self._orders, self._table = self._ordered(), 8 * made.threads * self._words
        self._at = address(self._orders)
        self._bytes = self._table + (made.room + made.threads * made.own) * dtype.itemsize

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """The values for these leaves, in new arrays."""
        outs = [*map(np.empty, self._shapes, repeat(self._dtype))]
        self._go((*arrays, *outs))
        return outs

    def into(self, arrays: Sequence[Array], outs: Sequence[Array]) -> None:
        """Write the values for these leaves to arrays of their shapes, which share no memory with leaves."""
        places = [
            x if x.dtype == self._dtype and x.shape == shape and x.flags.carray else np.empty(shape, self._dtype)
            for x, shape in zip(outs, self._shapes, strict=True)
        ]
        self._go((*arrays, *places))
        for out, place in zip(outs, places, strict=True):
            if place is not out:
                out[...] = place

    def _go(self, given: tuple[Array, ...]) -> None:
        """Run on leaves and arrays for the values; leaves that lie otherwise are copied."""
        place, room = _room(self._bytes)
        threads = min(self._made.threads, thread_count()) if self._made.threads > 1 else 1
        addresses = id(given), place, place + self._table, self._at
        crew = free_crew() if threads > 1 else None
        if crew is None:
            is_done = self._run(*addresses, 0, threads)
        else:
            with crew.busy:
                is_done = self._run(*addresses, crew.lead(threads), threads)
        if self._bytes <= ROOM:
            _rooms().append((place, room))
        if not is_done:
            self._go(tuple([np.asarray(np.require(x, requirements=["C", "A"])) for x in given]))

    def _ordered(self) -> Array:
        """Rows, places, the tasks of every step, and behind all of them the numbers that kernels read."""
        made, steps, size = self._made, [call.parts() for call in self._made.calls], self._dtype.itemsize
        rows = [*range(made.leaves), *(row for row, _ in made.outputs)]
        places = [(row, size * at, 0) for row, at in made.places.items()]
        places += [(row, size * (made.room + at), size * made.own) for row, at in made.rooms.items()]
        first = [*accumulate(map(len, steps), initial=0)]
        tasks = HEADER + len(rows) + 3 * len(places) + 2 * len(steps)
        read = [[*(n for place in part.arrays for n in place), *part.numbers] for parts in steps for part in parts]
        starts = accumulate(map(len, read), initial=tasks + 3 * len(read))
        head = [id(np.ndarray), CONTIGUOUS, 8 * self._words, len(rows), len(places), len(steps)]
        head += [*rows, *(n for place in places for n in place)]
        for start, parts in zip(first, steps, strict=False):
            head += [8 * (tasks + 3 * start), len(parts)]
        orders = np.array([*head, *[0] * (3 * len(read)), *(n for part in read for n in part)], np.int64)
        kernels = [kernel for kernel, parts in zip(self._kernels, steps, strict=True) for _ in parts]
        words = [(kernel.address, 0, address(orders) + 8 * at) for kernel, at in zip(kernels, starts, strict=False)]
        orders[tasks : tasks + 3 * len(read)] = np.ravel(words)
        return orders


@lru_cache(maxsize=1)
def _rooms() -> deque[tuple[int, Array]]:
    """Memory that no call uses at the moment: one call after the other has its values there, whatever its program."""
    return deque(maxlen=KEPT)


def _room(size: int) -> tuple[int, Array]:
    """So many bytes, and where they are; what is kept is used if that is enough, and no longer kept if it is not."""
    try:
        while size <= ROOM:
            found = _rooms().pop()
            if found[1].size >= size:
                return found
    except IndexError:
        pass
    room = np.empty(size, np.uint8)
    return address(room), room


@lru_cache(maxsize=1)
def _can_read_arrays() -> bool:
    """Whether the kernel finds the numbers and flags of arrays, as it does in CPython."""
    run, table = jitted(RUN, "float64"), np.zeros(2, np.int64)
    orders = np.array([id(np.ndarray), CONTIGUOUS, 0, 2, 0, 0, 0, 1])
    strided, plain = (np.ones(4)[::2], np.ones(1)), (np.ones(1), np.ones(2))
    is_done = [run(id(arrays), address(table), 0, address(orders), 0, 1) for arrays in (strided, plain)]
    return is_done == [False, True] and table.tolist() == [*map(address, plain)]
