"""Accuracy against the number of parameters, for growing rank (GTM, Figure 4; ERNN, Figure 6)."""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..canvas import new_figure
from ..errors import DataError
from .cell import Cell
from .config import Sweep
from .paper import FORMULAS, NAMES
from .result import Result, accuracy
from .results import Progress, needs_pictures
from .table1 import COLOUR_OF
from .trainings import Outcomes, best, record, trained

__all__ = ["Config", "run"]

NAME = "accuracy-vs-parameters"
ERNN = {"MNIST": {"tt": 0.95, "cp": 0.95}, "CIFAR-10": {"tt": 0.45, "cp": 0.2}}
"""ERNN, section 6: test accuracies without regularizers, 4 features; on MNIST with ranks below 5."""
NOTES = (
    "Each row: the training, over learning rates and seeds, with the least training loss.",
    "ERNN, section 6, without regularizers: MNIST test accuracy 0.95 (TT and CP, rank below 5), CIFAR-10 0.45 (TT) and",
    "0.2 (CP). GTM's Figure 4 is a curve without numbers: on IMDB a shallow network needs a much higher rank than a",
    "recurrent one for the same test accuracy (ξ = max(x, y, 0)).",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Sweep):
    """A sweep over ranks as well; ranks: for every kind, in place of those of the data sets."""

    ranks: dict[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        """Refuse kinds without ranks."""
        Sweep.__post_init__(self)
        for kind in self.kinds:
            if not self.ranks.get(kind) or min(self.ranks[kind]) < 1:
                raise DataError(f"ranks.{kind} must be a list of positive numbers; got {self.ranks.get(kind)!r}")

    def quick(self) -> Self:
        """The same with two ranks."""
        return replace(Sweep.quick(self), ranks={kind: ranks[:2] for kind, ranks in self.ranks.items()})

    def cells(self) -> list[Cell]:
        """Every training, from small ranks to large ones."""
        return [
            self._cell(task, kind, xi, rank, rate, seed)
            for task, kind, xi in product(self.data, self.kinds, self.xi)
            for rank, rate, seed in product(self.ranks[kind], self.learning_rates, self.seeds)
        ]


def run(config: Config, out: str | Path, *, jobs: int = 1, progress: Progress | None = None) -> Result:
    """Train what is not yet in the folder, and write table and picture there.

    jobs: processes, each with one thread of BLAS. Raises `DataError` for results of another configuration, for data
    that are not there, `PictureError` without Matplotlib.
    """
    needs_pictures()
    outcomes = trained(NAME, config, Path(out), jobs, progress)
    chosen = best(outcomes)
    rows = tuple(
        (
            cell.task.name, FORMULAS.get(cell.xi, cell.xi), NAMES[cell.kind], str(cell.rank), str(outcome.n_params),
            accuracy(outcome.train_accuracy), accuracy(outcome.test_accuracy), accuracy(_paper(cell)),
        )
        for cell, outcome in chosen.items()
    )  # fmt: skip
    result = Result(
        title="Accuracy against the number of parameters (GTM, Figure 4; ERNN, Figure 6)",
        header=("data set", "ξ", "network", "rank", "parameters", "training", "test", "ERNN, best test"),
        rows=rows,
        notes=NOTES,
        records=tuple(record(cell, outcome, outcomes, _paper(cell)) for cell, outcome in chosen.items()),
        figure=_figure(config, chosen),
    )
    result.write(Path(out))
    return result


def _paper(cell: Cell) -> float | None:
    return ERNN.get(cell.task.paper or "", {}).get(cell.kind) if cell.xi == "multiply" else None


def _figure(config: Config, chosen: Outcomes) -> Any:
    """A panel for every data set and ξ: test accuracy as lines, training accuracy dotted, ERNN's numbers dashed."""
    figure = new_figure(4.2 * len(config.xi), 3.4 * len(config.data))
    panels = figure.subplots(len(config.data), len(config.xi), squeeze=False)
    for (task, xi), axes in zip(product(config.data, config.xi), panels.flat, strict=True):
        for kind in config.kinds:
            cells = [cell for cell in chosen if (cell.task, cell.xi, cell.kind) == (task, xi, kind)]
            sizes, colour = [chosen[cell].n_params for cell in cells], COLOUR_OF[kind]
            for name, style in (("test", "-"), ("train", ":")):
                values = np.array([getattr(chosen[cell], f"{name}_accuracy") for cell in cells], float)  # None is NaN
                label = f"{NAMES[kind]}, {'test' if name == 'test' else 'training'}"
                axes.plot(sizes, values, style, marker=".", color=colour, label=label)
            paper = _paper(cells[0])
            if paper is not None:
                axes.axhline(paper, color=colour, linestyle="--", linewidth=1, label=f"ERNN, {NAMES[kind]}")
        title = f"{task.name}, ξ = {FORMULAS.get(xi, xi)}"
        axes.set(xscale="log", ylim=(0, 1.02), xlabel="parameters", ylabel="accuracy", title=title)
        axes.legend(fontsize="x-small")
    return figure
