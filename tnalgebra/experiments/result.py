"""What an experiment comes to: a table, its numbers, a picture."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..formats.archive import write_whole
from .cell import Cell, Outcome
from .results import Outcomes, write_json, write_text

__all__ = ["Result", "accuracy", "record"]

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A table with numbers of the papers beside; prints as text.

    records: the numbers of the table, a dictionary a training. notes: what is to be known to read it.
    """

    title: str
    header: Row
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    records: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    figure: Any = field(default=None, repr=False)

    def __str__(self) -> str:
        table = [self.header, *self.rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(self.header))]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in table
        ]
        return "\n".join([self.title, "", *lines, "", *self.notes])

    def write(self, out: Path) -> tuple[Path, ...]:
        """Write `table.txt`, `table.json` and `picture.png` to a folder; the paths. Raises `DataError`."""
        paths = out / "table.txt", out / "table.json", out / "picture.png"
        write_text(paths[0], str(self))
        write_json(paths[1], list(self.records))
        write_whole(paths[2], lambda file: self.figure.savefig(file, format="png", dpi=120))
        return paths


def record(cell: Cell, outcome: Outcome, outcomes: Outcomes, paper: Any = None) -> dict[str, Any]:
    """The numbers of one entry of a table, and between which test accuracies the trainings for it lie."""
    name, kind, xi, rank = cell.entry
    tests = [o.test_accuracy for c, o in outcomes.items() if c.entry == cell.entry and o.test_accuracy is not None]
    found = {key: value for key, value in outcome.to_dict().items() if key not in ("picture", "extent")}
    return {
        "data": name, "kind": kind, "xi": xi, "rank": rank, "learning_rate": cell.learning_rate, "seed": cell.seed,
        **found, "test_accuracies": sorted(tests), "paper": paper,
    }  # fmt: skip


def accuracy(value: float | None) -> str:
    """Four digits, or a dash where there is no number."""
    return "–" if value is None else f"{value:.4f}"
