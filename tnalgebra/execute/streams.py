"""Steps on several streams of a device: what does not wait for each other may run side by side."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from types import ModuleType
from typing import Any, NamedTuple

__all__ = ["Store", "in_streams"]

Array = Any
Call = tuple[Callable[..., Any], tuple[int, ...], Any, tuple[int, ...]]
Store = Callable[[int, Array], None]
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
) -> Callable[[Sequence[Array], Store], None]:
    """(leaves, store) → None: the steps from the current stream and back to it; nothing waits for the device.

    store: called with the position and the value of every output when it is there, on the stream where it is.
    Memory that one stream gives back is taken by the next step on it, whatever others still read. So what is done with
    is kept, and when that is much, all streams wait for each other before it goes.
    """
    turns = _planned(calls, count)
    others = [xp.cuda.Stream(non_blocking=True) for _ in range(max((turn.stream for turn in turns), default=0))]
    positions = {slot: [i for i, output in enumerate(outputs) if output == slot] for slot in outputs}

    def run(leaves: Sequence[Array], store: Store) -> None:
        streams, slots, kept = [xp.cuda.get_current_stream(), *others], dict[int, Array](), list[Array]()
        events, busy = dict[int, Any](), {streams[0]}

        def put(made: Iterable[tuple[int, Array]]) -> None:
            for slot, value in made:
                slots[slot] = value
                for position in positions.get(slot, ()):
                    store(position, value)

        put(enumerate(leaves))
        _meet(busy, streams)
        for number, ((kernel, inputs, slot, done), turn) in enumerate(zip(calls, turns, strict=True)):
            stream = streams[turn.stream]
            busy.add(stream)
            with stream if turn.stream else nullcontext():
                for other in turn.after:
                    stream.wait_event(events[other])
                value = kernel(*map(slots.__getitem__, inputs))
                put([(slot, value)] if isinstance(slot, int) else zip(slot, value, strict=True))
                if turn.is_awaited:
                    events[number] = stream.record()
            kept += [slots.pop(old) for old in done]
            if sum(array.nbytes for array in kept) > KEPT:
                _meet(busy, streams)
                kept.clear()
        _meet(busy, streams[:1])

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
