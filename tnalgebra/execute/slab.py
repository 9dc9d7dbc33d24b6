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
        self._order, self._xp = order, xp
        self._places, stop = [0] * len(like), 0
        for position in self._order:
            array = like[position]
            self._places[position] = -(-stop // array.itemsize) * array.itemsize
            stop = self._places[position] + array.nbytes
        self._kinds = [(array.shape, array.dtype) for array in like]
        self._memory = xp.empty(stop, xp.uint8)
        self.parts = self._views(self._memory)
        """The arrays at the positions of those others."""
        self._known = [(part.strides, part.dtype, part.nbytes, part.data) for part in self.parts]

    def copies(self) -> list[Array]:
        """All parts in memory of their own, which they share."""
        return self._views(self._memory.copy())

    def fill(self, arrays: Sequence[Array], stream: Any) -> None:
        """Copy arrays of these shapes to here; the stream is the current one."""
        for position, size in self._runs(arrays):
            if size:
                self._known[position][3].copy_from_device_async(arrays[position].data, size, stream)
            else:
                self._xp.copyto(self.parts[position], arrays[position])

    def pour(self, arrays: Sequence[Array], stream: Any) -> None:
        """Copy what is here to arrays of these shapes; the stream is the current one."""
        for position, size in self._runs(arrays):
            if size:
                arrays[position].data.copy_from_device_async(self._known[position][3], size, stream)
            else:
                self._xp.copyto(arrays[position], self.parts[position])

    def _views(self, memory: Array) -> list[Array]:
        kinds = zip(self._kinds, self._places, strict=True)
        return [self._xp.ndarray(shape, dtype, memory.data + place) for (shape, dtype), place in kinds]

    def _runs(self, arrays: Sequence[Array]) -> Iterator[tuple[int, int]]:
        """The first of every run of arrays that lie as the parts do, and its bytes; 0 for one in another layout."""
        first = start = stop = 0
        apart = None
        for position in self._order:
            array, place = arrays[position], self._places[position]
            strides, dtype, size, _ = self._known[position]
            if array.strides != strides or array.dtype != dtype:
                yield position, 0
                continue
            distance = array.data.ptr - place
            if distance != apart or place != stop:
                if stop > start:
                    yield first, stop - start
                first, start, apart = position, place, distance
            stop = place + size
        if stop > start:
            yield first, stop - start
