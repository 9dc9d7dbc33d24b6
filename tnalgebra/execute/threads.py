"""How many threads may run, and work shared out among them: as many as BLAS has, so that one limit holds for both."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import lru_cache
from threading import Lock, local
from typing import Any

__all__ = ["in_threads", "one_thread", "shares", "thread_count"]

_LOCK, _IN_POOL = Lock(), local()
_held: list[Any] = []
"""One entry for each context in which BLAS has one thread; the first knows how many it had."""


@lru_cache(maxsize=1)
def _controller() -> Any:
    import scipy.linalg  # noqa: F401  (it may bring a BLAS of its own, which must be there to be found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_thread() -> Iterator[None]:
    """Context in which every BLAS runs on one thread; of several at once the last to leave gives the others back."""
    with _LOCK:
        _held.append(_controller().limit(limits=1) if not _held else None)
    try:
        yield
    finally:
        with _LOCK:
            if len(_held) > 1:
                _held.pop()
            else:
                _held.pop().restore_original_limits()


def thread_count() -> int:
    """Threads that BLAS may use, by its settings and by threadpoolctl; 1 where there is none to ask.

    Of two BLAS the one with fewer counts: a limit does not reach what was loaded after it was set.
    """
    return max(1, min((library.num_threads for library in _controller().lib_controllers), default=1))


def shares(length: int, count: int) -> list[slice]:
    """A range in so many parts of about one length, or in fewer where it is shorter."""
    count = max(1, min(count, length))
    return [slice(length * i // count, length * (i + 1) // count) for i in range(count)]


def in_threads(work: Callable[[slice], Any], length: int, count: int) -> None:
    """Call work on slices of a range that share it out among threads; it must leave the interpreter's lock.

    The caller does one share itself; all have its context: what NumPy says of overflow, for one. Work that is itself
    a share is not shared out again.
    """
    count = min(count, length)
    if count < 2 or getattr(_IN_POOL, "is_worker", False):
        work(slice(0, length))
        return
    (first, *parts), found = shares(length, count), []
    try:
        for part in parts:
            found.append(_pool(count - 1).submit(copy_context().run, work, part))
    except RuntimeError:  # the interpreter is shutting down and starts no threads
        pass
    try:
        for part in [first, *parts[len(found) :]]:
            work(part)
    finally:
        for future in found:
            future.exception()  # none works on after this
    for future in found:
        future.result()


def _begin() -> None:
    _IN_POOL.is_worker = True


@lru_cache(maxsize=8)
def _pool(count: int) -> ThreadPoolExecutor:
    """Threads that are kept: to start them takes longer than many a share of work."""
    return ThreadPoolExecutor(count, "tnalgebra", _begin)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not follow a process into its child
