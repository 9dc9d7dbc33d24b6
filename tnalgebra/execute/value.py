"""Arrays of a recipe: where they are in a table of addresses, and how their entries lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ..graph import Labels

__all__ = ["UnsupportedError", "Value", "axes_of", "rounded", "strides_of"]

LINE = 16
"""Entries to which the size of a buffer is rounded up."""


class UnsupportedError(Exception):
    """A step that has no such form."""


@dataclass(frozen=True, slots=True)
class Value:
    """An array in a row of the table: its offset and strides in entries."""

    row: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Of an array in C's order."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def rounded(size: int) -> int:
    """Entries that a buffer of so many takes."""
    return -(-size // LINE) * LINE


def axes_of(value: Value) -> Labels:
    """Its axes as labels, numbered from 0."""
    return tuple(map(str, range(len(value.shape))))
