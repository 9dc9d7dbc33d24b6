"""The width that one format needs for what another does, measured beside what is predicted (ERNN, Table 2)."""

from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Self

from ..canvas import new_figure
from ..errors import DataError
from ..expressivity import predicted_widths
from ..formats import CPTensor, DimensionTree, Format, HTTensor, TTTensor
from .exact import odd_even_rank
from .result import Result
from .results import Progress, computed, needs_pictures
from .table1 import COLOUR_OF

__all__ = ["Config", "run"]

NAME = "table2"
FORMATS: dict[str, type[CPTensor] | type[TTTensor] | type[HTTensor]] = {"TT": TTTensor, "HT": HTTensor, "CP": CPTensor}
MARKERS = {"TT": ("o", 9), "HT": ("s", 6), "CP": ("d", 4)}
"""In the picture, with sizes: one over the other where widths are equal."""
EPS = 1e-10
"""Of the rounding that finds TT and HT ranks: those of random tensors stand far from it on both sides."""
NOTES = (
    "Each entry: measured | predicted, by ERNN's Table 2 with the mode sizes taken into account. TT and HT widths:",
    "the largest rank after rounding to 1e-10. CP widths: lower bounds, odd/even ranks in exact arithmetic modulo a",
    "prime; of all rows and columns where they are few, else of a sample (+: it has full rank, so there may be more).",
    "In the paper the TT width of an HT tensor is r^(log₂(d)/2): r^1.5 for d = 8, where r² is needed.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Random tensors of each format: orders d, mode sizes n, widths r ≤ n, and seeds.

    lines: so many rows and columns of an odd/even matricization are looked at, at most.
    """

    orders: tuple[int, ...]
    sizes: tuple[int, ...]
    widths: tuple[int, ...]
    seeds: tuple[int, ...] = (0,)
    lines: int = 400

    def __post_init__(self) -> None:
        """Refuse what the paper's table does not speak of."""
        if not self.cells() or min(*self.sizes, *self.widths, self.lines) < 1:
            raise DataError(f"there must be orders, seeds and widths no larger than sizes, 1 or more; got {self}")
        if min(self.seeds) < 0:
            raise DataError(f"seeds must be 0 or more; got {self.seeds}")
        if any(order < 2 or order % 2 for order in self.orders):
            raise DataError(f"orders must be even: half of the modes are odd, half even; got {self.orders}")

    def quick(self) -> Self:
        """The same with few and small tensors."""
        return replace(self, orders=self.orders[:2], seeds=self.seeds[:1], lines=min(self.lines, 50))

    def cells(self) -> list["Cell"]:
        """Every order, size, width and seed."""
        return [
            Cell(order=d, n=n, r=r, seed=seed, lines=self.lines)
            for d, n, r, seed in product(self.orders, self.sizes, self.widths, self.seeds)
            if r <= n
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A tensor of each format."""

    order: int
    n: int
    r: int
    seed: int
    lines: int

    @property
    def entry(self) -> tuple[int, int, int]:
        """What has one place in the table, whatever the seed."""
        return self.order, self.n, self.r

    @property
    def key(self) -> str:
        """The name in a results file."""
        return f"d={self.order} n={self.n} r={self.r} seed={self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Given format → needed format → width. largest: the largest odd/even rank that could be found."""

    widths: dict[str, dict[str, int]]
    largest: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure(cell: Cell) -> Outcome:
    """The widths that other formats need for random tensors of each."""
    tree, widths, largest = DimensionTree.balanced(cell.order), {}, 0
    for given, format_ in FORMATS.items():
        tensor: Format = format_.random((cell.n,) * cell.order, cell.r, seed=cell.seed)
        rank, largest = odd_even_rank(tensor, cell.lines, cell.seed)
        train, hierarchy = tensor.to_tt().round(eps=EPS), tensor.to_ht(tree).round(eps=EPS)
        widths[given] = {"TT": max(train.ranks), "HT": max(hierarchy.ranks), "CP": rank}
    return Outcome(widths=widths, largest=largest)


def run(config: Config, out: str | Path, *, jobs: int = 1, progress: Progress | None = None) -> Result:
    """Measure what is not yet in the folder, and write table and picture there.

    jobs: processes, each with one thread of BLAS. Raises `DataError` for results of another configuration,
    `PictureError` without Matplotlib.
    """
    needs_pictures()
    outcomes = computed(NAME, config, measure, Outcome, Path(out), jobs, progress)
    found: dict[tuple[int, int, int], list[Outcome]] = {}
    for cell, outcome in outcomes.items():
        found.setdefault(cell.entry, []).append(outcome)
    result = Result(
        title="Width that a format needs (row) for a random tensor of another of width r (column) (ERNN, Table 2)",
        header=("d", "n", "r", "needed", *(f"given {given}" for given in FORMATS)),
        rows=tuple(
            (*map(str, entry), needed, *(_entry(entry, given, needed, outcomes) for given in FORMATS))
            for entry, outcomes in found.items()
            for needed in FORMATS
        ),
        notes=NOTES,
        records=tuple(_record(entry, given, outcomes) for entry, outcomes in found.items() for given in FORMATS),
        figure=_figure(found),
    )
    result.write(Path(out))
    return result


def _entry(entry: tuple[int, int, int], given: str, needed: str, outcomes: list[Outcome]) -> str:
    """Measured, from the least to the greatest of the seeds, and predicted."""
    order, n, r = entry
    found = [outcome.widths[given][needed] for outcome in outcomes]
    text = str(min(found)) if len(set(found)) == 1 else f"{min(found)}–{max(found)}"
    if needed == "CP":
        text = f"≥ {text}" + "+" * all(_is_cut(order, n, outcome, given) for outcome in outcomes)
    return f"{text} | {predicted_widths(given, r, order, n)[needed]}"


def _is_cut(order: int, n: int, outcome: Outcome, given: str) -> bool:
    """Whether a sample of the rows and columns had full rank, so that all of them may have a higher one."""
    rows: int = n ** (order // 2)
    return outcome.widths[given]["CP"] == outcome.largest < rows


def _record(entry: tuple[int, int, int], given: str, outcomes: list[Outcome]) -> dict[str, Any]:
    order, n, r = entry
    measured = {needed: [outcome.widths[given][needed] for outcome in outcomes] for needed in FORMATS}
    return {
        "d": order, "n": n, "r": r, "given": given, "measured": measured, "largest_odd_even": outcomes[0].largest,
        "predicted": predicted_widths(given, r, order, n),
    }  # fmt: skip


def _figure(found: dict[tuple[int, int, int], list[Outcome]]) -> Any:
    """A row of panels a size and width: measured widths as points over the order, predicted ones dashed.

    An open triangle says that there may be more than was measured.
    """
    pairs = list(dict.fromkeys(entry[1:] for entry in found))
    figure = new_figure(9, 2.3 * len(pairs) + 0.6)
    panels = figure.subplots(len(pairs), len(FORMATS), squeeze=False, sharex=True, sharey="row")
    for (pair, given), axes in zip(product(pairs, FORMATS), panels.flat, strict=True):
        orders = [order for order, *rest in found if tuple(rest) == pair]
        for needed, (marker, size) in MARKERS.items():
            seen = [found[order, *pair][0] for order in orders]
            predicted = [int(predicted_widths(given, pair[1], d, pair[0])[needed].split()[-1]) for d in orders]
            style = {"color": COLOUR_OF[needed.lower()], "markersize": size}
            axes.plot(orders, predicted, "--", linewidth=1, **style)
            axes.plot(orders, [o.widths[given][needed] for o in seen], marker, label=f"{needed} needed", **style)
            for order, outcome in zip(orders, seen, strict=True):
                if needed == "CP" and _is_cut(order, pair[0], outcome, given):
                    axes.plot(order, 1.6 * outcome.largest, "^", color="none", markeredgecolor=style["color"])
        axes.set(xscale="log", yscale="log", title=f"given {given}, n = {pair[0]}, r = {pair[1]}")
        axes.set_xticks(orders, [str(order) for order in orders])
        axes.minorticks_off()
    for axes in panels[-1]:
        axes.set_xlabel("order d")
    for axes in panels[:, 0]:
        axes.set_ylabel("width")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(FORMATS), fontsize="small")
    return figure
