"""Configurations: frozen dataclasses from TOML files."""

import tomllib
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from importlib.resources import files
from itertools import product
from math import inf
from pathlib import Path
from types import UnionType
from typing import Any, Protocol, Self, TypeVar, get_args, get_origin, get_type_hints

from ..algebra import operator
from ..errors import DataError, UnknownNameError
from ..training.steps import KINDS
from .cell import Cell, Task

__all__ = ["Config", "Sweep", "read_config"]

QUICK: dict[str, Any] = {"train": 120, "test": 60, "epochs": 2, "rank": 3, "features": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Which networks are trained on which data, and how.

    data: one `Task` a data set. kinds: of "cp", "tt" and "ht". xi: names of operators. learning_rates, seeds: every
    network is trained with each of them. batch_size, clip, dropout: of `fit`.
    Raises `DataError` for empty lists and numbers out of their range, `UnknownNameError` for unknown names.
    """

    data: tuple[Task, ...]
    kinds: tuple[str, ...]
    xi: tuple[str, ...]
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...] = (0,)
    batch_size: int = 32
    clip: float = 1.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what would only be found after hours of training."""
        for name in ("data", "kinds", "xi", "learning_rates", "seeds"):
            if not getattr(self, name):
                raise DataError(f"{name} is empty: there is nothing to train")
        if min(self.seeds) < 0 or self.batch_size < 1:
            raise DataError(f"seeds must be ≥ 0 and batch_size ≥ 1; got {self.seeds} and {self.batch_size}")
        if not all(0 < rate < inf for rate in self.learning_rates):
            raise DataError(f"learning_rates must be positive numbers; got {self.learning_rates}")
        if not self.clip > 0 or not 0 <= self.dropout < 1:
            raise DataError(f"clip must be > 0 and dropout in [0, 1); got {self.clip} and {self.dropout}")
        for kind in self.kinds:
            if kind not in KINDS:
                raise UnknownNameError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
        for xi in self.xi:
            operator(xi)
        names = [task.name for task in self.data]
        if len(set(names)) < len(names):
            raise DataError(f"two data sets have the same name among {', '.join(names)}: give one of them another name")

    def quick(self) -> Self:
        """The same with little data, small networks and few epochs: for a look at what is written."""
        small = [
            replace(task, **{name: min(getattr(task, name) or size, size) for name, size in QUICK.items()})
            for task in self.data
        ]
        return replace(self, data=tuple(small), learning_rates=self.learning_rates[:1], seeds=self.seeds[:1])

    def cells(self) -> list[Cell]:
        """Every training, those of one table entry one after the other."""
        return [
            self._cell(task, kind, xi, task.rank, rate, seed)
            for task, kind, xi, rate, seed in product(
                self.data, self.kinds, self.xi, self.learning_rates, self.seeds
            )
        ]  # fmt: skip

    def _cell(self, task: Task, kind: str, xi: str, rank: int, rate: float, seed: int, grid: int = 0) -> Cell:
        return Cell(
            task=task, kind=kind, xi=xi, rank=rank, learning_rate=rate, seed=seed, batch_size=self.batch_size,
            clip=self.clip, dropout=self.dropout, grid=grid,
        )  # fmt: skip


class Config(Protocol):
    """What every experiment has: a frozen dataclass that knows its cells."""

    def quick(self) -> Self:
        """The same with little to do."""
        ...

    def cells(self) -> list[Any]:
        """What there is to work on, each with its own key."""
        ...


T = TypeVar("T")


def read_config(cls: type[T], name: str, path: str | Path | None = None) -> T:
    """The configuration in a TOML file, or the one of that name in the package.

    Raises `DataError` that names the file and the setting: unknown, missing, or not of its type.
    """
    source = files(__package__).joinpath("configs", f"{name}.toml") if path is None else Path(path)
    where = repr(str(path)) if path else f"{name}.toml"
    try:
        table = tomllib.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"there is no file {where}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {where}: {error}") from error
    found: T = _made(cls, table, where)
    return found


def _made(cls: Any, table: dict[str, Any], where: str) -> Any:
    """A dataclass of a table."""
    known = {field.name: field for field in fields(cls)}
    if unknown := [key for key in table if key not in known]:
        raise DataError(f"{where}: unknown setting {', '.join(unknown)}; known: {', '.join(known)}")
    if missing := [name for name, field in known.items() if field.default is MISSING and name not in table]:
        raise DataError(f"{where}: {', '.join(missing)} is missing")
    hints = get_type_hints(cls)
    return cls(**{key: _value(value, hints[key], f"{where}: {key}") for key, value in table.items()})


def _value(value: Any, hint: Any, where: str) -> Any:
    """A value of the type that a field declares: a number, text, a table, or a list of these."""
    if is_dataclass(hint) and isinstance(value, dict):
        return _made(hint, value, where)
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_value(part, get_args(hint)[0], where) for part in value)
    if get_origin(hint) is dict and isinstance(value, dict):
        return {key: _value(part, get_args(hint)[1], f"{where}.{key}") for key, part in value.items()}
    plain = [part for part in (get_args(hint) if isinstance(hint, UnionType) else (hint,)) if isinstance(part, type)]
    if float in plain and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) in plain:
        return value
    raise DataError(f"{where} is {value!r}, which is no {getattr(hint, '__name__', hint)}")
