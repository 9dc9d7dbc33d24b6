"""Arrays as a kernel of addresses takes them, and its numbers: worked out once for all arrays of the same strides."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from ...graph import Labels

__all__ = ["Laid", "Layouts", "contiguous", "merged"]

Array = Any
Laid = tuple[list[Labels | None], list[int]]
"""For every array the labels in the order to which it must be copied, None where it does as it is; and the numbers."""


class Layouts:
    """The function that makes arrays ready; laid: of their strides, in entries."""

    def __init__(self, terms: Sequence[Labels], laid: Callable[[Sequence[Sequence[int]]], Laid]) -> None:
        self._terms, self._laid = terms, laid
        self._known = dict[Any, tuple[list[tuple[int, ...] | None], list[int]]]()

    def __call__(self, arrays: Sequence[Array]) -> tuple[list[Array], list[int]]:
        """The arrays, copied where they must be, and the numbers of the kernel, which are not to be changed."""
        whole = [x if type(x) is np.ndarray and x.flags.aligned else np.array(x) for x in arrays]  # a number is none
        strides = tuple([array.strides for array in whole])
        if strides not in self._known:
            size = whole[0].itemsize
            orders, numbers = self._laid([[stride // size for stride in steps] for steps in strides])
            turns = [
                None if order is None else tuple(map(term.index, order))
                for term, order in zip(self._terms, orders, strict=True)
            ]
            self._known[strides] = turns, numbers
        turns, numbers = self._known[strides]
        ready = [
            array if turn is None else np.ascontiguousarray(array.transpose(turn))
            for array, turn in zip(whole, turns, strict=True)
        ]
        return ready, numbers


def contiguous(order: Labels, sizes: Mapping[str, int]) -> dict[str, int]:
    """Strides in C's order."""
    return {label: prod(sizes[after] for after in order[axis + 1 :]) for axis, label in enumerate(order)}


def merged(group: Labels, strides: Mapping[str, int], sizes: Mapping[str, int]) -> int | None:
    """The stride of the labels as one, None where they do not follow each other."""
    labels = [label for label in group if sizes[label] > 1]
    for first, second in pairwise(labels):
        if strides[first] != strides[second] * sizes[second]:
            return None
    return strides[labels[-1]] if labels else 1
