"""A job whose parts threads take one after the other: who comes takes the next, and who is late keeps nobody waiting.

A ticket holds the number of the job, how many parts it has, and the next one; who puts the following number in that
place has the part, and only then reads what the job is. Imported by the texts of kernels alone.
"""

from typing import Any

from numba import njit

from .crew import BASE, DONE, PATIENCE, STRIDE, TASKS, THREADS, TICKET
from .intrinsics import added, call, loaded, pause, stored, swapped, word, yielded

__all__ = ["share", "took"]


def _compiled(function: Any) -> Any:
    return njit(error_model="numpy", nogil=True)(function)


@_compiled
def took(job, own):  # type: ignore[no-untyped-def]
    """Do a part of the job, if one is left for this thread; whether there was."""
    ticket = loaded(job + TICKET)
    if (ticket & 0xFFFF) >= ((ticket >> 16) & 0xFFFF) or own >= word(job + THREADS):
        return False
    if swapped(job + TICKET, ticket, ticket + 1):
        task = word(job + TASKS) + 24 * (ticket & 0xFFFF)
        base = word(job + BASE) + own * word(job + STRIDE)
        call(word(task), base + word(task + 8), word(task + 16))
        added(job + DONE, 1)
    return True


@_compiled
def share(job, tasks, count, base, stride, threads):  # type: ignore[no-untyped-def]
    """Make so many tasks the job, do parts of it, and return when all are done.

    tasks: three words each, a function and its arguments, the first of them counted from the base of a thread.
    """
    stored(job + TASKS, tasks)
    stored(job + BASE, base)
    stored(job + STRIDE, stride)
    stored(job + THREADS, threads)
    stored(job + DONE, 0)
    stored(job + TICKET, (((loaded(job + TICKET) >> 32) + 1) << 32) | (count << 16))
    while took(job, 0):
        pass
    idle = 0
    while loaded(job + DONE) < count:
        idle += 1
        if idle > PATIENCE:
            yielded()
        pause()
