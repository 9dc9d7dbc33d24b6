"""CIFAR-10 from its two published forms: records of bytes, and pickles of Python."""

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .dataset import Split
from .pickled import PickledArray, read_pickle

__all__ = ["CIFAR10", "CIFAR10_FILES", "read_cifar10"]

Array = Any
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
CIFAR10_FILES = {f"{batch}{end}" for batch in BATCHES for end in ("", ".bin")}
COLOURS, SIDE = 3, 32
PIXELS = COLOURS * SIDE * SIDE


def read_cifar10(folder: Path) -> Split:
    """Images (n, 32, 32, 3) and labels of a folder with the six batches; the binary ones where both forms are there.

    Raises `DataError` where a batch is missing, or is not what its form says.
    """
    end = ".bin" if any((folder / f"{batch}.bin").is_file() for batch in BATCHES) else ""
    there = [f"{batch}{end}" for batch in BATCHES if (folder / f"{batch}{end}").is_file()]
    if missing := [f"{batch}{end}" for batch in BATCHES if f"{batch}{end}" not in there]:
        raise DataError(f"{str(folder)!r} lacks {', '.join(missing)}; of the six batches it holds {', '.join(there)}")
    read = _binary if end else _pickled
    parts = [read(folder / name) for name in there]
    *train, test = [
        _checked(pixels, labels, folder / name) for (pixels, labels), name in zip(parts, there, strict=True)
    ]
    X, y = (np.concatenate(arrays) for arrays in zip(*train, strict=True))
    return Split(X, y, *test)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror or error}") from error


def _binary(path: Path) -> tuple[Array, Array]:
    data = _bytes(path)
    if not data or len(data) % (1 + PIXELS):
        raise DataError(
            f"{str(path)!r} has {len(data)} bytes, no multiple of the {1 + PIXELS} of a record (a label and "
            f"{COLOURS} × {SIDE} × {SIDE} pixels): it was cut off or is no batch of CIFAR-10"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, 1 + PIXELS)
    return records[:, 1:], records[:, 0]


def _pickled(path: Path) -> tuple[Array, Array]:
    name = repr(str(path))
    found = read_pickle(_bytes(path), name)
    if not isinstance(found, dict):
        raise DataError(f"{name} holds a {type(found).__name__}; a batch of CIFAR-10 is a dict with data and labels")
    batch = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in found.items()}
    if missing := [key for key in ("data", "labels") if key not in batch]:
        raise DataError(f"{name} lacks {', '.join(missing)}; it holds {', '.join(map(str, batch)) or 'nothing'}")
    pixels, labels = (
        value.value if isinstance(value, PickledArray) else value for value in (batch["data"], batch["labels"])
    )
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (PIXELS,):
        shown = f"{pixels.dtype} of shape {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise DataError(f"{name} has data of {shown}; expected uint8 of shape (n, {PIXELS})")
    if not isinstance(labels, np.ndarray):
        is_numbers = isinstance(labels, list) and all(type(label) is int and abs(label) < 1 << 31 for label in labels)
        if not is_numbers:
            raise DataError(f"{name} has labels that are no list of integers")
        labels = np.asarray(labels, np.int64)
    if labels.shape != pixels.shape[:1]:
        raise DataError(f"{name} has {len(pixels)} images and {labels.size} labels")
    return pixels, labels


def _checked(pixels: Array, labels: Array, path: Path) -> tuple[Array, Array]:
    """Images (n, 32, 32, 3) from rows of red, green and blue pixels, and labels that CIFAR-10 has."""
    if labels.size and not 0 <= labels.min() <= labels.max() < len(CIFAR10):
        wrong = int(labels.max() if labels.min() >= 0 else labels.min())
        raise DataError(f"{str(path)!r} holds the label {wrong}; CIFAR-10 has the labels 0 … {len(CIFAR10) - 1}")
    return pixels.reshape(-1, COLOURS, SIDE, SIDE).transpose(0, 2, 3, 1), labels.astype(np.int64)
