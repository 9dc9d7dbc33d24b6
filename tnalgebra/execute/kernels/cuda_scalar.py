"""Scalar expressions in CUDA C: one statement a call of their schedule."""

from collections.abc import Iterable, Mapping

from ...plan.formula import LIKE
from .cuda_work import ROOT, Work

__all__ = ["HEADS", "TRUTH", "head", "number", "written"]

TRUTH = {
    "less": "{0} < {1}", "less_equal": "{0} <= {1}", "greater": "{0} > {1}", "greater_equal": "{0} >= {1}",
    "equal": "{0} == {1}", "not_equal": "{0} != {1}",
    "isfinite": "fabs({0}) < INF", "isinf": "fabs({0}) == INF", "isnan": "{0} != {0}",
    "logical_and": "{0} && {1}", "logical_or": "{0} || {1}",
}  # fmt: skip
VALUE = {
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}",
    "power": "pow({0}, {1})", "maximum": "maximum({0}, {1})", "minimum": "minimum({0}, {1})", "fmin": "fmin({0}, {1})",
    "abs": "fabs({0})", "sign": "{0} > 0 ? T(1) : {0} < 0 ? T(-1) : {0}", "where": "{0} ? {1} : {2}", LIKE: "{0}",
    "hypot": "hypot({0}, {1})", "fma": "fma({0}, {1}, {2})", ROOT: "root({0})",
    **{name: name + "({0})" for name in ("cos", "exp", "expm1", "log", "log1p", "sin", "sqrt", "tanh")},
}  # fmt: skip
CONDITIONS = {"logical_and": (0, 1), "logical_or": (0, 1), "where": (0,)}
HEADS = frozenset(TRUTH | VALUE)
"""The functions that there are in C; NaN passes through them as through NumPy's."""

HEAD = """typedef {dtype} T;
#define INF (-log(T(0)))

inline __device__ int divided(int x, unsigned reciprocal, int shift) {{
    return (unsigned long long) x * reciprocal >> shift;
}}

inline __device__ T root(T x) {{
{root}    return sqrt(x);
}}

inline __device__ bool within(T x, T low, T high) {{
    return low <= x && x <= high;
}}
"""
EXTREME = """
inline __device__ T {name}(T x, T y) {{
{fast}    return x {sign} y || x != x ? x : y;
}}
"""
FAST = """#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    T z;
    asm("{name}.NaN.f32 %0, %1, %2;" : "=f"(z) : "f"(x), "f"(y));
    return z;
#endif
"""
"""One instruction in place of three; there is none for double."""
FAST_ROOT = """#ifdef __CUDA_ARCH__
    T z;
    asm("sqrt.approx.f32 %0, %1;" : "=f"(z) : "f"(x));
    return z;
#endif
"""
"""Its error is one unit in the last place at most. Source: CUDA C++ Programming Guide, Mathematical Functions."""


def head(dtype: str) -> str:
    """What stands before a kernel: its number type, and the functions that C lacks."""
    extremes = [
        EXTREME.format(name=name, sign=sign, fast=FAST.format(name=name[:3]) if dtype == "float" else "")
        for name, sign in (("maximum", ">"), ("minimum", "<"))
    ]
    return HEAD.format(dtype=dtype, root=FAST_ROOT if dtype == "float" else "") + "".join(extremes)


def number(value: float) -> str:
    """A constant in C."""
    if abs(value) == float("inf"):
        return "INF" if value > 0 else "-INF"
    return f"T({float(value)!r})"


def written(work: Work, wanted: Iterable[int], given: Mapping[int, str]) -> tuple[list[str], list[str]]:
    """Statements that compute the values at these places from those that are given, and the texts of the values.

    given: texts by place, all variables that are needed among them.
    """
    wanted = list(wanted)
    texts = {**dict(zip(work.constants, map(number, work.calls.constants), strict=True)), **given}
    truths, lines = set[int](), list[str]()

    def text(place: int, is_condition: bool) -> str:
        return texts[place] if is_condition or place not in truths else f"T({texts[place]})"

    for place in work.needed(wanted, texts):
        name, places, _ = work.calls.calls[place - work.constants.stop]
        conditions = CONDITIONS.get(name, ())
        parts = [text(argument, position in conditions) for position, argument in enumerate(places)]
        kind = "bool" if name in TRUTH else "T"
        texts[place] = f"t{place}"
        truths |= {place} if name in TRUTH else set()
        lines.append(f"const {kind} {texts[place]} = {(TRUTH.get(name) or VALUE[name]).format(*parts)};")
    return lines, [text(place, False) for place in wanted]
