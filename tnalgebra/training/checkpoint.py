"""The state of a training in a file, from which it goes on to the same bits."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import monotonic
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from ..errors import DataError, TrainingError
from ..execute.namespace import namespace_of, to_device
from ..formats import TTTensor
from ..formats.archive import check_target, read_archive, write_archive
from .history import Epoch
from .optimizer import OptimizerState

__all__ = ["Checkpoint", "TrainingState", "described", "digest"]

Array = Any
KIND = "Checkpoint"


@dataclass(slots=True)
class TrainingState:
    """Where a training stands: after `batch` batches of epoch number `epoch`, both counted from 0.

    parameters, best, moments of the optimizer: vectors, or trains.
    totals: sums of the losses and of the gradient norms over the batches of this epoch.
    """

    parameters: Array
    optimizer: OptimizerState
    best: Array
    totals: Array
    epoch: int = 0
    batch: int = 0
    best_loss: float = float("inf")
    waited: int = 0
    seconds: float = 0.0
    history: tuple[Epoch, ...] = ()
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file that training is written to, every so many steps or seconds and after the last one.

    steps, seconds: whichever comes first; without both, after every epoch.

    >>> Checkpoint("run.tna", steps=100)
    Checkpoint(path='run.tna', steps=100, seconds=None)
    """

    path: str | Path
    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse intervals that are not positive."""
        for name in ("steps", "seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise TrainingError(f"a checkpoint every {value} {name} is none; give a positive number")

    def check(self) -> None:
        """Raise `DataError` where the file could not be written: before the work, not after it."""
        check_target(self.path)

    def is_due(self, state: TrainingState, written: float) -> bool:
        """Whether it is time to write; `written` is the clock of the last time."""
        if self.steps is not None and state.optimizer.step % self.steps == 0:
            return True
        if self.seconds is not None and monotonic() - written >= self.seconds:
            return True
        return self.steps is None and self.seconds is None and state.batch == 0

    def write(self, state: TrainingState, settings: Mapping[str, Any]) -> None:
        """Write the state, whole or not at all; raises `DataError`, and the last file is intact."""
        values = {"parameters": state.parameters, "best": state.best, "totals": state.totals}
        values |= {f"moment{i}": moment for i, moment in enumerate(state.optimizer.moments)}
        arrays = {key: array for name, value in values.items() for key, array in _parts(name, value).items()}
        counters = {name: getattr(state, name) for name in ("epoch", "batch", "waited", "seconds", "is_done")}
        about = {
            "settings": dict(settings),
            "step": state.optimizer.step,
            "best_loss": repr(state.best_loss),
            "history": [_row(epoch) for epoch in state.history],
            "moments": len(state.optimizer.moments),
            **counters,
        }
        write_archive(self.path, KIND, about, arrays)

    def read(self, settings: Mapping[str, Any], like: Array) -> TrainingState | None:
        """The state in the file, None where there is none yet.

        Raises `DataError` for a damaged file, `TrainingError` that names what differs for one of another training.
        """
        if not Path(self.path).exists():
            return None
        header, arrays = read_archive(self.path, (KIND,))
        found = header.get("settings", {})
        for name, value in settings.items():
            if found.get(name) != value:
                raise TrainingError(
                    f"{str(self.path)!r} is a checkpoint of another training: {name} is {found.get(name)!r} there and "
                    f"{value!r} here; give another path, or delete the file to begin anew"
                )
        xp = namespace_of([like])
        moved = {name: array if xp is np else to_device(array, "cuda") for name, array in arrays.items()}
        try:
            moments = tuple(_whole(f"moment{i}", moved) for i in range(header["moments"]))
            return TrainingState(
                _whole("parameters", moved),
                OptimizerState(header["step"], moments),
                _whole("best", moved),
                moved["totals"],
                best_loss=float(header["best_loss"]),
                history=tuple(Epoch(**row) for row in header["history"]),
                **{name: header[name] for name in ("epoch", "batch", "waited", "seconds", "is_done")},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{str(self.path)!r} was altered: it is no state of a training: {error}") from error


def _parts(name: str, value: Any) -> dict[str, Array]:
    """The arrays of a value by their names in the file: of a vector itself, of a train its cores."""
    if not isinstance(value, TTTensor):
        return {name: value}
    return {f"{name}.{mode}": core for mode, core in enumerate(value.cores)}


def _whole(name: str, arrays: Mapping[str, Array]) -> Any:
    if name in arrays:
        return arrays[name]
    count = sum(key.startswith(f"{name}.") for key in arrays)
    return TTTensor(tuple([arrays[f"{name}.{mode}"] for mode in range(count)]))


def _row(epoch: Epoch) -> dict[str, Any]:
    return {name: getattr(epoch, name) for name in Epoch.__dataclass_fields__}


def described(value: Any, above: tuple[int, ...] = ()) -> str:
    """A setting as text that is the same in another process: an object by its fields, a function by its code.

    The numbers that a function has from around it count too, but not those of its module.
    above: ids of what the value is a part of; a function may hold itself.
    """
    if isinstance(value, bool | np.bool_ | str | bytes | complex) or value is None:
        return str(value)
    if isinstance(value, int | float | np.number):
        return f"{float(value):.17g}"
    if isinstance(value, np.ndarray):
        return f"array {digest(value)}"
    if id(value) in above:
        return "…"
    above = (*above, id(value))
    if isinstance(value, tuple | list | set | frozenset):
        parts = [described(part, above) for part in value]
        return f"({', '.join(parts if isinstance(value, tuple | list) else sorted(parts))})"
    if isinstance(value, ModuleType):
        return value.__name__
    if hasattr(value, "__qualname__") and not isinstance(value, MethodType):
        content = f" {_content(value, above)}" if isinstance(value, FunctionType) else ""
        return f"{value.__module__}.{value.__qualname__}{content}"
    return f"{type(value).__name__}({', '.join(f'{k}={described(v, above)}' for k, v in _fields(value).items())})"


def _fields(value: Any) -> dict[str, Any]:
    """What an object holds, by name."""
    match value:
        case dict():
            return {str(key): part for key, part in value.items()}
        case partial():
            return {"func": value.func, "args": value.args, "keywords": value.keywords}
        case MethodType():
            return {"self": value.__self__, "func": value.__func__}
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    names = getattr(value, "__dataclass_fields__", None) or (*slots, *getattr(value, "__dict__", ()))
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def _content(function: FunctionType, above: tuple[int, ...]) -> str:
    """A short sum of the code of a function, of its defaults, and of the values that it has from around it."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    held = (_code(function.__code__), function.__defaults__, function.__kwdefaults__, cells)
    return sha256(described(held, above).encode()).hexdigest()[:8]


def _code(code: CodeType) -> tuple[Any, ...]:
    """What makes code differ, wherever it stands."""
    constants = [_code(part) if isinstance(part, CodeType) else part for part in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, constants


def digest(*arrays: Array) -> str:
    """A short sum by which arrays are told from others."""
    found = sha256()
    for array in arrays:
        host = np.ascontiguousarray(to_device(array, "cpu"))
        found.update(f"{host.shape}{host.dtype}".encode())
        found.update(host.data if host.size else b"")
    return found.hexdigest()[:16]
