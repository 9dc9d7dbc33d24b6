"""Blocked steps as one compiled loop nest: values and their ⊕ in one pass, no array between."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Operator
from ...algebra.scalar import parse
from ...algebra.schedule import Schedule, schedule
from ...graph import Labels
from ...plan import Step
from ...plan.cost import MUCH
from ...plan.formula import folding, formulas
from ...plan.step import Tree, union, volume
from ..threads import in_threads, thread_count
from .blocked import loop_order, lower_siblings
from .evaluator import Block, Evaluator
from .jit import FOLD, attempted, can_compile, jitted, lacking, numba_or_none, told, written

__all__ = ["CompiledEvaluator", "are_alike", "lower_compiled", "told_of"]

Array = Any
Kernel = Callable[..., Array]


def lower_compiled(steps: Sequence[Step], xp: ModuleType) -> Kernel:
    """As `lower_siblings`; real numbers of one dtype by a compiled kernel, where there can be one."""
    plain = lower_siblings(steps, xp)
    if 0 in steps[0].sizes.values() or not loop_order(steps):
        return plain
    nests = Nests(steps)
    rooms = [
        (tuple(step.sizes[label] for label in step.result), step.reduce.unit if step.summed and step.reduce else None)
        for step in steps
    ]

    def compiled(*arrays: Array) -> list[Array]:
        if nests.can_take(arrays):
            dtype = arrays[0].dtype
            outs = [np.empty(shape, dtype) if unit is None else np.full(shape, unit, dtype) for shape, unit in rooms]
            if nests.fill(arrays, outs):
                return outs
        return plain(*arrays)  # type: ignore[no-any-return]

    return compiled


def are_alike(steps: Sequence[Step]) -> bool:
    """Whether all that is compared for equality compiles: NumPy's functions may round in another way than a kernel's.

    A term that equals its maximum would not be found, and have no slope.
    """
    found = [formulas([step.tree], len(step.terms), is_expanded=False) for step in steps if step.tree is not None]
    return all(can_compile(calls) or all(head != "equal" for head, _, _ in calls.calls) for calls in found)


@lru_cache(maxsize=256)
def told_of(op: Operator) -> None:
    """Warn, once, of an operator that no kernel has."""
    names = ("x", "y", "t")
    if heads := lacking(*(schedule((parse(text, names),), names) for text in (op.value, op.partial) if text)):
        what = f"no compiled kernel has {', '.join(sorted(heads))} of operator {op.name!r}"
        warnings.warn(f"{what}: NumPy's functions compute the steps with it", RuntimeWarning, stacklevel=2)


class Nests:
    """Loops over all labels of steps on the same operands: one nest for every way that these may lie in memory."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps, self.folds = steps, [folding(step) for step in steps]
        trees = [step.tree for step in steps if step.tree is not None]
        self.calls = formulas(trees, len(steps[0].terms), is_expanded=False)
        self.is_compiled = can_compile(self.calls, *self.folds) and numba_or_none() is not None
        self._has_numbers = () in steps[0].terms  # NumPy makes numbers of arrays without axes
        self._is_much = volume(union(*steps[0].terms), steps[0].sizes) >= MUCH
        self._nests: dict[Any, tuple[Kernel, tuple[int, int], bool] | None] = {}

    def can_take(self, arrays: Sequence[Array]) -> bool:
        """Whether these are numbers of one dtype that a kernel has."""
        dtype = arrays[0].dtype
        is_real = dtype.char in "fd" and dtype.isnative and self.is_compiled
        return is_real and all(array.dtype == dtype for array in arrays)

    def fill(self, arrays: Sequence[Array], outs: Sequence[Array]) -> bool:
        """Write values, or ⊕ of what is there and of the values; False where a kernel does not compile."""
        turns = [None if array.flags.c_contiguous else _turn(array) for array in arrays]
        key = (arrays[0].dtype, *turns)
        is_new = key not in self._nests
        if is_new:
            self._nests[key] = self._nest(arrays[0].dtype, turns)
        nest = self._nests[key]
        if nest is None:
            return False
        kernel, (source, axis), is_shared = nest
        given = [x if turn is None else x.transpose(turn) for x, turn in zip(arrays, turns, strict=True)]
        given = [*(map(np.asarray, given) if self._has_numbers else given), *outs]
        if is_new and not attempted(kernel, *given, 0, 0):  # compiled before threads wait for it
            self._nests[key] = None
            return False
        length, threads = given[source].shape[axis], thread_count() if is_shared else 1
        if threads == 1:
            kernel(*given, 0, length)
        else:
            in_threads(lambda part: kernel(*given, part.start, part.stop), length, threads)
        return True

    def _nest(self, dtype: Any, turns: Sequence[Any]) -> tuple[Kernel, tuple[int, int], bool] | None:
        """The kernel, the operand and axis that have its first label, and whether threads may share that."""
        terms = tuple(
            term if turn is None else tuple(map(term.__getitem__, turn))
            for term, turn in zip(self.steps[0].terms, turns, strict=True)
        )
        steps = [replace(step, terms=terms) for step in self.steps]
        order = loop_order(steps)
        is_shared = self._is_much and all(order[0] in step.result for step in steps)
        first = next((i, term.index(order[0])) for i, term in enumerate(terms) if order[0] in term)
        try:
            return jitted(_source(self.calls, self.folds, steps, order), dtype.name), first, is_shared
        except numba_or_none().errors.NumbaError as error:
            told(error)
            return None


class CompiledEvaluator(Evaluator):
    """As `Evaluator`, of one tree: by a compiled nest where there can be one."""

    def __init__(
        self, trees: Sequence[Tree], terms: Sequence[Labels], order: Labels, chunk: Sequence[int], xp: ModuleType
    ) -> None:
        super().__init__(trees, terms, order, chunk, xp)
        sizes = dict(zip(order, chunk, strict=True))
        self._nests = Nests([Step("blocked", (), 0, tuple(terms), order, sizes, trees[0])])

    def whole(self, arrays: Sequence[Array], outs: Sequence[Array | None]) -> list[Array]:
        """The values over one block that is everything."""
        if self._nests.can_take(arrays):
            tile = np.empty(self.chunk, arrays[0].dtype) if outs[0] is None else outs[0]
            if self._nests.fill(arrays, [tile]):
                return [tile]
        return super().whole(arrays, outs)

    def blockwise(
        self, arrays: Sequence[Array], held: Sequence[bool]
    ) -> Callable[[Block, Sequence[Array | None]], list[Array]]:
        """The function of a block; its values are written over those of the last."""
        plain = super().blockwise(arrays, held)
        if not self._nests.can_take(arrays):
            return plain
        room, (step,) = np.empty(self.chunk, arrays[0].dtype), self._nests.steps

        def evaluate(block: Block, outs: Sequence[Array | None]) -> list[Array]:
            tile = room[tuple(slice(block[label].stop - block[label].start) for label in step.result)]
            parts = [
                array[tuple(block[label] for label in term)] for array, term in zip(arrays, step.terms, strict=True)
            ]
            return [tile] if self._nests.fill(parts, [tile]) else plain(block, outs)

        return evaluate


def _turn(array: Array) -> tuple[int, ...]:
    """The axes from the one of the largest strides to that of the smallest."""
    return tuple(sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis])))


def _source(calls: Schedule, folds: Sequence[Schedule | None], steps: Sequence[Step], order: Labels) -> str:
    """The loops over a part of the first label and over all others; a sum along the last stays in a register."""
    terms, counters = steps[0].terms, {label: f"i{position}" for position, label in enumerate(order)}
    arguments = [*(f"x{i}" for i in range(len(terms))), *(f"o{k}" for k in range(len(steps))), "first", "last"]

    def entry(name: str, labels: Labels) -> str:
        return f"{name}[{', '.join(counters[label] for label in labels) or '()'}]"

    lines = [f"def kernel({', '.join(arguments)}):"]
    for depth, label in enumerate(order):
        source = next(i for i, term in enumerate(terms) if label in term)
        if label == order[-1]:
            kept = [k for k, step in enumerate(steps) if label in step.summed]
            lines += [f"{'    ' * (depth + 1)}s{k} = {entry(f'o{k}', steps[k].result)}" for k in kept]
        extent = f"x{source}.shape[{terms[source].index(label)}]" if depth else "first, last"
        lines.append(f"{'    ' * (depth + 1)}for {counters[label]} in range({extent}):")
    inside, after = "    " * (len(order) + 1), "    " * len(order)
    names = [f"v{i}" for i in range(len(terms))]
    lines += [
        f"{inside}{name} = {entry(f'x{i}', term)}" for i, (name, term) in enumerate(zip(names, terms, strict=True))
    ]
    ends = written(calls, names, "t", inside, lines)
    for k, (step, fold, end) in enumerate(zip(steps, folds, ends, strict=True)):
        place = f"s{k}" if order[-1] in step.summed else entry(f"o{k}", step.result)
        if fold is not None:
            lines.append(f"{inside}p{k} = {place}")
            (end,) = written(fold, [f"p{k}", end], f"f{k}_", inside, lines, FOLD)
        lines.append(f"{inside}{place} = {end}")
    lines += [f"{after}{entry(f'o{k}', steps[k].result)} = s{k}" for k in kept]
    return "\n".join(lines) + "\n"
