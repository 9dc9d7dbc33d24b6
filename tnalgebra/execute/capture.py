"""A plan as one launch: its kernels are captured in a CUDA graph, which runs them on the same memory again and again.

It is for plans of small steps on CuPy arrays, whose kernels take less time than their launches. CuPy captures no call
of cuBLAS and nothing that waits for the device, so that such plans are lowered to kernels of this package alone.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from types import ModuleType
from typing import Any

from ..plan import Plan
from .slab import Slab
from .streams import Store

__all__ = ["CapturedProgram", "captured_program", "is_capturable"]

Array = Any
SMALL = 1 << 26
"""Operations of a step, on the average, from which it counts how fast they are, and not when they start."""


def is_capturable(plan: Plan) -> bool:
    """Whether the steps are small, and nothing limits the memory, of which a graph keeps what it needs."""
    return plan.flops <= SMALL * len(plan.steps) and plan.memory_limit is None


def captured_program(
    run: Callable[[Sequence[Array], Store], None], arrays: Sequence[Array], xp: ModuleType
) -> "CapturedProgram | None":
    """The steps for leaves of these shapes as one launch; None, and a warning that says why, where it cannot be.

    run: (leaves, store) → None, which calls `store` with the position and the value of every output.
    """
    pool, stream = xp.cuda.MemoryPool(), xp.cuda.Stream(non_blocking=True)
    before = xp.cuda.get_current_stream().record()
    with xp.cuda.using_allocator(pool.malloc), stream:
        stream.wait_event(before)
        leaves = Slab(arrays, sorted(range(len(arrays)), key=lambda place: arrays[place].data.ptr), xp)
        leaves.fill(arrays, stream)
        outputs: dict[int, Array] = {}
        run(leaves.parts, outputs.__setitem__)  # compiles what is not yet compiled, and leaves room in the pool
        values = Values([outputs[position] for position in range(len(outputs))], xp)
        outputs.clear()
        stream.synchronize()
        try:
            stream.begin_capture()
            run(leaves.parts, values.put)
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
    return CapturedProgram(graph, leaves, values, pool, xp)


class Values:
    """The values of a plan: numbers in a slab of their own, so that one that is kept does not keep large arrays."""

    def __init__(self, like: Sequence[Array], xp: ModuleType) -> None:
        groups = [
            [place for place, array in enumerate(like) if (array.size > 1) is is_large] for is_large in (False, True)
        ]
        self._slabs = [
            (places, Slab([like[place] for place in places], range(len(places)), xp)) for places in groups if places
        ]
        self._count = len(like)

    def put(self, position: int, array: Array) -> None:
        """Copy one array to here, on the current stream."""
        for places, slab in self._slabs:
            if position in places:
                slab.put(places.index(position), array)

    def pour(self, arrays: Sequence[Array], stream: Any) -> None:
        """Copy what is here to arrays."""
        for places, slab in self._slabs:
            slab.pour([arrays[place] for place in places], stream)

    def copies(self) -> list[Array]:
        """All of them in new memory, which those share that are no numbers."""
        found = dict(pair for places, slab in self._slabs for pair in zip(places, slab.copies(), strict=True))
        return [found[place] for place in range(self._count)]


class CapturedProgram:
    """Leaves are copied to where the graph reads them, and values from where it writes them, on the current stream.

    The memory between belongs to a pool of its own: no other array takes it, and `free_all_blocks` of CuPy's leaves it.
    """

    def __init__(self, graph: Any, leaves: Slab, values: Values, pool: Any, xp: ModuleType) -> None:
        self._graph, self._leaves, self._values, self._pool, self._xp = graph, leaves, values, pool, xp
        self._lock, self._done = Lock(), xp.cuda.Event(disable_timing=True)
        self._done.record(xp.cuda.get_current_stream())

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """The values for these leaves, in new arrays; nothing waits for the device."""
        with self._launched(arrays):
            return self._values.copies()

    def into(self, arrays: Sequence[Array], targets: Sequence[Array]) -> None:
        """Write the values for these leaves to arrays of their shapes."""
        with self._launched(arrays) as stream:
            self._values.pour(targets, stream)

    @contextmanager
    def _launched(self, arrays: Sequence[Array]) -> Iterator[Any]:
        """The stream on which the values are there; the memory is that of one call at a time, on any stream."""
        with self._lock:
            stream = self._xp.cuda.get_current_stream()
            stream.wait_event(self._done)
            self._leaves.fill(arrays, stream)
            self._graph.launch(stream)
            yield stream
            self._done.record(stream)
