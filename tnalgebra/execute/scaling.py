"""Numbers beyond the range of their dtype: an array and a power of two that it is to be multiplied with."""

from collections.abc import Sequence
from functools import lru_cache
from math import frexp, isnan, nan, prod
from typing import Any

import numpy as np

from ..algebra.scalar import is_complex
from .namespace import are_plain, is_numpy_like, namespace_of

__all__ = [
    "are_near_one",
    "as_float",
    "as_number",
    "at_one",
    "columns_at_one",
    "each_shifted",
    "exponent_of",
    "is_moderate",
    "is_ordinary",
    "largest",
    "norm_exponent",
    "normalised",
    "quarter",
    "rescaled",
    "shifted",
    "weighed",
]

Array = Any


def largest(array: Array) -> float:
    """Largest modulus of a real or imaginary part; NaN if there is any, 0 where there is no entry."""
    xp = namespace_of([array])
    if 0 in array.shape:
        return 0.0
    parts = (xp.real(array), xp.imag(array)) if is_complex(array.dtype, xp) else (array,)
    bounds = [float(bound) for part in parts for bound in (part.max(), -part.min())]
    return nan if any(map(isnan, bounds)) else max(bounds)


def norm_exponent(array: Array, sample: int | None = None) -> int | None:
    """The e for which the norm is about 2^e, if it is within the fourth roots of what the dtype can hold; else None.

    sample: look at so many entries only where there are far more. They show that an array is not tiny; an entry that is
    too large and was not seen leads to infinities, which tell of themselves. None, too, where BLAS cannot tell in one
    pass.
    """
    xp: Any = np if type(array) is np.ndarray else namespace_of([array])
    if xp is not np and not is_numpy_like(xp):
        return None
    if not array.flags.c_contiguous:
        array = array.transpose(sorted(range(array.ndim), key=lambda axis: -array.strides[axis]))
        if not array.flags.c_contiguous:
            return None
    if sample and array.size > 8 * sample:
        array = array.reshape(-1)[:: array.size // sample]
    least, most = _squares(array.dtype)
    square = float(xp.vdot(array, array).real)
    return frexp(square)[1] // 2 if least < square < most else None


@lru_cache(maxsize=8)
def quarter(dtype: Any) -> int:
    """A quarter of the exponents of 2 above one that the dtype has."""
    return int(np.finfo(dtype).maxexp) // 4


@lru_cache(maxsize=8)
def _tiny(dtype: Any) -> float:
    """The least number with all digits."""
    return float(np.finfo(dtype).tiny)


@lru_cache(maxsize=8)
def _squares(dtype: Any) -> tuple[float, float]:
    """Between them is the square of a norm of moderate scale."""
    limits = np.finfo(dtype)
    return float(limits.tiny**0.5), float(limits.max**0.5)


def are_near_one(arrays: Sequence[Array]) -> bool:
    """Whether the norms of all tell that no product of some is far from one: the quick look that spares a long one."""
    xp: Any = np if are_plain(arrays) else namespace_of(arrays)
    if not is_numpy_like(xp):
        return False
    least, most = _near(arrays[0].dtype, len(arrays))
    return all([least < float(xp.vdot(array, array).real) < most for array in arrays])


@lru_cache(maxsize=64)
def _near(dtype: Any, count: int) -> tuple[float, float]:
    """Between them is the square of a norm, so many of which do not leave the middle half of the exponents."""
    room = int(np.finfo(dtype).maxexp) / max(count, 2)
    return 2.0**-room, 2.0**room


def is_moderate(array: Array) -> bool:
    """Whether the norm is within the fourth roots of what the dtype can hold, so that products of three are safe."""
    return norm_exponent(array) is not None


def is_ordinary(array: Array) -> bool:
    """Whether all entries are finite and none is zero or denormal, where digits are lost."""
    if 0 in array.shape:
        return True
    size = abs(array)
    least, most = float(size.min()), float(size.max())
    return _tiny(size.dtype) <= least and most < np.inf


def exponent_of(array: Array) -> int | None:
    """The e for which the largest entry is in [2^(e−1), 2^e); None for NaN or infinity."""
    bound = largest(array)
    return int(np.frexp(bound)[1]) if np.isfinite(bound) else None


def normalised(array: Array) -> tuple[Array, int]:
    """The array times 2^−e, and e: 0 for an array of moderate scale, else its `exponent_of`. Nothing is rounded."""
    return (array, 0) if is_moderate(array) else at_one(array)


def weighed(array: Array, sample: int | None = None) -> tuple[Array, int, int]:
    """The same, and by which power of two the norm of the array may still be off from one; sample: `norm_exponent`."""
    found = norm_exponent(array, sample)
    if found is not None:
        return array, 0, abs(found)
    return *at_one(array), prod(array.shape).bit_length() // 2 + 1


def at_one(array: Array) -> tuple[Array, int]:
    """The array times 2^−e with its largest entry in [½, 1), and e; NaN and infinity stay as they are."""
    exponent = exponent_of(array) or 0
    return rescaled(array, -exponent), exponent


def rescaled(array: Array, exponent: int) -> Array:
    """The array times 2^exponent, in as many factors as it takes, as one alone may overflow."""
    if not exponent:
        return array
    most = 4 * quarter(array.dtype) - 2
    exponent = max(-3 * most, min(3 * most, exponent))  # beyond, every number is infinite or zero
    while exponent:
        step = max(-most, min(most, exponent))
        array, exponent = array * 2.0**step, exponent - step
    return array


def shifted(array: Array, exponents: Array, xp: Any) -> Array:
    """The array times 2^exponents, one for each entry of an axis."""
    half, dtype = exponents // 2, array.real.dtype
    return array * xp.ldexp(1.0, half).astype(dtype) * xp.ldexp(1.0, exponents - half).astype(dtype)


def columns_at_one(array: Array, xp: Any) -> tuple[Array, Array]:
    """A matrix with the largest entry of every column in [½, 1), and the exponents of 2 that were taken out."""
    sizes = xp.max(xp.maximum(abs(array.real), abs(array.imag)), axis=0)
    exponents = xp.where(xp.isfinite(sizes), xp.frexp(sizes)[1], 0)
    return shifted(array, -exponents, xp), exponents


def each_shifted(values: Array, exponents: Array, xp: Any) -> Array:
    """Each of some numbers times its own power of two: infinite or 0 where no number of the dtype can hold it."""
    parts = values.view(values.real.dtype).reshape(len(values), -1)  # the real and the imaginary ones
    with np.errstate(over="ignore", under="ignore"):
        return xp.ldexp(parts, exponents[:, None]).reshape(-1).view(values.dtype)


def as_float(mantissa: float, exponent: int) -> float:
    """The number mantissa · 2^exponent: infinite or 0 where no float can hold it."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(mantissa, exponent))


def as_number(value: Any, exponent: int) -> Any:
    """The scalar value · 2^exponent on the host: infinite or 0 where no number of its dtype can hold it."""
    value = np.asarray(value) if isinstance(value, np.generic) else value
    if not exponent and isinstance(value, np.ndarray):
        return value[()]
    xp = namespace_of([value])
    with np.errstate(over="ignore", under="ignore"):
        if is_complex(value.dtype, xp):
            number = complex(value)
            found = complex(np.ldexp(number.real, exponent), np.ldexp(number.imag, exponent))
        else:
            found = np.ldexp(float(value), exponent)
        return np.dtype(value.dtype).type(found) if is_numpy_like(xp) else found
