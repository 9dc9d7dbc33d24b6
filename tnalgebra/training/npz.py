"""NumPy archives of a data set: four arrays in an ``.npz`` file."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from ..errors import DataError
from .dataset import Split
from .pickled import PickledArray, read_pickle

__all__ = ["read_npz"]

PLAIN = ("X_train", "y_train", "X_test", "y_test")
KERAS = ("x_train", "y_train", "x_test", "y_test")
LISTS = ("x_train", "x_test")
BROKEN = (BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error, zlib.error)
"""What a damaged archive may raise, depending on where it is damaged."""


def read_npz(path: Path) -> tuple[Split, bool]:
    """Return the four arrays of an ``.npz`` file, and whether its samples are lists of tokens, as in Keras's imdb.npz.

    Raises `DataError` where the file or an array is missing, damaged, or holds other objects than such lists.
    """
    name = repr(str(path))
    try:
        with ZipFile(path) as archive:
            there = [member.removesuffix(".npy") for member in archive.namelist()]
            keys = KERAS if "x_train" in there else PLAIN
            if missing := [key for key in keys if key not in there]:
                raise DataError(f"{name} lacks {', '.join(missing)}; it holds {', '.join(there) or 'no array'}")
            arrays = [_member(archive.read(f"{key}.npy"), key, name) for key in keys]
    except FileNotFoundError:
        raise DataError(f"there is no file {name}") from None
    except DataError:
        raise
    except (*BROKEN, KeyError) as error:
        raise DataError(f"{name} is no .npz file, or it was cut off or altered: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror or error}") from error
    is_list = [isinstance(array, list) for array in arrays]
    if is_list not in ([True, False, True, False], [False] * 4):
        which = ", ".join(key for key, found in zip(keys, is_list, strict=True) if found)
        raise DataError(f"{name} holds pickled objects in {which}; save plain numbers, or lists of tokens in both x")
    return Split(*arrays), is_list[0]


def _member(data: bytes, key: str, name: str) -> Any:
    """One array; a list where it is a vector of objects."""
    stream = BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{name} has {key} in version {version} of the .npy layout; 1.0 and 2.0 are read")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if not dtype.hasobject:
        return np.lib.format.read_array(BytesIO(data), allow_pickle=False)
    if key not in LISTS or dtype != np.dtype(object):
        raise DataError(f"{name} holds pickled objects in {key}, which are not loaded: save plain numbers")
    found = read_pickle(stream.read(), f"{name} ({key})")
    if not isinstance(found, PickledArray) or not isinstance(found.value, list) or shape != (len(found.value),):
        raise DataError(f"{name} was altered: {key} is not the vector of {shape} objects that its header says")
    return found.value
