"""A kernel of a recipe on its arrays, and the part of it that each of several threads does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from .threads import shares

__all__ = ["PARTS", "SUMS", "Call", "Span", "span"]

SHARE = 1 << 14
"""Operations that are worth another thread, where one is awake."""
PARTS = 8
"""Parts of a job: several for a thread, as one may come late or be slower."""
SUMS = 4
"""Parts of a sum: each has a result of its own."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range that threads may share out, the steps in which it goes, and in how many parts at most.

    place: of its two ends among the numbers of a kernel; or of its length, where the range begins at the arrays and
    moves, bytes for every array, say how far each goes with it. apart: bytes that each array of a part has for itself.
    """

    place: int
    length: int
    step: int = 1
    parts: int = PARTS
    moves: tuple[int, ...] = ()
    apart: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return -(-self.length // self.step)


@dataclass(frozen=True, slots=True)
class Call:
    """A text, for every array its row in a table of addresses and the bytes after it, and the numbers that it reads.

    span: None where one thread does it all.
    """

    text: str
    arrays: tuple[tuple[int, int], ...]
    numbers: tuple[int, ...]
    span: Span | None = None

    def parts(self) -> "list[Call]":
        """The calls that do the whole, one after the other or at the same time."""
        if self.span is None:
            return [self]
        return [self._part(i, part) for i, part in enumerate(shares(self.span.steps, self.span.parts))]

    def _part(self, number: int, steps: slice) -> "Call":
        """These steps of the range."""
        assert self.span is not None
        place, step = self.span.place, self.span.step
        first, last = steps.start * step, min(self.span.length, steps.stop * step)
        told = (last - first,) if self.span.moves else (first, last)
        bytes_of = [
            first * move + number * size
            for _, move, size in zip_longest(self.arrays, self.span.moves, self.span.apart, fillvalue=0)
        ]
        arrays = tuple((row, at + more) for (row, at), more in zip(self.arrays, bytes_of, strict=True))
        return replace(self, arrays=arrays, numbers=(*self.numbers[:place], *told, *self.numbers[place + len(told) :]))


def span(spans: Sequence[Span], work: int, threads: int) -> Span | None:
    """The span of the most parts, None where they are not worth it."""
    best = max(spans, key=lambda span: min(span.steps, span.parts), default=None)
    return best if best and threads > 1 and work >= SHARE and best.steps > 1 else None
