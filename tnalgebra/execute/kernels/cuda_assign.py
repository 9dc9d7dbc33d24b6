"""Assignments to the entries of vectors as one CUDA kernel: a thread reads and writes the entries at one place."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra.schedule import Schedule
from .cuda import TYPES, compiled_text
from .cuda_scalar import HEADS, head, written
from .cuda_source import SIGNATURE, THREADS, named
from .cuda_work import Work

__all__ = ["cuda_assigner"]

Array = Any
Lines = Sequence[tuple[int, Schedule]]
"""For every line the place of the array that it writes, and its calls on the arrays and then the numbers."""


def cuda_assigner(
    lines: Lines, arrays: int, numbers: int, dtype: Any, xp: ModuleType
) -> Callable[[Sequence[Array], Sequence[float]], None] | None:
    """(arrays, numbers) → None, for vectors without gaps of one size and dtype; None where there is no such kernel."""
    if dtype not in TYPES or not all(name in HEADS for _, calls in lines for name, _, _ in calls.calls):
        return None
    kernel = compiled_text(xp, *named(_text(lines, arrays, numbers, TYPES[dtype])))
    if kernel is None:
        return None

    def run(vectors: Sequence[Array], given: Sequence[float]) -> None:
        size = vectors[0].size
        if size:
            kernel((-(-size // THREADS),), (THREADS,), (*vectors, *map(np.float64, given), np.int64(size)))

    return run


def _text(lines: Lines, arrays: int, numbers: int, dtype: str) -> str:
    """Entries are variables `v0`, `v1`, …, one for an array, and numbers those after them."""
    count = arrays + numbers
    parameters = [
        *(f"T* __restrict__ x{place}" for place in range(arrays)),
        *(f"const double x{place}" for place in range(arrays, count)),
        "const long long size",
    ]
    signature = SIGNATURE.format(threads=THREADS, parameters=", ".join(parameters))
    body = ["const long long i = 1LL * blockIdx.x * blockDim.x + threadIdx.x;", "if (i >= size) return;"]
    body += [f"T v{place} = x{place}[i];" for place in range(arrays)]
    body += [f"const T v{place} = x{place};" for place in range(arrays, count)]
    for target, calls in lines:
        work = Work((("i",),) * count, ("i",), (), ("i",), {}, calls, 0.0)
        statements, (end,) = written(work, calls.ends, {place: f"v{place}" for place in range(count)})
        body += ["{", *statements, f"v{target} = {end};", "}"]
    body += [f"x{target}[i] = v{target};" for target in sorted({target for target, _ in lines})]
    return "\n".join([head(dtype), f"{signature} {{", *body, "}\n"])
