"""Scalar expressions as one straight line of array functions, written once for the dtypes that it meets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra.schedule import Schedule
from ...errors import DTypeError
from ...plan.formula import LIKE

__all__ = ["Line", "straight"]

Array = Any
Spot = tuple[frozenset[int], Any]
"""The axes and the dtype of a value: a register holds values of one kind."""
SELECT = 1 << 12
"""Entries from which `where` selects bits: a branch that is not foreseen costs more than four passes."""
INTEGERS = {2: np.int16, 4: np.int32, 8: np.int64}


@dataclass(frozen=True, slots=True)
class Line:
    """The function of operands, outputs and registers; an output or a register that is None is made anew.

    dtypes: of the values. made: which of them the line computes, and does not only take from its operands.
    """

    call: Callable[..., tuple[Array, ...]]
    registers: tuple[Spot, ...]
    dtypes: tuple[Any, ...]
    made: tuple[bool, ...]


def straight(schedule: Schedule, axes: Sequence[frozenset[int]], dtypes: Sequence[Any], xp: ModuleType) -> Line:
    """Write the line for operands of these axes and dtypes.

    A value takes the register of one that is not read again, so that few arrays pass through the cache.
    """
    count, common = len(axes), np.result_type(*dtypes)
    constants = [common.type(value) if common.kind == "f" else value for value in schedule.constants]
    names = [f"x{i}" for i in range(count)] + [f"c{i}" for i in range(len(constants))]
    where = _select if xp is np and common.kind == "f" else xp.where
    scope: dict[str, Any] = {"where": where, LIKE: _like, **dict(zip(names[count:], constants, strict=True))}
    spots: list[Spot] = [*zip(axes, dtypes, strict=True), *((frozenset(), value) for value in constants)]
    registers, free, lines = list[Spot](), list[str](), list[str]()
    for head, places, done in schedule.calls:
        scope.setdefault(head, getattr(xp, head, None))
        spot = frozenset().union(*(spots[place][0] for place in places)), _dtype(head, [spots[p][1] for p in places])
        taken = [names[place] for place in done]
        is_fresh = head in ("where", LIKE)  # these take no buffer
        if len(names) in schedule.ends:
            name = f"o{schedule.ends.index(len(names))}"
        else:
            offered = [] if is_fresh else [register for register in taken if registers[int(register[1:])] == spot]
            offered += [register for register in free if registers[int(register[1:])] == spot]
            if not offered:
                offered = [f"r{len(registers)}"]
                registers.append(spot)
            name = offered[0]
        free = [register for register in [*free, *taken] if register != name]
        arguments = ", ".join(names[place] for place in places)
        is_number = not spot[0] and name.startswith("r")  # NumPy makes numbers of arrays without axes
        lines.append(f"    {name} = {head}({arguments}{'' if is_fresh or is_number else f', out={name}'})")
        names.append(name)
        spots.append(spot)
    ends = [names[place] for place in schedule.ends]
    signature = ", ".join(
        [*names[:count], *(f"o{i}=None" for i in range(len(ends))), *(f"r{i}=None" for i in range(len(registers)))]
    )
    exec("\n".join([f"def line({signature}):", *lines, f"    return {', '.join(ends)},"]), scope)
    found = tuple(np.result_type(spots[place][1]) for place in schedule.ends)
    return Line(scope["line"], tuple(registers), found, tuple(end == f"o{i}" for i, end in enumerate(ends)))


def _dtype(head: str, kinds: Sequence[Any]) -> Any:
    """The dtype that a function gives: NumPy is asked on empty arrays, which a constant joins as itself."""
    if head == LIKE:
        return np.result_type(*kinds[1:])
    values = [np.empty(0, kind) if isinstance(kind, np.dtype) else kind for kind in kinds]
    try:
        with np.errstate(all="ignore"):
            return np.asarray(getattr(np, head)(*values)).dtype
    except OverflowError as error:  # a constant that the integers do not hold
        raise DTypeError(f"{head!r} of integers cannot be computed: {error}; use a wider dtype") from error


def _like(value: Array, *others: Array) -> Array:
    return value.astype(np.result_type(*(other.dtype for other in others)))


def _select(condition: Array, x: Array, y: Array) -> Array:
    """As `where` of real numbers; in large arrays without a branch."""
    integer = INTEGERS.get(x.dtype.itemsize)
    if condition.size < SELECT or integer is None or x.dtype != y.dtype or condition.dtype != bool:
        return np.where(condition, x, y)
    mask = np.negative(condition.view(np.int8), dtype=integer)
    other = y.view(integer)
    chosen = np.bitwise_xor(x.view(integer), other)
    chosen = np.bitwise_and(chosen, mask, out=mask if chosen.shape in ((), mask.shape) else None)
    if np.ndim(other) <= chosen.ndim:
        return np.bitwise_xor(chosen, other, out=chosen).view(x.dtype)
    return np.bitwise_xor(chosen, other).view(x.dtype)
