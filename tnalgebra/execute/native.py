"""A plan as one call: every step is machine code for its sizes, and one loop runs them on a table of addresses.

It is for plans that run many times on small arrays, where the interpreter would take longer than the numbers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plan import Plan
from ..plan.generated import exponential
from .kernels.jit import jitted, native, numba_or_none, told
from .kernels.native import RUN
from .recipe import Recipe, recipe

__all__ = ["NativeProgram", "native_program"]

Array = Any
SMALL = 1 << 18
"""Operations of a step, on the average, from which its kernel counts, with blocks and threads, and not the call."""
ROOM = 1 << 26
"""Bytes that the values between the steps may take where no limit was given."""


def native_program(plan: Plan, dtype: Any) -> "NativeProgram | None":
    """The program for leaves of that dtype; None where a step has no such form, or where nothing would be gained."""
    is_large = plan.flops > SMALL * len(plan.steps) or any(map(exponential, plan.steps))
    if is_large or numba_or_none() is None:
        return None
    found = recipe(plan, dtype.itemsize)
    if found is None or found.bytes(dtype.itemsize) > (plan.memory_limit or ROOM):
        return None
    try:
        return NativeProgram(found, dtype)
    except numba_or_none().errors.NumbaError as error:
        told(error)
        return None


class NativeProgram:
    """Calls in order; what they need is allocated by the first call of a thread and used again."""

    def __init__(self, made: Recipe, dtype: Any) -> None:
        self._recipe, self._dtype = made, dtype
        self._kernels = [native(text, dtype.name) for text, _, _ in made.calls]
        self._functions = np.array([kernel.address for kernel in self._kernels], np.int64)
        slots = [[*(number for place in places for number in place), length] for _, places, length in made.calls]
        self._starts = np.cumsum([0, *(8 * len(part) for part in slots[:-1])])
        self._slots = np.array([number for part in slots for number in part], np.int64)
        self._run, self._free = jitted(RUN, dtype.name), list[tuple[Array, Array]]()

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """The values for these leaves, in new arrays."""
        made = self._recipe
        table, arena = self._free.pop() if self._free else self._new()
        ready = [
            x if x.flags.c_contiguous and x.flags.aligned else np.require(x, requirements=["C", "A"]) for x in arrays
        ]
        outs = [np.empty(shape, self._dtype) for _, shape in made.outputs]
        for row, array in enumerate(ready):
            table[row] = _address(array)
        for (row, _), out in zip(made.outputs, outs, strict=True):
            table[row] = _address(out)
        self._run(self._functions, self._starts, _address(table), _address(self._slots))
        self._free.append((table, arena))
        return outs

    def _new(self) -> tuple[Array, Array]:
        """A table of addresses, and the memory that those of the values between point to."""
        made = self._recipe
        arena, table = np.empty(made.room, self._dtype), np.zeros(made.count, np.int64)
        for row, offset in made.places.items():
            table[row] = _address(arena) + offset * self._dtype.itemsize
        return table, arena


def _address(array: Array) -> int:
    return array.__array_interface__["data"][0]  # type: ignore[no-any-return]
