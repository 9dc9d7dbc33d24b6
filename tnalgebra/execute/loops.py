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
from .call import Call, Span, span
from .kernels.jit import FUNCTIONS, can_compile
from .kernels.nest import Operand, Result, nest_text, outermost
from .value import UnsupportedError, Value, axes_of, rounded, strides_of

__all__ = ["SAME", "Loops", "turned"]

LONG = 16
"""Operations in whose time there is one of the functions that are written out, exp for one."""
SAME: Schedule = schedule(("x0",), ("x0",))


class Loops:
    """Values by slot, sizes of buffers, and the calls so far.

    rooms: where the buffers are that a kernel needs for itself, in the room of a thread.
    """

    def __init__(self, plan: Plan, itemsize: int, threads: int) -> None:
        self.itemsize, self.leaves, self.threads = itemsize, len(plan.inputs), threads
        self.values = {slot: Value(slot, 0, tuple(shape), strides_of(shape)) for slot, shape in enumerate(plan.shapes)}
        self.buffers: list[int] = []
        self.rooms = dict[int, int]()
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
        arrays = [*operands, *results]
        spans = {
            Span(1, sizes[label], moves=tuple(array.step(label) * self.itemsize for array in arrays)): label
            for label in outermost(operands, results, sizes)
        }
        lines = [calls, *(result.fold for result in results if result.fold)]
        costs = [LONG if FUNCTIONS.search(f"{head}(") else 1 for line in lines for head, _, _ in line.calls]
        work = volume(union(*(array.labels for array in arrays)), dict(sizes)) * max(1, sum(costs))
        shared, numbers, moves = span([*spans], work, self.threads), list[int](), tuple[int, ...]()
        if shared:
            operands = [operand.without(spans[shared]) for operand in operands]
            results = [result.without(spans[shared]) for result in results]
            numbers, moves = [shared.length], shared.moves
        text, length = nest_text(calls, operands, results, sizes, moves)
        self._call(text, [value for value, _ in (*read, *filled)], (length, *numbers), shared)

    def _nest(
        self,
        calls: Schedule,
        read: Sequence[Value],
        terms: Sequence[Labels],
        wanted: Sequence[tuple[Labels, Schedule | None, Operator | None]],
        sizes: Mapping[str, int],
    ) -> list[Value]:
        """Loops that fill new buffers; those with ⊕ from its unit."""
        if not can_compile(calls, *(fold for _, fold, _ in wanted)):
            raise UnsupportedError
        outs = [self._like(labels, read, terms, sizes) for labels, _, _ in wanted]
        results = [
            Result(labels, out.strides, fold, None if fold is None or op is None else op.unit, prod(out.shape))
            for out, (labels, fold, op) in zip(outs, wanted, strict=True)
        ]
        self._loops(calls, list(zip(read, terms, strict=True)), list(zip(outs, results, strict=True)), sizes)
        return outs

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
