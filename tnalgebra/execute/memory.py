"""Bytes: a limit from what a user writes, what there is, and what an entry takes."""

import re
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from ..algebra import Operator
from ..algebra.scalar import is_complex, is_integral
from ..errors import EquationError, MemoryLimitError
from ..graph import Node
from ..graph.node import operators_of
from ..plan import Plan
from ..plan.plan import AXES
from .namespace import device_of, is_numpy_like, namespace_of

__all__ = ["MemoryLimit", "as_bytes", "cast_bytes", "check_bytes", "check_room", "itemsize_of"]

MemoryLimit = int | str | None
LARGE = 1 << 30
"""Bytes up to which the memory of the machine is not asked for."""
UNITS = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("kmgt", 1)
    for suffix, base in (("", 1024), ("b", 1000), ("ib", 1024))
}


def as_bytes(limit: MemoryLimit, device: str = "cpu") -> int | None:
    """Bytes of ``2_000_000``, ``"2GiB"``, ``"500MB"`` or ``"50%"`` (of the device's memory); None is no limit.

    Raises `MemoryLimitError` for anything else.

    >>> as_bytes("2GiB")
    2147483648
    """
    if limit is None:
        return None
    if isinstance(limit, int | np.integer) and not isinstance(limit, bool) and limit > 0:
        return int(limit)
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([a-z%]*)\s*", str(limit).lower())
    if isinstance(limit, str) and match:
        number, unit = float(match[1]), match[2]
        part = _total(device) / 100 if unit == "%" and number <= 100 else UNITS.get(unit, 0)
        if number * part >= 1:
            return int(number * part)
    raise MemoryLimitError(f"memory_limit must be bytes, or text such as '2GiB', '500MB' or '50%'; got {limit!r}")


def check_room(plan: Plan, arrays: Sequence[Any]) -> None:
    """Refuse arrays that NumPy or CuPy or this machine cannot hold, before the work rather than in the middle of it."""
    if not is_numpy_like(namespace_of(arrays)):
        return
    device = device_of(arrays[0]) if arrays else "cpu"
    if plan.axes > AXES:
        raise EquationError(
            f"this makes an array of {plan.axes} axes, but an array has at most {AXES}: ask for entries or slices, or "
            "take axes together"
        )
    for step in plan.steps:
        check_bytes(step.output_bytes, f"an array of {len(step.result)} axes on the way", device)


def check_bytes(size: int, what: str, device: str = "cpu") -> None:
    """Raise `MemoryLimitError` where the device has not so many bytes."""
    if size > LARGE and size > (total := _total(device)):
        raise MemoryLimitError(
            f"{what} takes {size:.3g} bytes, more than the {total:.3g} that there are: ask for entries or slices, or "
            "for less at a time"
        )


def itemsize_of(dtypes: Sequence[Any], xp: ModuleType, node: Node) -> int:
    """Bytes of one entry of the widest value: an operand, or an operator on it (a logarithm of int8 is float64)."""
    operators = operators_of(node)
    if any(op.is_floating for op in operators):
        dtypes = [xp.float64 if is_integral(dtype, xp) else dtype for dtype in dtypes]
    if not is_numpy_like(xp):
        return max(_bits(dtype, xp) // 8 for dtype in dtypes)
    widest = np.result_type(*dtypes) if dtypes else np.dtype(float)
    empty = np.empty(0, widest)
    plain = [op for op in operators if isinstance(op, Operator) and (op.is_complex or widest.kind != "c")]
    applied = [op.apply(empty, empty) for op in plain]
    return max(int(value.dtype.itemsize) for value in (empty, *applied))


def cast_bytes(arrays: Sequence[Any], xp: ModuleType, node: Node) -> int:
    """Bytes of the operands that a program takes as copies, in the dtype of the result."""
    if not arrays:
        return 0
    try:
        common = xp.result_type(*(array.dtype for array in arrays))
    except TypeError:  # a library that does not mix them is given them as they are
        return 0
    if is_integral(common, xp) and any(op.is_floating for op in operators_of(node)):
        common = np.dtype(float) if is_numpy_like(xp) else xp.float64
    size = common.itemsize if is_numpy_like(xp) else _bits(common, xp) // 8
    return sum(prod(array.shape) * size for array in arrays if array.dtype != common)


def _bits(dtype: Any, xp: ModuleType) -> int:
    if is_integral(dtype, xp):
        return 8 if xp.isdtype(dtype, "bool") else int(xp.iinfo(dtype).bits)
    return int(xp.finfo(dtype).bits) * (2 if is_complex(dtype, xp) else 1)


@lru_cache(maxsize=8)
def _total(device: str) -> int:
    if device.startswith("cuda"):
        import cupy

        return int(cupy.cuda.Device(int(device.partition(":")[2] or 0)).mem_info[1])
    import psutil  # takes a tenth of the time that it takes to import the package, and few need it

    return int(psutil.virtual_memory().total)
