"""Loops over values with strides, that fill buffers; threads share out those with much to do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from math import prod

from ..algebra import Operator
from ..algebra.schedule import Schedule, schedule
from ..graph import Labels
from ..plan import Plan
from ..plan.step import union, volume
from .call import PARTS, SUMS, Call, Span, span
from .kernels.jit import FUNCTIONS, can_compile
from .kernels.nest import Operand, Result, nest_text, outermost, summed
from .value import UnsupportedError, Value, axes_of, rounded, strides_of

__all__ = ["SAME", "Loops", "turned"]

LONG = 16
"""Operations in whose time there is one of the functions that are written out, exp for one."""
LEAST, MOST = 8 * SUMS, 1 << 12
"""Entries of a summed label that are worth results for each part, and entries of these results at most.

The sum of the parts has fewer than the first, and is not cut again.
"""
PART = "part of a sum"
SAME: Schedule = schedule(("x0",), ("x0",))


class Loops:
    """Values by slot, sizes of buffers, and the calls so far.

    rooms: where the buffers are that a kernel needs for itself, in the room of a thread. ending: rows of buffers that
    one operand alone of the step that is written reads, and nothing after it; its values may take their places.
    """

    def __init__(self, plan: Plan, itemsize: int, threads: int) -> None:
        self.itemsize, self.leaves, self.threads = itemsize, len(plan.inputs), threads
        self.values = {slot: Value(slot, 0, tuple(shape), strides_of(shape)) for slot, shape in enumerate(plan.shapes)}
        self.buffers: list[int] = []
        self.rooms = dict[int, int]()
        self.ending = frozenset[int]()
        self.calls: list[Call] = []

    def _buffer(self, shape: Sequence[int]) -> Value:
        self.buffers.append(prod(shape))
        return Value(self.leaves + len(self.buffers) - 1, 0, tuple(shape), strides_of(shape))

    def _call(
        self,
        text: str,
        values: Iterable[Value],
        numbers: Iterable[int] = (),
        shared: Span | None = None,
        rooms: Sequence[int] = (),
    ) -> None:
        """Append a kernel of arrays, and of rooms of so many entries that each thread needs."""
        own, starts = [self._buffer((room,)) for room in rooms], accumulate(map(rounded, rooms), initial=0)
        self.rooms |= {value.row: start for value, start in zip(own, starts, strict=False)}
        places = tuple((value.row, value.offset * self.itemsize) for value in (*values, *own))
        self.calls.append(Call(text, places, tuple(numbers), shared))

    def _loops(
        self,
        calls: Schedule,
        read: Sequence[tuple[Value, Labels]],
        filled: Sequence[tuple[Value, Result]],
        sizes: Mapping[str, int],
    ) -> None:
        operands, results = [Operand(term, value.strides) for value, term in read], [result for _, result in filled]
        values, numbers = [value for value, _ in (*read, *filled)], list[int]()
        label, shared = self._shared(calls, operands, results, sizes)
        sums = [self._buffer((SUMS, rounded(result.size))) for result in results] if shared and shared.apart else []
        if shared:
            operands = [operand.without(label) for operand in operands]
            results = [result.without(label) for result in results]
            numbers = [shared.length]
        text, length = nest_text(calls, operands, results, sizes, shared.moves if shared else ())
        self._call(text, [*values[: len(read)], *(sums or values[len(read) :])], (length, *numbers), shared)
        for part, (value, result) in zip(sums, filled, strict=False):
            lengths = [sizes[name] for name in result.labels]
            parts = replace(part, shape=(SUMS, *lengths), strides=(part.strides[0], *result.strides))
            self._loops(SAME, [(parts, (PART, *result.labels))], [(value, result)], {**sizes, PART: SUMS})

    def _shared(
        self, calls: Schedule, operands: Sequence[Operand], results: Sequence[Result], sizes: Mapping[str, int]
    ) -> tuple[str, Span | None]:
        """The label that threads share out: of results, or else of sums, where each part has results of its own."""
        arrays = [*operands, *results]
        lines = [calls, *(result.fold for result in results if result.fold)]
        costs = [LONG if FUNCTIONS.search(f"{head}(") else 1 for line in lines for head, _, _ in line.calls]
        work = volume(union(*(array.labels for array in arrays)), dict(sizes)) * max(1, sum(costs))
        labels, parts, apart = outermost(operands, results, sizes), PARTS, tuple[int, ...]()
        if not labels and all(result.size <= MOST for result in results):
            labels, parts = summed(operands, results, sizes, LEAST), SUMS
            apart = (*[0] * len(operands), *(rounded(result.size) * self.itemsize for result in results))
        spans = dict[Span, str]()
        for label in labels:
            moves = tuple(array.step(label) * self.itemsize for array in arrays)
            spans[Span(1, sizes[label], parts=parts, moves=moves, apart=apart)] = label
        shared = span([*spans], work, self.threads)
        return (spans[shared], shared) if shared else ("", None)

    def _nest(
        self,
        calls: Schedule,
        read: Sequence[Value],
        terms: Sequence[Labels],
        wanted: Sequence[tuple[Labels, Schedule | None, Operator | None]],
        sizes: Mapping[str, int],
    ) -> list[Value]:
        """Loops that fill buffers, new ones but for those in the place of an operand; with ⊕ from its unit."""
        if not can_compile(calls, *(fold for _, fold, _ in wanted)):
            raise UnsupportedError
        outs, results = list[Value](), list[Result]()
        for labels, fold, op in wanted:
            taken = {result.over for result in results}
            over = None if fold else next((i for i in self._ended(labels, read, terms) if i not in taken), None)
            out = self._like(labels, read, terms, sizes) if over is None else _aligned(read[over], terms[over], labels)
            unit = None if fold is None or op is None else op.unit
            outs.append(out)
            results.append(Result(labels, out.strides, fold, unit, prod(out.shape), over))
        self._loops(calls, list(zip(read, terms, strict=True)), list(zip(outs, results, strict=True)), sizes)
        return outs

    def _ended(self, labels: Labels, read: Sequence[Value], terms: Sequence[Labels]) -> list[int]:
        """Operands that have these labels and a whole buffer, which is not needed any longer."""
        return [
            i
            for i, (value, term) in enumerate(zip(read, terms, strict=True))
            if value.row in self.ending
            and sorted(term) == sorted(labels)
            and len({*term}) == len(term)
            and prod(value.shape) == self.buffers[value.row - self.leaves]
            and 0 not in value.strides
        ]

    def _like(self, labels: Labels, read: Sequence[Value], terms: Sequence[Labels], sizes: Mapping[str, int]) -> Value:
        """A buffer with its axes in the order of an operand that has them all."""
        lead = next((i for i, term in enumerate(terms) if {*labels} <= {*term}), None)
        own = {} if lead is None else dict(zip(terms[lead], read[lead].strides, strict=True))
        order = sorted(labels, key=lambda label: -own.get(label, 0))
        out = self._buffer([sizes[label] for label in order])
        return turned(out, [order.index(label) for label in labels])

    def copied(self, value: Value, order: Labels) -> Value:
        """The same in a buffer, its axes (numbered from 0) in that order."""
        axes = axes_of(value)
        sizes = dict(zip(axes, value.shape, strict=True))
        out = self._buffer([sizes[axis] for axis in order])
        self._loops(SAME, [(value, axes)], [(out, Result(order, out.strides))], sizes)
        return out


def turned(value: Value, order: Sequence[int]) -> Value:
    """The same with its axes in that order."""
    shape, strides = tuple(value.shape[i] for i in order), tuple(value.strides[i] for i in order)
    return replace(value, shape=shape, strides=strides)


def _aligned(value: Value, term: Labels, labels: Labels) -> Value:
    """The same with its axes in the order of labels."""
    return turned(value, [term.index(label) for label in labels])
