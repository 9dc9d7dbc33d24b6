"""Data sets by name, or from the files in which they are published."""

from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from ..errors import DataError
from .cifar import CIFAR10, CIFAR10_FILES, read_cifar10
from .dataset import Dataset, Kind, Split, class_names
from .idx import MNIST, read_mnist
from .named import digits, mnist5k, points, split
from .npz import read_npz
from .reviews import IMDB, embed, read_reviews, token_matrix

__all__ = ["load_data"]

Array = Any
NAMES = ("moons", "circles", "digits", "mnist5k", "fashion-mnist")
FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""
POINTS = (400, 100)
DIGITS_TEST, MNIST5K_TEST = 360, 1000
SEEDS = 2**32
"""scikit-learn takes seeds below this number."""
SHOWN = 5
"""So many names of a folder are shown in an error."""
LAYOUTS = (
    "train-images-idx3-ubyte and the three other files of MNIST, data_batch_1 … and test_batch of CIFAR-10, or train "
    "and test of aclImdb"
)


class _Options(NamedTuple):
    train: int | None
    test: int | None
    seed: int
    noise: float
    kind: Kind | None
    vocabulary: int
    length: int
    features: int


class _Found(NamedTuple):
    """What a source holds, before samples are chosen and tokens embedded."""

    split: Split
    kind: Kind
    classes: tuple[str, ...]
    has_tokens: bool = False


def load_data(
    source: str | Path,
    *,
    train: int | None = None,
    test: int | None = None,
    seed: int = 0,
    noise: float = 0.1,
    kind: Kind | None = None,
    vocabulary: int = 5000,
    length: int = 128,
    features: int = 16,
) -> Dataset:
    """Return a data set by name, or from the files in which it is published.

    source: "moons", "circles", "digits" (1437 + 360), "mnist5k" (4000 + 1000) or "fashion-mnist" (60000 + 10000); or a
        folder with the four IDX files of MNIST, the batches of CIFAR-10, or the reviews aclImdb; or an ``.npz`` file
        with X_train, y_train, X_test and y_test, or Keras's imdb.npz
    train, test: how many samples; all where not given. Fewer are a random choice; a smaller choice is the first
        part of a larger one. Moons and circles are made to that number, 400 and 100 where not given
    seed: of the points, the split of digits and mnist5k, the choice of samples, and the vectors of words
    noise: standard deviation that moves the moons and circles
    kind: what the samples of an ``.npz`` file are; 2 axes are features, and 3 or 4 images, where not given
    vocabulary: how many of the most frequent words of the training reviews are kept; all others are dropped
    length: how many words of a review: its first ones, and zero vectors after the last
    features: size of the vector of a word, standard normal numbers
    Raises `DataError` where a file is missing, damaged or does not fit the others, where a pickle asks for anything but
    arrays, numbers, text and containers, or where there are fewer samples than asked for.

    >>> load_data("digits", train=1000)
    Dataset('digits', images: train (1000, 8, 8), test (360, 8, 8), 10 classes)
    """
    options = _Options(train, test, seed, noise, kind, vocabulary, length, features)
    _check(options)
    name = str(source)
    found = _named(name, options) if name in NAMES else _read(Path(source), options)
    if kind not in (None, found.kind):
        raise DataError(f"{name!r} holds {found.kind}, not {kind}: leave kind out")
    X_train, y_train = _chosen(found.split[:2], train, [seed, 0], "train", name)
    X_test, y_test = _chosen(found.split[2:], test, [seed, 1], "test", name)
    if found.has_tokens:
        X_train, X_test = (embed(tokens, vocabulary, features, seed) for tokens in (X_train, X_test))
    asked = options._asdict().items()
    given = {key: value.item() if isinstance(value, np.generic) else value for key, value in asked}
    return Dataset(name, X_train, y_train, X_test, y_test, found.kind, found.classes, given)


def _check(options: _Options) -> None:
    for name in ("train", "test", "seed", "vocabulary", "length", "features"):
        value, least = getattr(options, name), 0 if name == "seed" else 1
        if value is None and name in ("train", "test"):
            continue
        if not isinstance(value, int | np.integer) or value < least:
            raise DataError(f"{name} is {value!r}; it is an integer from {least} on")
    if options.seed >= SEEDS:
        raise DataError(f"seed is {options.seed}; it is less than 2 ** 32")
    is_number = isinstance(options.noise, int | float | np.number)
    if not is_number or not isfinite(options.noise) or options.noise < 0:
        raise DataError(f"noise is {options.noise!r}; it is a standard deviation: finite and not negative")
    if options.kind not in (None, *get_args(Kind)):
        raise DataError(f"kind is {options.kind!r}; known: {', '.join(get_args(Kind))}")


def _named(name: str, options: _Options) -> _Found:
    if name in ("moons", "circles"):
        train, test = (asked or usual for asked, usual in zip(options[:2], POINTS, strict=True))
        return _Found(points(name, train, test, options.noise, options.seed), "features", ("0", "1"))
    if name == "fashion-mnist":
        if not FASHION_FOLDER.is_dir():
            raise DataError(
                f"Fashion-MNIST is not in {str(FASHION_FOLDER)!r}: install Debian's package dataset-fashion-mnist "
                "(apt install dataset-fashion-mnist), or give the folder that holds its four files"
            )
        return _Found(read_mnist(FASHION_FOLDER), "images", FASHION)
    if name == "digits":
        (images, labels), test, white = digits(), DIGITS_TEST, 16
    else:
        (images, labels), test, white = mnist5k(), MNIST5K_TEST, 255
    scaled = (images / white).astype(np.float32)
    return _Found(split(scaled, labels, test, options.seed), "images", class_names(name, labels))


def _read(path: Path, options: _Options) -> _Found:
    if path.suffix == ".npz":
        return _archived(path, options)
    if not path.is_dir():
        what = "is a file but no .npz" if path.exists() else "is no data set, folder or .npz file"
        raise DataError(f"{str(path)!r} {what}; data sets: {', '.join(NAMES)}; or a folder with {LAYOUTS}")
    there = sorted(entry.name for entry in path.iterdir())
    if not there:
        raise DataError(f"the folder {str(path)!r} is empty; give one with {LAYOUTS}")
    if any(name in names for names in MNIST.values() for name in there):
        found = read_mnist(path)
        return _Found(found, "images", class_names(str(path), found.y_train, found.y_test))
    if CIFAR10_FILES.intersection(there):
        return _Found(read_cifar10(path), "images", CIFAR10)
    if {"train", "test"}.intersection(there):
        return _Found(read_reviews(path, options.vocabulary, options.length), "sequences", IMDB, has_tokens=True)
    shown = ", ".join(there[:SHOWN]) + (f" and {len(there) - SHOWN} more" if len(there) > SHOWN else "")
    raise DataError(f"the folder {str(path)!r} holds {shown}; give one with {LAYOUTS}")


def _archived(path: Path, options: _Options) -> _Found:
    found, has_tokens = read_npz(path)
    if has_tokens:
        X_train, X_test = (
            token_matrix(reviews, options.vocabulary, options.length, f"{str(path)!r} ({key})")
            for key, reviews in (("x_train", found.X_train), ("x_test", found.X_test))
        )
        return _Found(Split(X_train, found.y_train, X_test, found.y_test), "sequences", IMDB, has_tokens=True)
    kind = options.kind or ("features" if found.X_train.ndim == 2 else "images")
    return _Found(found, kind, class_names(str(path), found.y_train, found.y_test))


def _chosen(arrays: tuple[Array, ...], count: int | None, seed: list[int], part: str, name: str) -> tuple[Array, Array]:
    X, y = arrays
    is_made_to_count, fits = name in ("moons", "circles"), np.shape(X)[:1] == np.shape(y)
    if count is None or is_made_to_count or not fits:  # what does not fit, the data set refuses
        return X, y
    if count > len(X):
        raise DataError(
            f"{name} has {len(X)} samples for {part}, {count} are asked for: give {part} of at most {len(X)}"
        )
    chosen = np.random.default_rng(seed).permutation(len(X))[:count]
    return X[chosen], y[chosen]
