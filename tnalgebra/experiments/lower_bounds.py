"""How wide a shallow network must be to do what a random recurrent one does (GTM, Figure 5)."""

from dataclasses import asdict, dataclass, replace
from itertools import chain, product
from math import isfinite, log10
from pathlib import Path
from time import perf_counter
from typing import Any, Self
from warnings import catch_warnings, simplefilter

import numpy as np

from ..algebra import operator
from ..errors import ConditionWarning, DataError
from ..expressivity import shallow_width_lower_bound
from ..networks import FeatureMap, RecurrentNetwork
from .bounds_picture import draw
from .intervals import of_mean
from .paper import FIGURE5, FIGURE5_AGAIN, FORMULAS
from .result import Result
from .results import Progress, computed, needs_pictures

__all__ = ["Config", "Variant", "run"]

Array = Any
Entry = tuple[str, str, int, int]
NAME = "lower-bounds"
STARTS = {"normal": "N(0, 1)", "scores": "own"}
"""How parameters are drawn: all from N(0, 1) as in GTM, or as `RecurrentNetwork.random` draws them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """xi: one with a bound. start: "normal" or "scores". width: L, the rows of C. sets: how many of each rank."""

    xi: str = "rectifier"
    start: str = "normal"
    width: int = 10
    sets: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Random recurrent networks for M templates with M features each, T steps, and the ranks R.

    variants: ways to draw them; the first is drawn in the picture. networks: how many of each rank make up a set.
    Raises `AlgebraError` for a ξ without a bound.
    """

    variants: tuple[Variant, ...]
    ranks: tuple[int, ...]
    features: int = 10
    steps: int = 6
    networks: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what has no bound or nothing to draw."""
        for variant in self.variants:
            shallow_width_lower_bound(np.ones((1, 1)), variant.xi)  # raises for a ξ without a bound
        numbers = [self.features, self.networks, *self.ranks, *(x for v in self.variants for x in (v.width, v.sets))]
        if not self.ranks or not self.variants or min(numbers) < 1 or self.steps < 2 or self.steps % 2:
            raise DataError(
                f"steps must be even, all other numbers 1 or more, and some ranks and variants given: {self}"
            )
        for variant in self.variants:
            if variant.start not in STARTS:
                raise DataError(f"unknown start {variant.start!r}; known: {', '.join(STARTS)}")

    def quick(self) -> Self:
        """The same with few templates and networks."""
        variants = tuple(replace(variant, sets=1) for variant in self.variants[:2])
        return replace(self, variants=variants, features=min(self.features, 4), networks=min(self.networks, 5))

    def cells(self) -> list["Cell"]:
        """Every set of networks."""
        return [
            Cell(
                xi=variant.xi, features=self.features, steps=self.steps, networks=self.networks, seed=self.seed,
                rank=rank, start=variant.start, width=variant.width, number=number,
            )
            for variant, rank in product(self.variants, self.ranks)
            for number in range(variant.sets)
        ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A set of networks."""

    xi: str
    features: int
    steps: int
    networks: int
    seed: int
    rank: int
    start: str
    width: int
    number: int

    @property
    def entry(self) -> Entry:
        """What has one place in the table: ξ, how networks are drawn, L and R."""
        return self.xi, self.start, self.width, self.rank

    @property
    def key(self) -> str:
        """The name in a results file."""
        return f"xi={self.xi} start={self.start} L={self.width} R={self.rank} set={self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Odd/even ranks of the grid tensors of a set of networks.

    constant: c_ξ, by which they are divided. gaps: log₁₀ of those below the ranks, none where nothing is below.
    """

    ranks: list[int]
    constant: float
    gaps: list[float | None]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def draw_network(cell: Cell, rng: np.random.Generator) -> tuple[RecurrentNetwork, Array]:
    """A network of one class, and M templates."""
    m, steps, width = cell.features, cell.steps, cell.width
    templates = rng.standard_normal((m, m))
    if cell.start == "scores":
        net = RecurrentNetwork.random(
            steps=steps, inputs=m, features=m, rank=cell.rank, classes=1, xi=cell.xi, width=width, seed=rng
        )
        return net, templates
    ranks = (1, *(cell.rank,) * (steps - 1), 1)
    cores = tuple(rng.standard_normal((ranks[t], width, ranks[t + 1])) for t in range(steps))
    inputs = rng.standard_normal((steps, width, m))
    return RecurrentNetwork(FeatureMap.identity(m), inputs, cores, operator(cell.xi)), np.maximum(templates, 0)


def measure(cell: Cell) -> Outcome:
    """The ranks of one set."""
    start = perf_counter()
    rng = np.random.default_rng([cell.seed, cell.number, cell.rank, cell.width])
    with catch_warnings():
        # Some of the drawn F are singular, as in the paper. The bound holds for them too.
        simplefilter("ignore", ConditionWarning)
        found = []
        for _ in range(cell.networks):
            net, templates = draw_network(cell, rng)
            found.append(shallow_width_lower_bound(net, templates=templates))
    gaps = [bound.estimate.gap for bound in found]
    return Outcome(
        ranks=[bound.rank for bound in found], constant=found[0].constant, seconds=perf_counter() - start,
        gaps=[round(log10(gap), 2) if isfinite(gap) else None for gap in gaps],
    )  # fmt: skip


def run(config: Config, out: str | Path, *, jobs: int = 1, progress: Progress | None = None) -> Result:
    """Compute the ranks that are not yet in the folder, and write table and picture there.

    jobs: processes, each with one thread of BLAS. Raises `DataError` for results of another configuration,
    `PictureError` without Matplotlib.
    """
    needs_pictures()
    outcomes = computed(NAME, config, measure, Outcome, Path(out), jobs, progress)
    sets: dict[Entry, list[list[float]]] = {}
    for cell, outcome in outcomes.items():
        sets.setdefault(cell.entry, []).append([rank / outcome.constant for rank in outcome.ranks])
    is_paper = (config.features, config.steps) == (10, 6)
    records = tuple(_record(entry, found, is_paper) for entry, found in sets.items())
    result = Result(
        title="Least width of a shallow network for a random recurrent one: rank / c (GTM, Figure 5)",
        header=("ξ", "start", "L", "R", "networks", "mean ± sd", "95 % of the mean", "means of sets", "GTM", "NumPy"),
        rows=tuple(_row(record) for record in records),
        notes=_notes(config, outcomes),
        records=records,
        figure=draw(config.ranks, records, {entry: list(chain.from_iterable(found)) for entry, found in sets.items()}),
    )
    result.write(Path(out))
    return result


def _record(entry: Entry, found: list[list[float]], is_paper: bool) -> dict[str, Any]:
    """Moments of the bounds of one entry, and the paper's."""
    xi, start, width, rank = entry
    is_paper = is_paper and (xi, start) == ("rectifier", "normal")
    values, means = list(chain.from_iterable(found)), [float(np.mean(part)) for part in found]
    return {
        "xi": xi, "start": STARTS[start], "L": width, "R": rank, "networks": len(values),
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0, "interval": of_mean(values),
        "median": float(np.median(values)), "largest": max(values), "means_of_sets": sorted(means),
        "GTM": FIGURE5.get(rank) if is_paper else None,
        "independent": FIGURE5_AGAIN.get(rank) if is_paper and width == 10 else None,
    }  # fmt: skip


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    low, high = record["interval"]
    means = record["means_of_sets"]
    papers = ("–" if pair is None else f"{pair[0]} ± {pair[1]}" for pair in (record["GTM"], record["independent"]))
    return (
        FORMULAS.get(record["xi"], record["xi"]), *(str(record[name]) for name in ("start", "L", "R", "networks")),
        f"{record['mean']:.1f} ± {record['sd']:.1f}", f"{low:.1f} to {high:.1f}", f"{means[0]:.1f} to {means[-1]:.1f}",
        *papers,
    )  # fmt: skip


def _notes(config: Config, outcomes: dict[Cell, Outcome]) -> tuple[str, ...]:
    close = float(np.mean([gap is not None and gap < 1 for outcome in outcomes.values() for gap in outcome.gaps]))
    full, constants = config.features ** (config.steps // 2), {cell.xi: o.constant for cell, o in outcomes.items()}
    largest = ", ".join(f"{full / c:.1f} for {FORMULAS.get(xi, xi)} (c = {c:g})" for xi, c in constants.items())
    return (
        f"M = {config.features}, T = {config.steps}; full rank would give {largest}.",
        f"GTM has {config.networks} networks a rank: the means of our sets of as many lie between the two given.",
        "NumPy: an independent computation with L = 10; GTM does not say its L.",
        f"Ranks in float64; {close:.1%} of the networks have a gap below 10 where their rank ends.",
    )
