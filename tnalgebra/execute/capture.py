"""A plan as one launch: its kernels are captured in a CUDA graph, which runs them on the same memory again and again.

It is for plans of small steps on CuPy arrays, whose kernels take less time than their launches. CuPy captures no call
of cuBLAS and nothing that waits for the device, so that such plans are lowered to kernels of this package alone.
"""

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from types import ModuleType
from typing import Any

from ..plan import Plan

__all__ = ["CapturedProgram", "captured_program", "is_capturable"]

Array = Any
SMALL = 1 << 26
"""Operations of a step, on the average, from which it counts how fast they are, and not when they start."""


def is_capturable(plan: Plan) -> bool:
    """Whether the steps are small, and nothing limits the memory, of which a graph keeps what it needs."""
    return plan.flops <= SMALL * len(plan.steps) and plan.memory_limit is None


def captured_program(
    run: Callable[..., Sequence[Array]], arrays: Sequence[Array], xp: ModuleType
) -> "CapturedProgram | None":
    """The steps for leaves of these shapes as one launch; None, and a warning that says why, where it cannot be."""
    pool, stream = xp.cuda.MemoryPool(), xp.cuda.Stream(non_blocking=True)
    before = xp.cuda.get_current_stream().record()
    with xp.cuda.using_allocator(pool.malloc), stream:
        stream.wait_event(before)
        inputs = [array.copy() for array in arrays]
        run(*inputs)  # compiles what is not yet compiled, and leaves room in the pool
        stream.synchronize()
        try:
            stream.begin_capture()
            outputs = run(*inputs)
            graph = stream.end_capture()
        except Exception as error:  # CuPy, the driver and each library refuse with an error of their own
            with suppress(Exception):
                stream.end_capture()
            warnings.warn(
                f"a plan is not captured as a CUDA graph, its kernels are launched one by one: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
    return CapturedProgram(graph, inputs, outputs, pool, xp)


class CapturedProgram:
    """Leaves are copied to where the graph reads them, and values from where it writes them, on the current stream.

    The memory between belongs to a pool of its own: no other array takes it, and `free_all_blocks` of CuPy's leaves it.
    """

    def __init__(
        self, graph: Any, inputs: Sequence[Array], outputs: Sequence[Array], pool: Any, xp: ModuleType
    ) -> None:
        self._graph, self._inputs, self._outputs, self._pool, self._xp = graph, inputs, outputs, pool, xp
        self._lock, self._done = Lock(), xp.cuda.get_current_stream().record()

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """The values for these leaves, in new arrays; nothing waits for the device."""
        with self._lock:
            stream = self._xp.cuda.get_current_stream()
            stream.wait_event(self._done)  # the last call may have been on another stream
            for buffer, array in zip(self._inputs, arrays, strict=True):
                self._xp.copyto(buffer, array)
            self._graph.launch()
            found = [out.copy() for out in self._outputs]
            self._done = stream.record()
        return found
