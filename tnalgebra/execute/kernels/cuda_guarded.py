"""Rewritten steps on a GPU, where no one waits to see whether they lose digits.

What a rewrite gives is computed, and so is a truth value that stays on the device: the kernel of the step itself reads
it there, and writes over what is not to be trusted.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from ...algebra import Operator
from ...plan import Step
from ...plan.generated import exponential, generating
from .cuda import Launch, launch_of, lower_cuda
from .cuda_exponential import CudaExponentials
from .cuda_generator import Generator
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
        return _exponential(launch, CudaExponentials(step, op.generator, xp, product(step, xp)), plain)
    return _generated(step, op, launch, plain)


def _exponential(launch: Launch, form: CudaExponentials, plain: Kernel) -> Kernel:
    """A matrix product; a thread for each entry that is lost, or all anew where most are or a number is not finite."""
    single = Launch(launch.work, launch.reduce, launch.xp, None)

    def by_exponentials(*arrays: Array) -> Array:
        found = form(arrays) if launch.takes(arrays) and single.takes(arrays) else None
        if found is None:
            return plain(*arrays)
        out, lost, is_most = found
        return launch.corrected(single.corrected(out, lost, arrays), is_most, arrays)

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
