"""Arrays side by side in one piece of CuPy's memory: others that lie so, in the same order, are copied at once."""

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

__all__ = ["Slab"]

Array = Any


class Slab:
    """Room for arrays of the shapes and dtypes of others.

    order: of the positions of the arrays, in which they lie here. A copy of bytes takes the host less time than a
    kernel that copies entries, and one copy less than many.
    """

    def __init__(self, like: Sequence[Array], order: Sequence[int], xp: ModuleType) -> None:
        self._xp, self._layout, stop = xp, list[tuple[int, int, int]](), 0
        self._kinds = [(array.shape, array.dtype) for array in like]
        for position in order:
            place = -(-stop // like[position].itemsize) * like[position].itemsize
            stop = place + like[position].nbytes
            self._layout.append((position, place, stop))
        self._memory = xp.empty(stop, xp.uint8)
        self.parts = self._views(self._memory)
        """The arrays at the positions of those others."""
        self._strides = [part.strides for part in self.parts]

    def copies(self) -> list[Array]:
        """All parts in memory of their own, which they share."""
        return self._views(self._memory.copy())

    def put(self, position: int, array: Array) -> None:
        """Copy one array to here, on the current stream."""
        part = self.parts[position]
        if array.strides == part.strides and array.dtype == part.dtype:
            part.data.copy_from_device_async(array.data, part.nbytes)
        else:
            self._xp.copyto(part, array)

    def fill(self, arrays: Sequence[Array], stream: Any) -> None:
        """Copy arrays of these shapes to here; the stream is the current one."""
        for position, size in self._runs(arrays):
            if size:
                self.parts[position].data.copy_from_device_async(arrays[position].data, size, stream)
            else:
                self._xp.copyto(self.parts[position], arrays[position])

    def pour(self, arrays: Sequence[Array], stream: Any) -> None:
        """Copy what is here to arrays of these shapes; the stream is the current one."""
        for position, size in self._runs(arrays):
            if size:
                arrays[position].data.copy_from_device_async(self.parts[position].data, size, stream)
            else:
                self._xp.copyto(arrays[position], self.parts[position])

    def _views(self, memory: Array) -> list[Array]:
        starts = {position: memory.data + place for position, place, _ in self._layout}
        return [self._xp.ndarray(*kind, starts[position]) for position, kind in enumerate(self._kinds)]

    def _runs(self, arrays: Sequence[Array]) -> Iterator[tuple[int, int]]:
        """The first of every run of arrays that lie as the parts do, and its bytes; 0 for one in another layout."""
        first = start = end = 0
        apart = memory = None
        for position, place, stop in self._layout:
            array = arrays[position]
            if array.strides != self._strides[position] or array.dtype != self._kinds[position][1]:
                yield position, 0
                continue
            distance = array.data.ptr - place
            if distance != apart or place != end or array.data.mem is not memory:  # a copy stays in one allocation
                if end > start:
                    yield first, end - start
                first, start, apart, memory = position, place, distance, array.data.mem
            end = stop
        if end > start:
            yield first, end - start
