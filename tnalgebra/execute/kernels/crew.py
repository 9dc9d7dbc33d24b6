"""Threads that run kernels of addresses and stay awake for a while: a part of a kernel begins within a microsecond.

To wake a thread that sleeps takes longer than many a kernel. So a worker looks for parts of a job, outside of the
interpreter's lock, before it goes to sleep; BLAS does the same. No task raises, and nothing of Python runs in it.
"""

import atexit
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from queue import SimpleQueue
from threading import Lock, Thread
from time import sleep
from typing import Any

import numpy as np

from .jit import jitted

__all__ = ["BASE", "DONE", "PATIENCE", "STRIDE", "TASKS", "THREADS", "TICKET", "Task", "free_crew", "run_tasks"]

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
    crew = free_crew() if len(tasks) > 1 else None
    if crew is None:
        for task in tasks:
            _native(ALONE)(*task)
        return
    with crew.busy:
        words = np.array(tasks, np.int64)
        _native(SHARE)(crew.lead(len(tasks)), words.__array_interface__["data"][0], len(tasks), len(tasks))


def free_crew() -> "Crew | None":
    """The workers of this process; None where another call leads them."""
    crew = _crew()
    return None if crew.busy.locked() else crew


class Crew:
    """The workers of a process, and the words of their job.

    Who leads them holds `busy`, by `with`: an interrupt at any place lets go of it. Of two who find it free at once one
    waits for the other.
    """

    def __init__(self) -> None:
        self.busy, self._bells = Lock(), list[SimpleQueue[None]]()
        self._due: SimpleQueue[None] | None = None
        room = np.zeros(8 * (MOST + 4), np.int64)
        self._words = room[-(room.__array_interface__["data"][0] // 8) % 8 :]
        self._job: int = self._words.__array_interface__["data"][0]
        self._rang, self._serve = _native(RANG), _native(SERVE)

    def lead(self, threads: int) -> int:
        """The job of so many threads, this one among them, whose workers are awake or wake up."""
        wanted = min(threads, MOST) - 1
        with suppress(RuntimeError):  # the interpreter is shutting down and starts no threads
            while len(self._bells) < wanted:
                bell, own = SimpleQueue[None](), len(self._bells) + 1
                Thread(target=self._work, args=(bell, own), name="tnalgebra", daemon=True).start()
                self._bells.append(bell)
        self._ring_due()
        for own, bell in enumerate(self._bells[:wanted], 1):
            self._due = bell
            if self._rang(self._job, own):
                bell.put(None)
        self._due = None
        return self._job

    def _ring_due(self) -> None:
        """Ring where an interrupt came between mark and bell; a worker who is rung twice looks for parts twice."""
        if self._due is not None:
            self._due.put(None)

    def end(self) -> None:
        """Return when no worker is awake, nor ever will be: nothing may run on where memory is no longer there."""
        self._words[END // 8] = 1
        self._ring_due()
        while self._words[AWAKE // 8 :: 8].any():
            sleep(0)

    def _work(self, bell: SimpleQueue[None], own: int) -> None:
        while True:
            bell.get()
            self._serve(self._job, own)


@lru_cache(maxsize=8)
def _native(text: str) -> Any:
    return jitted(text, "float64")


_crews: dict[str, Crew] = {}
"""The one crew of this process, once it is needed."""


def _crew() -> Crew:
    """The crew, of which threads that come at once make several and keep one: a lock would not outlive a fork."""
    return _crews.get("") or _crews.setdefault("", Crew())


@atexit.register
def _end() -> None:
    for crew in _crews.values():
        crew.end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_crews.clear)  # threads do not follow a process into its child
