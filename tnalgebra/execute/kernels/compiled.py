"""Blocked steps as one compiled loop nest: values and their ⊕ in one pass, no array between."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra.scalar import parse
from ...algebra.schedule import Schedule, schedule
from ...graph import Labels
from ...plan import Step
from ...plan.formula import formulas
from .blocked import loop_order, lower_siblings
from .jit import attempted, can_compile, jitted, numba_or_none, written

__all__ = ["lower_compiled"]

Array = Any
Kernel = Callable[..., Array]


def lower_compiled(steps: Sequence[Step], xp: ModuleType) -> Kernel:
    """As `lower_siblings`; real numbers of one dtype by a compiled kernel, where there can be one."""
    plain = lower_siblings(steps, xp)
    calls = formulas([step.tree for step in steps if step.tree is not None], len(steps[0].terms), is_expanded=False)
    folds = [_fold(step) for step in steps]
    is_empty = 0 in steps[0].sizes.values() or not loop_order(steps)
    if is_empty or not can_compile(calls, *folds) or not numba_or_none():
        return plain
    rooms = [
        (tuple(step.sizes[label] for label in step.result), step.reduce.unit if step.summed and step.reduce else None)
        for step in steps
    ]
    has_numbers = () in steps[0].terms  # NumPy makes numbers of arrays without axes
    kernels: dict[Any, Kernel | None] = {}

    def kernel_for(dtype: Any, turns: Sequence[Any]) -> Kernel | None:
        """The loops in an order that suits the arrays as they lie in memory."""
        if dtype.name not in ("float32", "float64"):
            return None
        terms = tuple(
            term if turn is None else tuple(map(term.__getitem__, turn))
            for term, turn in zip(steps[0].terms, turns, strict=True)
        )
        turned = [replace(step, terms=terms) for step in steps]
        return jitted(_source(calls, folds, turned, loop_order(turned)), dtype.name)

    def compiled(*arrays: Array) -> list[Array]:
        dtype, turns = arrays[0].dtype, [None if array.flags.c_contiguous else _turn(array) for array in arrays]
        key = (dtype, *turns)
        if key not in kernels:
            kernels[key] = kernel_for(dtype, turns)
        kernel = kernels[key]
        if kernel is None or any(array.dtype != dtype for array in arrays):
            return plain(*arrays)  # type: ignore[no-any-return]
        outs = [np.empty(shape, dtype) if unit is None else np.full(shape, unit, dtype) for shape, unit in rooms]
        ready = [x if turn is None else x.transpose(turn) for x, turn in zip(arrays, turns, strict=True)]
        if attempted(kernel, *(map(np.asarray, ready) if has_numbers else ready), *outs):
            return outs
        kernels[key] = None
        return plain(*arrays)  # type: ignore[no-any-return]

    return compiled


def _turn(array: Array) -> tuple[int, ...]:
    """The axes from the one of the largest strides to that of the smallest."""
    return tuple(sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis])))


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
    ends = written(calls, names, "t", inside, lines)
    for k, (step, fold, end) in enumerate(zip(steps, folds, ends, strict=True)):
        place = f"s{k}" if order[-1] in step.summed else entry(f"o{k}", step.result)
        if fold is not None:
            lines.append(f"{inside}p{k} = {place}")
            (end,) = written(fold, [f"p{k}", end], f"f{k}_", inside, lines)
        lines.append(f"{inside}{place} = {end}")
    lines += [f"{after}{entry(f'o{k}', steps[k].result)} = s{k}" for k in kept]
    return "\n".join(lines) + "\n"
