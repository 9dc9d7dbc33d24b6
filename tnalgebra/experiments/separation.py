"""How the width that a shallow network needs grows with the steps (GTM, Theorem 4.9 and Lemma 4.11)."""

from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np

from ..canvas import SERIES, new_figure
from ..errors import DataError
from ..expressivity import shallow_width_bounds, shallow_width_lower_bound
from ..expressivity.theory import exponential_separation
from ..networks import FeatureMap, RecurrentNetwork
from .intervals import of_mean
from .result import Result
from .results import Progress, computed, needs_pictures

__all__ = ["Config", "run"]

NAME = "separation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """features: M templates. ranks, steps: of the recurrent networks. networks: random ones beside each constructed."""

    features: int = 4
    ranks: tuple[int, ...]
    steps: tuple[int, ...]
    networks: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what the construction does not have."""
        if not self.ranks or not self.steps or min(*self.ranks, self.networks) < 1 or self.features < 2:
            raise DataError(f"ranks and networks must be 1 or more, and features 2 or more: {self}")
        if any(steps < 2 or steps % 2 for steps in self.steps):
            raise DataError(f"steps must be even, as the network compares them in pairs; got {self.steps}")

    def quick(self) -> Self:
        """The same for few steps and networks."""
        few = tuple(steps for steps in self.steps if steps <= 6) or self.steps[:1]
        return replace(self, steps=few, networks=min(self.networks, 3))

    def cells(self) -> list["Cell"]:
        """Every network of the construction."""
        own = {"features": self.features, "networks": self.networks, "seed": self.seed}
        return [Cell(rank=rank, steps=steps, **own) for rank, steps in product(self.ranks, self.steps)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One constructed network, and random ones of its size."""

    features: int
    rank: int
    steps: int
    networks: int
    seed: int

    @property
    def key(self) -> str:
        """The name in a results file."""
        return f"M={self.features} R={self.rank} T={self.steps}"

    @property
    def predicted(self) -> int:
        """The odd/even rank that the lemma states: q^(T/2) with q = min(M, R), and one more if R < M."""
        return int(min(self.features, self.rank) ** (self.steps // 2)) + (self.rank < self.features)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Odd/even rank and upper bound on the width; bounds: of the random networks."""

    rank: int
    constant: float
    upper: int
    bounds: list[float]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure(cell: Cell) -> Outcome:
    """The bounds on both sides, of the construction and of random networks."""
    start, templates = perf_counter(), np.eye(cell.features)
    found = shallow_width_bounds(exponential_separation(cell.features, cell.rank, cell.steps), templates)
    rng = np.random.default_rng([cell.seed, cell.rank, cell.steps])
    bounds = [shallow_width_lower_bound(_random(cell, rng), templates=templates).value for _ in range(cell.networks)]
    return Outcome(
        rank=found.lower.rank, constant=found.lower.constant, upper=found.upper or 0, bounds=bounds,
        seconds=perf_counter() - start,
    )  # fmt: skip


def _random(cell: Cell, rng: np.random.Generator) -> RecurrentNetwork:
    """A network with N(0, 1) parameters and the ranks of the construction: R after odd steps, 1 after even ones."""
    width = cell.features + 1
    ranks = [1, *(cell.rank if t % 2 else 1 for t in range(1, cell.steps)), 1]
    cores = [rng.standard_normal((ranks[t], width, ranks[t + 1])) for t in range(cell.steps)]
    inputs = rng.standard_normal((cell.steps, width, cell.features))
    return RecurrentNetwork(FeatureMap.identity(cell.features), inputs, cores, "rectifier")  # type: ignore[arg-type]


def run(config: Config, out: str | Path, *, jobs: int = 1, progress: Progress | None = None) -> Result:
    """Compute the ranks that are not yet in the folder, and write table and picture there.

    jobs: processes, each with one thread of BLAS. Raises `DataError` for results of another configuration,
    `PictureError` without Matplotlib.
    """
    needs_pictures()
    outcomes = computed(NAME, config, measure, Outcome, Path(out), jobs, progress)
    records = tuple(_record(cell, outcome) for cell, outcome in outcomes.items())
    result = Result(
        title="Width that a shallow network needs to equal a recurrent one of rank R (GTM, Theorem 4.9)",
        header=("R", "T", "rank", "lemma", "width at least", "at most", "random networks", "95 % of the mean"),
        rows=tuple(map(_row, records)),
        notes=(
            f"ξ = rectifier, M = {config.features} templates, F = I. rank: of the odd/even matricization, computed; "
            "lemma: what GTM's Lemma 4.11 states.",
            "at least: 2 · rank / (T · M), GTM's Lemma 4.10; at most: one term for every entry that differs, and one.",
            f"random networks: mean bound of {config.networks} with N(0, 1) parameters and the same ranks, which are R "
            "after odd steps and 1 after even ones.",
        ),
        records=records,
        figure=_figure(config, records),
    )
    result.write(Path(out))
    return result


def _record(cell: Cell, outcome: Outcome) -> dict[str, Any]:
    return {
        "M": cell.features, "R": cell.rank, "T": cell.steps, "rank": outcome.rank, "lemma": cell.predicted,
        "at_least": outcome.rank / outcome.constant, "at_most": outcome.upper, "random": float(np.mean(outcome.bounds)),
        "interval": of_mean(outcome.bounds),
    }  # fmt: skip


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    numbers = (str(record[name]) for name in ("R", "T", "rank", "lemma"))
    low, high = record["interval"]
    return (
        *numbers, f"{record['at_least']:.2f}", str(record["at_most"]), f"{record['random']:.2f}",
        f"{low:.2f} to {high:.2f}",
    )  # fmt: skip


def _figure(config: Config, records: tuple[dict[str, Any], ...]) -> Any:
    """Bounds on both sides against the number of steps, a colour for each rank."""
    figure = new_figure(6.4, 4.2)
    axes = figure.subplots()
    for i, rank in enumerate(config.ranks):
        own = [record for record in records if record["R"] == rank]
        steps, colour = [record["T"] for record in own], SERIES[i % len(SERIES)]
        axes.fill_between(
            steps, [record["at_least"] for record in own], [record["at_most"] for record in own],
            color=colour, alpha=0.12, linewidth=0,
        )  # fmt: skip
        axes.plot(steps, [record["at_least"] for record in own], "o-", color=colour, label=f"R = {rank}: at least")
        axes.plot(steps, [record["at_most"] for record in own], "v:", color=colour, label="at most", markersize=4)
        axes.plot(steps, [record["random"] for record in own], "x--", color=colour, label="random: at least")
    axes.set(xlabel="steps T", ylabel="width of the shallow network", yscale="log", xticks=list(config.steps),
             title=f"Recurrent width R, M = {config.features} templates")  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend(fontsize="x-small", ncols=max(1, len(config.ranks)))
    return figure
