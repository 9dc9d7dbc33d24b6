"""A kernel of a recipe on its arrays, and the part of it that each of several threads does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .threads import shares

__all__ = ["Call", "Span", "span"]

SHARE = 1 << 14
"""Operations that are worth another thread, where one is awake."""
PARTS = 8
"""Parts of a job: several for a thread, as one may come late or be slower."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range that threads may share out, and the steps in which it goes.

    place: of its two ends among the numbers of a kernel; or of its length, where the range begins at the arrays and
    moves, bytes for every array, say how far each goes with it.
    """

    place: int
    length: int
    step: int = 1
    moves: tuple[int, ...] = ()

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
        return [self._part(part.start, part.stop) for part in shares(self.span.steps, PARTS)]

    def _part(self, start: int, stop: int) -> "Call":
        """These steps of the range."""
        assert self.span is not None
        place, first, last = self.span.place, start * self.span.step, min(self.span.length, stop * self.span.step)
        moves = self.span.moves or (0,) * len(self.arrays)
        told = (last - first,) if self.span.moves else (first, last)
        arrays = tuple((row, at + first * move) for (row, at), move in zip(self.arrays, moves, strict=True))
        return replace(self, arrays=arrays, numbers=(*self.numbers[:place], *told, *self.numbers[place + len(told) :]))


def span(spans: Sequence[Span], work: int, threads: int) -> Span | None:
    """The span that goes in the most steps, up to the parts of a job; None where it is not worth it."""
    best = max(spans, key=lambda span: min(span.steps, PARTS), default=None)
    return best if best and threads > 1 and work >= SHARE and best.steps > 1 else None
