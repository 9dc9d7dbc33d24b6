"""A plan as one call: every step is machine code for its sizes, and one loop runs them on a table of addresses.

It is for plans that run many times on small arrays, where the interpreter would take longer than the numbers.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np

from ..plan import Plan
from ..plan.generated import exponential
from .fuse import grouped
from .kernels.bilinear import unit
from .kernels.fold import fold
from .kernels.jit import jitted, native, numba_or_none, told
from .kernels.native import RUN, address
from .recipe import Recipe, recipe

__all__ = ["NativeProgram", "native_program"]

Array = Any
SMALL = 1 << 18
"""Operations of a step, on the average, from which its kernel counts, with blocks and threads, and not the call."""
ROOM = 1 << 26
"""Bytes that the values between the steps may take where no limit was given."""


def native_program(plan: Plan, dtype: Any) -> "NativeProgram | None":
    """The program for leaves of that dtype; None where a step has no such form, or where nothing would be gained."""
    if _is_large(plan) or numba_or_none() is None or not _can_read_arrays():
        return None
    found = recipe(plan, dtype.itemsize)
    if found is None or found.bytes(dtype.itemsize) > (plan.memory_limit or ROOM):
        return None
    try:
        return NativeProgram(found, dtype)
    except numba_or_none().errors.NumbaError as error:
        told(error)
        return None


def _is_large(plan: Plan) -> bool:
    """Whether steps are better done by kernels with blocks and threads than by one call without."""
    units = [made for step in plan.steps if step.kind == "weighted" and (made := unit(step))]
    groups = [group for group in grouped(plan.steps, plan.outputs) if group[0].kind == "product" and len(group) > 1]
    folds = [found for product, *users in groups if (found := fold(product, users))]
    inside = [*(made.step for made in units), *(step for group in groups for step in group)]
    rest = plan.flops - sum(step.flops for step in inside)
    is_shared = any(made.is_much for made in units) or any(made.is_much for made in folds)
    return rest > SMALL * len(plan.steps) or is_shared or any(map(exponential, plan.steps))


class NativeProgram:
    """Calls in order; what they need is allocated by the first call of a thread and used again."""

    def __init__(self, made: Recipe, dtype: Any) -> None:
        self._dtype, self._made = dtype, made
        self._shapes = [shape for _, shape in made.outputs]
        self._kernels = [native(text, dtype.name) for text, _, _ in made.calls]
        slots = [[*(number for place in places for number in place), *numbers] for _, places, numbers in made.calls]
        starts = accumulate((8 * len(part) for part in slots), initial=0)
        functions = [n for kernel, start in zip(self._kernels, starts, strict=False) for n in (kernel.address, start)]
        rows = [*range(made.leaves), *(row for row, _ in made.outputs)]
        self._numbers = [np.array(part, np.int64) for part in (rows, functions, [n for part in slots for n in part])]
        places = [address(part) for part in self._numbers]
        self._fixed = (*places[:2], len(made.calls), places[2])
        self._run, self._count, self._free = jitted(RUN, dtype.name), len(rows), list[tuple[int, Array, Array]]()

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """The values for these leaves, in new arrays."""
        try:
            table = self._free.pop()
        except IndexError:
            table = self._new()
        outs = [np.empty(shape, self._dtype) for shape in self._shapes]
        given = (*[x if type(x) is np.ndarray and x.flags.carray else _ready(x) for x in arrays], *outs)
        self._run(id(given), self._count, table[0], *self._fixed)
        self._free.append(table)
        return outs

    def _new(self) -> tuple[int, Array, Array]:
        """A table of addresses and its own, and the memory that those of the values between point to."""
        made = self._made
        arena, table = np.empty(made.room, self._dtype), np.zeros(made.count, np.int64)
        for row, offset in made.places.items():
            table[row] = address(arena) + offset * self._dtype.itemsize
        return address(table), table, arena


@lru_cache(maxsize=1)
def _can_read_arrays() -> bool:
    """Whether the kernel finds the numbers of arrays, as it does in CPython."""
    arrays, table, rows = (np.ones(1), np.ones(2)), np.zeros(2, np.int64), np.arange(2)
    jitted(RUN, "float64")(id(arrays), 2, address(table), address(rows), 0, 0, 0)
    return table.tolist() == [*map(address, arrays)]


def _ready(array: Array) -> Array:
    return np.require(array, requirements=["C", "A"])
