"""What was planned or built before, least recently used first out."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from .run import Program

__all__ = ["Cache", "CacheInfo", "plan_cache"]

T = TypeVar("T")


class CacheInfo(NamedTuple):
    """How a cache was used."""

    hits: int
    misses: int
    size: int
    capacity: int


class Cache(Generic[T]):
    """Plans by (expression, sizes, dtype, limit), or other values that take long to make and hold no array.

    `clear()` empties it, `resize(0)` turns it off.

    >>> import tnalgebra as tna
    >>> tna.plan_cache.clear()
    >>> tna.plan_cache.info()
    CacheInfo(hits=0, misses=0, size=0, capacity=1024)
    """

    def __init__(self, capacity: int = 1024) -> None:
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._capacity, self._hits, self._misses = capacity, 0, 0
        self._lock = Lock()

    def get(self, key: Hashable, build: Callable[[], T]) -> T:
        """Return the value of that key, built if it is new."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._hits += 1
                self._values.move_to_end(key)
                return found
        value = build()
        with self._lock:
            self._misses += 1
            self._values[key] = value
            self._shrink()
        return value

    def _shrink(self) -> None:
        while len(self._values) > self._capacity:
            self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget every value and the counts."""
        with self._lock:
            self._values.clear()
            self._hits = self._misses = 0

    def resize(self, capacity: int) -> None:
        """Keep at most so many values."""
        if capacity < 0:
            raise ValueError(f"capacity must be 0 or more; got {capacity}")
        with self._lock:
            self._capacity = capacity
            self._shrink()

    def info(self) -> CacheInfo:
        """Hits, misses, size and capacity."""
        return CacheInfo(self._hits, self._misses, len(self._values), self._capacity)


plan_cache: Cache[Program] = Cache()
