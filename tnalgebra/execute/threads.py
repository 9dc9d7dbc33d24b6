"""How many threads may run, and work shared out among them: as many as BLAS has, so that one limit holds for both."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import lru_cache
from threading import RLock, get_ident, local
from typing import Any

__all__ = ["in_threads", "one_thread", "shares", "thread_count"]

_LOCK, _IN_POOL = RLock(), local()  # a signal handler may come to the lock while its own thread has it
_held: list[int] = []
"""The thread of each context in which BLAS has one thread."""
_limits: list[Any] = []
"""What knows how many BLAS had before the first of them."""


@lru_cache(maxsize=1)
def _controller() -> Any:
    import scipy.linalg  # noqa: F401  (it may bring a BLAS of its own, which must be there to be found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_thread() -> Iterator[None]:
    """Context in which every BLAS runs on one thread; of several at once the last to leave gives the others back."""
    controller, own = _controller(), get_ident()
    with _LOCK:
        if not _held:
            _limits.append(controller.limit(limits=1))
        _held.append(own)
    try:
        yield
    finally:
        with _LOCK:
            _held.remove(own)
            _restore()


def _restore() -> None:
    """Give BLAS its threads back where no context is left."""
    if _limits and not _held:
        _limits.pop().restore_original_limits()


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


def _after_fork() -> None:
    """Go on with the one thread that follows a process into its child, and with its contexts."""
    _pool.cache_clear()
    _held[:] = [thread for thread in _held if thread == get_ident()]
    _restore()
    _LOCK.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_after_fork)
