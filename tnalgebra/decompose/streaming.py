"""Arrays that do not fit in memory: slab by slab, each decomposed by itself and merged with the others."""

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ..execute.memory import MemoryLimit, as_bytes
from ..formats.blocks import inserted
from ..formats.parts import check_eps
from .sums import Partial, doubled, log_loss, merged, relative_loss, with_loss

__all__ = ["decomposed", "is_lazy"]

Array = Any
LIMIT = "512MiB"
"""What the decomposition of a lazy array takes where no limit is given."""
SHARE = 4
"""A slab and its decomposition take together so many times what the slab takes."""


def is_lazy(array: Any) -> bool:
    """Whether an array lives elsewhere than in memory: `numpy.memmap`, or an array of Dask, h5py or Zarr."""
    return isinstance(array, np.memmap) or type(array).__module__.split(".")[0] in ("dask", "h5py", "zarr")


def decomposed(
    array: Any,
    whole: Callable[..., Any],
    *,
    eps: float | None,
    max_rank: Any,
    memory_limit: MemoryLimit,
    **options: Any,
) -> Any:
    """`whole(array, …)`, or the same in slabs where a memory limit or a lazy array asks for it.

    Slabs have no entry in common, so the squares of their errors add, and each may lose the same share of itself.
    A quarter of eps goes to slabs and mergers, the rest to the last truncation, which decides on the ranks.
    """
    lazy = is_lazy(array)
    if not lazy and memory_limit is None:
        return whole(array, eps=eps, max_rank=max_rank, **options)
    array = array if hasattr(array, "dtype") else np.asarray(array)
    shape, requested = tuple(array.shape), check_eps(eps)
    entries = (as_bytes(LIMIT if memory_limit is None else memory_limit) or 0) // (array.dtype.itemsize * SHARE)
    if prod(shape) <= entries or 0 in shape or not shape:
        return whole(np.asarray(array) if lazy else array, eps=eps, max_rank=max_rank, **options)
    slabs = list(_slabs(shape, entries))
    step = None if requested is None else requested / (4 * (1 + len(slabs).bit_length()))
    wide = doubled(max_rank)

    def partial(slab: tuple[slice, ...]) -> Partial:
        tensor = whole(np.asarray(array[slab]) if lazy else array[slab], eps=step, max_rank=wide, **options)
        places = {m: (s.start, n) for m, (s, n) in enumerate(zip(slab, shape, strict=True)) if s != slice(0, n)}
        return Partial(inserted(tensor, places), log_lost=log_loss(tensor))

    found = merged(map(partial, slabs), step, wide, is_disjoint=True)
    result = found.tensor.round(eps=None if requested is None else 0.75 * requested, max_rank=max_rank)
    return with_loss(result, requested, relative_loss(found.log_lost, result), "slabs")


def _slabs(shape: tuple[int, ...], entries: int) -> Iterator[tuple[slice, ...]]:
    """Blocks of at most so many entries (or one fibre): single indices of leading modes, then a range, then all."""
    split = next((mode for mode in range(len(shape)) if prod(shape[mode + 1 :]) <= entries), len(shape) - 1)
    step = max(1, min(shape[split], entries // prod(shape[split + 1 :])))
    for leading in product(*map(range, shape[:split])):
        for start in range(0, shape[split], step):
            piece = slice(start, min(start + step, shape[split]))
            yield (*(slice(i, i + 1) for i in leading), piece, *(slice(0, size) for size in shape[split + 1 :]))
