"""Threads that run kernels of addresses and stay awake for a while: a part of a kernel begins within a microsecond.

To wake a thread that sleeps takes longer than many a kernel. So a worker looks for its next task, outside of the
interpreter's lock, before it goes to sleep; BLAS does the same. A task never raises, and nothing of Python runs in it.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock, Semaphore, Thread
from time import sleep
from typing import Any

import numpy as np

from .jit import jitted

__all__ = ["Task", "run_tasks"]

Task = tuple[int, int, int]
"""The address of a function, and its two arguments."""
LOOKS, PATIENCE = 1 << 14, 1 << 9
"""Looks before a worker sleeps, about ten milliseconds, and looks before one who waits lets others have the core."""
CALL = """from tnalgebra.execute.kernels.intrinsics import call


def kernel(function, first, second):
    call(function, first, second)
"""
HEAD = """from tnalgebra.execute.kernels.intrinsics import call, loaded, pause, stored, word, yielded

POSTED, AWAKE, DONE, FUNCTION, FIRST, SECOND = 0, 64, 128, 192, 200, 208


"""
SERVE = f"""{HEAD}def kernel(box):
    stored(box + AWAKE, 1)
    done, idle = loaded(box + DONE), 0
    while True:
        if loaded(box + POSTED) != done:
            call(word(box + FUNCTION), word(box + FIRST), word(box + SECOND))
            done, idle = done + 1, 0
            stored(box + DONE, done)
        elif idle < {LOOKS}:
            idle += 1
            if idle > {PATIENCE}:
                yielded()
            pause()
        else:
            stored(box + AWAKE, 0)
            if loaded(box + POSTED) == done:
                return
            stored(box + AWAKE, 1)
"""
"""Run tasks until none comes for a while. One that comes as the worker falls asleep is seen by the last look."""
POST = f"""{HEAD}def kernel(box, function, first, second):
    stored(box + FUNCTION, function)
    stored(box + FIRST, first)
    stored(box + SECOND, second)
    stored(box + POSTED, loaded(box + POSTED) + 1)
    return loaded(box + AWAKE)
"""
"""Give a task to a worker that has none; 0 if it must be woken."""
WAIT = f"""{HEAD}def kernel(box):
    idle = 0
    while loaded(box + DONE) != loaded(box + POSTED) and idle < {PATIENCE}:
        idle += 1
        pause()
    return loaded(box + DONE) == loaded(box + POSTED)
"""


def run_tasks(tasks: Sequence[Task], held: Any) -> None:
    """Run tasks at the same time: one here, the others on workers, or here as well where these are busy.

    held: what the tasks read and write, which no one else may free before they end.
    """
    run, busy = _native(CALL), _busy()
    if len(tasks) == 1 or not busy.acquire(blocking=False):
        for task in tasks:
            run(*task)
        return
    workers = [_worker(number) for number in range(len(tasks) - 1)]
    try:
        for worker, task in zip(workers, tasks[1:], strict=True):
            worker.post(task, held)
        run(*tasks[0])
    finally:
        for worker in workers:
            worker.wait()
        busy.release()


class _Worker:
    """A thread and its mailbox, of which every word that one side writes has a line of the cache for itself."""

    def __init__(self) -> None:
        self._box, self._bell, self._held = np.zeros(64, np.int64), Semaphore(0), None
        self._at = -(-self._box.__array_interface__["data"][0] // 64) * 64
        self._post, self._wait, self._serve = (_native(text) for text in (POST, WAIT, SERVE))
        Thread(target=self._work, name="tnalgebra", daemon=True).start()

    def post(self, task: Task, held: Any) -> None:
        """Give it a task, after the last has ended."""
        self._held = held
        if not self._post(self._at, *task):
            self._bell.release()

    def wait(self) -> None:
        """Return when its task has ended."""
        while not self._wait(self._at):
            sleep(0)
        self._held = None

    def _work(self) -> None:
        while True:
            self._bell.acquire()
            self._serve(self._at)


@lru_cache(maxsize=8)
def _native(text: str) -> Any:
    return jitted(text, "float64")


@lru_cache(maxsize=64)
def _worker(number: int) -> _Worker:
    return _Worker()


@lru_cache(maxsize=1)
def _busy() -> Lock:
    return Lock()


def _forget() -> None:
    """Threads do not follow a process into its child."""
    _worker.cache_clear()
    _busy.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
