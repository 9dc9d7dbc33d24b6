"""A network together with what turns samples into its inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AxisMismatchError, DataError, UnknownNameError
from ..formats.archive import read_archive
from ..formats.storage import READERS, load
from ..networks import Network, save_network
from .dataset import Dataset, Kind, as_samples
from .fit import fit
from .history import History
from .source import load_data
from .steps import KINDS, check_cut, moments, steps_of

__all__ = ["Model", "Steps", "load_model", "train_model"]

Array = Any
ENTRY = "samples"
"""Where the header of a network's file says what its samples are."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How a sample becomes steps: images by `patches`, or a step a row where patch is None.

    Raises `DataError` for sizes that no patch has, and for a stride or an order without a patch, `UnknownNameError`.
    """

    patch: int | None = None
    stride: int | None = None
    order: str = "rows"

    def __post_init__(self) -> None:
        check_cut(self.patch, self.stride, self.order)

    def __call__(self, X: Array) -> Array:
        """(n, T, N) of feature vectors (n, T), sequences (n, T, N) or images (n, H, W) or (n, H, W, C)."""
        if self.patch is None and X.ndim == 4:
            raise DataError(f"images in colour, here of shape {X.shape[1:]}, need the size of a patch")
        return steps_of(X, self.patch, self.stride, self.order)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Model:
    """A trained network, and the samples that it is for; `load_model` reads what `save` wrote, `load` its network.

    kind, sample_shape, classes: of the data set that it was trained on. steps: how its samples become steps, of which
    mean and scale make inputs of mean 0 and variance 1. source, options: from which `load_data` finds that data set
    again.
    """

    network: Network
    kind: Kind
    sample_shape: tuple[int, ...]
    classes: tuple[str, ...]
    steps: Steps
    mean: Array
    scale: Array
    source: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def data(self, source: str | Path | None = None, *, seed: int | None = None) -> Dataset:
        """The data set that it was trained on, with the same split, or another one, prepared in the same way.

        seed: another one than that of the training; samples of the training may then be among those for testing.
        Raises `DataError`.
        """
        source = self.source if source is None else str(source)
        others = {name: value for name, value in self.options.items() if name not in ("train", "test")}
        given = self.options if source == self.source else others
        return load_data(source, **{**given, **({} if seed is None else {"seed": seed})})

    def inputs(self, X: Any) -> Array:
        """What the network is called with, (n, T, N), of samples (n, …), which are checked as those of a `Dataset` are.

        Raises `AxisMismatchError` for samples of another shape, `DataError` for what is no sample.
        """
        X = np.asarray(X)
        if X.shape[1:] != self.sample_shape:
            raise AxisMismatchError(
                f"a sample has shape {X.shape[1:]}, but the model was trained on samples of shape {self.sample_shape}"
            )
        return (self.steps(as_samples(X, self.kind, "X")) - self.mean) / self.scale

    def scores(self, X: Any) -> Array:
        """Scores (n, classes) of samples (n, …)."""
        return self.network(self.inputs(X))

    def predict(self, X: Any) -> Array:
        """Labels (n,) of samples (n, …)."""
        return self.scores(X).argmax(1)

    def accuracy(self, X: Any, y: Any) -> float:
        """Share of the samples whose label is predicted."""
        return float((self.predict(X) == y).mean())

    def save(self, path: str | Path) -> None:
        """Write network and samples to a file, whole or not at all. Raises `DataError`."""
        samples = {"kind": self.kind, "shape": list(self.sample_shape), "classes": list(self.classes)}
        steps = {name: getattr(self.steps, name) for name in Steps.__dataclass_fields__}
        origin = {"source": self.source, "options": dict(self.options)}
        moments = {"mean": self.mean.tolist(), "scale": self.scale.tolist()}
        save_network(self.network, path, {ENTRY: {**samples, **origin, "steps": steps, **moments}})


def load_model(path: str | Path) -> Model:
    """Read what `Model.save` wrote.

    Raises `DataError` where there is no such file, where it is damaged, or where it holds a network alone.
    """
    header, _ = read_archive(path, READERS)
    if ENTRY not in header:
        raise DataError(
            f"{str(path)!r} holds a {header['kind']} and not what its samples are: `tnalgebra train` and Model.save "
            "write both; load reads what is there"
        )
    about: Mapping[str, Any] = header[ENTRY]
    if lacking := {"mean", "scale"} - about.keys():
        raise DataError(f"{str(path)!r} has no {' and '.join(sorted(lacking))} of its inputs: train the model again")
    network = load(path)
    mean, scale = (np.array(about[name], network.dtype) for name in ("mean", "scale"))
    return Model(
        network, about["kind"], tuple(about["shape"]), tuple(about["classes"]), Steps(**about["steps"]), mean, scale,
        about["source"], about["options"],
    )  # fmt: skip


def train_model(
    data: Dataset,
    kind: str,
    *,
    rank: int,
    features: int,
    xi: str = "rectifier",
    steps: Steps | None = None,
    activation: str = "relu",
    seed: int = 0,
    **options: Any,
) -> tuple[Model, History]:
    """Draw a network for a data set and train it on inputs of mean 0 and variance 1.

    kind: "cp", "tt" or "ht". options: of `fit`; validation as a pair has samples, and callbacks get a network that is
    called with `Model.inputs`. Every column of feature vectors is scaled by itself, and every number of a step over all
    steps. Raises `UnknownNameError` for another kind, and what `fit` raises.

    >>> import tnalgebra as tna
    >>> model, history = train_model(tna.load_data("moons"), "tt", rank=4, features=8, epochs=2)
    >>> model.predict([[0.0, 1.0], [1.0, -0.5]]).shape
    (2,)
    """
    if kind not in KINDS:
        raise UnknownNameError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    steps = steps or Steps()
    X = steps(data.X_train)
    mean, scale = moments(X, None, (0,) if data.X_train.ndim == 2 else (0, 1))
    network = KINDS[kind].random(
        steps=X.shape[1], inputs=X.shape[2], features=features, rank=rank, classes=data.n_classes, xi=xi,
        activation=activation, seed=seed, dtype=X.dtype,
    )  # fmt: skip
    model = Model(network, data.kind, data.sample_shape, data.classes, steps, mean, scale, data.name, data.options)
    held = options.get("validation")
    if isinstance(held, tuple | list) and held:
        options["validation"] = (model.inputs(held[0]), *held[1:])
    result = fit(network, (X - mean) / scale, data.y_train, seed=seed, **options)
    return replace(model, network=result.network), result.history
