"""⊕ over ξ of two operands as a compiled matrix product, for any labels: batches, rows, summed entries, columns.

Where ξ is a logarithm and ⊕ a sum, Σ log v = log Π v: one logarithm for an entry of the result, not one for each term.
"""

from collections.abc import Callable
from functools import reduce
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra.derivative import substituted
from ...algebra.scalar import parse
from ...algebra.schedule import Tree, schedule
from ...plan import Step
from ...plan.cost import layout
from ...plan.formula import formula
from ...plan.step import volume
from ..threads import in_threads
from .factors import log_of_product
from .jit import attempted, can_compile, jitted, numba_or_none
from .panel import Panel
from .tiled import parts, tiled_product, trusting

__all__ = ["is_matrix", "lower_matrix"]

Array = Any
Kernel = Callable[..., Array]
VECTOR = 16
"""Columns from which they make vectors."""
LOG_OF_SUM = ("log", (("add", ("x0", "x1")),))


def lower_matrix(step: Step, xp: ModuleType, plain: Kernel) -> Kernel:
    """(x, y) → ⊕ ξ(x, y) for two operands that share every summed label; else, and for other dtypes, as `plain`."""
    if xp is not np or not is_matrix(step) or step.tree is None or step.reduce is None or not numba_or_none():
        return plain
    tree = formula(step.tree)
    left, right = step.terms
    groups = layout(left, right, step.result, step.sizes)
    is_turned = volume(groups.columns, step.sizes) < volume(groups.rows, step.sizes)
    if tree == LOG_OF_SUM and step.reduce.reduction == "sum":
        return _shaped(step, is_turned, log_of_product, plain)
    names = ("x1", "x0") if is_turned else ("x0", "x1")
    value, fold = _flat(tree, names[1]), parse(step.reduce.value, ("x", "y"))
    if not can_compile(schedule((value,), names), schedule((fold,), ("x", "y"))):
        return plain
    return _shaped(step, is_turned, _by_panels(value, fold, names, step.reduce.unit), plain)


def is_matrix(step: Step) -> bool:
    """Whether a step is ⊕ over ξ of two operands that share every summed label, with enough columns for vectors."""
    if step.kind != "blocked" or len(step.terms) != 2 or not step.summed or 0 in step.sizes.values():
        return False
    left, right = step.terms
    groups = layout(left, right, step.result, step.sizes)
    shared = all(label in term for label in step.summed for term in step.terms)
    return shared and max(volume(group, step.sizes) for group in (groups.rows, groups.columns)) >= VECTOR


def _flat(tree: Tree, columns: str) -> Tree:
    """Chains of one order begin with constants and the operand in vectors: these meet once, and not in every pair."""
    if not isinstance(tree, tuple):
        return tree
    head, children = tree[0], tuple(_flat(child, columns) for child in tree[1])
    if head not in ("maximum", "minimum"):
        return head, children
    chain: list[Tree] = []
    for child in children:
        chain.extend(child[1] if isinstance(child, tuple) and child[0] == head else (child,))
    chain.sort(key=lambda part: (not isinstance(part, int | float), part != columns))
    return reduce(lambda x, y: (head, (x, y)), chain)


def _shaped(step: Step, is_turned: bool, make: Callable[[Array, Array], Array | None], plain: Kernel) -> Kernel:
    """The kernel on arrays of any labels: three axes each, as a matrix product in batches has them."""
    left, right = step.terms[::-1] if is_turned else step.terms
    groups = layout(left, right, step.result, step.sizes)
    orders = ((groups.batch, groups.rows, groups.inner), (groups.batch, groups.inner, groups.columns))
    moves = [
        (tuple(map(term.index, (*a, *b, *c))), tuple(volume(group, step.sizes) for group in (a, b, c)))
        for term, (a, b, c) in zip((left, right), orders, strict=True)
    ]
    shape, back = [step.sizes[label] for label in groups.result], tuple(map(groups.result.index, step.result))

    def matrix(*arrays: Array) -> Array:
        dtype = arrays[0].dtype
        if dtype.char not in "fd" or not dtype.isnative or arrays[1].dtype != dtype:
            return plain(*arrays)
        pair = arrays[::-1] if is_turned else arrays
        ready = [
            np.require(array.transpose(turn).reshape(size), requirements=["C", "A", "W", "E"])
            for array, (turn, size) in zip(pair, moves, strict=True)
        ]
        out = make(*ready)
        if out is None:
            return plain(*arrays)
        out = out.reshape(shape).transpose(back)
        return out if out.flags.c_contiguous else out.copy()

    return matrix


def _by_panels(value: Tree, fold: Tree, names: tuple[str, str], unit: float) -> Callable[[Array, Array], Array | None]:
    """By tiles where these give it, else by passes over columns."""
    lines = schedule((value,), names), schedule((fold,), ("x", "y"))
    are_trusted, named = trusting(*lines), substituted(value, dict(zip(names, ("x0", "x1"), strict=True)))

    def panels(x: Array, y: Array) -> Array | None:
        if are_trusted is not None and are_trusted(x, y):
            return tiled_product(named, fold, x, y, unit)
        kernel = jitted(Panel(*lines).text(x.dtype), x.dtype.name)
        out = np.full((*x.shape[:2], y.shape[2]), unit, x.dtype)
        return out if _shared_out(kernel, x, y, out) else None

    return panels


def _shared_out(kernel: Kernel, x: Array, y: Array, out: Array) -> bool:
    """Run on all rows, in threads where there is much to do; False where the kernel does not compile."""
    arrays, own = (x, y, out), parts(x, y)
    if not attempted(kernel, *arrays, 0, 0, 0, 0):  # compiled before threads wait for it
        return False
    in_threads(lambda part: [kernel(*arrays, *one) for one in own[part]], len(own), len(own))
    return True
