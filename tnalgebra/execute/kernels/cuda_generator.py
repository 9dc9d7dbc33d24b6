"""g of all operands of a step in one pass, which sees as well whether what they lead to can be trusted.

Every block of threads keeps what it saw in a word of its own; a kernel of one block joins the words in a truth value on
the device. So nothing is set to 0 before, and no thread waits for another block's.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Operator, Pointwise
from ...algebra.scalar import parse
from ...plan.formula import formulas
from ...plan.generated import is_rising
from .cuda import TYPES, compiled_text
from .cuda_scalar import head, number, written
from .cuda_source import SIGNATURE, THREADS, named
from .cuda_work import Work
from .generated import HIGH, LOW, trusted

__all__ = ["BLOCKS", "Generator", "compiled_pair", "generator_text", "signature", "verdict_text"]

Array = Any
Kernel = Callable[..., Any]
BLOCKS = 1024
"""Blocks that keep a GPU busy; a thread has several entries where there are more."""
TOGETHER = """enum { LOST = 1, ABOVE = 2, BEYOND = 4 };
inline __device__ int together(int seen) {
    int all = 0;
    for (int bit = LOST; bit <= BEYOND; bit *= 2) all |= __syncthreads_or(seen & bit) ? bit : 0;
    return all;
}
"""
"""What the threads of a block saw: a value of g that is lost, an operand above LOW, and one that is not below HIGH."""

PLACED = """inline __device__ long long placed(long long i, long long width, long long down, long long across) {
    return i < width ? i * across : i / width * down + i % width * across;
}
"""
"""Where entry i of a matrix lies; nothing is divided where all of it is one row."""


class Generator:
    """(operands) → g of each, and whether the step by them has to be computed anew; None where there is no kernel."""

    def __init__(self, op: Operator, count: int, xp: ModuleType) -> None:
        self.op, self.count, self.xp = op, count, xp
        self._ready: dict[Any, tuple[Kernel, Kernel] | None] = {}

    def __call__(self, operands: Sequence[Array]) -> tuple[list[Array], Array] | None:
        """The truth value stays on the device, with no axes. Operands have one dtype, float32 or float64."""
        xp, dtype = self.xp, operands[0].dtype
        if dtype not in self._ready:
            self._ready[dtype] = compiled_pair(xp, generator_text(self.op, self.count, dtype), verdict_text())
        if (ready := self._ready[dtype]) is None:
            return None
        kernel, verdict = ready
        values = [xp.empty(x.shape, dtype) for x in operands]
        blocks = min(BLOCKS, -(-max(x.size for x in operands) // THREADS))
        seen, is_wanted = xp.empty((blocks,), np.int32), xp.empty((), np.bool_)
        arguments: list[Any] = [seen]
        for x, value in zip(operands, values, strict=True):
            if (rows := _rows(x)) is None:
                x, rows = xp.asarray(x, order="C"), (x.size, 0, 1)
            arguments += [value, x, *map(np.int64, (x.size, *rows))]
        kernel((blocks,), (THREADS,), tuple(arguments))
        verdict((1,), (THREADS,), (is_wanted, seen, np.int32(blocks)))
        return values, is_wanted


def _rows(x: Array) -> tuple[int, int, int] | None:
    """How long a row is, and the strides from row to row and within one, in entries; None for what is no matrix."""
    axes: list[tuple[int, int]] = []
    for size, stride in zip(x.shape[::-1], x.strides[::-1], strict=True):
        if axes and stride == axes[-1][0] * axes[-1][1]:
            axes[-1] = size * axes[-1][0], axes[-1][1]
        elif size > 1:
            axes.append((size, stride))
    if len(axes) > 2:
        return None
    (width, across), (_, down) = [*axes, (1, 0), (1, 0)][:2]
    return width, down // x.itemsize, across // x.itemsize


def compiled_pair(xp: ModuleType, first: tuple[str, str], second: tuple[str, str]) -> tuple[Kernel, Kernel] | None:
    """Two kernels of these names and texts; None, and one warning, where they do not compile."""
    kernel = compiled_text(xp, *first)
    then = compiled_text(xp, *second) if kernel else None
    return (kernel, then) if kernel and then else None


def generator_text(op: Operator, count: int, dtype: Any) -> tuple[str, str]:
    """The name and the text of the kernel for so many operands."""
    parameters = ["int* __restrict__ seen"]
    lines = [
        "    const long long first = 1LL * blockIdx.x * blockDim.x + threadIdx.x, step = 1LL * gridDim.x * blockDim.x;",
        "    int own = 0;",
    ]
    for i in range(count):
        parameters += [f"T* __restrict__ g{i}", f"const T* __restrict__ x{i}"]
        parameters += [f"const long long {name}{i}" for name in ("n", "width", "down", "across")]
        place = f"placed(i, width{i}, down{i}, across{i})"
        lines.append(f"    for (long long i = first; i < n{i}; i += step) g{i}[i] = generated(x{i}[{place}], own);")
    lines += ["    own = together(own);", "    if (threadIdx.x == 0) seen[blockIdx.x] = own;"]
    before = head(TYPES[np.dtype(dtype)]) + TOGETHER + PLACED + "\n".join(_generated(op, dtype))
    return named("\n".join([before, f"{signature(parameters)} {{", *lines, "}\n"]))


def _generated(op: Operator, dtype: Any) -> list[str]:
    """The function of C that gives g of a number, and adds what is to be seen there."""
    assert op.generator is not None
    tree = Pointwise(parse(op.generator[0], ("x",)), ("x",)), (0,)
    work = Work(((),), (), (), (), {}, formulas([tree], 1), 0.0)
    lines, (g,) = written(work, work.calls.ends, {0: "x"})
    least, most = map(number, trusted(dtype))
    lines.append(f"if (!({g} > {least} && {g} < {most} || x == {number(op.unit)})) seen |= LOST;")
    if op.is_translative:
        top = "x" if is_rising(op) else "-x"
        lines += [f"if ({top} > {number(LOW)}) seen |= ABOVE;", f"if ({top} >= {number(HIGH)}) seen |= BEYOND;"]
    return [
        "inline __device__ T generated(T x, int& seen) {",
        *(f"    {line}" for line in lines),
        f"    return {g};",
        "}\n",
    ]


def verdict_text() -> tuple[str, str]:
    """The name and the text of the kernel that joins what the blocks saw."""
    parameters = ["bool* __restrict__ wanted", "const int* __restrict__ seen", "const int blocks"]
    lines = [
        "    int own = 0;",
        "    for (int i = threadIdx.x; i < blocks; i += blockDim.x) own |= seen[i];",
        "    own = together(own);",
        "    if (threadIdx.x == 0) wanted[0] = (own & LOST) || ((own & ABOVE) && !(own & BEYOND));",
    ]
    return named("\n".join([f"{TOGETHER}{signature(parameters)} {{", *lines, "}\n"]))


def signature(parameters: Sequence[str]) -> str:
    """What stands before the body of a kernel with these parameters."""
    return SIGNATURE.format(threads=THREADS, parameters=", ".join(parameters))
