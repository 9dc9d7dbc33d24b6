"""Scalar expressions as lines of Python that Numba compiles, and the kernels that are made of them.

Numba is optional and imported when a program asks for compiled kernels. Functions that it would compute number by
number stay with NumPy, whose own are vectorised; so are those of `elementary`.
"""

import hashlib
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...algebra.schedule import Schedule
from .kept import Kept

__all__ = [
    "FUNCTIONS",
    "VALUE",
    "attempted",
    "by_dtype",
    "can_compile",
    "jitted",
    "lacking",
    "native",
    "numba_or_none",
    "told",
    "written",
]

Kernel = Callable[..., Any]

TRUTH = {
    "less": "({0} < {1})", "less_equal": "({0} <= {1})", "greater": "({0} > {1})", "greater_equal": "({0} >= {1})",
    "equal": "({0} == {1})", "not_equal": "({0} != {1})",
    "isfinite": "(abs({0}) < INF)", "isinf": "(abs({0}) == INF)", "isnan": "({0} != {0})",
    "logical_and": "({0} and {1})", "logical_or": "({0} or {1})",
}  # fmt: skip
VALUE = {
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}", "abs": "abs({0})",
    "maximum": "{0} if {0} > {1} or {0} != {0} else {1}", "minimum": "{0} if {0} < {1} or {0} != {0} else {1}",
    "sign": "ONE if {0} > ZERO else (-ONE if {0} < ZERO else {0})", "sqrt": "sqrt({0})", "power": "{0} ** {1}",
    "where": "{1} if {0} else {2}", "exp": "exp({0})", "log": "log({0})", "log1p": "log1p({0})",
    "logaddexp": "logaddexp({0}, {1})", "hypot": "hypot({0}, {1})",
}  # fmt: skip
"""As NumPy does it: NaN arrives, whatever it is compared with."""
HEAD = """# {version}
from math import inf, sqrt

from numpy import {dtype} as NUMBER

ONE, ZERO, INF = NUMBER(1), NUMBER(0), NUMBER(inf)
"""
ELEMENTARY = """
from tnalgebra.execute.kernels.elementary import functions

f = functions("{dtype}")
exp, log, log1p, logaddexp, hypot = f.exp, f.log, f.log1p, f.logaddexp, f.hypot
"""
FOLD = {**VALUE, "add": "total({0}, {1})"}
"""The same in ⊕: sums may be taken in any order, products may not, as a part of one may be beyond the range."""
TOTAL = "from tnalgebra.execute.kernels.intrinsics import total\n"
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
FUNCTIONS = re.compile(r"\b(exp|log|log1p|logaddexp|hypot)\(")
CONDITIONS = {"logical_and": (0, 1), "logical_or": (0, 1), "where": (0,)}


def lacking(*lines: Schedule | None) -> set[str]:
    """The functions of these expressions that no kernel has: NumPy computes many of their values at a time."""
    return {head for line in lines if line for head, _, _ in line.calls if head not in TRUTH and head not in VALUE}


def can_compile(*lines: Schedule | None) -> bool:
    """Whether kernels have every function of these expressions."""
    return not lacking(*lines)


def written(
    calls: Schedule,
    names: Sequence[str],
    prefix: str,
    indent: str,
    lines: list[str],
    table: Mapping[str, str] = VALUE,
) -> list[str]:
    """Append one line a call to the lines of a kernel; the names of the values."""
    values, truths = [*names, *(f"NUMBER({value!r})" for value in calls.constants)], set[str]()
    for head, places, _ in calls.calls:
        wanted, texts = CONDITIONS.get(head, ()), []
        for position, place in enumerate(places):
            name = values[place]
            if position in wanted:
                texts.append(name if name in truths else f"({name} != ZERO)")
            else:
                texts.append(f"(ONE if {name} else ZERO)" if name in truths else name)
        name = f"{prefix}{len(values)}"
        lines.append(f"{indent}{name} = {(TRUTH.get(head) or table[head]).format(*texts)}")
        truths |= {name} if head in TRUTH else set()
        values.append(name)
    return [f"(ONE if {values[p]} else ZERO)" if values[p] in truths else values[p] for p in calls.ends]


@lru_cache(maxsize=1)
def numba_or_none() -> Any:
    """The module, or None with one warning."""
    try:
        import numba
    except ImportError:
        warnings.warn("compiled kernels need Numba; NumPy's are used", RuntimeWarning, stacklevel=2)
        return None
    return numba


@lru_cache(maxsize=512)
def jitted(text: str, dtype: str) -> Kernel:
    """The kernel of a text, compiled at its first call or recalled from the disk."""
    kernel, kept = _function(text, dtype)
    made: Any = numba_or_none().njit(**OPTIONS)(kernel)
    made._cache = kept
    return made  # type: ignore[no-any-return]


@lru_cache(maxsize=2048)
def native(text: str, dtype: str) -> Any:
    """The same as machine code with an address, for a function of two addresses; compiled at once."""
    from numba.core.ccallback import CFunc

    numba = numba_or_none()
    kernel, kept = _function(text, dtype)
    options = {name: value for name, value in OPTIONS.items() if name != "nogil"}
    made: Any = CFunc(kernel, ((numba.int64, numba.int64), numba.void), {}, options)
    made._cache = kept
    made.compile()
    return made


def _function(text: str, dtype: str) -> tuple[Callable[..., Any], Kept]:
    """The function of a text, and what the disk keeps of it."""
    head = HEAD + ELEMENTARY * bool(FUNCTIONS.search(text)) + TOTAL * ("total(" in text)
    text = f"{head.format(dtype=dtype, version=_version())}\n\n{text}"
    name = f"kernel_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    scope: dict[str, Any] = {"__name__": __name__}  # Numba imports the module of what it finds on the disk
    try:
        exec(compile(text, f"<{name}>", "exec"), scope)
    except SyntaxError as error:  # Python nests twenty loops, and no more
        raise numba_or_none().errors.NumbaError(error.msg, highlighting=False) from error
    kernel = scope["kernel"]
    kernel.__qualname__ = name  # machine code of several processes meets in one: its symbols are named after this
    return kernel, Kept(f"{name} {OPTIONS}")


def attempted(kernel: Kernel, *arguments: Any) -> bool:
    """Call a kernel; False, with a warning, where it does not compile."""
    try:
        kernel(*arguments)
    except numba_or_none().errors.NumbaError as error:
        told(error)
        return False
    return True


def by_dtype(make: Callable[[Any], Kernel], plain: Kernel) -> Kernel:
    """The kernel that is made for the dtype of its arrays; `plain` for others than real numbers of one dtype.

    So it is, after a warning, where the kernel does not compile.
    """
    made: dict[Any, Kernel] = {}

    def kernel(*arrays: Any) -> Any:
        dtype = arrays[0].dtype
        if dtype.char not in "fd" or not dtype.isnative or any(array.dtype != dtype for array in arrays):
            return plain(*arrays)
        if dtype not in made:
            try:
                made[dtype] = make(dtype)
            except numba_or_none().errors.NumbaError as error:
                told(error)
                made[dtype] = plain
        return made[dtype](*arrays)

    return kernel


def told(error: Exception) -> None:
    """Warn that a kernel does not compile."""
    warnings.warn(f"a kernel does not compile, NumPy's is used: {error}", RuntimeWarning, stacklevel=3)


@lru_cache(maxsize=1)
def _version() -> str:
    """A digest of all modules here, whose functions and numbers kernels use: it is in the name of a kernel."""
    texts = (path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.sha256(b"".join(texts)).hexdigest()[:16]
