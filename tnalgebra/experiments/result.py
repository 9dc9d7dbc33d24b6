"""What an experiment comes to: a table, its numbers, a picture."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..formats.archive import write_whole
from .results import write_json, write_text

__all__ = ["Result", "accuracy"]

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A table with numbers of the papers beside; prints as text.

    records: the numbers of the table, a dictionary an entry. notes: what is to be known to read it.
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


def accuracy(value: float | None) -> str:
    """Four digits, or a dash where there is no number."""
    return "–" if value is None else f"{value:.4f}"
