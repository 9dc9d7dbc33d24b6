"""Programs that were planned before, least recently used first out."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import NamedTuple

from .run import Program

__all__ = ["CacheInfo", "PlanCache", "plan_cache"]


class CacheInfo(NamedTuple):
    """How the plan cache was used."""

    hits: int
    misses: int
    size: int
    capacity: int


class PlanCache:
    """Plans by (expression, sizes, dtype, limit); `clear()` empties it, `resize(0)` turns it off.

    >>> import tnalgebra as tna
    >>> tna.plan_cache.clear()
    >>> tna.plan_cache.info()
    CacheInfo(hits=0, misses=0, size=0, capacity=1024)
    """

    def __init__(self, capacity: int = 1024) -> None:
        self._programs: OrderedDict[Hashable, Program] = OrderedDict()
        self._capacity, self._hits, self._misses = capacity, 0, 0
        self._lock = Lock()

    def get(self, key: Hashable, build: Callable[[], Program]) -> Program:
        """Return the program of that key, built if it is new."""
        with self._lock:
            found = self._programs.get(key)
            if found is not None:
                self._hits += 1
                self._programs.move_to_end(key)
                return found
        program = build()
        with self._lock:
            self._misses += 1
            self._programs[key] = program
            self._shrink()
        return program

    def _shrink(self) -> None:
        while len(self._programs) > self._capacity:
            self._programs.popitem(last=False)

    def clear(self) -> None:
        """Forget every plan and the counts."""
        with self._lock:
            self._programs.clear()
            self._hits = self._misses = 0

    def resize(self, capacity: int) -> None:
        """Keep at most so many plans."""
        if capacity < 0:
            raise ValueError(f"capacity must be 0 or more; got {capacity}")
        with self._lock:
            self._capacity = capacity
            self._shrink()

    def info(self) -> CacheInfo:
        """Hits, misses, size and capacity."""
        return CacheInfo(self._hits, self._misses, len(self._programs), self._capacity)


plan_cache = PlanCache()
