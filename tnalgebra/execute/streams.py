"""Steps on several streams of a device: what does not wait for each other may run side by side."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import ModuleType
from typing import Any, NamedTuple

__all__ = ["in_streams"]

Array = Any
Call = tuple[Callable[..., Any], tuple[int, ...], Any, tuple[int, ...]]
STREAMS = 4
KEPT = 1 << 26
"""Bytes of values that nothing reads any more and that are kept, since a step on another stream may still read them."""


class _Turn(NamedTuple):
    """Where a call runs: its stream, the calls that it waits for, and whether another stream waits for it."""

    stream: int
    after: tuple[int, ...]
    is_awaited: bool


def in_streams(
    calls: Sequence[Call], count: int, outputs: Sequence[int], xp: ModuleType
) -> Callable[..., tuple[Array, ...]]:
    """The steps as a function of the leaves, from the current stream and back to it; nothing waits for the device.

    Memory that one stream gives back is taken by the next step on it, whatever others still read. So what is done with
    is kept, and when that is much, all streams wait for each other before it goes.
    """
    turns = _planned(calls, count)
    others = [xp.cuda.Stream(non_blocking=True) for _ in range(max((turn.stream for turn in turns), default=0))]

    def run(*leaves: Array) -> tuple[Array, ...]:
        first = xp.cuda.get_current_stream()
        streams, slots, kept = [first, *others], dict(enumerate(leaves)), list[Array]()
        events, busy = dict[int, Any](), {first}
        _meet(busy, streams)
        for number, ((kernel, inputs, slot, done), turn) in enumerate(zip(calls, turns, strict=True)):
            stream = streams[turn.stream]
            busy.add(stream)
            with ExitStack() as current:
                if stream is not first:
                    current.enter_context(stream)
                for other in turn.after:
                    stream.wait_event(events[other])
                value = kernel(*map(slots.__getitem__, inputs))
                slots.update([(slot, value)] if isinstance(slot, int) else zip(slot, value, strict=True))
                if turn.is_awaited:
                    events[number] = stream.record()
            kept += [slots.pop(old) for old in done]
            if sum(array.nbytes for array in kept) > KEPT:
                _meet(busy, streams)
                kept.clear()
        _meet(busy, [first])
        return tuple(map(slots.__getitem__, outputs))

    return run


def _meet(busy: set[Any], streams: Sequence[Any]) -> None:
    """All of these wait until those that are busy have done what they have to do, and are busy no more."""
    events = {stream: stream.record() for stream in busy}
    for stream in streams:
        for other, event in events.items():
            if other is not stream:
                stream.wait_event(event)
    busy.clear()


def _planned(calls: Sequence[Call], count: int) -> list[_Turn]:
    """A call follows the last call that it needs on its stream, or goes to the stream that is free first.

    Every call counts as long as any other.
    """
    maker: dict[int, int] = {}
    ends, tails = [0] * STREAMS, [-1] * STREAMS
    chosen: list[int] = []
    waits: list[tuple[int, ...]] = []
    times: list[int] = []
    for number, (_, inputs, slot, _) in enumerate(calls):
        needed = {maker[place] for place in inputs if place in maker}
        ready = max((times[call] for call in needed), default=0)
        follows = [stream for stream in range(STREAMS) if tails[stream] in needed]
        stream = min(follows or range(STREAMS), key=lambda place: (max(ends[place], ready), place))
        chosen.append(stream)
        waits.append(tuple(sorted(call for call in needed if chosen[call] != stream)))
        ends[stream] = max(ends[stream], ready) + 1
        tails[stream] = number
        times.append(ends[stream])
        maker |= dict.fromkeys([slot] if isinstance(slot, int) else slot, number)
    awaited = {call for after in waits for call in after}
    return [
        _Turn(stream, after, number in awaited)
        for number, (stream, after) in enumerate(zip(chosen, waits, strict=True))
    ]
