"""Whether operands keep the promise on which ξ distributes over more: that numbers are finite and none is negative."""

from collections.abc import Collection
from functools import reduce as folded
from typing import Any

import numpy as np

from ..algebra import Operator, Pointwise
from ..algebra.scalar import is_integral
from .namespace import is_nonnegative, is_numpy_like, namespace_of

__all__ = ["are_nonnegative", "is_kept"]

Array = Any


def is_kept(xi: Operator | Pointwise, reduce: Operator, arrays: Collection[Array]) -> bool:
    """Whether ξ distributes over ⊕ on these operands, though not on all numbers; of one alone nobody needs to know."""
    if len(arrays) < 2 or not isinstance(xi, Operator) or reduce.name in xi.distributes_over:
        return False
    return reduce.name in xi.distributes_over_nonnegative and are_nonnegative(arrays) and _fit(xi, arrays)


def are_nonnegative(arrays: Collection[Array]) -> bool:
    """Whether no entry is negative (nor infinite, nor NaN): one pass over operands, far less than the contraction."""
    return all(is_nonnegative(array) for array in arrays)


def _fit(xi: Operator, arrays: Collection[Array]) -> bool:
    """Whether the dtypes hold ξ of the largest entries of any operands: what wraps or is infinite is in no order.

    ξ grows with each argument here, and an operand that is left out counts as the unit.
    """
    xp = namespace_of(list(arrays))
    if any(0 in array.shape for array in arrays):
        return True
    lib = np if is_numpy_like(xp) else xp
    numbers = [x for x in arrays if x.dtype != lib.bool]
    infos = [(lib.iinfo if is_integral(array.dtype, xp) else lib.finfo)(array.dtype) for array in numbers]
    limit = max((float(info.max) for info in infos), default=1)
    largest = [1.0] * (len(arrays) - len(numbers)) + [max(xi.unit, float(xp.max(array))) for array in numbers]
    with np.errstate(over="ignore"):
        return bool(folded(xi.apply, largest) <= limit)
