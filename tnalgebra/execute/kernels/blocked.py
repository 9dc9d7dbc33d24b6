"""⊕ over ξ of any operands, in blocks that stay in cache: the full broadcast array never exists."""

from collections.abc import Callable, Sequence
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra.scalar import number
from ...graph import Labels
from ...plan import Step
from ...plan.cost import block_entries, chunk_sizes
from .evaluator import Evaluator
from .unary import check_domain, empty_reduction, fold

__all__ = ["blocks", "loop_order", "lower_blocked", "lower_siblings"]

Array = Any
Kernel = Callable[..., Array]
Block = dict[str, slice]


def lower_blocked(step: Step, xp: ModuleType) -> Kernel:
    """(operands) → ⊕ ξ(operands), block by block."""
    together = lower_siblings([step], xp)
    return lambda *arrays: together(*arrays)[0]


def lower_siblings(steps: Sequence[Step], xp: ModuleType) -> Kernel:
    """The same for several steps on the same operands, which share what their trees have in common."""
    trees = [step.tree for step in steps if step.tree is not None]
    sizes, order = steps[0].sizes, loop_order(steps)
    chunks = chunk_sizes(order, sizes, block_entries(trees) * (1 if xp is np else 64))
    evaluator = Evaluator(trees, steps[0].terms, order, [chunks[label] for label in order], xp)
    results = [_Result(step, order, xp) for step in steps]
    places = blocks(order, sizes, chunks)

    def at_once(*arrays: Array) -> list[Array]:
        line = evaluator.line(arrays)
        outs = [result.out(dtype) for result, dtype in zip(results, line.dtypes, strict=True)]
        values = evaluator.whole(arrays, [None if out is None else out[1] for out in outs])
        return [
            result.folded(value) if out is None else out[0]
            for result, value, out in zip(results, values, outs, strict=True)
        ]

    def blocked(*arrays: Array) -> list[Array]:
        line = evaluator.line(arrays)
        outs = [result.empty(dtype) for result, dtype in zip(results, line.dtypes, strict=True)]
        evaluate = evaluator.blockwise(arrays, [bool(result.axes) for result in results])
        for block in places:
            spots = [result.spot(out, block) for result, out in zip(results, outs, strict=True)]
            values = evaluate(
                block, [None if result.axes else spot for result, spot in zip(results, spots, strict=True)]
            )
            for result, spot, value in zip(results, spots, values, strict=True):
                result.add(spot, value, block)
        return outs

    def nothing(*arrays: Array) -> list[Array]:
        return [result.unit(dtype) for result, dtype in zip(results, evaluator.line(arrays).dtypes, strict=True)]

    if any(size == 0 for size in chunks.values()) or not places:
        return nothing
    return at_once if len(places) == 1 else blocked


def loop_order(steps: Sequence[Step]) -> Labels:
    """Result labels outside, summed labels inside, and innermost the label along which most arrays are contiguous."""
    labels = tuple(dict.fromkeys(label for step in steps for label in (*step.result, *step.summed)))
    labels = (*(l for l in labels if all(l in step.result for step in steps)), *labels)
    labels = tuple(dict.fromkeys(labels))
    if not labels:
        return labels
    sizes = steps[0].sizes
    last = [term[-1] for term in (*steps[0].terms, *(step.result for step in steps)) if term]
    innermost = max(
        labels,
        key=lambda label: (last.count(label) > 0 and sizes[label] > 1, last.count(label), sizes[label]),
    )
    return (*(label for label in labels if label != innermost), innermost)


def blocks(labels: Sequence[str], sizes: dict[str, int], chunks: dict[str, int]) -> list[Block]:
    """Slices of every block over these labels, in C order."""
    ranges = [
        [slice(i, min(i + chunks[label], sizes[label])) for i in range(0, sizes[label], chunks[label])]
        for label in labels
    ]
    return [dict(zip(labels, point, strict=True)) for point in product(*ranges)]


class _Result:
    """What one step makes of the values of its blocks: their ⊕, or the values themselves, in the result's order."""

    def __init__(self, step: Step, order: Labels, xp: ModuleType) -> None:
        self.op, self.xp = step.reduce, xp
        self.summed = step.summed
        self.axes = tuple(axis for axis, label in enumerate(order) if label in step.summed)
        self.kept = tuple(label for label in order if label not in step.summed)
        self.shape = tuple(step.sizes[label] for label in step.result)
        self.turn = None if self.kept == step.result else tuple(map(step.result.index, self.kept))
        self.is_one = all(step.sizes[label] == 1 for label in step.summed)
        self.function = None if step.reduce is None else step.reduce.function(xp)
        self._dtypes: dict[Any, Any] = {}

    def dtype(self, value: Any) -> Any:
        """The dtype of the result, from that of the values."""
        if not self.axes or self.op is None:
            return value
        if value not in self._dtypes:
            check_domain(self.op, value)
            self._dtypes[value] = self.op.apply(np.empty(0, value), np.empty(0, value)).dtype
        return self._dtypes[value]

    def unit(self, value: Any) -> Array:
        """The result over nothing."""
        dtype = self.dtype(value)
        return empty_reduction(self.op, self.shape, dtype, self.xp) if self.op else self.xp.empty(self.shape, dtype)

    def empty(self, value: Any) -> Array:
        """Room for the result."""
        return self.xp.empty(self.shape, self.dtype(value))

    def out(self, value: Any) -> tuple[Array, Array] | None:
        """Room for a result without ⊕, and its view in the order of the blocks."""
        if self.axes:
            return None
        out = self.xp.empty(self.shape, value)
        return out, self._view(out)

    def _view(self, out: Array) -> Array:
        """The result in the order of the blocks."""
        return out if self.turn is None else out.transpose(self.turn)

    def spot(self, out: Array, block: Block) -> Array:
        """The part of the result that a block gives to."""
        return self._view(out)[(*(block[label] for label in self.kept), ...)]

    def folded(self, value: Array) -> Array:
        """⊕ of a block that is the whole; of one value each, which may be that of an operand, a copy."""
        part = self._part(value)
        if self.turn is None and not self.is_one:
            return part
        out = self.xp.empty(self.shape, part.dtype)
        self._view(out)[...] = part
        return out

    def add(self, spot: Array, value: Array, block: Block) -> None:
        """Spot ← ⊕ of a block, or spot ⊕ (⊕ of a block)."""
        if not self.axes:
            return
        part = self._part(value)
        is_first = all(block[label].start == 0 for label in self.summed)
        spot[...] = part if is_first or self.function is None else self.function(spot, part)

    def _part(self, value: Array) -> Array:
        assert self.op is not None
        assert self.function is not None
        dtype = self.dtype(value.dtype)  # refuses what has no ⊕ before it is folded
        part = self.xp.asarray(fold(self.op, value, self.axes, self.xp), dtype=dtype)
        if not self.op.unit_is_strict:  # a reduction starts from the unit: |x| for one entry under hypot
            part = self.function(part, number(self.op.unit, part.dtype, part, self.xp))
        return part
