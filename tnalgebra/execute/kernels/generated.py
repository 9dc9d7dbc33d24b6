"""ξ by its generator: g of every operand once, sums of these in the blocks, and g⁻¹ of every sum."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Operator, Pointwise
from ...algebra.derivative import substituted
from ...algebra.scalar import compiled, parse
from ...plan import Step
from ...plan.generated import generating, is_exponential, is_rising
from ...plan.step import Tree, union
from .blas import aligner, product

__all__ = ["HIGH", "LOW", "generator_step", "lower_generated", "trusted"]

Array = Any
Kernel = Callable[..., Array]
Lower = Callable[[Step, ModuleType], Kernel]
ROOM = 2.0**20
"""Between the values of g that are taken and the smallest and the largest number there is."""


def lower_generated(step: Step, xp: ModuleType, lower: Lower) -> Kernel:
    """(operands) → the step with ξ(x, y, …) = g⁻¹(g(x) + g(y) + …), else as `lower` does it.

    A generator is exact while g neither overflows nor vanishes; where it does, the step goes another way. So it does
    where all that a logarithm could give is near 0: its error is ε there, and not ε times the value.
    """
    plain, op = lower(step, xp), generating(step)
    if op is None or op.generator is None:
        return plain
    count = len(step.terms) - (step.kind == "weighted")
    inner = lower(generator_step(step, op, count), xp)
    shifted = _shifted(step, op, xp, lower) if op.is_translative else ()
    g = compiled(op.generator[0], ("x",), xp)

    def generated(*arrays: Array) -> Array:
        operands = arrays[:count]
        if any(array.dtype.kind != "f" or array.dtype != arrays[0].dtype for array in arrays):
            return plain(*arrays)
        with np.errstate(all="ignore"):
            if op.is_translative and _is_near_zero(operands, is_rising(op), xp):
                return plain(*arrays)
            values = [g(array) for array in operands]
            if all(_fits(x, value, op.unit, xp) for x, value in zip(operands, values, strict=True)):
                return inner(*values, *arrays[count:])
            for kernel in shifted:
                if (found := kernel(*arrays)) is not None:
                    return found
        return plain(*arrays)

    return generated


def generator_step(step: Step, op: Operator, count: int) -> Step:
    """The same step of numbers that g gives: g⁻¹ of their sum."""
    total: Any = "x0"
    for i in range(1, count):
        total = "add", (total, f"x{i}")
    return replace(step, tree=_tree(op, total, count))


def _tree(op: Operator, total: Any, count: int) -> Tree:
    """g⁻¹ of an expression in x0, x1, …."""
    assert op.generator is not None
    value = substituted(parse(op.generator[1], ("x",)), {"x": total})
    return Pointwise(value, tuple(f"x{i}" for i in range(count))), tuple(range(count))


def _shifted(step: Step, op: Operator, xp: ModuleType, lower: Lower) -> Sequence[Kernel]:
    """Kernels of a weighted step for numbers of any size in the first operand, and in the second.

    With m the largest of the other operand and c = max(x, m), ξ(x, y) = c + g⁻¹(g(x − c) + g(y − m) · g(m − c)), where
    no g is above 1: what vanishes does not count. The weighted sum over c needs no ξ. It takes a g that grows from
    g(0) = 1.
    """
    if not is_exponential(op):
        return ()
    labels = union(*step.terms[:2])
    if (
        step.kind != "weighted"
        or len(step.terms) != 3
        or any(label not in step.terms[2] and label not in step.result for label in labels)
    ):
        return ()
    return [_shift_one(step, position, op, xp, lower) for position in (0, 1)]


def _shift_one(step: Step, position: int, op: Operator, xp: ModuleType, lower: Lower) -> Kernel:
    assert op.generator is not None
    wide, narrow, weight = step.terms[position], step.terms[1 - position], step.terms[2]
    total = ("add", (("multiply", ("x0", "x1")), "x2"))
    inner = lower(replace(step, terms=(narrow, wide, wide, weight), tree=_tree(op, total, 3)), xp)
    g = compiled(op.generator[0], ("x",), xp)
    rest = tuple(label for label in weight if label in wide or label in step.result)
    summed = tuple(axis for axis, label in enumerate(weight) if label not in rest)
    result = tuple(label for label in step.result if label in wide or label in weight)
    linear, spread = product(wide, rest, result, step.sizes, xp), aligner(result, step.result)

    def shifted(*arrays: Array) -> Array | None:
        x, y, w = arrays[position], arrays[1 - position], arrays[2]
        top = xp.max(y)
        low = g(y - top)
        if not _fits(y, low, op.unit, xp) or not bool(xp.all(xp.isfinite(x))):
            return None
        shift = xp.maximum(x, top)
        found = inner(low, g(top - shift), g(x - shift), w)
        found += spread(linear(shift, xp.sum(w, axis=summed) if summed else w))
        return found

    return shifted


def _is_near_zero(operands: Sequence[Array], rises: bool, xp: ModuleType) -> bool:
    """Whether ξ of these numbers may be small everywhere, which one number that is not would prevent."""
    tops = (float(xp.max(x)) if rises else -float(xp.min(x)) for x in operands if x.size)
    return LOW < max(tops, default=0.0) < HIGH


def _fits(x: Array, g: Array, unit: float, xp: ModuleType) -> bool:
    """Whether no value of g is lost or overflows, but for the unit, which gives 0."""
    least, most = trusted(x.dtype)
    if g.size and float(xp.min(g)) > least and float(xp.max(g)) < most:
        return True
    return bool(xp.all(((g > least) & (g < most)) | (x == unit)))


def trusted(dtype: Any) -> tuple[float, float]:
    """Between these are the values of g that are neither lost nor overflow."""
    info = np.finfo(dtype)
    return float(info.tiny) * ROOM, float(info.max) / ROOM


LOW, HIGH = -2.0, 0.1
"""Between these is the largest operand, or less the smallest, where a logarithm of a sum may give small numbers."""
