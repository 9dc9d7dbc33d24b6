"""What was planned or built before, least recently used first out."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from heapq import nsmallest
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


@dataclass(slots=True)
class _Entry(Generic[T]):
    value: T
    used: int


class Cache(Generic[T]):
    """Plans by (expression, sizes, dtype, limit), or other values that take long to make and hold no array.

    It has no lock, which a fork would copy, and at which a signal handler would wait for what it interrupts: each step
    is one operation of a dict, which other threads find done or not begun.

    `clear()` empties it, `resize(0)` turns it off.

    >>> import tnalgebra as tna
    >>> tna.plan_cache.clear()
    >>> tna.plan_cache.info()
    CacheInfo(hits=0, misses=0, size=0, capacity=1024)
    """

    def __init__(self, capacity: int = 1024) -> None:
        self._values: dict[Hashable, _Entry[T]] = {}
        self._capacity, self._hits, self._misses = capacity, 0, 0

    def get(self, key: Hashable, build: Callable[[], T]) -> T:
        """Return the value of that key, built if it is new."""
        found = self._values.get(key)
        if found is not None:
            self._hits += 1
            found.used = self._uses()
            return found.value
        value = build()
        self._misses += 1
        self._values[key] = _Entry(value, self._uses())
        self._shrink()
        return value

    def _uses(self) -> int:
        """The time, counted in uses."""
        return self._hits + self._misses

    def _shrink(self) -> None:
        """Forget what was used longest ago; of a copy, as other threads may change what is there."""
        if len(self._values) > self._capacity:
            kept = self._values.copy()
            for key in nsmallest(len(kept) - self._capacity, kept, key=lambda key: kept[key].used):
                self._values.pop(key, None)

    def clear(self) -> None:
        """Forget every value and the counts."""
        self._values.clear()
        self._hits = self._misses = 0

    def resize(self, capacity: int) -> None:
        """Keep at most so many values."""
        if capacity < 0:
            raise ValueError(f"capacity must be 0 or more; got {capacity}")
        self._capacity = capacity
        self._shrink()

    def info(self) -> CacheInfo:
        """Hits, misses, size and capacity."""
        return CacheInfo(self._hits, self._misses, len(self._values), self._capacity)


plan_cache: Cache[Program] = Cache()
