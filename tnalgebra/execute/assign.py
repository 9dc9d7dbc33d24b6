"""Assignments to the entries of vectors, in place: by array functions in blocks, or as one compiled pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from ..algebra.scalar import parse
from ..algebra.schedule import Schedule, schedule
from .kernels.cuda_assign import cuda_assigner
from .kernels.jit import Kernel, attempted, can_compile, jitted, numba_or_none, written
from .kernels.line import Line, straight
from .namespace import is_numpy_like, namespace_of
from .threads import in_threads, thread_count

__all__ = ["Assignments", "assigner", "compiled_assigner"]

Array = Any
Run = Callable[[Sequence[Array], Sequence[float]], None]
BLOCK = 1 << 16
"""Entries that array functions take together, so that what they make stays cached."""
STRIP = 1 << 10
"""Entries that a compiled pass takes together, for one assignment after the other: all arrays stay in the first cache.

In one loop over so many arrays LLVM would not vectorise: too many of them might overlap.
"""
MUCH = 1 << 20
"""Entries that are worth threads."""


@dataclass(frozen=True, slots=True)
class Assignments:
    """Lines `array ← expression`, one after the other, for every entry of vectors of one size and dtype.

    arrays, numbers: their names. lines: the array that is written over, and the scalar expression.

    >>> import numpy as np
    >>> mean = Assignments(("x", "y"), ("a",), (("x", "a * x + (1 - a) * y"), ("y", "y - x")))
    >>> x, y = np.array([4.0]), np.array([8.0])
    >>> assigner(mean)((x, y), (0.75,))
    >>> print(x, y)
    [5.] [3.]
    """

    arrays: tuple[str, ...]
    numbers: tuple[str, ...]
    lines: tuple[tuple[str, str], ...]

    def schedules(self) -> list[tuple[str, Schedule]]:
        """The calls of every line, by the array that it writes."""
        names = (*self.arrays, *self.numbers)
        return [(target, schedule((parse(text, names),), names)) for target, text in self.lines]

    def straight(self, dtype: Any, xp: ModuleType) -> list[tuple[int, Line]]:
        """The place of the array that a line writes, and its array functions."""
        axes = [frozenset({0})] * len(self.arrays) + [frozenset[int]()] * len(self.numbers)
        return [
            (self.arrays.index(target), straight(calls, axes, [dtype] * len(axes), xp))
            for target, calls in self.schedules()
        ]

    def kernel(self, dtype: Any) -> Kernel | None:
        """The compiled pass; None where there can be none."""
        can = can_compile(*(calls for _, calls in self.schedules())) and dtype.char in "fd" and dtype.isnative
        if not can or numba_or_none() is None:
            return None
        kernel = jitted(_text(self), dtype.name)
        nothing = [np.zeros(0, dtype)] * len(self.arrays)
        return kernel if attempted(kernel, *nothing, np.zeros(len(self.numbers), dtype), 0, 0) else None

    def launch(self, dtype: Any, xp: ModuleType) -> Run | None:
        """The kernel of a device; None where there can be none."""
        lines = [(self.arrays.index(target), calls) for target, calls in self.schedules()]
        return cuda_assigner(lines, len(self.arrays), len(self.numbers), dtype, xp)


@lru_cache(maxsize=32)
def assigner(assignments: Assignments) -> Run:
    """The function of arrays and numbers, by array functions."""
    made = lru_cache(maxsize=8)(assignments.straight)

    def run(arrays: Sequence[Array], numbers: Sequence[float]) -> None:
        xp, dtype, size = namespace_of(arrays), arrays[0].dtype, arrays[0].size
        given = [dtype.type(number) for number in numbers]
        lines, block = made(dtype, xp), BLOCK if xp is np else size
        if size <= block:
            for place, line in lines:
                _assign(line, arrays, given, place)
            return

        def share(blocks: slice) -> None:
            rooms = [[np.empty(block, dtype) for _ in line.registers] for _, line in lines]
            for number in range(blocks.start, blocks.stop):
                parts = [array[number * block : (number + 1) * block] for array in arrays]
                for (place, line), room in zip(lines, rooms, strict=True):
                    _assign(line, parts, given, place, *(register[: parts[0].size] for register in room))

        in_threads(share, -(-size // block), _threads(size))

    return run


def _assign(line: Line, arrays: Sequence[Array], numbers: Sequence[Any], place: int, *registers: Array) -> None:
    """Write the value over an array; a line that only names another computes nothing that could be written there."""
    (value,) = line.call(*arrays, *numbers, arrays[place], *registers)
    if value is not arrays[place]:
        arrays[place][...] = value


@lru_cache(maxsize=32)
def compiled_assigner(assignments: Assignments) -> Run:
    """The same up to rounding in one compiled pass, or one launch; by array functions where there is no such kernel."""
    plain, made = assigner(assignments), lru_cache(maxsize=8)(assignments.kernel)
    launches = lru_cache(maxsize=8)(assignments.launch)

    def run(arrays: Sequence[Array], numbers: Sequence[float]) -> None:
        dtype, size, is_numpy = arrays[0].dtype, arrays[0].size, type(arrays[0]) is np.ndarray
        xp = np if is_numpy else namespace_of(arrays)
        launch = launches(dtype, xp) if xp is not np and _are_vectors(arrays, xp) else None
        if launch is not None:
            launch(arrays, numbers)
            return
        is_even = all(array.shape == arrays[0].shape for array in arrays)  # a kernel would go beyond the shorter ones
        kernel = made(dtype) if is_numpy and is_even else None
        if kernel is None:
            plain(arrays, numbers)
            return
        given, threads = np.array(numbers, dtype), _threads(size)
        if threads == 1:
            kernel(*arrays, given, 0, size)
        else:
            in_threads(lambda part: kernel(*arrays, given, part.start, part.stop), size, threads)

    return run


def _are_vectors(arrays: Sequence[Array], xp: ModuleType) -> bool:
    """Whether these are CuPy's arrays without gaps, of one size and dtype."""
    if not is_numpy_like(xp) or len({(array.dtype, array.shape) for array in arrays}) > 1:
        return False
    return all(array.flags.c_contiguous for array in arrays)


def _threads(size: int) -> int:
    return thread_count() if size >= MUCH else 1


def _text(made: Assignments) -> str:
    """A loop for each line over a strip; it counts from 0, so that no index can be negative."""
    views = [f"{name}s" for name in made.arrays]
    lines = [f"def kernel({', '.join(made.arrays)}, numbers, first, last):"]
    lines += [f"    {name} = numbers[{place}]" for place, name in enumerate(made.numbers)]
    lines += [f"    for start in range(first, last, {STRIP}):", f"        stop = min(start + {STRIP}, last)"]
    lines += [f"        {view} = {name}[start:stop]" for view, name in zip(views, made.arrays, strict=True)]
    for number, (target, calls) in enumerate(made.schedules()):
        lines.append(f"        for i in range({views[0]}.size):")
        (end,) = written(calls, [*(f"{view}[i]" for view in views), *made.numbers], f"t{number}_", " " * 12, lines)
        lines.append(f"{' ' * 12}{target}s[i] = {end}")
    return "\n".join(lines) + "\n"
