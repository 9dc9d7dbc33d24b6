"""Tensors by name or from files, without a network and without pickles."""

import zlib
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ..errors import DataError
from .named import digits, mnist5k

__all__ = ["DATASETS", "load_tensor"]

Array = Any
BROKEN = (ValueError, TypeError, OSError, EOFError, RuntimeError, MemoryError, BadZipFile, TokenError, zlib.error)
"""What a damaged file may raise, depending on where it is damaged; NotImplementedError is a RuntimeError."""


def hilbert(shape: tuple[int, ...] = (8, 8, 8, 8)) -> Array:
    """Hilbert's tensor 1 / (i₁ + … + i_d + 1), indices from 0: full ranks that fall fast with the tolerance."""
    return 1.0 / (1.0 + sum(np.ogrid[tuple(slice(size) for size in shape)]))


DATASETS: dict[str, Callable[[], Array]] = {
    "digits": lambda: digits()[0],
    "mnist5k": lambda: mnist5k()[0],
    "hilbert": hilbert,
}


def load_tensor(source: str | Path, key: str | None = None) -> Array:
    """Return a data set by name, or the array of an ``.npy`` or ``.npz`` file.

    key: which array of an ``.npz`` file, and of no other; needed where it holds more than one.
    Raises `DataError`, which lists what is there; a file with pickled objects is refused.

    >>> load_tensor("hilbert").shape
    (8, 8, 8, 8)
    """
    if key is not None and (str(source) in DATASETS or str(source).endswith(".npy")):
        raise DataError(f"{str(source)!r} holds one array without a name; leave key out, here {key!r}")
    if str(source) in DATASETS:
        return DATASETS[str(source)]()
    path = Path(source)
    if path.suffix not in (".npy", ".npz"):
        raise DataError(
            f"{str(source)!r} is neither an .npy or .npz file nor a data set; data sets: {', '.join(DATASETS)}"
        )
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else _member(loaded, path, key)
    except FileNotFoundError:
        raise DataError(f"there is no file {str(path)!r}") from None
    except BROKEN as error:
        if isinstance(error, DataError):
            raise
        reason = str(error)
        if "pickle" in reason:
            known = path.read_bytes()[:6] == b"\x93NUMPY"
            reason = "it holds pickled objects, which are not loaded" if known else "it is not a NumPy file"
        raise DataError(f"cannot read {str(path)!r}: {reason}") from error


def _member(archive: Any, path: Path, key: str | None) -> Array:
    with archive:
        names = list(archive)
        if key is None and len(names) != 1:
            raise DataError(f"{str(path)!r} holds {', '.join(names) or 'no array'}; say which with key (--key NAME)")
        if key is not None and key not in names:
            raise DataError(f"{str(path)!r} holds no {key!r}; it holds {', '.join(names)}")
        return archive[key or names[0]]
