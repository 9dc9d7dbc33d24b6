"""A plan as kernels on addresses, with a place for every value: memory is planned before any is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ..plan import Plan
from .call import Call
from .fuse import grouped
from .value import UnsupportedError, axes_of, rounded, strides_of
from .writer import Writer

__all__ = ["Recipe", "recipe"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Kernels in order, and where their arrays are.

    leaves, count: rows of the table of addresses for leaves, and for these and buffers. places: offsets of buffers, in
    entries, in a room for all of them; those that are not needed at the same time share it. rooms: offsets of those
    that each of so many threads has for itself, in a room of its own. outputs: rows and shapes of the results, which
    have memory of their own.
    """

    calls: tuple[Call, ...]
    leaves: int
    count: int
    places: Mapping[int, int]
    room: int
    rooms: Mapping[int, int]
    own: int
    threads: int
    outputs: tuple[tuple[int, tuple[int, ...]], ...]

    def bytes(self, itemsize: int) -> int:
        """What a call takes, results included."""
        return (self.room + self.threads * self.own + sum(prod(shape) for _, shape in self.outputs)) * itemsize


def recipe(plan: Plan, itemsize: int, threads: int = 1) -> Recipe | None:
    """The recipe of a plan for real numbers of so many bytes and up to so many threads, None where a step has none."""
    if any(0 in shape for shape in plan.shapes) or any(0 in step.sizes.values() for step in plan.steps):
        return None
    writer = Writer(plan, itemsize, threads)
    try:
        groups = grouped(plan.steps, plan.outputs)
        last = {slot: number for number, group in enumerate(groups) for step in group for slot in step.inputs}
        ends = set[int]()
        for number, group in enumerate(groups):
            ends |= {slot for step in group for slot in step.inputs if last[slot] == number} - {*plan.outputs}
            writer.write(group, ends)
        own = _own(writer, plan.outputs)
    except UnsupportedError:
        return None
    places, room = _placed(writer, own)
    room_of = {row: start + rounded(writer.buffers[row - writer.leaves]) for row, start in writer.rooms.items()}
    return Recipe(
        calls=tuple(writer.calls),
        leaves=writer.leaves,
        count=writer.leaves + len(writer.buffers),
        places=places,
        room=room,
        rooms=writer.rooms,
        own=max(room_of.values(), default=0),
        threads=threads if any(call.span for call in writer.calls) else 1,
        outputs=tuple((row, shape) for row, shape in own.items()),
    )


def _own(writer: Writer, outputs: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """A buffer for every output, in C's order and no one else's, and its shape."""
    own = dict[int, tuple[int, ...]]()
    for slot in outputs:
        value = writer.values[slot]
        is_whole = value.row >= writer.leaves and not value.offset and value.strides == strides_of(value.shape)
        if not is_whole or value.row in own or writer.buffers[value.row - writer.leaves] != prod(value.shape):
            value = writer.copied(value, axes_of(value))
        own[value.row] = value.shape
    return own


def _placed(writer: Writer, own: Mapping[int, tuple[int, ...]]) -> tuple[dict[int, int], int]:
    """Places of the other buffers; one takes that of another of its size which no later call reads or fills."""
    last = {row: number for number, call in enumerate(writer.calls) for row, _ in call.arrays}
    places, free, room, kept = dict[int, int](), dict[int, list[int]](), 0, {*own, *writer.rooms}
    for number, call in enumerate(writer.calls):
        rows = dict.fromkeys(row for row, _ in call.arrays if row >= writer.leaves and row not in kept)
        for row in rows:
            if row not in places:
                size = rounded(writer.buffers[row - writer.leaves])
                if free.get(size):
                    places[row] = free[size].pop()
                else:
                    places[row], room = room, room + size
        for row in rows:
            if last[row] == number:
                free.setdefault(rounded(writer.buffers[row - writer.leaves]), []).append(places[row])
    return places, room
