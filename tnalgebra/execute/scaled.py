"""Values beyond the range of their dtype: steps of multiply over add, with powers of two kept apart from values."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .scaling import largest, norm_exponent, quarter, weighed

__all__ = ["SAMPLE", "Call", "are_moderate", "run_scaled", "uses"]

Array = Any
SAMPLE = 16
"""Entries of an array that are looked at before its scale is taken for moderate."""
Call = tuple[Callable[..., Any], tuple[int, ...], int | tuple[int, ...], tuple[int, ...]]
"""The kernel, the slots that it reads and those that it fills (several: its values are a list), and those that end."""


def uses(calls: Sequence[Call], leaves: int, size: int, outputs: Sequence[int]) -> list[int]:
    """How many times each leaf is a factor of an output, along all paths from it."""
    found = [0] * (leaves + size)
    for slot in outputs:
        found[slot] = 1
    for _, inputs, slots, _ in reversed(calls):
        for slot in inputs:
            found[slot] += sum(found[one] for one in ([slots] if isinstance(slots, int) else slots))
    return found[:leaves]


def are_moderate(arrays: Sequence[Array], uses: Sequence[int]) -> bool:
    """Whether no product of the leaves, each as often as the value has it, is far from one by the norms of all."""
    room = quarter(arrays[0].dtype)
    for array, count in zip(arrays, uses, strict=True):
        found = norm_exponent(array, SAMPLE)
        if found is None:
            return False
        room -= abs(found) * count
    return room >= 0


def run_scaled(
    calls: Sequence[Call], size: int, output: int, arrays: Sequence[Array], sample: int | None
) -> tuple[Array, int, bool]:
    """The values of the same steps, with powers of two taken out of values: the exponents of a product add.

    A value comes with the exponent that was taken out of it and with a bound on the one that its norm still has, as
    the norm of a product is at most the product of the norms; it is looked at, and scaled anew, when that is large.
    (A sum over an axis of size n may add √n, for which the other half of the range has room.)
    sample: entries by which a scale is judged; None to look at all entries of every value.
    The third result is whether nothing was lost: infinities tell of a large entry that the sample missed, and values
    far below their bound may have lost digits to underflow, or all of them.
    """
    most = quarter(arrays[0].dtype)
    room, is_safe = most if sample else -1, True
    values: list[Any] = [*(weighed(array, sample) for array in arrays), *([None] * size)]
    for kernel, inputs, slot, done in calls:
        operands, exponents, bounds = zip(*map(values.__getitem__, inputs), strict=True)
        found, exponent, bound = kernel(*operands), sum(exponents), sum(bounds)
        for place, value in [(slot, found)] if isinstance(slot, int) else zip(slot, found, strict=True):
            values[place] = value, exponent, bound
            if bound > room:
                value, shift, left = weighed(value, sample)
                values[place] = value, exponent + shift, left
                is_safe = is_safe and shift > -2 * most
        for i in done:
            values[i] = None
    array, exponent, _ = values[output]
    return array, exponent, is_safe and 2.0 ** (-2 * most) < largest(array) < np.inf
