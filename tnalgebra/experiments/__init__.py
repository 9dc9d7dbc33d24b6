"""Experiments of the papers, made anew: a module a table or figure, with the papers' numbers beside ours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UnknownNameError
from . import accuracy_vs_parameters, boundaries, equal_cores, lower_bounds, open_set, separation, table1, table2
from .cell import Task
from .config import Config, Sweep, read_config
from .result import Result

__all__ = ["EXPERIMENTS", "Result", "Sweep", "Task", "read_config", "run_experiment"]


class Experiment(NamedTuple):
    """What its configuration is, and what runs it."""

    config: type[Config]
    run: Callable[..., Result]


EXPERIMENTS: dict[str, Experiment] = {
    module.NAME: Experiment(module.Config, module.run)
    for module in (table1, boundaries, accuracy_vs_parameters, table2, equal_cores, lower_bounds, separation, open_set)
}
"""Experiments by name."""


def run_experiment(
    name: str,
    out: str | Path,
    *,
    config: str | Path | None = None,
    quick: bool = False,
    jobs: int = 1,
    progress: Callable[[int, int, str], Any] | None = None,
) -> Result:
    """Run an experiment by name, and write its results, table and picture to a folder; go on where it was stopped.

    config: a TOML file, that of the package if not given. quick: little data, small networks, few samples.
    progress: a function of how many cells are done, how many there are, and the name of the last one.
    Raises `UnknownNameError` for another name, `DataError` for a bad configuration and for results of another one.
    """
    if name not in EXPERIMENTS:
        raise UnknownNameError(f"unknown experiment {name!r}; known: {', '.join(EXPERIMENTS)}")
    experiment = EXPERIMENTS[name]
    settings = read_config(experiment.config, name, config)
    return experiment.run(settings.quick() if quick else settings, out, jobs=jobs, progress=progress)
