"""How large the set is in which a shallow network of width 1 equals a recurrent one (GTM, Theorem 4.12)."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np

from ..canvas import SERIES, new_figure
from ..errors import DataError
from ..execute import Expression, batched
from ..expressivity.theory import constant_grid_network
from ..expressivity.theory.limits import by_first_index
from ..networks import GridTensor, RecurrentNetwork
from .intervals import of_chance
from .result import Result
from .results import Progress, computed, needs_pictures

__all__ = ["Case", "Config", "run"]

Array = Any
NAME = "open-set"
TEMPLATES = ("identity", "normal")
CONDITION = 30.0
"""Templates with N(0, 1) entries are drawn until F is this well conditioned."""
ENTRIES = 1 << 18
"""So many entries of grid tensors at a time: they stay in the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A network: features M, rank R, steps T, and templates: F = I, or N(0, 1) entries."""

    features: int
    rank: int
    steps: int
    templates: str = "identity"

    def __post_init__(self) -> None:
        """Refuse what the theorem does not have."""
        if min(self.features, self.rank, self.steps) < 1 or self.features * self.rank < 2:
            raise DataError(f"features, rank and steps must be 1 or more, and features · rank 2 or more: {self}")
        if self.templates not in TEMPLATES:
            raise DataError(f"unknown templates {self.templates!r}; known: {', '.join(TEMPLATES)}")

    def __str__(self) -> str:
        return f"M = {self.features}, R = {self.rank}, T = {self.steps}, F {self.templates}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """scales: largest changes of a parameter, each by a uniform number. networks: so many of each scale."""

    cases: tuple[Case, ...]
    scales: tuple[float, ...]
    networks: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse sweeps of nothing."""
        if not self.cases or not self.scales or not all(0 <= s < inf for s in self.scales) or self.networks < 1:
            raise DataError(f"some cases, scales of 0 or more and networks are needed: {self}")

    def quick(self) -> Self:
        """The same with few networks."""
        return replace(self, cases=self.cases[:2], networks=min(self.networks, 10))

    def cells(self) -> list["Cell"]:
        """Every case and scale."""
        own = {"networks": self.networks, "seed": self.seed}
        return [Cell(case=case, scale=scale, **own) for case, scale in product(self.cases, self.scales)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Networks around one, changed by as much."""

    case: Case
    scale: float
    networks: int
    seed: int

    @property
    def key(self) -> str:
        """The name in a results file."""
        return f"{self.case}, scale {self.scale!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How many of the networks a shallow one of width 1 equals. radius: changes up to which the proof says all."""

    equal: int
    radius: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure(cell: Cell) -> Outcome:
    """Count the networks whose grid tensor depends on the first index alone."""
    start, case = perf_counter(), cell.case
    rng = np.random.default_rng([cell.seed, case.features, case.rank, case.steps, TEMPLATES.index(case.templates)])
    templates = _templates(case, rng)
    net = constant_grid_network(case.features, case.rank, case.steps, templates)
    draw = rng.spawn(1)[0] if cell.scale == 0 else np.random.default_rng([cell.seed, int(1e6 * cell.scale)])
    equal = sum(int(_are_equal(grids).sum()) for grids in _grids(net, templates, cell, draw))
    return Outcome(equal=equal, radius=_radius(templates), seconds=perf_counter() - start)


def _templates(case: Case, rng: np.random.Generator) -> Array:
    if case.templates == "identity":
        return np.eye(case.features)
    while np.linalg.cond(found := rng.standard_normal((case.features, case.features))) > CONDITION:
        pass
    return found


def _grids(net: RecurrentNetwork, templates: Array, cell: Cell, draw: np.random.Generator) -> Iterator[Array]:
    """Grid tensors (members, M, M^(T−1)) of the networks, many at a time: `perturbed` for each of them."""
    grid, parts = GridTensor(net, templates).expression(), net._parts()
    fixed = {name: array for name, array in grid.bound.items() if name not in parts}
    many = batched(Expression(grid.node, fixed), list(parts))
    sizes = [part.size for part in parts.values()]
    most = max(1, ENTRIES // len(templates) ** cell.case.steps)
    for start in range(0, cell.networks, most):
        count = min(most, cell.networks - start)
        changes = np.split(draw.uniform(-cell.scale, cell.scale, (count, sum(sizes))), np.cumsum(sizes)[:-1], axis=1)
        changed = {
            name: part + change.reshape(count, *part.shape)
            for (name, part), change in zip(parts.items(), changes, strict=True)
        }
        yield many.evaluate(**changed).reshape(count, len(templates), -1)


def _are_equal(grids: Array) -> Array:
    """For which of the networks there is one, as `width_one_equivalent` decides it."""
    _, change, allowed = by_first_index(grids, float(np.finfo(float).eps) ** 0.5)
    return (change <= allowed) & (grids.min(axis=(1, 2)) >= -allowed)


def _radius(templates: Array) -> float:
    """The largest s ≤ 1/2 with (2 − s)(1 − s φ) ≥ 1 + s φ, φ the largest Σ_m |F_im|: the smaller root of a parabola."""
    row = float(np.abs(templates).sum(axis=1).max())
    half = (1 + 3 * row) / (2 * row)
    return float(min(0.5, half - np.sqrt(half**2 - 1 / row)))


def run(config: Config, out: str | Path, *, jobs: int = 1, progress: Progress | None = None) -> Result:
    """Count what is not yet in the folder, and write table and picture there.

    jobs: processes, each with one thread of BLAS. Raises `DataError` for results of another configuration,
    `PictureError` without Matplotlib.
    """
    needs_pictures()
    outcomes = computed(NAME, config, measure, Outcome, Path(out), jobs, progress)
    records = tuple(_record(case, config, outcomes) for case in config.cases)
    result = Result(
        title="Changes up to which a shallow network of width 1 equals a recurrent one (GTM, Theorem 4.12)",
        header=("M", "R", "T", "F", "proved for", "seen in all up to", "95 %", "half at", "in none from"),
        rows=tuple(map(_row, records)),
        notes=(
            f"Every parameter of the network with constant grid tensor is changed by a uniform number up to a scale: "
            f"{config.networks} networks for each scale.",
            "95 %: of the share of networks at the scale before it (Clopper and Pearson). half at: between the scales "
            "where the share falls below one half.",
            "GTM says that there is such a set, and not how large it is.",
        ),
        records=records,
        figure=_figure(config, records),
    )
    result.write(Path(out))
    return result


def _record(case: Case, config: Config, outcomes: dict[Cell, Outcome]) -> dict[str, Any]:
    own = {cell.scale: outcome for cell, outcome in outcomes.items() if cell.case == case}
    scales = sorted(own)
    shares = [own[scale].equal / config.networks for scale in scales]
    whole = [scale for i, scale in enumerate(scales) if min(shares[: i + 1]) == 1]
    none = [scale for i, scale in enumerate(scales) if max(shares[i:]) == 0]
    return {
        **asdict(case), "radius": next(iter(own.values())).radius, "scales": scales, "shares": shares,
        "intervals": [of_chance(own[scale].equal, config.networks) for scale in scales],
        "all_to": whole[-1] if whole else None, "half_at": _half(scales, shares),
        "none_from": none[0] if none else None,
    }  # fmt: skip


def _half(scales: list[float], shares: list[float]) -> float | None:
    """Where the line between the points falls below one half."""
    for i in range(1, len(scales)):
        if shares[i - 1] >= 0.5 > shares[i]:
            return float(np.interp(-0.5, [-shares[i - 1], -shares[i]], [scales[i - 1], scales[i]]))
    return None


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    found = (record["all_to"], record["half_at"], record["none_from"])
    whole, half, none = ("–" if value is None else f"{value:.3g}" for value in found)
    interval = "–"
    if record["all_to"] is not None:
        low, high = record["intervals"][record["scales"].index(record["all_to"])]
        interval = f"{low:.3f} to {high:.3g}"
    sizes = (str(record[name]) for name in ("features", "rank", "steps", "templates"))
    return (*sizes, f"{record['radius']:.3f}", whole, interval, half, none)


def _figure(config: Config, records: tuple[dict[str, Any], ...]) -> Any:
    """Shares of networks against the scale, with their intervals, and what is proved."""
    figure = new_figure(7.2, 4.2)
    axes = figure.subplots()
    for i, (case, record) in enumerate(zip(config.cases, records, strict=True)):
        shares, colour = np.array(record["shares"]), SERIES[i % len(SERIES)]
        ends = np.abs(np.array(record["intervals"]).T - shares)
        axes.errorbar(record["scales"], shares, ends, fmt=".-", capsize=2, linewidth=1, color=colour, label=str(case))
        axes.axvline(record["radius"], color=colour, linestyle="--", linewidth=1)
    axes.set(xlabel="largest change of a parameter (dashed: proved)", ylabel="share of networks", ylim=(-0.02, 1.04),
             title="A shallow network of width 1 is enough")  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend(fontsize="x-small")
    return figure
