"""Functions that compiled loops call, written so that a loop over them is vectorised.

Errors are about one unit in the last place: arithmetic is not rearranged in here, whatever a kernel allows itself.
Imported by the text of a kernel, and so only where Numba is.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache, reduce
from math import factorial, floor
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import njit

from .intrinsics import as_integer, as_number, fma, nearest

__all__ = ["functions"]

LOG2 = 2 * sum(Fraction(1, (2 * i + 1) * 3 ** (2 * i + 1)) for i in range(60))
"""ln 2 = 2 artanh(1/3), to far more digits than any of the numbers below has."""


@cache
def functions(name: str) -> SimpleNamespace:
    """The functions exp, log, log1p, logaddexp and hypot of numbers of a dtype, compiled once for all kernels."""
    power, log = _power(name), _log(name)
    return SimpleNamespace(
        exp=_exp(name, power),
        log=log,
        log1p=_log1p(name, log),
        logaddexp=_logaddexp(name, power),
        hypot=_hypot(name),
    )


def _compiled(function: Any) -> Any:
    return njit(fastmath=set(), error_model="numpy", forceinline=True)(function)


def _polynomial(coefficients: Sequence[Any]) -> Any:
    """The polynomial by Horner's rule, the highest power first, written out: a loop inside is not vectorised."""
    scope: dict[str, Any] = {f"c{i}": c for i, c in enumerate(coefficients)} | {"fma": fma}
    text = reduce(lambda value, i: f"fma({value}, x, c{i})", range(1, len(coefficients)), "c0")
    exec(f"def polynomial(x):\n    return {text}\n", scope)
    return _compiled(scope["polynomial"])


def _kind(name: str) -> tuple[Any, Any, Any]:
    """The type of the numbers, that of their bits, and their limits."""
    number = np.dtype(name).type
    return number, np.dtype(f"int{8 * np.dtype(name).itemsize}").type, np.finfo(number)


def _halves(number: Any, bits: int) -> tuple[Any, Any]:
    """The natural logarithm of 2 as a number of few digits, whose product with an exponent is exact, and the rest."""
    high = number(floor(LOG2 * 2**bits) / 2**bits)
    return high, number(float(LOG2 - Fraction(float(high))))


def _power(name: str) -> Any:
    """The exponential in its range: exp x = 2ⁿ exp r with n = round(x / ln 2), and Taylor's series for |r| < 0.35."""
    number, integer, info = _kind(name)
    high, low = (number(-part) for part in _halves(number, info.nmant // 2))
    shift, bias = integer(info.nmant), integer(info.maxexp - 1)
    inverse, middle = number(float(1 / LOG2)), number(0.5)
    series = _polynomial([number(1 / factorial(i)) for i in reversed(range(8 if info.bits == 32 else 14))])
    lift = number(1.5 * 2**info.nmant)  # the last bits of k + lift are k, and vectors have no conversion to 64 bits
    offset = integer(bias - int(lift.view(integer)))

    def power(x):  # type: ignore[no-untyped-def]
        n = nearest(x * inverse)
        p = series(fma(n, low, fma(n, high, x)))
        half = nearest(n * middle)  # 2ⁿ may be no number where 2ⁿ · exp r is one
        p *= as_number(integer(integer(as_integer(half + lift) + offset) << shift))
        return p * as_number(integer(integer(as_integer((n - half) + lift) + offset) << shift))

    return _compiled(power)


def _ends(name: str) -> tuple[Any, Any]:
    """Beyond these the exponential is 0, or ∞."""
    number, _, info = _kind(name)
    return number((info.minexp - info.nmant - 1) * LOG2), number(info.maxexp * LOG2)


def _exp(name: str, power: Any) -> Any:
    """The exponential of any number."""
    number, (bottom, top) = np.dtype(name).type, _ends(name)
    zero, infinity = number(0), number(np.inf)

    def exp(x):  # type: ignore[no-untyped-def]
        p = power(min(max(x, bottom), top))
        p = infinity if x > top else (zero if x < bottom else p)
        return p if x == x else x

    return _compiled(exp)


def _log(name: str) -> Any:
    """The logarithm: log x = n ln 2 + 2 artanh(f / (2 + f)) with x = 2ⁿ (1 + f) and 1 + f between √½ and √2."""
    number, integer, info = _kind(name)
    high, low = _halves(number, info.nmant // 2)
    shift, mantissa = integer(info.nmant), integer((1 << info.nmant) - 1)
    start = integer(np.sqrt(number(0.5)).view(integer))
    one, two, zero, infinity, nan = number(1), number(2), number(0), number(np.inf), number(np.nan)
    tiny, lift, lifted = info.tiny, number(2.0 ** (info.nmant + 2)), number(info.nmant + 2)
    series = _polynomial([number(2 / (2 * i + 1)) for i in reversed(range(1, 5 if info.bits == 32 else 12))])

    def log(x):  # type: ignore[no-untyped-def]
        is_small = x < tiny
        bits = integer(as_integer(x * lift if is_small else x) - start)
        f = as_number(integer((bits & mantissa) + start)) - one
        s = f / (two + f)
        q = series(s * s)
        n = number(integer(bits >> shift)) - (lifted if is_small else zero)
        y = fma(n, high, fma(s, s * s * q - f, n * low) + f)
        y = x if x == infinity else (-infinity if x == zero else y)
        return y if x >= zero else nan

    return _compiled(log)


def _log1p(name: str, log: Any) -> Any:
    """log(1 + x), with what 1 + x has lost added again."""
    number, _, _ = _kind(name)
    one, zero, infinity = number(1), number(0), number(np.inf)

    def log1p(x):  # type: ignore[no-untyped-def]
        w = one + x
        y = log(w)
        z = y + (x - (w - one)) / w
        return z if (w != infinity) & (w != zero) else y

    return _compiled(log1p)


def _logaddexp(name: str, power: Any) -> Any:
    """Logaddexp: max + log(1 + e) with e = exp(min − max) ≤ 1, and log(1 + e) = 2 artanh(e / (2 + e)) as a series.

    ∞ − ∞ is taken for the difference of equal numbers.
    """
    number, _, info = _kind(name)
    zero, two, (bottom, _) = number(0), number(2), _ends(name)
    series = _polynomial([number(2 / (2 * i + 1)) for i in reversed(range(7 if info.bits == 32 else 17))])

    def logaddexp(x, y):  # type: ignore[no-untyped-def]
        top = x if (x > y) | (x != x) else y
        fall = (y if x > y else x) - top
        e = power(max(fall if fall < zero else zero, bottom))
        s = e / (two + e)
        return fma(s, series(s * s), top)

    return _compiled(logaddexp)


def _hypot(name: str) -> Any:
    """Hypot: max · √(1 + (min / max)²), which leaves the range of the numbers only where the result does."""
    number, _, _ = _kind(name)
    one, zero, infinity = number(1), number(0), number(np.inf)

    def hypot(x, y):  # type: ignore[no-untyped-def]
        a, b = abs(x), abs(y)
        top, rest = (a, b) if (a > b) | (b != b) else (b, a)
        ratio = rest / (one if (top == zero) | (top == infinity) else top)
        length = top * np.sqrt(one + ratio * ratio)
        return infinity if (a == infinity) | (b == infinity) else length

    return _compiled(hypot)
