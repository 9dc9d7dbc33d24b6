"""Fit a memory limit by slicing the labels of one node: its ⊕ is associative, so its range may be split."""

from collections.abc import Callable, Sequence
from math import ceil

from .cost import peak_bytes
from .step import Step

__all__ = ["slice_labels"]

Chunks = dict[str, int]


def slice_labels(plan: Callable[[Chunks], Sequence[Step]], sizes: Chunks, limit: int) -> tuple[Sequence[Step], Chunks]:
    """Steps of one slice and the size of each label in it: chunks are halved until a slice fits the limit.

    `plan` gives the steps for label sizes. Each time the label goes that lowers the peak most; where nothing
    fits, the slice with the least peak is returned.
    """
    chunks, body = dict(sizes), plan(sizes)
    best = (peak_bytes(body), body, chunks)
    while peak_bytes(body) > limit:
        trials = [{**chunks, label: ceil(size / 2)} for label, size in chunks.items() if size > 1]
        if not trials:
            break
        priced = [
            (peak_bytes(steps), -max(trial.values()), steps, trial) for trial in trials for steps in [plan(trial)]
        ]
        peak, _, body, chunks = min(priced, key=lambda row: row[:2])
        best = min(best, (peak, body, chunks), key=lambda row: row[0])
    _, body, chunks = best
    return body, {label: size for label, size in chunks.items() if size < sizes[label]}
