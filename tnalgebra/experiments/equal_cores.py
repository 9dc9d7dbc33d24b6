"""Ranks of trains whose inner cores are equal (ERNN, Hypothesis 1)."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import log10
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np

from ..errors import DataError
from ..expressivity import matricization_rank
from .certificate import SAFETY, margin, modular_product, modular_rank, residues
from .intervals import of_chance
from .result import Result
from .results import Progress, computed, needs_pictures

__all__ = ["Config", "matrices", "run"]

Array = Any
Train = tuple[Array, Array, Array]
"""The first core, all between, and the last, of many trains: (samples, n, r), (samples, r, n, r), (samples, r, n)."""
NAME = "equal-cores"
ORDER = 6
BATCH = 2**18
"""So many entries of matrices at a time: they stay in the cache until they are decomposed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Trains of order 6 with G²=…=G⁵ and entries N(0, 1): sizes n, ranks r, and how many samples of each pair."""

    sizes: tuple[int, ...]
    ranks: tuple[int, ...]
    samples: int
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no train."""
        if not self.sizes or not self.ranks or min(*self.sizes, *self.ranks, self.samples) < 1:
            raise DataError(f"sizes, ranks and samples must be 1 or more, and some must be given; got {self}")

    def quick(self) -> Self:
        """The same with small trains and few samples."""
        return replace(self, sizes=self.sizes[:3], ranks=self.ranks[:4], samples=min(self.samples, 20))

    def cells(self) -> list["Cell"]:
        """Every pair of size and rank."""
        return [Cell(n=n, r=r, samples=self.samples, seed=self.seed) for n, r in product(self.sizes, self.ranks)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Samples of one size and rank."""

    n: int
    r: int
    samples: int
    seed: int

    @property
    def q(self) -> int:
        """Their odd/even rank should be q³ or more."""
        return min(self.n, self.r)

    @property
    def key(self) -> str:
        """The name in a results file."""
        return f"n={self.n} r={self.r} samples={self.samples} seed={self.seed}"

    def draw(self) -> Train:
        """The trains; their ranks do not depend on their scale, so the cores are normal as they are."""
        draw, n, r = np.random.default_rng([self.seed, self.n, self.r]).standard_normal, self.n, self.r
        return draw((self.samples, n, r)), draw((self.samples, r, n, r)), draw((self.samples, r, n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How many samples were found to have a rank of q³ or more, and by what.

    certified: by the margin of a submatrix of q³ rows and columns. by_svd: by the singular values of the whole matrix.
    by_prime: by exact arithmetic where those were below. failures: not at all. least, median: of the margins.
    """

    certified: int
    by_svd: int
    by_prime: int
    failures: int
    least: float
    median: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def matrices(train: Train, multiply: Callable[[Array, Array], Array] = np.matmul) -> Array:
    """Odd/even matricizations of a batch of trains of order 6, (samples, n³, n³).

    Rows run over (i₅, i₁, i₃), columns over (i₂, i₄, i₆): in this order the last products write them in place, and no
    entry is moved.
    """
    first, between, last = train
    s, n, r = first.shape
    right, down = between.reshape(s, r, n * r), between.reshape(s, r * n, r)
    left = multiply(multiply(first, right).reshape(s, n * n, r), right).reshape(s, n, n, n, r)
    rest = multiply(down, multiply(down, last).reshape(s, r, n * n)).reshape(s, r, n, n, n)
    rows = left.swapaxes(2, 3).reshape(s, 1, n**3, r)  # i₁ i₃ i₂
    columns = rest.transpose(0, 3, 1, 2, 4).reshape(s, n, r, n * n)  # i₅, then i₄ i₆
    return multiply(rows, columns).reshape(s, n**3, n**3)


def examine(cell: Cell) -> Outcome:
    """Find the ranks of the samples of one cell."""
    start, goal = perf_counter(), cell.q**3
    train = cell.draw()
    corner = _corner(train, cell.q)
    margins = np.array([margin(matrix) for part in _batches(corner, goal) for matrix in matrices(part)])
    found = {"by_svd": 0, "by_prime": 0, "failures": 0}
    for i in np.flatnonzero(margins <= SAFETY):
        found[_second_look(_at(train, int(i)), _at(corner, int(i)), goal)] += 1
    return Outcome(
        certified=int((margins > SAFETY).sum()), **found, least=float(margins.min()), median=float(np.median(margins)),
        seconds=perf_counter() - start,
    )  # fmt: skip


def _second_look(whole: Train, corner: Train, goal: int) -> str:
    """What finds a rank of `goal` where the margin is too small to tell."""
    if matricization_rank(matrices(whole)[0], [0]).rank >= goal:
        return "by_svd"
    for train in (corner, whole):
        exact = matrices((residues(train[0]), residues(train[1]), residues(train[2])), modular_product)[0]
        if modular_rank(exact, goal) >= goal:
            return "by_prime"
    return "failures"


def _corner(train: Train, q: int) -> Train:
    """The subtensor of the first q indices of every mode: its matricization is a submatrix."""
    first, between, last = train
    return first[:, :q], between[:, :, :q], last[:, :, :q]


def _at(train: Train, i: int) -> Train:
    first, between, last = (core[i : i + 1] for core in train)
    return first, between, last


def _batches(train: Train, side: int) -> Iterator[Train]:
    step = max(1, BATCH // side**2)
    for i in range(0, len(train[0]), step):
        first, between, last = (core[i : i + step] for core in train)
        yield first, between, last


def run(config: Config, out: str | Path, *, jobs: int = 1, progress: Progress | None = None) -> Result:
    """Compute the ranks that are not yet in the folder, and write table and picture there.

    jobs: processes, each with one thread of BLAS. Raises `DataError` for results of another configuration, and without
    Matplotlib.
    """
    needs_pictures()
    outcomes = computed(NAME, config, examine, Outcome, Path(out), jobs, progress)
    found = {(cell.n, cell.r): outcome for cell, outcome in outcomes.items()}
    result = Result(
        title="Odd/even ranks of random trains with equal cores, d = 6 (ERNN, Hypothesis 1)",
        header=("n \\ r", *map(str, config.ranks)),
        rows=tuple((str(n), *(_entry(found[n, r]) for r in config.ranks)) for n in config.sizes),
        notes=_notes(config, outcomes),
        records=tuple(
            {
                "n": cell.n, "r": cell.r, "q": cell.q, "samples": cell.samples, **outcome.to_dict(),
                "chance_of_failure": of_chance(outcome.failures, cell.samples),
            }
            for cell, outcome in outcomes.items()
        ),
        figure=_figure(config, found),
    )  # fmt: skip
    result.write(Path(out))
    return result


def _entry(outcome: Outcome) -> str:
    """The least margin as a power of ten, and how many samples it does not speak for."""
    power = f"{log10(outcome.least):.1f}" if outcome.least else "-∞"
    others = outcome.by_svd + outcome.by_prime
    return power + (f"*{others}" if others else "") + (f"!{outcome.failures}" if outcome.failures else "")


def _notes(config: Config, outcomes: dict[Cell, Outcome]) -> tuple[str, ...]:
    total = len(outcomes) * config.samples
    sums = {name: sum(getattr(o, name) for o in outcomes.values()) for name in Outcome.__slots__[:4]}
    low, high = of_chance(sums["failures"], total)
    return (
        "Each number: log₁₀ of the least margin, which is how far the submatrix of the first q³ rows and columns,",
        f"q = min(n, r), is from a singular one, in units of n·ε. Above {log10(SAFETY):g} the rank is q³ or more. *k: k samples are",
        "below, and another proof was found for them; !k: for k none was.",
        f"{total} trains: {sums['certified']} by their margin, {sums['by_svd']} by singular values of the whole matrix, "
        f"{sums['by_prime']} modulo a prime, {sums['failures']} not.",
        f"Chance of a rank below q³, at 95 percent: {low:.2g} to {high:.2g}. ERNN: never, in 1000 samples of each pair.",
    )


def _figure(config: Config, found: dict[tuple[int, int], Outcome]) -> Any:
    """A heat map of the least margins."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(0.5 * len(config.ranks) + 2.2, 0.45 * len(config.sizes) + 1.4), layout="constrained")
    axes = figure.subplots()
    values = np.array([[log10(found[n, r].least or 1e-3) for r in config.ranks] for n in config.sizes])
    image = axes.imshow(values, cmap="viridis", aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        colour = "black" if value > (values.min() + values.max()) / 2 else "white"
        axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(config.ranks)), [str(r) for r in config.ranks])
    axes.set_yticks(range(len(config.sizes)), [str(n) for n in config.sizes])
    axes.set(xlabel="rank r", ylabel="size n", title=f"log₁₀ of the least margin of {config.samples} trains")
    figure.colorbar(image, ax=axes)
    return figure
