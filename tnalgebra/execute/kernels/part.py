"""Slices of arrays, and arrays put together from slices."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from ...plan import Step

__all__ = ["lower_stack", "lower_take", "stacked"]

Array = Any
Kernel = Callable[..., Array]


def lower_take(step: Step, xp: ModuleType) -> Kernel:
    """One slice, as a view."""
    axis = _axis(step.terms[0], step.result)
    index = (*[slice(None)] * axis, int(step.text), ...)
    return lambda x: x[index]


def lower_stack(step: Step, xp: ModuleType) -> Kernel:
    """Slices at their places, 0 where none is."""
    axis, places = _axis(step.result, step.terms[0]), _places(step)
    spots = [(*[slice(None)] * axis, place) for place in places]
    shape = tuple(step.sizes[label] for label in step.result)
    create = xp.empty if len(places) == shape[axis] else xp.zeros

    def stack(*slices: Array) -> Array:
        out = create(shape, slices[0].dtype)
        for spot, part in zip(spots, slices, strict=True):
            out[spot] = part
        return out

    return stack


def stacked(step: Step, slices: tuple[Array, ...], xp: ModuleType) -> Array:
    """The same by the array standard, which writes nothing in place."""
    axis, found = _axis(step.result, step.terms[0]), dict(zip(_places(step), slices, strict=True))
    nothing = xp.zeros_like(slices[0])
    return xp.stack([found.get(place, nothing) for place in range(step.sizes[step.result[axis]])], axis=axis)


def _axis(whole: tuple[str, ...], rest: tuple[str, ...]) -> int:
    (label,) = set(whole) - set(rest)
    return whole.index(label)


def _places(step: Step) -> list[int]:
    return [int(place) for place in step.text.split(",")]
