"""Steps by CUDA kernels that are written for them: ξ and ⊕ in one pass, no array between.

CuPy compiles a kernel when it is first called on real numbers of one dtype; all else is left to CuPy's own functions.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Operator, operator
from ...graph import Labels
from ...plan import Step
from ...plan.formula import formula
from ...plan.step import volume
from .blas import lower_product
from .blocked import lower_blocked, lower_siblings
from .cuda_cost import chosen, lanes, shares
from .cuda_scalar import HEADS, TRUTH
from .cuda_source import THREADS, flat
from .cuda_tiled import tiled
from .cuda_tiles import Tiling
from .cuda_work import Work, work_of
from .unary import fold
from .weighted import lower_weighted

__all__ = ["TYPES", "Launch", "compiled_text", "launch_of", "lower_cuda", "lower_cuda_product", "lower_cuda_siblings"]

Array = Any
Kernel = Callable[..., Array]
TYPES = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
EXACT = ("--fmad=false",)
"""A value is rounded as it is everywhere else, so that one that was the largest is found again."""
MOST = 1 << 30
"""Entries that an index of 32 bits counts, with room for a stride."""


def lower_cuda(step: Step, xp: ModuleType) -> Kernel:
    """(operands) → the value of a step of kind blocked or weighted."""
    return _launched(step, (lower_blocked if step.kind == "blocked" else lower_weighted)(step, xp), xp)


def lower_cuda_product(step: Step, xp: ModuleType) -> Kernel:
    """(left, right) → Σ left · right, without cuBLAS, which CuPy calls in no graph that is captured."""
    plain = lower_product(step, xp)
    if all(label in step.result for label in step.terms[0] if label in step.terms[1]):
        return plain  # nothing is summed
    tree = operator("multiply"), (0, 1)
    return _launched(replace(step, kind="blocked", tree=tree, reduce=operator("add")), plain, xp)


def _launched(step: Step, plain: Kernel, xp: ModuleType) -> Kernel:
    """The kernel of the step, and `plain` for operands that there is none for."""
    launch = launch_of(step, xp)

    def kernel(*arrays: Array) -> Array:
        found = launch(arrays) if launch else None
        return plain(*arrays) if found is None else found

    return kernel


def lower_cuda_siblings(steps: Sequence[Step], xp: ModuleType) -> Kernel:
    """(operands) → the values of several blocked steps on the same operands."""
    plain = lower_siblings(steps, xp)
    launches = [launch for step in steps if (launch := launch_of(step, xp))]

    def kernel(*arrays: Array) -> list[Array]:
        found = [launch(arrays) for launch in launches]
        return plain(*arrays) if any(value is None for value in found) else found

    return kernel if len(launches) == len(steps) else plain


def launch_of(step: Step, xp: ModuleType) -> "Launch | None":
    """What runs the kernel of a step; None where there is no such kernel."""
    if 0 in step.sizes.values() or not _is_in_c(step, work := work_of(step)):
        return None
    launch = Launch(work, step.reduce, xp, chosen(work))
    return launch if max(launch.part, launch.blocks, volume(work.summed, work.sizes)) <= MOST else None


class Launch:
    """(operands) → the value, or None for operands that the kernel is not for."""

    def __init__(self, work: Work, reduce: Operator | None, xp: ModuleType, tiling: Tiling | None) -> None:
        self.work, self.reduce, self.xp, self.tiling = work, reduce, xp, tiling
        self.shape = tuple(work.sizes[label] for label in work.result)
        self.part = volume(work.result, work.sizes)
        if tiling:
            self.shares, self.chunk = shares(work, tiling)
            self.threads, self.blocks = tiling.tile.threads, tiling.blocks(work) * self.shares
        else:
            self.shares, self.lanes = lanes(work)
            self.threads, self.blocks = THREADS, -(-self.part * self.shares * self.lanes // THREADS)
        self._ready: dict[Any, tuple[Kernel, list[Any]] | None] = {}

    def __call__(self, arrays: Sequence[Array]) -> Array | None:
        """The value in a new array."""
        if (ready := self._for(arrays, False)) is None:
            return None
        kernel, arguments = ready
        dtype, is_whole = arrays[0].dtype, self.shares == 1
        out = self.xp.empty(self.shape if is_whole else (self.shares, *self.shape), dtype)
        kernel((self.blocks,), (self.threads,), (out, *arrays, *arguments))
        return out if is_whole else self._folded(out)

    def takes(self, arrays: Sequence[Array]) -> bool:
        """Whether these operands can be `corrected`."""
        return self._for(arrays, True) is not None

    def corrected(self, out: Array, wanted: Array, arrays: Sequence[Array]) -> Array:
        """`out`, in C's order, with values in its entries where `wanted` is true: for each, or one for all.

        The device looks at it, and no one waits for the device. Kernels in tiles take one for all.
        """
        ready = self._for(arrays, True)
        assert ready is not None
        kernel, arguments = ready
        each, is_whole = np.int64(wanted.ndim > 0), self.shares == 1
        target = out if is_whole else self.xp.empty((self.shares, self.part), out.dtype)
        kernel((self.blocks,), (self.threads,), (target, *arrays, *arguments, wanted, each))
        return out if is_whole else self._folding.corrected(out, wanted, [target])

    @cached_property
    def _folding(self) -> "Launch":
        """The kernel for ⊕ of the shares of every entry."""
        sizes = {"share": self.shares, "entry": self.part}
        step = Step("blocked", (0,), 1, (("share", "entry"),), ("entry",), sizes, 0, self.reduce)
        return Launch(work_of(step), self.reduce, self.xp, None)

    def _folded(self, parts: Array) -> Array:
        assert self.reduce is not None
        return self.xp.asarray(fold(self.reduce, parts, (0,), self.xp), dtype=parts.dtype)

    def _for(self, arrays: Sequence[Array], is_guarded: bool) -> tuple[Kernel, list[Any]] | None:
        kind = is_guarded, *[(array.dtype, array.shape, array.strides) for array in arrays]
        if kind not in self._ready:
            self._ready[kind] = self._prepared(arrays, is_guarded)
        return self._ready[kind]

    def _prepared(self, arrays: Sequence[Array], is_guarded: bool) -> tuple[Kernel, list[Any]] | None:
        """The kernel for arrays of this kind, and its arguments after the arrays."""
        work, tiling, dtype = self.work, self.tiling, arrays[0].dtype
        if dtype not in TYPES or any(
            array.dtype != dtype or any(stride % array.itemsize for stride in array.strides) for array in arrays
        ):
            return None
        steps = [_strides(array, term, work) for array, term in zip(arrays, work.terms, strict=True)]
        if any(abs(stride) >= 2 * MOST for found in steps for stride in found.values()):
            message = "entries of an operand lie 2³¹ places or more apart, CuPy's functions are used: give a copy of it"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
            return None
        kind = TYPES[dtype]
        if tiling:
            name, text = tiled(work, tiling, kind, _turned(work, tiling, steps), is_guarded)
        else:
            name, text = flat(work, kind, self.lanes, is_guarded)
        kernel = compiled_text(self.xp, name, text)
        if kernel is None:
            return None
        arguments: list[Any] = [
            *(part for label in work.labels for part in _size(work.sizes[label])),
            *(np.int32(volume(work.result[i + 1 :], work.sizes)) for i in range(len(work.result))),
            *(np.int32(stride) for found in steps for stride in found.values()),
            np.int64(self.part),
            np.int32(self.shares),
        ]
        if tiling:
            arguments.append(np.int32(self.chunk))
        return kernel, arguments


def _is_in_c(step: Step, work: Work) -> bool:
    """Whether all functions are there in C, and ξ gives a number: NumPy keeps truth values as such, and sums too."""
    tree = step.tree
    if step.kind == "blocked" and isinstance(tree, tuple) and isinstance(tree[0], Operator):
        value = formula(tree)
        if isinstance(value, tuple) and value[0] in TRUTH:
            return False
    return all(head in HEADS for head, _, _ in work.calls.calls)


def _size(size: int) -> tuple[np.int32, np.uint32, np.int32]:
    """A size n, and r and h with x // n = x · r >> h for 0 ≤ x < 2³¹: r is 2ʰ / n rounded up.

    Source: Granlund & Montgomery 1994, Theorem 4.2.
    """
    shift = 31 + (size - 1).bit_length()
    return np.int32(size), np.uint32(-(-(1 << shift) // size)), np.int32(shift)


def _strides(array: Array, term: Labels, work: Work) -> dict[str, int]:
    """Entries from one index of a label to the next, labels in the order of their numbers; 0 where an axis repeats."""
    found = dict.fromkeys((label for label in work.labels if label in term), 0)
    for label, size, stride in zip(term, array.shape, array.strides, strict=True):
        found[label] += stride // array.itemsize if size > 1 else 0
    return found


def _turned(work: Work, tiling: Tiling, steps: Sequence[dict[str, int]]) -> str:
    """Which of rows, m, and columns, n, lie closer in memory than terms, in the operand that has most of both."""
    turned = ""
    for axis, group in (("m", tiling.rows), ("n", tiling.columns)):
        both = {group[-1], work.summed[-1]}
        strides = max(steps, key=lambda found: (len(both & found.keys()), len(found)))
        near, far = (abs(strides.get(label, 0)) for label in (group[-1], work.summed[-1]))
        turned += axis if 0 < near < far else ""
    return turned


@lru_cache(maxsize=512)
def compiled_text(xp: ModuleType, name: str, text: str) -> Kernel | None:
    """The kernel of a text; None, and a warning, where it cannot be compiled."""
    try:
        return xp.RawModule(code=text, options=EXACT).get_function(name)  # type: ignore[no-any-return]
    except Exception as error:  # a compiler, a header or a driver that is missing has an error of its own each
        warnings.warn(
            f"a CUDA kernel does not compile, CuPy's functions are used: {error}", RuntimeWarning, stacklevel=2
        )
        return None
