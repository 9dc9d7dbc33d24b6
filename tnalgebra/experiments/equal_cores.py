"""Ranks of trains whose inner cores are equal (ERNN, Hypothesis 1)."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import log10
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np

from ..canvas import new_figure
from ..errors import DataError
from .certificate import SAFETY, margin, modular_product, modular_rank, residues
from .intervals import of_chance
from .result import Result
from .results import Progress, computed, needs_pictures

__all__ = ["Config", "matrices", "run"]

Array = Any
Train = tuple[Array, Array, Array]
"""The first core, all between, and the last, of many trains: (samples, n, r), (samples, r, n, r), (samples, r, n)."""
NAME = "equal-cores"
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
    """For how many samples a rank of q³ or more was found, and by what.

    certified: by the margin of a submatrix of q³ rows and columns. exact: by arithmetic modulo a prime, where the
    margin is too small to tell. failures: by neither. proved: whether the first sample has that rank in exact
    arithmetic. least, median: of the margins.
    """

    certified: int
    exact: int
    failures: int
    proved: bool
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
    doubtful = np.flatnonzero(margins <= SAFETY)
    exact = {int(i): _is_proved(train, corner, slice(i, i + 1), goal) for i in {0, *doubtful}}
    proved = sum(exact[int(i)] for i in doubtful)
    return Outcome(
        certified=cell.samples - len(doubtful), exact=proved, failures=len(doubtful) - proved, proved=exact[0],
        least=float(margins.min()), median=float(np.median(margins)), seconds=perf_counter() - start,
    )  # fmt: skip


def _is_proved(whole: Train, corner: Train, at: slice, goal: int) -> bool:
    """Whether a sample has the rank modulo a prime: in the submatrix, or else in the whole matrix."""
    for first, between, last in (corner, whole):
        exact = matrices((residues(first[at]), residues(between[at]), residues(last[at])), modular_product)
        if modular_rank(exact[0], goal) >= goal:
            return True
    return False


def _corner(train: Train, q: int) -> Train:
    """The subtensor of the first q indices of every mode: its matricization is a submatrix."""
    first, between, last = train
    return first[:, :q], between[:, :, :q], last[:, :, :q]


def _batches(train: Train, side: int) -> Iterator[Train]:
    step = max(1, BATCH // side**2)
    for i in range(0, len(train[0]), step):
        first, between, last = (core[i : i + step] for core in train)
        yield first, between, last


def run(config: Config, out: str | Path, *, jobs: int = 1, progress: Progress | None = None) -> Result:
    """Compute the ranks that are not yet in the folder, and write table and picture there.

    jobs: processes, each with one thread of BLAS. Raises `DataError` for results of another configuration,
    `PictureError` without Matplotlib.
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
    marks = {"*": outcome.exact, "!": outcome.failures}
    return power + "".join(f"{mark}{count}" for mark, count in marks.items() if count)


def _notes(config: Config, outcomes: dict[Cell, Outcome]) -> tuple[str, ...]:
    total, results = len(outcomes) * config.samples, outcomes.values()
    certified, exact = sum(o.certified for o in results), sum(o.exact for o in results)
    failures, proved = sum(o.failures for o in results), sum(o.proved for o in results)
    low, high = of_chance(failures, total)
    return (
        "Each number: log₁₀ of the least margin, which is how far the submatrix of the first q³ rows and columns,",
        "q = min(n, r), is from a singular one, in units of q³·ε.",
        f"Above {log10(SAFETY):g} the rank is q³ or more. *k: for k samples the margin is less, and exact arithmetic",
        "finds that rank; !k: for k samples it does not.",
        f"{total} trains: {certified} by their margin, {exact} by exact arithmetic, {failures} below q³.",
        f"Chance of a rank below q³, at 95 percent: {low:.2g} to {high:.2g}. ERNN: none in 1000 samples of each pair.",
        "One train of that rank proves it for almost every train of the pair, since lower ranks are where polynomials",
        f"vanish. Proved by exact arithmetic: {proved} of {len(outcomes)} pairs.",
    )


def _figure(config: Config, found: dict[tuple[int, int], Outcome]) -> Any:
    """A heat map of the least margins."""
    figure = new_figure(0.5 * len(config.ranks) + 2.2, 0.45 * len(config.sizes) + 1.4)
    axes = figure.subplots()
    values = np.array([[log10(found[n, r].least or 1e-3) for r in config.ranks] for n in config.sizes])
    image = axes.imshow(values, cmap="viridis", aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        colour = "black" if value > (values.min() + values.max()) / 2 else "white"
        axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize="x-small", color=colour)
    axes.set_xticks(range(len(config.ranks)), [str(r) for r in config.ranks])
    axes.set_yticks(range(len(config.sizes)), [str(n) for n in config.sizes])
    axes.set(xlabel="rank r", ylabel="size n", title=f"log₁₀ of the least margin of {config.samples} trains")
    figure.colorbar(image, ax=axes)
    return figure
