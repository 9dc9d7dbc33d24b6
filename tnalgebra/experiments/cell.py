"""One training: what it is of, and what came out."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np

from ..errors import DataError, DivergenceError
from ..plot.boundary import plane
from ..training import Adam, CosineDecay, Dataset, Steps, load_data, train_model
from ..training.model import Model
from ..training.steps import check_cut

__all__ = ["Cell", "Outcome", "Task", "train"]

Array = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A data set, how its samples become steps, and the networks for it.

    source: what `load_data` takes, the name if not given. train, test: how many samples, all if not given.
    patch, stride, order: of `patches`. rank, features, epochs: of the networks and their training.
    paper: the data set of the paper whose numbers stand beside, none if not given.
    """

    name: str
    source: str | None = None
    train: int | None = None
    test: int | None = None
    patch: int | None = None
    stride: int | None = None
    order: str = "rows"
    rank: int = 16
    features: int = 16
    epochs: int = 20
    paper: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no data and no network have."""
        for name in ("train", "test", "rank", "features", "epochs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise DataError(f"{name} of {self.name!r} must be 1 or more; got {value}")
        check_cut(self.patch, self.stride, self.order)

    @property
    def steps(self) -> Steps:
        """What makes inputs of samples."""
        return Steps(self.patch, self.stride, self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One training of one network; grid: on so many points along each axis of the plane its scores are kept."""

    task: Task
    kind: str
    xi: str
    rank: int
    learning_rate: float
    seed: int
    batch_size: int
    clip: float
    dropout: float
    grid: int = 0

    @property
    def entry(self) -> tuple[str, str, str, int]:
        """What has one place in a table, whatever the learning rate and the seed."""
        return self.task.name, self.kind, self.xi, self.rank

    @property
    def key(self) -> str:
        """The name of the training in a results file."""
        name, kind, xi, rank = self.entry
        return f"{name} {kind} {xi} rank={rank} learning_rate={self.learning_rate} seed={self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a training came to: numbers of its last epoch, or why it failed.

    loss: mean training loss. picture: probability of class 1 in percent on a grid, rows from below.
    extent: left, right, bottom and top of the picture.
    """

    n_params: int = 0
    loss: float | None = None
    train_accuracy: float | None = None
    test_accuracy: float | None = None
    seconds: float = 0.0
    failure: str | None = None
    picture: list[list[int]] | None = None
    extent: list[float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """What is there, for JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def train(cell: Cell) -> Outcome:
    """Train one network; a training that diverges is an outcome too."""
    data = _data(cell.task)
    steps = cell.task.epochs * ceil(len(data.X_train) / cell.batch_size)
    try:
        model, history = train_model(
            data, cell.kind, rank=cell.rank, features=cell.task.features, xi=cell.xi,
            steps=cell.task.steps, seed=cell.seed,
            optimizer=Adam(CosineDecay(cell.learning_rate, steps + 1)), epochs=cell.task.epochs,
            batch_size=cell.batch_size, clip=cell.clip, dropout=cell.dropout,
        )  # fmt: skip
    except DivergenceError as error:
        return Outcome(failure=str(error))
    last = history.epochs[-1]
    picture, extent = _picture(model, data, cell.grid) if cell.grid else (None, None)
    return Outcome(
        n_params=model.network.n_params, loss=last.loss,
        train_accuracy=model.accuracy(data.X_train, data.y_train),
        test_accuracy=model.accuracy(data.X_test, data.y_test), seconds=last.seconds, picture=picture,
        extent=extent,
    )  # fmt: skip


@lru_cache(maxsize=2)
def _data(task: Task) -> Dataset:
    return load_data(task.source or task.name, train=task.train, test=task.test)


def _picture(model: Model, data: Dataset, grid: int) -> tuple[list[list[int]], list[float]]:
    if data.sample_shape != (2,) or data.n_classes != 2:
        raise DataError(
            f"{data.name!r} has no decision boundary to draw: that takes points in the plane of two classes"
        )
    points, extent = plane(data.X_train, grid)
    scores = model.scores(points)
    percent = np.rint(50 * (1 + np.tanh((scores[:, 1] - scores[:, 0]) / 2))).astype(int)
    return percent.reshape(grid, grid).tolist(), extent
