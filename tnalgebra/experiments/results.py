"""Finished cells of an experiment in a file, and the cells that are still to do."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from ..errors import DataError, PictureError
from ..formats.archive import write_whole

__all__ = ["Progress", "computed", "needs_pictures", "write_json", "write_text"]

Progress = Callable[[int, int, str], object]
"""Called with how many cells are done, how many there are, and the name of the last one."""


class Keyed(Protocol):
    """A cell: a frozen dataclass with a name."""

    @property
    def key(self) -> str:
        """Its name in a results file."""
        ...


class Found(Protocol):
    """What a cell comes to: a frozen dataclass of what JSON has."""

    def to_dict(self) -> dict[str, Any]:
        """Arguments that make it again."""
        ...


C = TypeVar("C", bound=Keyed)
O = TypeVar("O", bound=Found)


def computed(
    name: str,
    config: Any,
    work: Callable[[C], O],
    made: Callable[..., O],
    out: Path,
    jobs: int,
    progress: Progress | None = None,
) -> dict[C, O]:
    """Work on the cells that `results.json` in a folder lacks; after each one the file is written, whole or not at all.

    config: a frozen dataclass with `cells()`. work: a function of a module, which other processes find by its name; it
    has one thread of BLAS. made: the dataclass of what it returns.
    Raises `DataError` where the file is of another configuration or damaged, or the folder cannot be made.
    """
    if jobs < 1:
        raise DataError(f"jobs is the number of processes, 1 or more; got {jobs}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {str(out)!r}: {error.strerror}") from error
    path, cells = out / "results.json", config.cells()
    if len({cell.key for cell in cells}) < len(cells):
        raise DataError("the configuration lists something twice: every cell needs a name of its own")
    if getattr(config, "seed", 0) < 0:
        raise DataError(f"seed must be 0 or more; got {config.seed}")
    file: dict[str, Any] = {"experiment": name, "config": json.loads(json.dumps(asdict(config)))}
    done = _read(path, file, made)
    tell = progress or (lambda count, total, key: None)
    left = [cell for cell in cells if cell.key not in done]
    tell(len(cells) - len(left), len(cells), "")
    with _workers(work, min(jobs, len(left))) as outcomes_of:
        for cell, outcome in outcomes_of(left):
            done[cell.key] = outcome.to_dict()
            # In the order of the configuration, whichever process was faster.
            write_json(path, {**file, "results": {c.key: done[c.key] for c in cells if c.key in done}})
            tell(len(done), len(cells), cell.key)
    return {cell: made(**done[cell.key]) for cell in cells}


def needs_pictures() -> None:
    """Raise `PictureError` where Matplotlib is missing: before the work, not after it."""
    if find_spec("matplotlib") is None:
        raise PictureError("experiments draw pictures and need Matplotlib: pip install 'tnalgebra[plot]'")


def write_json(path: Path, value: Any) -> None:
    """Write JSON to a file, whole or not at all. Raises `DataError`."""
    write_text(path, json.dumps(value, indent=1))


def write_text(path: Path, text: str) -> None:
    """Write text and a line break to a file, whole or not at all. Raises `DataError`."""

    def pack(file: IO[bytes]) -> None:
        file.write(f"{text}\n".encode())

    write_whole(path, pack)


def _read(path: Path, expected: dict[str, Any], made: Callable[..., Found]) -> dict[str, dict[str, Any]]:
    """The results in a file, none where there is no file yet."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        results = {key: made(**outcome).to_dict() for key, outcome in found["results"].items()}
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
    return results


@contextmanager
def _workers(work: Callable[[C], O], jobs: int) -> Iterator[Callable[[list[C]], Iterator[tuple[C, O]]]]:
    """What works on cells, in this process or in several: pairs as they are finished."""
    if jobs <= 1:
        yield lambda cells: ((cell, _alone(work, cell)) for cell in cells)
        return
    # A forked process may hold locks of threads that it does not have; a spawned one starts clean.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))

    def finished(cells: list[C]) -> Iterator[tuple[C, O]]:
        futures = {pool.submit(_alone, work, cell): cell for cell in cells}
        return ((futures[future], future.result()) for future in as_completed(futures))

    try:
        yield finished
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(work: Callable[[C], O], cell: C) -> O:
    """One cell on one thread of BLAS."""
    # SciPy brings a BLAS of its own, and a limit reaches only what is loaded.
    import scipy.linalg  # noqa: F401

    with threadpool_limits(1):
        return work(cell)
