"""A plan lowered to kernels, and the function that calls one after the other."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from ..algebra import Operator
from ..algebra.scalar import cast, is_integral
from ..plan import Plan, Step
from ..plan.cost import COMPILED, together
from .capture import CapturedProgram, captured_program, is_capturable
from .fuse import fused, grouped
from .kernels import lower
from .kernels.blocked import blocks, lower_siblings
from .kernels.compiled import are_alike, lower_compiled, told_of
from .kernels.cuda import lower_cuda_siblings
from .kernels.fold import fold, lower_folded
from .kernels.jit import numba_or_none
from .namespace import is_numpy_like
from .native import NativeProgram, native_program
from .scaled import SAMPLE, Call, are_moderate, run_scaled, uses
from .scaling import norm_exponent
from .streams import in_streams

__all__ = ["Program"]

Array = Any
Whole = NativeProgram | CapturedProgram
Lowered = tuple[list[Call], int, tuple[int, ...]]


class Program:
    """A plan for arrays of one namespace; calling it runs the steps. It keeps no operand and no value between calls."""

    __slots__ = (
        "_calls",
        "_is_bundle",
        "_is_floating",
        "_is_linear",
        "_outputs",
        "_run",
        "_size",
        "_uses",
        "_wholes",
        "_xp",
        "plan",
    )

    def __init__(self, plan: Plan, xp: ModuleType, *, is_compiled: bool = False) -> None:
        operators = plan.operators
        if is_compiled and xp is np and numba_or_none():
            for op in operators:
                if isinstance(op, Operator):
                    told_of(op)
            is_compiled = are_alike(plan.steps)
            plan = fused(plan) if is_compiled else plan
        self.plan, self._xp = plan, xp
        self._is_floating = any(op.is_floating for op in operators)
        self._is_linear = {op.name for op in operators} <= {"multiply", "add"}
        self._is_bundle = isinstance(plan.output, tuple)
        is_compiled = is_compiled and is_numpy_like(xp) and (xp is np or is_capturable(plan))
        self._calls, self._size, self._outputs = _lowered(
            plan.steps, range(len(plan.inputs)), plan.outputs, xp, is_compiled
        )
        self._run = written(self._calls, len(plan.inputs), self._outputs)
        self._uses = uses(self._calls, len(plan.inputs), self._size, self._outputs) if self._is_linear else ()
        self._wholes: dict[Any, Whole | None] | None = {} if is_compiled else None

    def __call__(self, arrays: Sequence[Array]) -> Array:
        """Run on the leaves, in the order of `plan.inputs`; the value, or a tuple of them where several are wanted."""
        ready, whole = self._chosen(arrays)
        values = self._run(*ready) if whole is None else whole(ready)
        return values if self._is_bundle else values[0]

    def into(self, arrays: Sequence[Array], targets: Sequence[Array]) -> Array:
        """Run on the leaves: the first value, a number; the others are written to arrays, which are no leaves."""
        assert self._is_bundle
        ready, whole = self._chosen(arrays)
        if whole is not None:
            value = self._xp.empty((), ready[0].dtype)
            whole.into(ready, [value, *targets])
            return value
        value, *others = self._run(*ready)
        for target, other in zip(targets, others, strict=True):
            target[...] = other
        return value

    def _chosen(self, arrays: Sequence[Array]) -> tuple[Sequence[Array], Whole | None]:
        """The leaves as they are needed, and what runs all steps as one, where there is such a thing."""
        ready = self._ready(arrays)
        return ready, None if self._wholes is None else self._whole(ready)

    def settled(self, arrays: Sequence[Array]) -> Callable[[Sequence[Array]], Array]:
        """The same for NumPy arrays of these dtypes, by which all that is to be decided is decided."""
        is_one = self._wholes is not None and len({array.dtype for array in arrays}) == 1
        whole = self._whole(arrays) if is_one else None
        if whole is None:
            return self
        return whole if self._is_bundle else lambda arrays: whole(arrays)[0]

    def _whole(self, arrays: Sequence[Array]) -> Whole | None:
        """The plan as one call for real numbers of a dtype, where it has such a form; `_ready` gives all arrays one."""
        assert self._wholes is not None
        dtype = arrays[0].dtype
        key = dtype if self._xp is np else (dtype, arrays[0].data.device_id)  # `device` would make an object
        if key not in self._wholes:
            self._wholes[key] = self._made(arrays) if dtype.char in "fd" and dtype.isnative else None
        return self._wholes[key]

    def _made(self, arrays: Sequence[Array]) -> Whole | None:
        if self._xp is np:
            return native_program(self.plan, arrays[0].dtype)
        run = in_streams(self._calls, len(self.plan.inputs), self._outputs, self._xp)
        return captured_program(run, arrays, self._xp)

    def scaled(self, arrays: Sequence[Array]) -> tuple[Array, int]:
        """The value as an array and an exponent of 2, so that no product over- or underflows on the way.

        Only for graphs of multiply over add: a step is then linear in each operand.
        """
        assert self._is_linear
        arrays = self._ready(arrays)
        (output,) = self._outputs
        with np.errstate(over="ignore", invalid="ignore"):
            if are_moderate(arrays, self._uses):
                (value,) = self._run(*arrays)
                if norm_exponent(value) is not None:
                    return value, 0
            value, exponent, is_safe = run_scaled(self._calls, self._size, output, arrays, SAMPLE)
            if not is_safe:
                value, exponent, is_safe = run_scaled(self._calls, self._size, output, arrays, None)
            if not is_safe:  # entries of one array may be further apart than one exponent can bridge
                (plain,) = self._run(*arrays)
                if norm_exponent(plain) is not None:
                    return plain, 0
        return value, exponent

    def _ready(self, arrays: Sequence[Array]) -> Sequence[Array]:
        dtypes = {array.dtype for array in arrays}
        if len(dtypes) > 1:
            arrays = _common(arrays, self._xp)
        # NumPy would take ln(eˣ + eʸ) of int8 in float16
        if self._is_floating and any(is_integral(dtype, self._xp) for dtype in dtypes):
            arrays = [_floating(array, self._xp) for array in arrays]
        return arrays


def _common(arrays: Sequence[Array], xp: ModuleType) -> Sequence[Array]:
    """Operands in the dtype of the result, so that no step computes in a narrower one; libraries may refuse to mix."""
    try:
        dtype = xp.result_type(*arrays)
    except TypeError:
        return arrays
    return [array if array.dtype == dtype else cast(array, dtype, xp) for array in arrays]


def _floating(array: Array, xp: ModuleType) -> Array:
    return cast(array, xp.float64, xp) if is_integral(array.dtype, xp) else array


def written(calls: Sequence[Call], count: int, outputs: Sequence[int]) -> Callable[..., tuple[Array, ...]]:
    """The steps as one function of the leaves, line by line: a loop over small steps takes longer than these.

    Each line fills a slot, and the next one empties those that nothing reads later.
    """
    scope = {f"k{number}": kernel for number, (kernel, *_) in enumerate(calls)}
    lines = [f"def run({_slots(range(count))}):"]
    for number, (_, inputs, slot, done) in enumerate(calls):
        target = f"v{slot}" if isinstance(slot, int) else f"[{_slots(slot)}]"
        lines.append(f"    {target} = k{number}({_slots(inputs)})")
        lines += [f"    del {_slots(done)}"] if done else []
    exec("\n".join([*lines, f"    return {_slots(outputs)},"]), scope)
    return scope["run"]


def _slots(slots: Iterable[int]) -> str:
    return ", ".join([f"v{slot}" for slot in slots])


def _lowered(
    steps: Sequence[Step], inputs: Sequence[int], outputs: Sequence[int], xp: ModuleType, is_compiled: bool = False
) -> Lowered:
    """Kernels with slots renumbered to 0, 1, …, and for each the slots that end with it."""
    held = {*inputs, *outputs}  # the caller holds the inputs
    number = {slot: i for i, slot in enumerate([*inputs, *(step.output for step in steps)])}
    last = {slot: i for i, step in enumerate(steps) for slot in step.inputs}
    calls: list[Call] = []
    end = -1
    for group in _grouped(steps, outputs, xp, is_compiled):
        step, begin, end = group[0], end + 1, end + len(group)
        read = dict.fromkeys(slot for member in group for slot in member.inputs)
        kept = held | {member.output for member in group}
        done = tuple(number[slot] for slot in read if begin <= last[slot] <= end and slot not in kept)
        slots = tuple(number[member.output] for member in group)
        inputs_of = tuple(number[slot] for slot in step.inputs)
        if len(group) > 1 and step.kind == "product":
            kernel, read_by = _folded(group)
            calls.append((kernel, tuple(number[slot] for slot in read_by), slots[1:], done))
        elif len(group) > 1:
            here = lower_compiled if is_compiled else lower_siblings
            kernel = (here if xp is np else lower_cuda_siblings)(group, xp)
            calls.append((kernel, inputs_of, slots, done))
        else:
            is_fast = is_compiled or (xp is np and _pays(step) and are_alike(steps))
            kernel = _loop(step, xp) if step.kind == "loop" else lower(step, xp, is_compiled=is_fast)
            calls.append((kernel, inputs_of, slots[0], done))
    return calls, len(steps), tuple(number[slot] for slot in outputs)


def _grouped(
    steps: Sequence[Step], outputs: Sequence[int], xp: ModuleType, is_compiled: bool
) -> Iterable[Sequence[Step]]:
    if is_compiled and xp is np and numba_or_none():
        return grouped(steps, outputs)
    return together(steps) if is_numpy_like(xp) else [[step] for step in steps]


def _folded(group: Sequence[Step]) -> tuple[Callable[..., Any], tuple[int, ...]]:
    """The kernel of a matrix product and of the steps that fold it, and the slots that it reads."""
    product, *users = group
    found = fold(product, users)
    assert found is not None
    kernels = [(step, lower(step, np, is_compiled=True)) for step in group]

    def apart(*arrays: Array) -> list[Array]:
        values = dict(zip(found.inputs, arrays, strict=True))
        for step, kernel in kernels:
            values[step.output] = kernel(*map(values.__getitem__, step.inputs))
        return [values[step.output] for step in users]

    return lower_folded(found, apart), found.inputs


def _pays(step: Step) -> bool:
    """Whether a step takes so long that a compiler is worth waiting for, where there is one."""
    return step.kind == "blocked" and step.flops >= COMPILED and find_spec("numba") is not None


def _loop(step: Step, xp: ModuleType) -> Callable[..., Array]:
    """The body for every slice of the chunked labels; slices of a summed label are combined by ⊕."""
    assert step.reduce is not None
    inside = [label for label in step.chunks if label in step.summed]
    outside = [label for label in step.chunks if label in step.result]
    outer, inner = blocks(outside, step.sizes, step.chunks), blocks(inside, step.sizes, step.chunks)
    bodies: dict[tuple[int, ...], Callable[..., tuple[Array, ...]]] = {}
    combine = step.reduce.function(xp)
    shape = tuple(step.sizes[label] for label in step.result)

    def body(block: dict[str, slice], arrays: Sequence[Array]) -> Array:
        """Run the steps on one slice; the last slice of a label may be shorter and has its own lowering."""
        sizes = {label: piece.stop - piece.start for label, piece in block.items()}
        key = tuple(sizes.values())
        if key not in bodies:
            steps = [_resized(inner_step, sizes) for inner_step in step.body]
            calls, _, outputs = _lowered(steps, step.aliases, (steps[-1].output,), xp)
            bodies[key] = written(calls, len(step.aliases), outputs)
        cut = [
            x[tuple(block.get(label, slice(None)) for label in term)]
            for x, term in zip(arrays, step.terms, strict=True)
        ]
        return bodies[key](*cut)[0]

    def loop(*arrays: Array) -> Array:
        out = None
        parts = []
        for place in outer:
            part = None  # the last part must not outlive its copy while the next one is made
            part = body({**place, **inner[0]}, arrays)
            for piece in inner[1:]:
                part = combine(part, body({**place, **piece}, arrays))
            if not is_numpy_like(xp):
                parts.append(part)
                continue
            out = xp.empty(shape, part.dtype) if out is None else out
            out[(*(place.get(label, slice(None)) for label in step.result), ...)] = part
        return _assembled(parts, outside, step, xp) if parts else out

    return loop


def _resized(step: Step, sizes: dict[str, int]) -> Step:
    return replace(step, sizes={label: sizes.get(label, size) for label, size in step.sizes.items()})


def _assembled(parts: list[Array], labels: Sequence[str], step: Step, xp: ModuleType) -> Array:
    """Concatenate parts along the sliced result labels, the last label first."""
    for label in reversed(labels):
        count = -(-step.sizes[label] // step.chunks[label])
        axis = step.result.index(label)
        parts = [xp.concat(parts[i : i + count], axis=axis) for i in range(0, len(parts), count)]
    assert len(parts) == 1
    return parts[0]
