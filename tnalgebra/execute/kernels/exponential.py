"""⊕ over x + y where ⊕ is a sum behind an exponential: a matrix product of exponentials, and its logarithm."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra.scalar import compiled
from ...graph import Labels
from ...plan import Step
from ...plan.cost import BLOCK
from ...plan.generated import exponential
from ...plan.step import volume
from .blas import aligner, lower_product
from .unary import fold

__all__ = ["FEW", "Exponentials", "lower_exponential", "smallest"]

Array = Any
Kernel = Callable[..., Array]
FEW = 4
"""Entries are computed one by one while they are fewer than the result's by this factor."""


def lower_exponential(step: Step, xp: ModuleType, plain: Kernel) -> Kernel:
    """(x, y) → ⊕ (x + y) = g⁻¹(Σ g(x − a) · g(y − b)) + a + b, with a and b the largest numbers that are summed.

    No shift can save a sum whose every term is far below a + b: entries where digits may be lost are computed by
    themselves, and everything is where most are, or where a number is not finite (−∞ is).
    """
    op = exponential(step)
    if op is None or op.generator is None:
        return plain
    linear = lower_product(step, xp)
    form, single = Exponentials(step, op.generator, xp, linear), _entries(step, xp)

    def by_exponentials(*arrays: Array) -> Array:
        x, y = arrays
        if x.dtype != y.dtype or x.dtype.kind != "f":
            return plain(x, y)
        tops = form.tops(arrays)
        if not all(bool((top < np.inf).all()) for top in tops):
            return plain(x, y)
        out, lost = form(arrays, tops)
        if bool(lost.any()):
            lost &= linear(*((array > -np.inf).astype(x.dtype) for array in arrays)) > 0
            places = xp.nonzero(lost)
            if FEW * len(places[0]) > out.size:
                return plain(x, y)
            single(x, y, places, out)
        return out

    return by_exponentials


class Exponentials:
    """The matrix product of exponentials for a step, and where it loses digits."""

    def __init__(self, step: Step, generator: tuple[str, str], xp: ModuleType, linear: Kernel) -> None:
        self.xp, self.linear = xp, linear
        self.g, self.inverse = (compiled(text, ("x",), xp) for text in generator)
        self.axes = [tuple(term.index(label) for label in step.summed) for term in step.terms]
        kept = [tuple(label for label in term if label in step.result) for term in step.terms]
        self.spread = [aligner(own, step.result) for own in kept]
        self.count = volume(step.summed, step.sizes)

    def tops(self, arrays: Sequence[Array]) -> list[Array]:
        """The largest numbers that are summed."""
        return [self.xp.max(array, axis=axis, keepdims=True) for array, axis in zip(arrays, self.axes, strict=True)]

    def __call__(self, arrays: Sequence[Array], tops: Sequence[Array]) -> tuple[Array, Array]:
        """The values, and where they may have lost digits; neither counts where a top is not finite, but for −∞."""
        info = np.finfo(arrays[0].dtype)
        tops = [self.xp.maximum(top, info.min) for top in tops]
        with np.errstate(all="ignore"):
            total = self.linear(*(self.g(array - top) for array, top in zip(arrays, tops, strict=True)))
            out = self.inverse(total)
            left, right = (a(top.squeeze(axis)) for top, axis, a in zip(tops, self.axes, self.spread, strict=True))
            out += left + right  # which may cancel, and are exact then
        return out, total < smallest(total.dtype, self.count)


def smallest(dtype: Any, count: int) -> float:
    """The least sum of so many numbers from 0 to 1 of which no digit is lost, whichever of them have vanished."""
    info = np.finfo(dtype)
    return float(count * info.tiny / info.eps)


def _entries(step: Step, xp: ModuleType) -> Callable[..., None]:
    """The function that computes entries of the result one by one, some at a time."""
    op, many = step.reduce, max(1, BLOCK // max(1, volume(step.summed, step.sizes)))
    assert op is not None
    kept: list[Labels] = [tuple(label for label in term if label in step.result) for term in step.terms]
    turns = [tuple(map(term.index, (*own, *step.summed))) for term, own in zip(step.terms, kept, strict=True)]
    axes = tuple(range(1, 1 + len(step.summed)))

    def single(x: Array, y: Array, places: tuple[Array, ...], out: Array) -> None:
        turned = [array.transpose(turn) for array, turn in zip((x, y), turns, strict=True)]
        for start in range(0, len(places[0]), many):
            at = dict(zip(step.result, (place[start : start + many] for place in places), strict=True))
            first, second = (array[tuple(at[label] for label in own)] for array, own in zip(turned, kept, strict=True))
            out[tuple(at.values())] = fold(op, first + second, axes, xp)

    return single
