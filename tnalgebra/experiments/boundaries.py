"""Decision boundaries in the plane (GTM, Figure 3; ERNN, Figure 5)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from ..canvas import new_figure
from ..errors import DataError
from ..plot.boundary import draw_probabilities, two_colours
from ..training import load_data
from .cell import Cell
from .config import Sweep
from .paper import FORMULAS, NAMES, table1
from .result import Result, accuracy
from .results import Progress, needs_pictures
from .trainings import Outcomes, best, record, trained

__all__ = ["Config", "run"]

NAME = "boundaries"
NOTES = (
    "Test accuracies; GTM's stand in brackets (1.00 in all of its Table 1).",
    "The picture has a row for every network and data set and a column for every ξ: GTM's Figure 3 shows TT networks,",
    "ERNN's Figure 5 those for ξ = xy.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Sweep):
    """A sweep over data sets of points in the plane; resolution: points of a picture along each axis."""

    resolution: int = 50

    def __post_init__(self) -> None:
        """Refuse pictures without points."""
        Sweep.__post_init__(self)
        if self.resolution < 2:
            raise DataError(f"resolution must be 2 or more; got {self.resolution}")

    def quick(self) -> Self:
        """The same in coarse pictures."""
        return replace(Sweep.quick(self), resolution=min(self.resolution, 12))

    def cells(self) -> list[Cell]:
        """Every training, with a picture."""
        return [replace(cell, grid=self.resolution) for cell in Sweep.cells(self)]


def run(config: Config, out: str | Path, *, jobs: int = 1, progress: Progress | None = None) -> Result:
    """Train what is not yet in the folder, and write table and picture there.

    jobs: processes, each with one thread of BLAS. Raises `DataError` for results of another configuration, for data
    that are no points in the plane, `PictureError` without Matplotlib.
    """
    needs_pictures()
    outcomes = trained(NAME, config, Path(out), jobs, progress)
    chosen = best(outcomes)
    places = {cell.entry[:3]: cell for cell in chosen}
    rows = []
    for task in config.data:
        for kind in config.kinds:
            cells = [places[task.name, kind, xi] for xi in config.xi]
            rows.append((NAMES[kind], task.name, *(_entry(cell, chosen) for cell in cells)))
    result = Result(
        title="Decision boundaries by network, data set and ξ (GTM, Figure 3; ERNN, Figure 5)",
        header=("network", "data set", *(FORMULAS.get(xi, xi) for xi in config.xi)),
        rows=tuple(rows),
        notes=NOTES,
        records=tuple(record(cell, outcome, outcomes, _paper(cell)) for cell, outcome in chosen.items()),
        figure=_figure(config, chosen, places),
    )
    result.write(Path(out))
    return result


def _paper(cell: Cell) -> float | None:
    return table1(cell.kind, cell.task.paper, cell.xi)


def _entry(cell: Cell, chosen: Outcomes) -> str:
    paper = _paper(cell)
    return accuracy(chosen[cell].test_accuracy) + ("" if paper is None else f" ({paper:.2f})")


def _figure(config: Config, chosen: Outcomes, places: dict[Any, Cell]) -> Any:
    """The probability of class 1, its line at one half, and the test points."""
    rows = [(task, kind) for task in config.data for kind in config.kinds]
    figure = new_figure(2 * len(config.xi), 1.9 * len(rows))
    panels = figure.subplots(len(rows), len(config.xi), squeeze=False)
    for line, (task, kind) in zip(panels, rows, strict=True):
        data = load_data(task.source or task.name, train=task.train, test=task.test)
        for axes, xi in zip(line, config.xi, strict=True):
            outcome = chosen[places[task.name, kind, xi]]
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(f"{NAMES[kind]}, {FORMULAS.get(xi, xi)}: {accuracy(outcome.test_accuracy)}", fontsize=7)
            if outcome.picture is None or outcome.extent is None:
                continue
            draw_probabilities(axes, outcome.picture, outcome.extent)
            axes.scatter(*data.X_test.T, c=data.y_test, cmap=two_colours(), s=8, edgecolors="black", linewidths=0.3)
    return figure
