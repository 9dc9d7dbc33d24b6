"""A data set for classification: samples and labels, in a training and a test part."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from ..errors import DataError

__all__ = ["Dataset", "Kind", "Split", "class_names"]

Array = Any
Kind = Literal["features", "images", "sequences"]
SHAPES = {"features": "(n, N)", "images": "(n, H, W) or (n, H, W, C)", "sequences": "(n, T, N)"}
AXES = {"features": (2,), "images": (3, 4), "sequences": (3,)}
FEW = 1000
"""This many classes need no reason; more need as many labels."""


class Split(NamedTuple):
    """The four arrays of a data set, as a file or another library holds them."""

    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples with labels, for training and for testing.

    Samples are stored as float32 and labels as int64; images of uint8 are divided by 255.
    Raises `DataError` for shapes that do not fit the kind or one another, for NaN and infinity, for images outside
    [0, 1], and for labels that are not integers 0 … n_classes − 1.

    >>> import numpy as np
    >>> X = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    >>> Dataset("squares", X[:4], [0, 1, 1, 0], X[4:], [1, 0], "images")
    Dataset('squares', images: train (4, 2, 2), test (2, 2, 2), 2 classes)
    """

    name: str
    """What it was loaded from."""
    X_train: Array
    """Features (n, N), images (n, H, W) or (n, H, W, C) in [0, 1], or sequences of T steps (n, T, N)."""
    y_train: Array
    """Labels (n,)."""
    X_test: Array
    """As many axes and sizes as `X_train`, the number of samples aside."""
    y_test: Array
    """Labels (n,)."""
    kind: Kind
    """What a sample is: features, images or sequences."""
    classes: tuple[str, ...] = ()
    """A name for each label; the labels 0 … max as text where none are given."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What `load_data` was given beside the name: with both it finds the same samples again."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise DataError(f"{self.name}: kind is {self.kind!r}; known: {', '.join(get_args(Kind))}")
        for part in ("train", "test"):
            X, y = (getattr(self, f"{name}_{part}") for name in "Xy")
            object.__setattr__(self, f"X_{part}", as_samples(X, self.kind, f"{self.name}: X_{part}"))
            object.__setattr__(self, f"y_{part}", as_labels(y, f"{self.name}: y_{part}"))
            n_samples, n_labels = len(getattr(self, f"X_{part}")), len(getattr(self, f"y_{part}"))
            if n_samples != n_labels:
                raise DataError(f"{self.name}: X_{part} has {n_samples} samples, y_{part} has {n_labels} labels")
        if self.X_train.shape[1:] != self.X_test.shape[1:]:
            raise DataError(
                f"{self.name}: a sample of X_train has shape {self.X_train.shape[1:]}, one of X_test has "
                f"{self.X_test.shape[1:]}"
            )
        names = self.classes if len(self.classes) else class_names(self.name, self.y_train, self.y_test)
        object.__setattr__(self, "classes", tuple(str(name) for name in names))
        for part, labels in (("y_train", self.y_train), ("y_test", self.y_test)):
            if labels.max() >= self.n_classes:
                raise DataError(
                    f"{self.name}: {part} holds the label {labels.max()}; its {self.n_classes} classes have the "
                    f"labels 0 … {self.n_classes - 1}"
                )

    def __repr__(self) -> str:
        shapes = f"train {self.X_train.shape}, test {self.X_test.shape}"
        return f"Dataset({self.name!r}, {self.kind}: {shapes}, {self.n_classes} classes)"

    @property
    def n_classes(self) -> int:
        """Number of classes, those without a sample included."""
        return len(self.classes)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.X_train.shape[1:])


def as_samples(samples: Any, kind: Kind, where: str) -> Array:
    """Samples of a kind as float32."""
    X = np.asarray(samples)
    if X.dtype.kind not in "buif":
        raise DataError(f"{where} has dtype {X.dtype}; samples are real numbers")
    if X.ndim not in AXES[kind]:
        raise DataError(f"{where} has shape {X.shape}; {kind} have shape {SHAPES[kind]}")
    if X.size == 0:
        raise DataError(f"{where} has shape {X.shape}: it is empty")
    if kind == "images" and X.dtype == np.uint8:
        return X / np.float32(255)
    with np.errstate(over="ignore"):
        numbers = X.astype(np.float32, copy=False)
    if not np.isfinite(numbers).all():
        raise DataError(f"{where} holds NaN, infinity, or a number that float32 cannot hold")
    if kind == "images" and (X.min() < 0 or X.max() > 1):
        raise DataError(
            f"{where} has {X.dtype} values from {X.min()} to {X.max()}; images are uint8 (0 … 255) or numbers from "
            "0 to 1: scale them, or say that they are sequences"
        )
    return numbers


def as_labels(labels: Array, where: str) -> Array:
    """Labels as int64: (n,)."""
    y = np.asarray(labels)
    if y.ndim != 1:
        raise DataError(f"{where} has shape {y.shape}; labels have shape (n,), one for a sample")
    if y.size == 0:
        raise DataError(f"{where} holds no label")
    if y.dtype.kind not in "biu":
        raise DataError(f"{where} has dtype {y.dtype}; labels are integers 0, 1, 2, …")
    y = y.astype(np.int64, copy=False)
    if y.min() < 0:
        raise DataError(f"{where} holds the label {y.min()}; labels are integers 0, 1, 2, …")
    return y


def class_names(name: str, *parts: Array) -> tuple[str, ...]:
    """The labels 0 … max as text."""
    found = [as_labels(labels, name) for labels in parts]
    largest, count = max(int(labels.max()) for labels in found), sum(map(len, found))
    if largest >= max(FEW, count):
        raise DataError(
            f"{name} holds the label {largest} but only {count} labels in all: number the classes from 0 without gaps"
        )
    return tuple(map(str, range(largest + 1)))
