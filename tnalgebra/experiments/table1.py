"""Test accuracies of shallow, recurrent and hierarchical networks for five ξ (GTM, Table 1)."""

from pathlib import Path
from typing import Any

from ..canvas import COLOURS, new_figure
from .config import Sweep
from .paper import FORMULAS, NAMES, table1
from .result import Result, accuracy
from .results import Progress, needs_pictures
from .trainings import Outcomes, best, record, trained

__all__ = ["Config", "run"]

NAME = "table1"
COLOUR_OF = {"cp": COLOURS["green"], "tt": COLOURS["blue"], "ht": COLOURS["red"]}
NOTES = (
    "Each number: test accuracy of the training, over learning rates and seeds, with the least training loss.",
    "GTM gives the best test accuracy over several runs, with all of MNIST; our sizes are in results.json.",
)
Config = Sweep


def run(config: Sweep, out: str | Path, *, jobs: int = 1, progress: Progress | None = None) -> Result:
    """Train what is not yet in the folder, and write table and picture there.

    jobs: processes, each with one thread of BLAS. Raises `DataError` for results of another configuration, for data
    that are not there, `PictureError` without Matplotlib.
    """
    needs_pictures()
    outcomes = trained(NAME, config, Path(out), jobs, progress)
    chosen = best(outcomes)
    records = tuple(
        record(cell, outcome, outcomes, table1(cell.kind, cell.task.paper, cell.xi)) for cell, outcome in chosen.items()
    )
    result = Result(
        title="Test accuracies by network, data set and ξ (GTM, Table 1)",
        header=("network", "data set", *(FORMULAS.get(xi, xi) for xi in config.xi)),
        rows=_rows(config, chosen),
        notes=NOTES,
        records=records,
        figure=_figure(config, chosen),
    )
    result.write(Path(out))
    return result


def _rows(config: Sweep, chosen: Outcomes) -> tuple[tuple[str, ...], ...]:
    """A row of ours for every network and data set, and one of the paper below it where there is one."""
    found = {(cell.kind, cell.task.name, cell.xi): outcome.test_accuracy for cell, outcome in chosen.items()}
    rows: list[tuple[str, ...]] = []
    for kind in config.kinds:
        for task in config.data:
            ours = (accuracy(found[kind, task.name, xi]) for xi in config.xi)
            rows.append((NAMES[kind], task.name, *ours))
            paper = [table1(kind, task.paper, xi) for xi in config.xi]
            if any(value is not None for value in paper):
                rows.append(("", f"GTM, {task.paper}", *map(accuracy, paper)))
    return tuple(rows)


def _figure(config: Sweep, chosen: Outcomes) -> Any:
    """Bars for ours, short black lines for the paper's."""
    figure = new_figure(3.6 * len(config.data) + 0.9, 3.6)
    panels = figure.subplots(1, len(config.data), squeeze=False)[0]
    width = 0.8 / len(config.kinds)
    for axes, task in zip(panels, config.data, strict=True):
        low = 1.0
        for i, kind in enumerate(config.kinds):
            places = [x + width * (i - (len(config.kinds) - 1) / 2) for x in range(len(config.xi))]
            own = {cell.xi: o.test_accuracy or 0.0 for cell, o in chosen.items() if cell.entry[:2] == (task.name, kind)}
            paper = [table1(kind, task.paper, xi) for xi in config.xi]
            axes.bar(places, [own[xi] for xi in config.xi], width, color=COLOUR_OF[kind], label=NAMES[kind])
            shown = [(x, y) for x, y in zip(places, paper, strict=True) if y is not None]
            axes.hlines([y for _, y in shown], [x - width / 2 for x, _ in shown], [x + width / 2 for x, _ in shown],
                        color="black", label="GTM" if shown and kind == config.kinds[0] else None)  # fmt: skip
            low = min(low, *own.values(), *(y for _, y in shown))
        axes.set(title=task.name, ylim=(max(0.0, low - 0.05), 1.01), ylabel="test accuracy")
        axes.set_xticks(
            range(len(config.xi)), [FORMULAS.get(xi, xi) for xi in config.xi], rotation=30, fontsize="small"
        )
    handles = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside right upper", fontsize="small")
    return figure
