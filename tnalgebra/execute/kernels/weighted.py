"""Σ of W · ξ(…): ξ in tiles, BLAS on the tile. It is the step of every score network and of CP and HT with weights."""

from collections.abc import Callable
from contextlib import nullcontext
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from ...plan import Step
from ...plan.cost import MUCH, THREADS, TILE, tile_layout, tree_labels
from ...plan.step import union, volume
from ..threads import in_threads, one_thread, thread_count
from .blas import product
from .blocked import blocks
from .evaluator import Evaluator

__all__ = ["lower_weighted"]

Array = Any
Kernel = Callable[..., Array]


def lower_weighted(step: Step, xp: ModuleType, evaluator_of: type[Evaluator] = Evaluator) -> Kernel:
    """(operands of ξ…, W) → Σ W · ξ(operands); the labels that BLAS sums stay whole in a tile as long as they fit."""
    assert step.tree is not None
    *terms, weight = step.terms
    entries = TILE if xp is np else 256 * TILE
    cut = tile_layout(terms, tree_labels(step.tree, terms), weight, step.result, step.sizes, entries)
    order, alone, chunks = cut.order, cut.alone, cut.chunks
    evaluator = evaluator_of([step.tree], terms, order, [chunks[label] for label in order], xp)
    drop = tuple(map(order.index, alone))
    kept = tuple(label for label in order if label not in alone)
    outer = blocks([label for label in order if label in step.result], step.sizes, chunks)
    inner = blocks([label for label in order if label not in step.result], step.sizes, chunks)
    shape = tuple(step.sizes[label] for label in step.result)
    is_empty = prod(step.sizes[label] for label in union(*step.terms)) == 0
    is_much = xp is np and volume(order, step.sizes) >= MUCH and len(outer) > 1
    kernels: dict[tuple[int, ...], Kernel] = {}

    def contract_tile(tile: Array, part: Array) -> Array:
        if tile.shape not in kernels:
            sizes = {**step.sizes, **dict(zip(kept, tile.shape, strict=True))}
            kernels[tile.shape] = product(kept, weight, step.result, sizes, xp)
        return kernels[tile.shape](tile, part)

    def weighted(*arrays: Array) -> Array:
        *operands, w = arrays
        (dtype,) = evaluator.line(operands).dtypes
        if len(outer) == len(inner) == 1:
            (tile,) = evaluator.whole(operands, [None])
            return contract_tile(xp.sum(tile, axis=drop, dtype=tile.dtype) if drop else tile, w)
        out = (xp.zeros if is_empty else xp.empty)(shape, np.result_type(dtype, w.dtype))

        def share(places: slice) -> None:
            run = evaluator.blockwise(operands, [True])
            for outside in outer[places]:
                spot = out[(*(outside.get(label, slice(None)) for label in step.result), ...)]
                for position, inside in enumerate(inner):
                    block = {**outside, **inside}
                    (tile,) = run(block, [None])
                    tile = xp.sum(tile, axis=drop, dtype=tile.dtype) if drop else tile
                    part = contract_tile(tile, w[(*(block.get(label, slice(None)) for label in weight), ...)])
                    if position == 0:
                        spot[...] = part
                    else:
                        xp.add(spot, part, out=spot)

        threads = min(thread_count(), THREADS) if is_much and not is_empty else 1
        with one_thread() if threads > 1 else nullcontext():
            in_threads(share, 0 if is_empty else len(outer), threads)
        return out

    return weighted
