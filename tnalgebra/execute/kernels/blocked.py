"""⊕ over ξ of any operands, in blocks that stay in cache: the full broadcast array never exists."""

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Operator
from ...graph import Labels
from ...plan import Step
from ...plan.cost import block_entries, chunk_sizes, tree_labels
from ...plan.step import Tree
from .blas import aligner
from .unary import check_domain, empty_reduction, fold

__all__ = ["Evaluator", "blocks", "lower_blocked"]

Array = Any
Kernel = Callable[..., Array]


def lower_blocked(step: Step, xp: ModuleType) -> Kernel:
    """(operands) → ⊕ ξ(operands), block by block."""
    assert step.tree is not None
    summed = step.summed
    order = _loop_order(step)
    chunks = chunk_sizes(order, step.sizes, block_entries(step.tree) * (1 if xp is np else 64))
    ranges = blocks([label for label in order if label not in summed], step.sizes, chunks)
    inner = blocks(summed, step.sizes, chunks)
    axes = tuple(axis for axis, label in enumerate(order) if label in summed)
    kept = tuple(label for label in order if label not in summed)
    evaluator = Evaluator(step.tree, step.terms, order, [chunks[label] for label in order], xp, is_held=bool(summed))
    shape = tuple(step.sizes[label] for label in step.result)
    is_empty = prod(step.sizes.values()) == 0
    accumulate = None if step.reduce is None or not summed else _Accumulator(step.reduce, axes, xp)

    def blocked(*arrays: Array) -> Array:
        dtype, run = evaluator.bind(arrays)
        dtype = dtype if accumulate is None else accumulate.dtype(dtype)
        if is_empty:
            return empty_reduction(step.reduce, shape, dtype, xp) if step.reduce else xp.empty(shape, dtype)
        out = xp.empty(shape, dtype)
        target = out.transpose(tuple(map(step.result.index, kept)))
        for outside in ranges:
            spot = target[(*(outside[label] for label in kept), ...)]
            if accumulate is None:
                run(outside, spot)
                continue
            for position, inside in enumerate(inner):
                accumulate(spot, run({**outside, **inside}, None), is_first=position == 0)
        return out

    return blocked


def _loop_order(step: Step) -> Labels:
    """Result labels outside, summed labels inside, and innermost the label along which most operands are contiguous."""
    labels = (*step.result, *step.summed)
    if not labels:
        return labels
    last = [term[-1] for term in step.terms if term]
    innermost = max(
        labels,
        key=lambda label: (last.count(label) > 0 and step.sizes[label] > 1, last.count(label), step.sizes[label]),
    )
    return (*(label for label in labels if label != innermost), innermost)


def blocks(labels: Sequence[str], sizes: dict[str, int], chunks: dict[str, int]) -> list[dict[str, slice]]:
    """Slices of every block over these labels, in C order."""
    ranges = [
        [slice(i, min(i + chunks[label], sizes[label])) for i in range(0, sizes[label], chunks[label])]
        for label in labels
    ]
    return [dict(zip(labels, point, strict=True)) for point in product(*ranges)]


class Evaluator:
    """The tree of ξ on blocks: a node writes into a buffer that no later node still reads, the same for all blocks."""

    def __init__(
        self,
        tree: Tree,
        terms: Sequence[Labels],
        order: Labels,
        chunk: Sequence[int],
        xp: ModuleType,
        is_held: bool = True,
    ) -> None:
        self.tree, self.terms, self.order, self.xp, self.is_held = tree, terms, order, xp, is_held
        self.chunk = dict(zip(order, chunk, strict=True))
        self.aligners = [aligner(term, order) for term in terms]
        self.axes = [[label if label in term else "" for label in order] for term in terms]

    def bind(self, arrays: Sequence[Array]) -> tuple[Any, Callable[[dict[str, slice], Array | None], Array]]:
        """Return the dtype of the value, and the function from a block (and a place to write it) to its value."""
        views = [align(array) for align, array in zip(self.aligners, arrays, strict=True)]
        pool = _Pool()
        run, dtype, _ = self._node(self.tree, views, pool)
        pool.allocate(self.xp)
        places, whole = list(zip(views, self.axes, strict=True)), slice(None)

        def evaluate(block: dict[str, slice], out: Array | None) -> Array:
            return run([view[(*[block.get(label, whole) for label in axes], ...)] for view, axes in places], out)

        return dtype, evaluate

    def _node(self, tree: Tree, views: Sequence[Array], pool: "_Pool") -> tuple[Callable[..., Array], Any, int | None]:
        """A function of the block's operands, its dtype and the number of its buffer."""
        if isinstance(tree, int):
            return _leaf(tree), views[tree].dtype, None
        op, children = tree
        into, depth = op.into(self.xp), len(children)
        if depth > 2 and isinstance(op, Operator):
            return self._node((op, ((op, children[:-1]), children[-1])), views, pool)
        functions, dtypes, places = zip(*(self._node(child, views, pool) for child in children), strict=True)
        for part in dtypes:
            check_domain(op, part)
        dtype = (
            op.apply(*(np.empty(0, part) for part in dtypes)).dtype
            if isinstance(op, Operator)
            else np.result_type(*dtypes)
        )
        is_written = tree is self.tree and not self.is_held  # the value goes to its place in the result at once
        size = 0 if is_written else prod(self.chunk[label] for label in tree_labels(tree, self.terms))
        place = pool.take(size, dtype)
        pool.give_back(*places)
        buffers = pool.buffers

        def combine(parts: Sequence[Array], out: Array | None) -> Array:
            values = [function(parts, None) for function in functions]
            if out is None:
                shape = tuple(map(max, zip(*(value.shape for value in values), strict=True)))
                out = buffers[place][: prod(shape)].reshape(shape)
            return into(*values, out=out)

        return combine, dtype, place


class _Pool:
    """Buffers by number: the smallest set in which no value is overwritten before it is read."""

    def __init__(self) -> None:
        self.buffers: list[Array] = []
        self._sizes: list[int] = []
        self._dtypes: list[Any] = []
        self._free: list[int] = []

    def take(self, size: int, dtype: Any) -> int:
        number = next((i for i in self._free if self._dtypes[i] == dtype), None)
        if number is None:
            self._sizes.append(size)
            self._dtypes.append(dtype)
            return len(self._sizes) - 1
        self._free.remove(number)
        self._sizes[number] = max(self._sizes[number], size)
        return number

    def give_back(self, *numbers: int | None) -> None:
        self._free.extend(number for number in numbers if number is not None)

    def allocate(self, xp: ModuleType) -> None:
        self.buffers += [xp.empty(size, dtype) for size, dtype in zip(self._sizes, self._dtypes, strict=True)]


def _leaf(position: int) -> Callable[..., Array]:
    def take(parts: Sequence[Array], out: Array | None) -> Array:
        if out is None:
            return parts[position]
        out[...] = parts[position]
        return out

    return take


class _Accumulator:
    """spot ← ⊕ of a block, or spot ⊕ (⊕ of a block)."""

    def __init__(self, op: Any, axes: tuple[int, ...], xp: ModuleType) -> None:
        self.op, self.axes, self.xp = op, axes, xp
        self.function = op.function(xp)

    def dtype(self, value: Any) -> Any:
        check_domain(self.op, value)
        return self.op.apply(np.empty(0, value), np.empty(0, value)).dtype

    def __call__(self, spot: Array, value: Array, *, is_first: bool) -> None:
        part = fold(self.op, value, self.axes, self.xp)
        if not self.op.unit_is_strict:  # a reduction starts from the unit: |x| for one entry under hypot
            part = self.function(part, self.xp.asarray(self.op.unit, dtype=part.dtype))
        spot[...] = part if is_first else self.function(spot, part)
