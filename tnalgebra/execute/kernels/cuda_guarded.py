"""Rewritten steps on a GPU, where no one waits to see whether they lose digits.

What a rewrite gives is computed, and so is a truth value that stays on the device: the kernel of the step itself reads
it there, and writes over what is not to be trusted.
"""

from collections.abc import Callable
from functools import reduce
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Operator
from ...plan import Step
from ...plan.generated import exponential, generating
from .cuda import Launch, launch_of, lower_cuda
from .cuda_generator import Generator
from .exponential import FEW, Exponentials
from .generated import generator_step

__all__ = ["lower_cuda_guarded"]

Array = Any
Kernel = Callable[..., Array]


def lower_cuda_guarded(step: Step, xp: ModuleType, product: Callable[[Step, ModuleType], Kernel]) -> Kernel:
    """(operands) → the value of a step of kind blocked or weighted, by generators where there are any.

    product: what makes a kernel for Σ x · y with the labels of a step.
    """
    plain, launch, op = lower_cuda(step, xp), launch_of(step, xp), exponential(step) or generating(step)
    if launch is None or op is None or op.generator is None:
        return plain
    if exponential(step):
        return _exponential(launch, Exponentials(step, op.generator, xp, product(step, xp)), plain)
    return _generated(step, op, launch, plain)


def _exponential(launch: Launch, form: Exponentials, plain: Kernel) -> Kernel:
    """A matrix product; a thread for each entry that is lost, or all anew where most are or a number is not finite."""
    xp, single = launch.xp, Launch(launch.work, launch.reduce, launch.xp, None)

    def by_exponentials(*arrays: Array) -> Array:
        if not (launch.takes(arrays) and single.takes(arrays)):
            return plain(*arrays)
        tops = form.tops(arrays)
        out, lost = form(arrays, tops)
        is_finite = reduce(xp.logical_and, [xp.all(top < np.inf) for top in tops])
        is_most = xp.logical_not(xp.logical_and(is_finite, FEW * xp.sum(lost) <= out.size))
        out = single.corrected(xp.asarray(out, order="C"), xp.logical_and(lost, xp.logical_not(is_most)), arrays)
        return launch.corrected(out, is_most, arrays)

    return by_exponentials


def _generated(step: Step, op: Operator, launch: Launch, plain: Kernel) -> Kernel:
    """Sums of what the generator gives; all anew where it overflows, vanishes, or leads to small logarithms only."""
    xp, count = launch.xp, len(step.terms) - (step.kind == "weighted")
    inner, generator = lower_cuda(generator_step(step, op, count), xp), Generator(op, count, xp)

    def generated(*arrays: Array) -> Array:
        found = generator(arrays[:count]) if launch.takes(arrays) else None
        if found is None:
            return plain(*arrays)
        values, is_wanted = found
        out = xp.asarray(inner(*values, *arrays[count:]), order="C")
        return launch.corrected(out, is_wanted, arrays)

    return generated
