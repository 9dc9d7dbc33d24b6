"""Trainings of a sweep, and which of them a table shows."""

from pathlib import Path
from typing import Any

from .cell import Cell, Outcome, train
from .config import Sweep
from .results import Progress, computed

__all__ = ["Outcomes", "best", "record", "trained"]

Outcomes = dict[Cell, Outcome]


def trained(name: str, config: Sweep, out: Path, jobs: int, progress: Progress | None = None) -> Outcomes:
    """Train what a folder lacks: see `computed`."""
    return computed(name, config, train, Outcome, out, jobs, progress)


def best(outcomes: Outcomes) -> Outcomes:
    """For every entry of a table the training of the least training loss; a failed one where all failed."""
    found: dict[tuple[str, str, str, int], Cell] = {}
    for cell, outcome in outcomes.items():
        other = found.get(cell.entry)
        if other is None or _loss(outcome) < _loss(outcomes[other]):
            found[cell.entry] = cell
    return {cell: outcomes[cell] for cell in found.values()}


def _loss(outcome: Outcome) -> float:
    return float("inf") if outcome.loss is None else outcome.loss


def record(cell: Cell, outcome: Outcome, outcomes: Outcomes, paper: Any = None) -> dict[str, Any]:
    """The numbers of one entry of a table, and between which test accuracies the trainings for it lie."""
    name, kind, xi, rank = cell.entry
    tests = [o.test_accuracy for c, o in outcomes.items() if c.entry == cell.entry and o.test_accuracy is not None]
    found = {key: value for key, value in outcome.to_dict().items() if key not in ("picture", "extent")}
    return {
        "data": name, "kind": kind, "xi": xi, "rank": rank, "learning_rate": cell.learning_rate, "seed": cell.seed,
        **found, "test_accuracies": sorted(tests), "paper": paper,
    }  # fmt: skip
