"""Threads that run kernels of addresses and stay awake for a while: a part of a kernel begins within a microsecond.

To wake a thread that sleeps takes longer than many a kernel. So a worker looks for parts of a job, outside of the
interpreter's lock, before it goes to sleep; BLAS does the same. No task raises, and nothing of Python runs in it.
"""

import atexit
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from threading import Lock, Semaphore, Thread
from time import sleep
from typing import Any

import numpy as np

from .jit import jitted

__all__ = ["BASE", "DONE", "PATIENCE", "STRIDE", "TASKS", "THREADS", "TICKET", "Task", "led", "left", "run_tasks"]

Task = tuple[int, int, int]
"""The address of a function, and its two arguments."""
TICKET, DONE, TASKS, BASE, STRIDE, THREADS, END, AWAKE = 0, 64, 128, 136, 144, 152, 160, 192
"""Where words of a job are, in bytes; those that many write to have a line of the cache for themselves."""
LOOKS, PATIENCE = 1 << 14, 1 << 9
"""Looks before a worker sleeps, about ten milliseconds, and looks before one who waits lets others have the core."""
MOST = 64
"""Threads that there may be."""
SERVE = f"""from tnalgebra.execute.kernels.intrinsics import loaded, pause, stored, yielded
from tnalgebra.execute.kernels.job import took


def kernel(job, own):
    stored(job + {AWAKE} + 64 * own, 1)
    idle = 0
    while idle < {LOOKS} and not loaded(job + {END}):
        idle = 0 if took(job, own) else idle + 1
        if idle > {PATIENCE}:
            yielded()
        pause()
    stored(job + {AWAKE} + 64 * own, 0)
"""
"""Take parts of jobs until there are none for a while."""
SHARE = """from tnalgebra.execute.kernels.job import share


def kernel(job, tasks, count, threads):
    share(job, tasks, count, 0, 0, threads)
"""
RANG = f"""from tnalgebra.execute.kernels.intrinsics import loaded, stored


def kernel(job, own):
    if loaded(job + {AWAKE} + 64 * own):
        return False
    stored(job + {AWAKE} + 64 * own, 1)
    return True
"""
"""Whether a worker sleeps, which is then to be woken."""
ALONE = """from tnalgebra.execute.kernels.intrinsics import call


def kernel(function, first, second):
    call(function, first, second)
"""


def run_tasks(tasks: Sequence[Task]) -> None:
    """Run tasks at the same time; here, where no worker comes for them."""
    job = led(len(tasks)) if len(tasks) > 1 else 0
    if not job:
        for task in tasks:
            _native(ALONE)(*task)
        return
    try:
        words = np.array(tasks, np.int64)
        _native(SHARE)(job, words.__array_interface__["data"][0], len(tasks), len(tasks))
    finally:
        left()


def led(threads: int) -> int:
    """The job of so many threads, whose workers are awake or wake up; 0 where another thread leads it.

    Who has it calls `left` when the work is done.
    """
    crew = _crew()
    return crew.job if crew.lead(min(threads, MOST)) else 0


def left() -> None:
    """Let others lead the workers."""
    _crew().busy.release()


class _Crew:
    """The workers of this process, and the words of their job."""

    def __init__(self) -> None:
        self.busy, self._bells = Lock(), list[Semaphore]()
        room = np.zeros(8 * (MOST + 4), np.int64)
        self._words = room[-(room.__array_interface__["data"][0] // 8) % 8 :]
        self.job = self._words.__array_interface__["data"][0]
        self._rang, self._serve = _native(RANG), _native(SERVE)

    def lead(self, threads: int) -> bool:
        """Begin to lead so many threads, this one among them; False where another does."""
        if not self.busy.acquire(blocking=False):
            return False
        with suppress(RuntimeError):  # the interpreter is shutting down and starts no threads
            while len(self._bells) < threads - 1:
                bell, own = Semaphore(0), len(self._bells) + 1
                Thread(target=self._work, args=(bell, own), name="tnalgebra", daemon=True).start()
                self._bells.append(bell)
        for own, bell in enumerate(self._bells[: threads - 1], 1):
            if self._rang(self.job, own):
                bell.release()
        return True

    def end(self) -> None:
        """Return when no worker is awake, nor ever will be: nothing may run on where memory is no longer there."""
        self._words[END // 8] = 1
        while self._words[AWAKE // 8 :: 8].any():
            sleep(0)

    def _work(self, bell: Semaphore, own: int) -> None:
        while True:
            bell.acquire()
            self._serve(self.job, own)


@lru_cache(maxsize=8)
def _native(text: str) -> Any:
    return jitted(text, "float64")


@lru_cache(maxsize=1)
def _crew() -> _Crew:
    return _Crew()


@atexit.register
def _end() -> None:
    if _crew.cache_info().currsize:
        _crew().end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_crew.cache_clear)  # threads do not follow a process into its child
