"""The log semiring on a GPU: a matrix product of exponentials, which entries of it lose digits, and whether most do."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Pointwise
from ...algebra.derivative import substituted
from ...algebra.scalar import Tree, parse
from ...graph import Labels
from ...plan import Step
from ...plan.step import volume
from .cuda import TYPES, lower_cuda
from .cuda_generator import BLOCKS, compiled_pair, signature
from .cuda_scalar import head
from .cuda_source import THREADS, named
from .exponential import FEW, smallest

__all__ = ["CudaExponentials", "count_text", "most_text"]

Array = Any
Kernel = Callable[..., Array]
SHIFTED: Tree = ("where", (("greater", ("x1", -np.inf)), ("subtract", ("x0", "x1")), "x0"))
"""A number less the largest of those it is summed with; −∞ where all are."""


class CudaExponentials:
    """(x, y) → g⁻¹(Σ g(x − a) · g(y − b)) + a + b, which entries to compute by themselves, and whether to compute all.

    What it judges stays on the device. None where there is no kernel.
    """

    def __init__(self, step: Step, generator: tuple[str, str], xp: ModuleType, linear: Kernel) -> None:
        self.xp, self.linear, self.count = xp, linear, volume(step.summed, step.sizes)
        g, inverse = (parse(text, ("x",)) for text in generator)
        kept: list[Labels] = [tuple(label for label in term if label in step.result) for term in step.terms]
        self.axes = [tuple(term.index(label) for label in step.summed) for term in step.terms]
        self.shifted = [
            lower_cuda(_map(step, (term, own), term, substituted(g, {"x": SHIFTED})), xp)
            for term, own in zip(step.terms, kept, strict=True)
        ]
        whole: Tree = ("add", (substituted(inverse, {"x": "x0"}), ("add", ("x1", "x2"))))
        self.finished = lower_cuda(_map(step, (step.result, *kept), step.result, whole), xp)
        self._ready: dict[Any, tuple[Kernel, Kernel] | None] = {}

    def __call__(self, arrays: Sequence[Array]) -> tuple[Array, Array, Array] | None:
        """Operands have one dtype, float32 or float64."""
        xp, dtype = self.xp, arrays[0].dtype
        if dtype not in self._ready:
            self._ready[dtype] = compiled_pair(xp, count_text(dtype), most_text(dtype))
        if (ready := self._ready[dtype]) is None:
            return None
        tops = [xp.max(array, axis=axes) for array, axes in zip(arrays, self.axes, strict=True)]
        factors = [shift(array, top) for shift, array, top in zip(self.shifted, arrays, tops, strict=True)]
        total = xp.asarray(self.linear(*factors), order="C")
        out = xp.asarray(self.finished(total, *tops), order="C")
        return out, *self._judged(ready, total, tops)

    def _judged(self, kernels: tuple[Kernel, Kernel], total: Array, tops: Sequence[Array]) -> tuple[Array, Array]:
        xp, size, least = self.xp, np.int64(total.size), np.float64(smallest(total.dtype, self.count))
        count, most = kernels
        blocks = min(BLOCKS, -(-total.size // THREADS))
        lost, is_most = xp.empty(total.shape, np.bool_), xp.empty((), np.bool_)
        seen = xp.empty((blocks,), np.int32)
        ends = [argument for top in tops for argument in (xp.asarray(top, order="C"), np.int64(top.size))]
        count((blocks,), (THREADS,), (seen, total, size, *ends, least))
        most((blocks,), (THREADS,), (is_most, lost, seen, np.int32(blocks), total, size, least))
        return lost, is_most


def _map(step: Step, terms: tuple[Labels, ...], result: Labels, value: Tree) -> Step:
    """A function of operands, entry by entry."""
    places = tuple(range(len(terms)))
    tree = Pointwise(value, tuple(f"x{i}" for i in places)), places
    return Step("blocked", places, len(places), terms, result, step.sizes, tree)


def count_text(dtype: Any) -> tuple[str, str]:
    """The kernel whose blocks count entries that lose digits; −1 where one sees a largest number that is not finite."""
    parameters = ["int* __restrict__ seen", "const T* __restrict__ total", "const long long size"]
    lines = [
        "const long long first = 1LL * blockIdx.x * blockDim.x, step = 1LL * gridDim.x * blockDim.x;",
        "int count = 0, is_wrong = 0;",
        "for (long long start = first; start < size; start += step) {",
        "    const long long i = start + threadIdx.x;",
        "    count += __syncthreads_count(i < size && total[i] < T(least));",
        "}",
    ]
    for k in (0, 1):
        parameters += [f"const T* __restrict__ top{k}", f"const long long n{k}"]
        lines.append(f"for (long long i = first + threadIdx.x; i < n{k}; i += step) is_wrong |= !(top{k}[i] < INF);")
    lines += [
        "is_wrong = __syncthreads_or(is_wrong);",
        "if (threadIdx.x == 0) seen[blockIdx.x] = is_wrong ? -1 : count;",
    ]
    return _kernel(dtype, [*parameters, "const double least"], lines)


def most_text(dtype: Any) -> tuple[str, str]:
    """The kernel that says whether to compute all anew, and else which entries."""
    parameters = [
        "bool* __restrict__ is_most",
        "bool* __restrict__ lost",
        "const int* __restrict__ seen",
        "const int blocks",
        "const T* __restrict__ total",
        "const long long size",
        "const double least",
    ]
    lines = [
        f"__shared__ long long counts[{THREADS}];",
        "long long count = 0;",
        "int is_wrong = 0;",
        "for (int i = threadIdx.x; i < blocks; i += blockDim.x) {",
        "    count += seen[i];",
        "    is_wrong |= seen[i] < 0;",
        "}",
        "counts[threadIdx.x] = count;",
        "is_wrong = __syncthreads_or(is_wrong);",
        f"for (int half = {THREADS // 2}; half > 0; half /= 2) {{",
        "    if (threadIdx.x < half) counts[threadIdx.x] += counts[threadIdx.x + half];",
        "    __syncthreads();",
        "}",
        f"const bool is_all = is_wrong || {FEW} * counts[0] > size;",
        "const long long first = 1LL * blockIdx.x * blockDim.x + threadIdx.x, step = 1LL * gridDim.x * blockDim.x;",
        "for (long long i = first; i < size; i += step) lost[i] = !is_all && total[i] < T(least);",
        "if (first == 0) is_most[0] = is_all;",
    ]
    return _kernel(dtype, parameters, lines)


def _kernel(dtype: Any, parameters: Sequence[str], lines: Sequence[str]) -> tuple[str, str]:
    body = (f"    {line}" for line in lines)
    return named("\n".join([head(TYPES[np.dtype(dtype)]), f"{signature(parameters)} {{", *body, "}\n"]))
