"""Steps by CUDA kernels that are written for them: ξ and ⊕ in one pass, no array between.

CuPy compiles a kernel when it is first called on real numbers of one dtype; all else is left to CuPy's own functions.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Operator
from ...graph import Labels
from ...plan import Step
from ...plan.step import volume
from .blocked import lower_blocked, lower_siblings
from .cuda_scalar import HEADS, TRUTH
from .cuda_source import THREADS, flat
from .cuda_tiled import tiled
from .cuda_tiles import Tiling, chosen, shares
from .cuda_work import Work, work_of
from .unary import fold
from .weighted import lower_weighted

__all__ = ["lower_cuda", "lower_cuda_siblings"]

Array = Any
Kernel = Callable[..., Array]
Launch = Callable[[Sequence[Array]], Array | None]
TYPES = {"float32": "float", "float64": "double"}
MOST = 1 << 30
"""Entries that an index of 32 bits counts, with room for a stride."""


def lower_cuda(step: Step, xp: ModuleType) -> Kernel:
    """(operands) → the value of a step of kind blocked or weighted."""
    plain = (lower_blocked if step.kind == "blocked" else lower_weighted)(step, xp)
    launch = _launch(step, xp)

    def kernel(*arrays: Array) -> Array:
        found = launch(arrays) if launch else None
        return plain(*arrays) if found is None else found

    return kernel


def lower_cuda_siblings(steps: Sequence[Step], xp: ModuleType) -> Kernel:
    """(operands) → the values of several blocked steps on the same operands."""
    plain, launches = lower_siblings(steps, xp), [_launch(step, xp) for step in steps]

    def kernel(*arrays: Array) -> list[Array]:
        found = [launch(arrays) if launch else None for launch in launches]
        return plain(*arrays) if any(value is None for value in found) else found

    return kernel


def _launch(step: Step, xp: ModuleType) -> Launch | None:
    """The function of arrays that runs the kernel, or gives None for arrays it is not for; None if there is none."""
    if 0 in step.sizes.values() or not _is_in_c(step, work := work_of(step)):
        return None
    tiling = chosen(work)
    splits, chunk = shares(work, tiling)
    part, threads = volume(work.result, work.sizes), tiling.tile.threads if tiling else THREADS
    blocks = tiling.blocks(work) * splits if tiling else -(-part * splits // threads)
    if max(part, volume(work.summed, work.sizes), blocks) > MOST:
        return None
    shape = tuple(work.sizes[label] for label in work.result)
    sizes = [np.int32(work.sizes[label]) for label in work.labels]
    strides = [np.int64(volume(work.result[i + 1 :], work.sizes)) for i in range(len(shape))]
    share = (np.int64(part), np.int32(splits))
    kernels: dict[str, Callable[..., None] | None] = {}

    def launch(arrays: Sequence[Array]) -> Array | None:
        dtype = arrays[0].dtype
        if dtype.name not in TYPES or any(
            array.dtype != dtype or any(stride % array.itemsize for stride in array.strides) for array in arrays
        ):
            return None
        if dtype.name not in kernels:
            kind = TYPES[dtype.name]
            kernels[dtype.name] = _compiled(xp, *(tiled(work, tiling, kind) if tiling else flat(work, kind)))
        if (kernel := kernels[dtype.name]) is None:
            return None
        steps = [_strides(array, term, work) for array, term in zip(arrays, work.terms, strict=True)]
        out = xp.empty(shape if splits == 1 else (splits, *shape), dtype)
        more = [np.int32(chunk), *_turned(work, tiling, steps)] if tiling else []
        given = [np.int64(stride) for found in steps for stride in found.values()]
        kernel((blocks,), (threads,), (out, *arrays, *sizes, *strides, *given, *share, *more))
        if splits == 1 or step.reduce is None:
            return out
        return xp.asarray(fold(step.reduce, out, (0,), xp), dtype=dtype)

    return launch


def _is_in_c(step: Step, work: Work) -> bool:
    """Whether all functions are there in C, and the value is a number: NumPy keeps truth values as such."""
    is_truth = work.head in TRUTH and isinstance(step.tree, tuple) and isinstance(step.tree[0], Operator)
    lines = (work.calls, work.fold) if work.fold else (work.calls,)
    return not is_truth and all(head in HEADS for line in lines for head, _, _ in line.calls)


def _strides(array: Array, term: Labels, work: Work) -> dict[str, int]:
    """Entries from one index of a label to the next, labels in the order of their numbers; 0 where an axis repeats."""
    found = dict.fromkeys((label for label in work.labels if label in term), 0)
    for label, size, stride in zip(term, array.shape, array.strides, strict=True):
        found[label] += stride // array.itemsize if size > 1 else 0
    return found


def _turned(work: Work, tiling: Tiling, steps: Sequence[dict[str, int]]) -> list[np.int32]:
    """For rows and for columns, whether they lie closer in memory than terms, in the operand that has most of both."""
    turned = []
    for group in (tiling.rows, tiling.columns):
        both = {group[-1], work.summed[-1]}
        strides = max(steps, key=lambda found: (len(both & found.keys()), len(found)))
        near, far = (abs(strides.get(label, 0)) for label in (group[-1], work.summed[-1]))
        turned.append(np.int32(0 < near < far))
    return turned


@lru_cache(maxsize=512)
def _compiled(xp: ModuleType, name: str, text: str) -> Callable[..., None] | None:
    """The kernel of a text; None, and a warning, where it cannot be compiled."""
    try:
        return xp.RawModule(code=text).get_function(name)  # type: ignore[no-any-return]
    except Exception as error:  # a compiler, a header or a driver that is missing has an error of its own each
        warnings.warn(
            f"a CUDA kernel does not compile, CuPy's functions are used: {error}", RuntimeWarning, stacklevel=2
        )
        return None
