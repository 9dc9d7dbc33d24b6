"""Finished trainings in a file, and the trainings that are still to do."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any

from ..errors import DataError
from ..formats.archive import write_whole
from .cell import Cell, Outcome, train
from .config import Sweep

__all__ = ["Outcomes", "best", "needs_pictures", "trained", "write_json", "write_text"]

Outcomes = dict[Cell, Outcome]
Progress = Callable[[int, int, str], object]
"""Called with how many trainings are done, how many there are, and the name of the last one."""


def trained(name: str, config: Sweep, out: Path, jobs: int, progress: Progress | None = None) -> Outcomes:
    """Train every cell that `results.json` in a folder lacks; after each one the file is written, whole or not at all.

    Raises `DataError` where the file is of another configuration or damaged, or the folder cannot be made.
    """
    if jobs < 1:
        raise DataError(f"jobs is the number of processes, 1 or more; got {jobs}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {str(out)!r}: {error.strerror}") from error
    path, cells = out / "results.json", config.cells()
    file: dict[str, Any] = {"experiment": name, "config": json.loads(json.dumps(asdict(config))), "trainings": {}}
    file["trainings"] = _read(path, file)
    done: dict[str, dict[str, Any]] = file["trainings"]
    tell = progress or (lambda count, total, key: None)
    left = [cell for cell in cells if cell.key not in done]
    tell(len(cells) - len(left), len(cells), "")
    with _workers(min(jobs, len(left))) as outcomes_of:
        for cell, outcome in outcomes_of(left):
            done[cell.key] = outcome.to_dict()
            # In the order of the configuration, whichever process was faster.
            write_json(path, {**file, "trainings": {c.key: done[c.key] for c in cells if c.key in done}})
            tell(len(done), len(cells), cell.key)
    return {cell: Outcome(**done[cell.key]) for cell in cells}


def best(outcomes: Outcomes) -> Outcomes:
    """For every entry of a table the training of the least training loss; a failed one where all failed."""
    found: dict[tuple[str, str, str, int], Cell] = {}
    for cell, outcome in outcomes.items():
        other = found.get(cell.entry)
        if other is None or _loss(outcome) < _loss(outcomes[other]):
            found[cell.entry] = cell
    return {cell: outcomes[cell] for cell in found.values()}


def _loss(outcome: Outcome) -> float:
    return float("inf") if outcome.loss is None else outcome.loss


def needs_pictures() -> None:
    """Raise `DataError` where Matplotlib is missing: before the trainings, not after them."""
    if find_spec("matplotlib") is None:
        raise DataError("experiments draw pictures and need Matplotlib: pip install 'tnalgebra[plot]'")


def write_json(path: Path, value: Any) -> None:
    """Write JSON to a file, whole or not at all. Raises `DataError`."""
    write_text(path, json.dumps(value, indent=1))


def write_text(path: Path, text: str) -> None:
    """Write text and a line break to a file, whole or not at all. Raises `DataError`."""

    def pack(file: IO[bytes]) -> None:
        file.write(f"{text}\n".encode())

    write_whole(path, pack)


def _read(path: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """The trainings in a file, none where there is no file yet."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        trainings = {key: Outcome(**outcome).to_dict() for key, outcome in found["trainings"].items()}
        same = {"experiment": found["experiment"], **found["config"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"cannot read the results in {str(path)!r}: {error}; delete the file to begin anew") from error
    wanted = {"experiment": expected["experiment"], **expected["config"]}
    for setting in {**wanted, **same}:
        if wanted.get(setting) != same.get(setting):
            raise DataError(
                f"{str(path)!r} holds results of another configuration: {setting} is {same.get(setting)!r} there and "
                f"{wanted.get(setting)!r} here; give another folder, or delete the file to begin anew"
            )
    return trainings


@contextmanager
def _workers(jobs: int) -> Iterator[Callable[[list[Cell]], Iterator[tuple[Cell, Outcome]]]]:
    """What trains cells, in this process or in several: pairs as they are finished."""
    if jobs <= 1:
        yield lambda cells: ((cell, train(cell)) for cell in cells)
        return
    # A forked process may hold locks of threads that it does not have; a spawned one starts clean.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))

    def finished(cells: list[Cell]) -> Iterator[tuple[Cell, Outcome]]:
        futures = {pool.submit(train, cell): cell for cell in cells}
        return ((futures[future], future.result()) for future in as_completed(futures))

    try:
        yield finished
    finally:
        pool.shutdown(cancel_futures=True)
