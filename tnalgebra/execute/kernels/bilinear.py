"""Σ W · ξ(…) by the fused kernel: which labels are its rows, columns and sums, and how threads share it out."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ...graph import Labels
from ...plan import Step
from ...plan.cost import tree_labels
from ...plan.formula import formulas
from ..threads import shares, thread_count
from .fused import BLOCK_COLUMNS, DEPTH, ROWS, Fused, lanes
from .jit import by_dtype, can_compile, native, numba_or_none
from .layouts import Laid, Layouts, contiguous, merged
from .native import Machine

__all__ = ["LONG", "SHARE", "Unit", "lower_fused", "unit"]

Array = Any
Kernel = Callable[..., Array]
Made = tuple[Fused, Machine, Layouts]
LONG = 8
"""Entries of the last summed label, and columns, from which they make vectors."""
FEW, MANY = 2, 32
"""Rows from which the kernel is faster than BLAS, where W ends with a column, and where it is to be turned."""
SHARE = 1 << 23
"""Multiplications that are worth threads."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A weighted step whose labels are batches, rows, sums, and columns; the sums in the order of the weight."""

    step: Step
    batch: Labels
    rows: Labels
    inner: Labels
    columns: Labels

    def size(self, labels: Labels) -> int:
        """How many entries these labels have."""
        return prod(self.step.sizes[label] for label in labels)

    @property
    def is_much(self) -> bool:
        """Whether threads share it out."""
        return self.size((*self.batch, *self.rows, *self.inner, *self.columns)) >= SHARE

    def is_summed(self, parts: int) -> bool:
        """Whether sums are to be shared out, in so many parts, and not rows."""
        outer = self.size(self.inner[:-1])
        return self.is_much and outer >= parts and self.size(self.inner) > self.size(self.rows)

    def is_turned(self, strides: Sequence[Sequence[int]]) -> bool:
        """Whether more entries of the operands are neighbours along the last row than along the last sum."""
        *terms, _ = self.step.terms
        near = Counter[str]()
        for term, steps in zip(terms, strides, strict=False):
            near.update({label: self.size(term) for label, step in zip(term, steps, strict=True) if step == 1})
        return near[self.inner[-1]] < near[self.rows[-1]] and self.step.sizes[self.rows[-1]] >= ROWS

    def kernel(self, itemsize: int, *, is_turned: bool = False) -> Fused:
        """The kernel, which depends on how many labels there are and not on their sizes."""
        *terms, _ = self.step.terms
        assert self.step.tree is not None
        last = (self.rows if is_turned else self.inner)[-1]
        return Fused(
            formulas([self.step.tree], len(terms), is_expanded=False),
            len(self.batch),
            len(self.rows),
            len(self.inner) - 1,
            tuple(last in term for term in terms),
            is_turned,
            1 if self.size(self.columns) <= lanes(itemsize) else 2,
            itemsize,
        )

    def padded(self, kernel: Fused) -> int:
        """Columns of the result in memory: whole vectors."""
        return -(-self.size(self.columns) // kernel.width) * kernel.width

    def laid(self, kernel: Fused, strides: Sequence[Sequence[int]]) -> Laid:
        """For arrays of these strides, in entries: the order to copy each to, where it must be, and the numbers.

        Entries of an operand along the last label of sums, or of rows, are neighbours, and W is a matrix, or a batch.
        """
        *terms, weight = self.step.terms
        last, sizes = (self.rows if kernel.is_turned else self.inner)[-1], self.step.sizes
        groups = self.batch, self.inner, self.columns
        orders, places = list[Labels | None](), list[dict[str, int]]()
        for term, steps in zip(terms, strides, strict=False):
            place = dict(zip(term, steps, strict=True))
            order = None if place.get(last, 1) == 1 else (*(label for label in term if label != last), last)
            orders.append(order)
            places.append(place if order is None else contiguous(order, sizes))
        place = dict(zip(weight, strides[-1], strict=True))
        found = [merged(group, place, sizes) for group in groups]
        order = None if None not in found else tuple(label for group in groups for label in group)
        if order is not None:
            found = [merged(group, contiguous(order, sizes), sizes) for group in groups]
        return [*orders, order], self._numbers(kernel, places, found)

    def _numbers(self, kernel: Fused, operands: Sequence[Mapping[str, int]], weight: Sequence[int | None]) -> list[int]:
        """What the kernel reads, for all that there is to do: parts, sizes, and strides."""
        sizes, (*outer, last) = self.step.sizes, self.inner
        columns, rows = self.size(self.columns), self.size(self.rows)
        is_packed = weight[2] != 1 or rows > 8 * ROWS
        found = [0, self.size(self.batch), 0, rows, 0, self.size(tuple(outer)), rows, columns, self.padded(kernel)]
        found += [sizes[last], *(stride or 0 for stride in weight), int(is_packed)]
        if kernel.is_turned:
            found += [sizes[self.rows[-1]], *(place.get(last, 0) for place in operands)]
        labels = (*self.batch, *(self.rows[:-1] if kernel.is_turned else self.rows), *outer)
        found += [sizes[label] for label in labels]
        return [*found, *(place.get(label, 0) for place in operands for label in labels)]

    def rooms(self, kernel: Fused) -> tuple[int, int]:
        """Entries that the kernel needs for a block of W and for ξ."""
        return DEPTH * min(self.padded(kernel), BLOCK_COLUMNS), kernel.made * DEPTH


def unit(step: Step) -> Unit | None:
    """The step as the kernel takes it; None where BLAS on tiles is as good, or where ξ alone is summed over a label."""
    assert step.tree is not None
    *terms, weight = step.terms
    labels = tree_labels(step.tree, terms)
    batch = tuple(label for label in step.result if label in labels and label in weight)
    rows = tuple(label for label in step.result if label in labels and label not in weight)
    inner = tuple(label for label in weight if label in labels and label not in step.result)
    columns = tuple(label for label in step.result if label not in labels)
    found = Unit(step, batch, rows, inner, columns)
    if {*labels} != {*batch, *rows, *inner} or {*weight} != {*batch, *inner, *columns} or not inner:
        return None
    if any(len({*term}) < len(term) for term in step.terms) or 0 in step.sizes.values():
        return None
    least = FEW if weight[-1] in columns else MANY
    is_small = found.size(columns) < LONG or step.sizes[inner[-1]] < LONG or found.size(rows) < least
    return None if is_small else found


def lower_fused(step: Step, plain: Kernel) -> Kernel:
    """(operands of ξ…, W) → Σ W · ξ(operands); other dtypes, and steps that have not this form, as `plain`."""
    found = unit(step)
    if found is None or not numba_or_none() or not can_compile(found.kernel(4).value):
        return plain
    return by_dtype(partial(_Run, found), plain)


class _Run:
    """The kernels of one dtype on arrays of any strides."""

    def __init__(self, found: Unit, dtype: Any) -> None:
        self._unit, self._dtype = found, dtype
        groups = found.batch, found.rows, found.columns
        whole = tuple(label for group in groups for label in group)
        self._shape = tuple(found.step.sizes[label] for label in whole)
        self._turn = tuple(map(whole.index, found.step.result))
        self._made, self._known = dict[bool, Made](), dict[Any, Made]()

    def __call__(self, *arrays: Array) -> Array:
        strides = tuple([array.strides for array in arrays])
        if strides not in self._known:
            self._known[strides] = self._kernel(strides)
        kernel, machine, layouts = self._known[strides]
        ready, numbers = layouts(arrays)
        outs, jobs = self._jobs(kernel, ready, numbers)
        machine(jobs)
        out, *others = outs
        for other in others:
            out += other
        out = out[..., : self._unit.size(self._unit.columns)].reshape(self._shape).transpose(self._turn)
        return np.ascontiguousarray(out)

    def _kernel(self, strides: Sequence[Sequence[int]]) -> Made:
        """What there is for arrays of these strides, in bytes."""
        found, dtype = self._unit, self._dtype
        is_turned = found.is_turned([[stride // dtype.itemsize for stride in steps] for steps in strides])
        if is_turned not in self._made:
            kernel = found.kernel(dtype.itemsize, is_turned=is_turned)
            machine = Machine(native(kernel.text(), dtype.name))
            self._made[is_turned] = kernel, machine, Layouts(found.step.terms, partial(found.laid, kernel))
        return self._made[is_turned]

    def _jobs(self, kernel: Fused, arrays: Sequence[Array], numbers: list[int]) -> tuple[list[Array], list[Any]]:
        """Results whose sum is wanted: threads share out the longer of rows and sums, and each sum has its own."""
        rows, outer, found = numbers[3], numbers[5], self._unit
        threads = thread_count() if found.is_much else 1
        is_summed = threads > 1 and found.is_summed(threads)
        place, length = (4, outer) if is_summed else (2, rows)
        shape = found.size(found.batch), rows, found.padded(kernel)
        outs, jobs = [np.empty(shape, self._dtype)], list[Any]()
        for part in shares(length, threads):
            own = numbers.copy()
            own[place : place + 2] = part.start, part.stop
            if is_summed and jobs:
                outs.append(np.empty(shape, self._dtype))
            jobs.append(((*arrays, outs[-1], *(np.empty(n, self._dtype) for n in found.rooms(kernel))), own))
        return outs, jobs
