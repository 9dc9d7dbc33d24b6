"""Functions that compiled loops call, written so that a loop over them is vectorised.

Errors are about one unit in the last place: arithmetic is not rearranged in here, whatever a kernel allows itself.
Imported by the text of a kernel, and so only where Numba is.
"""

from fractions import Fraction
from math import factorial, floor
from types import SimpleNamespace
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["functions"]

LOG2 = 2 * sum(Fraction(1, (2 * i + 1) * 3 ** (2 * i + 1)) for i in range(60))
"""ln 2 = 2 artanh(1/3), to far more digits than any of the numbers below has."""
FLOATS = {32: (types.float32, types.int32, ir.FloatType()), 64: (types.float64, types.int64, ir.DoubleType())}


@intrinsic  # type: ignore[untyped-decorator]
def as_integer(_: Any, x: Any) -> Any:
    """The bits of a number."""
    return FLOATS[x.bitwidth][1](x), lambda _c, builder, _s, args: builder.bitcast(args[0], ir.IntType(x.bitwidth))


@intrinsic  # type: ignore[untyped-decorator]
def as_number(_: Any, bits: Any) -> Any:
    """The number that has these bits."""
    real, _, kind = FLOATS[bits.bitwidth]
    return real(bits), lambda _c, builder, _s, args: builder.bitcast(args[0], kind)


@intrinsic  # type: ignore[untyped-decorator]
def nearest(_: Any, x: Any) -> Any:
    """The nearest integer, as a number."""

    def call(_c: Any, builder: Any, _s: Any, args: Any) -> Any:
        return builder.call(builder.module.declare_intrinsic("llvm.rint", [args[0].type]), args)

    return x(x), call


@intrinsic  # type: ignore[untyped-decorator]
def fma(_: Any, x: Any, y: Any, z: Any) -> Any:
    """X · y + z, rounded once."""
    return x(x, y, z), lambda _c, builder, _s, args: builder.fma(*args)


def functions(name: str) -> SimpleNamespace:
    """The functions exp, log, log1p, logaddexp and hypot of numbers of a dtype."""
    exp, log = _exp(name), _log(name)
    log1p = _log1p(name, log)
    return SimpleNamespace(exp=exp, log=log, log1p=log1p, logaddexp=_logaddexp(name, exp, log1p), hypot=_hypot(name))


def _compiled(function: Any) -> Any:
    return njit(fastmath=set(), error_model="numpy", forceinline=True)(function)


def _kind(name: str) -> tuple[Any, Any, Any]:
    """The type of the numbers, that of their bits, and their limits."""
    number = np.dtype(name).type
    return number, np.dtype(f"int{8 * np.dtype(name).itemsize}").type, np.finfo(number)


def _halves(number: Any, bits: int) -> tuple[Any, Any]:
    """The natural logarithm of 2 as a number of few digits, whose product with an exponent is exact, and the rest."""
    high = number(floor(LOG2 * 2**bits) / 2**bits)
    return high, number(float(LOG2 - Fraction(float(high))))


def _exp(name: str) -> Any:
    """The exponential: exp x = 2ⁿ exp r with n = round(x / ln 2) and |r| ≤ ln 2 / 2, where Taylor's series is short."""
    number, integer, info = _kind(name)
    high, low = (number(-part) for part in _halves(number, info.nmant // 2))
    shift, bias = integer(info.nmant), integer(info.maxexp - 1)
    inverse, zero, infinity = number(float(1 / LOG2)), number(0), number(np.inf)
    top, bottom = number(info.maxexp * LOG2), number((info.minexp - info.nmant - 1) * LOG2)
    series = tuple(number(1 / factorial(i)) for i in reversed(range(8 if info.bits == 32 else 14)))

    def exp(x):  # type: ignore[no-untyped-def]
        y = min(max(x, bottom), top)
        n = nearest(y * inverse)
        r = fma(n, low, fma(n, high, y))
        p = zero
        for c in series:
            p = fma(p, r, c)
        k = integer(n)
        half = integer(k >> 1)  # 2ⁿ may be no number where 2ⁿ · exp r is one
        p *= as_number(integer((half + bias) << shift))
        p *= as_number(integer((k - half + bias) << shift))
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
    series = tuple(number(2 / (2 * i + 1)) for i in reversed(range(1, 5 if info.bits == 32 else 12)))

    def log(x):  # type: ignore[no-untyped-def]
        is_small = x < tiny
        bits = integer(as_integer(x * lift if is_small else x) - start)
        f = as_number(integer((bits & mantissa) + start)) - one
        s = f / (two + f)
        q = zero
        for c in series:
            q = fma(q, s * s, c)
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


def _logaddexp(name: str, exp: Any, log1p: Any) -> Any:
    """Logaddexp: max + log(1 + exp(min − max)); ∞ − ∞ is taken for the difference of equal numbers."""
    zero = np.dtype(name).type(0)

    def logaddexp(x, y):  # type: ignore[no-untyped-def]
        top = x if (x > y) | (x != x) else y
        fall = (y if x > y else x) - top
        return top + log1p(exp(fall if fall < zero else zero))

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
