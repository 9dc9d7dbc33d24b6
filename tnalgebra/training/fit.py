"""The one call that trains a network."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FormatError, TrainingError, UnknownNameError
from ..execute.namespace import is_numpy_like, namespace_of
from ..networks import Network
from .checkpoint import Checkpoint
from .loss import LOSSES, encoded
from .objective import Batch, Objective, prepared
from .optimizer import Adam, Optimizer
from .trainer import Callback, Config, FitResult, Training

__all__ = ["fit"]

Array = Any
WORTH = 4e9
"""Operations of an epoch from which kernels are compiled: some seconds of NumPy."""


def fit(
    network: Network,
    X: Any,
    y: Any,
    *,
    loss: str = "cross-entropy",
    optimizer: Optimizer | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    sample_weight: Any = None,
    lengths: Any = None,
    validation: float | tuple[Any, ...] | None = None,
    patience: int | None = None,
    dropout: float = 0.0,
    weight_decay: float = 0.0,
    clip: float | None = None,
    seed: int | np.random.Generator = 0,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | Path | Checkpoint | None = None,
    compiled: bool | None = None,
    progress: bool = False,
) -> FitResult:
    """Train a network by mini-batches; the same seed gives the same bits.

    X: (n, T, N). y: (n,) labels 0, 1, …, or numbers for loss="squared". loss: cross-entropy, squared or binary.
    validation: a share of the rows, or (X, y), or (X, y, lengths); with patience, training ends when its loss has not
    fallen for so many epochs, and the best network is returned. lengths: of the sequences, for equal cores.
    dropout: share of the steps x⁽ᵗ⁾ that are set to 0 in a training step, the others scaled up. weight_decay: θ shrinks
    by learning rate times this in every step (decoupled). clip: the largest norm of a gradient.
    callbacks: functions of (Epoch, network) after every epoch; one that returns True ends the training.
    checkpoint: a path, or a `Checkpoint`; where the file exists, training goes on from it and ends with the same bits.
    compiled: whether Numba compiles kernels before the first step; if not given, where it is installed and an epoch is
    long enough that the seconds come back. On a GPU, whether a step is captured as one launch; it is if not given.

    Raises `AxisMismatchError`, `NonFiniteError`, `TrainingError` (where the loss diverges `DivergenceError`),
    `DataError`, `FormatError` for what is no network.

    >>> import numpy as np, tnalgebra as tna
    >>> net = tna.RecurrentNetwork.random(steps=2, inputs=1, features=8, rank=4, classes=2, xi="rectifier", seed=0)
    >>> X = np.random.default_rng(0).standard_normal((64, 2, 1))
    >>> result = tna.fit(net, X, (X[:, 0, 0] > 0).astype(int), epochs=100, optimizer=tna.Adam(0.02))
    >>> result.history.epochs[-1].accuracy > 0.9
    True
    """
    if not isinstance(network, Network):
        raise FormatError(f"fit trains a network; got {type(network).__name__}")
    config = Config(
        optimizer=optimizer or Adam(), epochs=epochs, batch_size=batch_size, patience=patience, dropout=dropout,
        weight_decay=weight_decay, clip=clip, seed=as_seed(seed),
    )  # fmt: skip
    data, held = datasets(network, X, y, loss, sample_weight, validation, config.seed, lengths)
    if compiled is None:
        compiled = _pays(Objective(network, loss, masked=lengths is not None), data, batch_size)
    objective = Objective(network, loss, masked=lengths is not None, compiled=compiled)
    return Training(objective, config, data, held, as_checkpoint(checkpoint), as_callbacks(callbacks)).run(progress)


def datasets(
    network: Network, x: Any, y: Any, loss: str, weight: Any, validation: Any, seed: int, lengths: Any = None
) -> tuple[Batch, Batch | None]:
    """What is trained on and what is held back, checked and where the network lives."""
    if loss not in LOSSES:
        raise UnknownNameError(f"unknown loss {loss!r}; known: {', '.join(LOSSES)}")
    if np.ndim(y) == 0:
        raise TrainingError(f"y must have one label or number a row; got {y!r}")
    if len(y) == 0:
        raise TrainingError("X has no rows, there is nothing to learn from")
    data: Batch = prepared(network, x, encoded(y, network.classes, loss, network.dtype), weight, lengths)
    if validation is None:
        return data, None
    if isinstance(validation, float | int | np.floating) and not isinstance(validation, bool):
        return _split(data, float(validation), seed)
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        raise TrainingError("validation must be a share of the rows, or (X, y), or (X, y, lengths)")
    held_x, held_y, *rest = validation
    if len(held_y) == 0:
        raise TrainingError("the validation data have no rows")
    target = encoded(held_y, network.classes, loss, network.dtype)
    return data, prepared(network, held_x, target, None, *(rest or [None]), where="validation X")


def _pays(objective: Objective, data: Batch, batch_size: int) -> bool:
    """Whether an epoch takes seconds, on NumPy arrays and with Numba there; CuPy's launches are captured at once."""
    like = data["X"]
    if not isinstance(like, np.ndarray):
        return is_numpy_like(namespace_of([like]))
    if find_spec("numba") is None:
        return False
    batch = {name: array[:batch_size] for name, array in data.items()}
    return bool(objective.flops(batch) * int(like.shape[0]) / batch_size > WORTH)


def as_checkpoint(checkpoint: Any) -> Checkpoint | None:
    kept = Checkpoint(checkpoint) if isinstance(checkpoint, str | Path) else checkpoint
    if not isinstance(kept, Checkpoint | None):
        raise TrainingError(f"checkpoint must be a path or a Checkpoint; got {checkpoint!r}")
    return kept


def as_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    if not isinstance(callbacks, Iterable) or not all(map(callable, found := tuple(callbacks))):
        raise TrainingError(f"callbacks must be a list of functions of (Epoch, network); got {callbacks!r}")
    return found


def as_seed(seed: int | np.random.Generator) -> int:
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**31))
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise TrainingError(f"seed must be an integer from 0, or a NumPy generator; got {seed!r}")
    return int(seed)


def _split(data: Batch, share: float, seed: int) -> tuple[Batch, Batch]:
    count = int(data["X"].shape[0])
    if not 0 < share < 1 or not 0 < round(count * share) < count:
        raise TrainingError(f"validation={share!r} of {count} rows leaves none to train on or none to validate")
    order = np.random.default_rng((seed, 2)).permutation(count)
    order = namespace_of([data["X"]]).asarray(order)
    rest, held = order[round(count * share) :], order[: round(count * share)]
    first, second = ({name: array[rows] for name, array in data.items()} for rows in (rest, held))
    if not all(float(part["row_weight"].sum()) > 0 for part in (first, second)):
        raise TrainingError("sample_weight is 0 for every row that is trained on, or for every row that is held back")
    weights = first["row_weight"]
    return {**first, "row_weight": weights * (len(rest) / weights.sum())}, second  # of mean 1, as without a share
