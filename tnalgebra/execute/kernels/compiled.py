"""Blocked steps as one compiled loop nest: values and their ⊕ in one pass, no array between.

Numba is optional and imported when a program asks for compiled kernels. Functions that it computes number by number,
such as exp and log, stay with NumPy, whose own are vectorised.
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra.scalar import parse
from ...algebra.schedule import Schedule, schedule
from ...graph import Labels
from ...plan import Step
from ...plan.formula import formulas
from .blocked import loop_order, lower_siblings

__all__ = ["lower_compiled"]

Array = Any
Kernel = Callable[..., Array]

TRUTH = {
    "less": "({0} < {1})", "less_equal": "({0} <= {1})", "greater": "({0} > {1})", "greater_equal": "({0} >= {1})",
    "equal": "({0} == {1})", "not_equal": "({0} != {1})",
    "isfinite": "(abs({0}) < INF)", "isinf": "(abs({0}) == INF)", "isnan": "({0} != {0})",
    "logical_and": "({0} and {1})", "logical_or": "({0} or {1})",
}  # fmt: skip
VALUE = {
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}", "abs": "abs({0})",
    "maximum": "{0} if {0} > {1} or {0} != {0} else {1}", "minimum": "{0} if {0} < {1} or {0} != {0} else {1}",
    "sign": "ONE if {0} > ZERO else (-ONE if {0} < ZERO else {0})", "sqrt": "sqrt({0})",
    "where": "{1} if {0} else {2}",
}  # fmt: skip
"""As NumPy does it: NaN arrives, whatever it is compared with."""
HEAD = """from math import inf, sqrt

from numpy import {dtype} as NUMBER

ONE, ZERO, INF = NUMBER(1), NUMBER(0), NUMBER(inf)
"""
CONDITIONS = {"logical_and": (0, 1), "logical_or": (0, 1), "where": (0,)}


def lower_compiled(steps: Sequence[Step], xp: ModuleType) -> Kernel:
    """As `lower_siblings`; real numbers of one dtype by a compiled kernel, where there can be one."""
    plain = lower_siblings(steps, xp)
    calls = formulas([step.tree for step in steps if step.tree is not None], len(steps[0].terms), is_expanded=False)
    folds = [_fold(step) for step in steps]
    heads = {head for line in (calls, *(fold for fold in folds if fold)) for head, _, _ in line.calls}
    if (
        not heads <= TRUTH.keys() | VALUE.keys()
        or 0 in steps[0].sizes.values()
        or not loop_order(steps)
        or not _numba()
    ):
        return plain
    text = _source(calls, folds, steps, loop_order(steps))
    rooms = [
        (tuple(step.sizes[label] for label in step.result), step.reduce.unit if step.summed and step.reduce else None)
        for step in steps
    ]
    has_numbers = () in steps[0].terms  # NumPy makes numbers of arrays without axes
    kernels: dict[Any, Kernel | None] = {}

    def compiled(*arrays: Array) -> list[Array]:
        dtype = arrays[0].dtype
        if dtype not in kernels:
            kernels[dtype] = _kernel(text, dtype.name) if dtype.name in ("float32", "float64") else None
        kernel = kernels[dtype]
        if kernel is None or any(array.dtype != dtype for array in arrays):
            return plain(*arrays)  # type: ignore[no-any-return]
        outs = [np.empty(shape, dtype) if unit is None else np.full(shape, unit, dtype) for shape, unit in rooms]
        try:
            kernel(*(map(np.asarray, arrays) if has_numbers else arrays), *outs)
        except _numba().errors.NumbaError as error:
            warnings.warn(f"a kernel does not compile, NumPy's is used: {error}", RuntimeWarning, stacklevel=2)
            kernels[dtype] = None
            return plain(*arrays)  # type: ignore[no-any-return]
        return outs

    return compiled


def _fold(step: Step) -> Schedule | None:
    """⊕ of what there is and a value, as calls on both."""
    if not step.summed or step.reduce is None:
        return None
    return schedule((parse(step.reduce.value, ("x", "y")),), ("x", "y"))


def _source(calls: Schedule, folds: Sequence[Schedule | None], steps: Sequence[Step], order: Labels) -> str:
    """The loop nest, innermost label last; what is summed along it stays in a register."""
    terms, counters = steps[0].terms, {label: f"i{position}" for position, label in enumerate(order)}
    arguments = [*(f"x{i}" for i in range(len(terms))), *(f"o{k}" for k in range(len(steps)))]

    def entry(name: str, labels: Labels) -> str:
        return f"{name}[{', '.join(counters[label] for label in labels) or '()'}]"

    lines = [f"def kernel({', '.join(arguments)}):"]
    for depth, label in enumerate(order):
        source = next(i for i, term in enumerate(terms) if label in term)
        if label == order[-1]:
            kept = [k for k, step in enumerate(steps) if label in step.summed]
            lines += [f"{'    ' * (depth + 1)}s{k} = {entry(f'o{k}', steps[k].result)}" for k in kept]
        lines.append(
            f"{'    ' * (depth + 1)}for {counters[label]} in range(x{source}.shape[{terms[source].index(label)}]):"
        )
    inside, after = "    " * (len(order) + 1), "    " * len(order)
    names = [f"v{i}" for i in range(len(terms))]
    lines += [
        f"{inside}{name} = {entry(f'x{i}', term)}" for i, (name, term) in enumerate(zip(names, terms, strict=True))
    ]
    ends = _written(calls, names, "t", inside, lines)
    for k, (step, fold, end) in enumerate(zip(steps, folds, ends, strict=True)):
        place = f"s{k}" if order[-1] in step.summed else entry(f"o{k}", step.result)
        if fold is not None:
            (end,) = _written(fold, [f"p{k}", end], f"f{k}_", inside, lines, before=f"{inside}p{k} = {place}")
        lines.append(f"{inside}{place} = {end}")
    lines += [f"{after}{entry(f'o{k}', steps[k].result)} = s{k}" for k in kept]
    return "\n".join(lines) + "\n"


def _written(
    calls: Schedule, names: Sequence[str], prefix: str, indent: str, lines: list[str], before: str = ""
) -> list[str]:
    """Append one line a call; the names of the values."""
    lines += [before] if before else []
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
        lines.append(f"{indent}{name} = {(TRUTH.get(head) or VALUE[head]).format(*texts)}")
        truths |= {name} if head in TRUTH else set()
        values.append(name)
    return [f"(ONE if {values[p]} else ZERO)" if values[p] in truths else values[p] for p in calls.ends]


@lru_cache(maxsize=1)
def _numba() -> Any:
    try:
        import numba
    except ImportError:
        warnings.warn("compiled kernels need Numba; NumPy's are used", RuntimeWarning, stacklevel=2)
        return None
    return numba


@lru_cache(maxsize=512)
def _kernel(text: str, dtype: str) -> Kernel:
    """The kernel of a text, compiled at its first call or recalled from the disk."""
    numba = _numba()
    text = f"{HEAD.format(dtype=dtype)}\n\n{text}"
    scope: dict[str, Any] = {"__name__": __name__}  # Numba imports the module of what it finds on the disk
    path = _stored(text)
    exec(compile(text, str(path or "<kernel>"), "exec"), scope)
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc"}}
    return numba.njit(cache=path is not None, **options)(scope["kernel"])  # type: ignore[no-any-return]


def _stored(text: str) -> Path | None:
    """The file of this text, by which Numba knows what it has compiled; None where none can be written."""
    root = (
        os.environ.get("TNALGEBRA_CACHE_DIR")
        or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tnalgebra"
    )
    path = Path(root) / f"kernel_{hashlib.sha256(text.encode()).hexdigest()[:16]}.py"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            part = path.with_suffix(f".{os.getpid()}")
            part.write_text(text, encoding="utf-8")
            part.replace(path)
    except (OSError, RuntimeError):
        return None
    return path
