"""What the commands share: the application, two consoles, one line for a mistake."""

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from ..errors import DataError, TnAlgebraError
from ..formats.archive import check_target

__all__ = ["app", "check_folder", "err", "escaped", "main", "out", "table_of", "write"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="CP, TT and HT tensors and networks: compare ranks, plan contractions, train, reproduce experiments.",
)
out = Console()
err = Console(stderr=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a mistake of the user ends with one line and exit code 1, of usage with 2."""
    try:
        app(arguments)
    except TnAlgebraError as error:
        err.print(f"[bold red]error:[/] {escaped(str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


def escaped(text: str) -> str:
    """Text in which Rich sees no markup."""
    return text.replace("[", r"\[")


def table_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table without lines, columns of numbers to the right."""
    table = Table(box=None, pad_edge=False)
    for column, name in enumerate(header):
        is_number = all(row[column][:1].isdigit() or row[column][:1] in ("∞", ">", "") for row in rows)
        table.add_column(name, justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*map(escaped, row))
    return table


def check_folder(target: Path | None) -> None:
    """Raise `DataError` where a file could not be written: before the work, not after it."""
    if target is not None:
        check_target(target)


def write(target: Path, text: str) -> None:
    """Write text to a file. Raises `DataError`."""
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {str(target)!r}: {error.strerror}") from error
