"""IDX files, in which MNIST and the data sets that followed it are published: plain or gzipped."""

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import DataError
from .dataset import Split

__all__ = ["MNIST", "read_idx", "read_mnist"]

Array = Any
DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
File = BinaryIO | gzip.GzipFile
CHUNK = 1 << 20
STEMS = {
    "train-images": "idx3-ubyte",
    "train-labels": "idx1-ubyte",
    "t10k-images": "idx3-ubyte",
    "t10k-labels": "idx1-ubyte",
}
MNIST = {stem: [f"{stem}{dot}{end}{gz}" for gz in ("", ".gz") for dot in "-."] for stem, end in STEMS.items()}
"""How each of the four files may be spelt; the first that is there is read."""


def read_idx(path: str | Path) -> Array:
    """Return the array of an IDX file, plain or gzipped, in the byte order of the machine.

    Raises `DataError` where there is no such file, its first bytes are not those of an IDX file, it is shorter or
    longer than its header says, or its compression is damaged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels")
    ...     _ = path.write_bytes(bytes([0, 0, 0x08, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    name, path = repr(str(path)), Path(path)
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == GZIP
            file.seek(0)
            if not is_packed:
                return _array(file, name)
            with gzip.open(file) as unpacked:
                return _array(unpacked, name)
    except FileNotFoundError:
        raise DataError(f"there is no file {name}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{name} is a damaged gzip file, get it again: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror or error}") from error


def _array(file: File, name: str) -> Array:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        begin = f"begins with the bytes {magic.hex(' ')}" if magic else "is empty"
        raise DataError(f"{name} is no IDX file: it {begin}, not with 00 00, a code of the dtype and a number of axes")
    code, ndim = magic[2], magic[3]
    if code not in DTYPES:
        known = ", ".join(f"0x{key:02X} ({np.dtype(value).name})" for key, value in DTYPES.items())
        raise DataError(f"{name} has the dtype code 0x{code:02X}; known: {known}")
    if ndim == 0:
        raise DataError(f"{name} has no axes; an IDX file has one or more")
    sizes = file.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise DataError(f"{name} was cut off in its header: {ndim} axes need {4 * ndim} bytes, {len(sizes)} are there")
    shape, dtype = tuple(np.frombuffer(sizes, ">u4").tolist()), np.dtype(DTYPES[code])
    expected = prod(shape) * dtype.itemsize
    data = _read(file, expected + 1)
    if len(data) != expected:
        what, found = ("was cut off", str(len(data))) if len(data) < expected else ("was altered", "more")
        raise DataError(
            f"{name} {what}: its header says {' × '.join(map(str, shape))} of {dtype.name}, {expected} bytes after "
            f"the header, and {found} are there; get it again"
        )
    try:
        return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    except ValueError as error:
        raise DataError(f"{name} was altered: no array has the {ndim} axes of its header, {error}") from error


def _read(file: File, limit: int) -> bytearray:
    """At most `limit` bytes, in pieces: a header that lies costs no memory."""
    data = bytearray()
    while len(data) < limit and (piece := file.read(min(CHUNK, limit - len(data)))):
        data += piece
    return data


def read_mnist(folder: Path) -> Split:
    """Images and labels of a folder with the four files of MNIST.

    Raises `DataError` where one of them is missing, or images and labels do not fit each other.
    """
    files = {stem: next((folder / n for n in names if (folder / n).is_file()), None) for stem, names in MNIST.items()}
    if missing := [stem for stem, path in files.items() if path is None]:
        there = [path.name for path in files.values() if path is not None]
        raise DataError(
            f"{str(folder)!r} lacks {', '.join(MNIST[stem][0] for stem in missing)} (or .gz of these); of the four "
            f"files it holds {', '.join(there) or 'none'}"
        )
    paths = [path for path in files.values() if path is not None]
    arrays = [read_idx(path) for path in paths]
    for at in (0, 2):
        (images, labels), (image_file, label_file) = arrays[at : at + 2], paths[at : at + 2]
        if images.ndim not in (3, 4):
            raise DataError(f"{str(image_file)!r} has shape {images.shape}; images have 3 axes, or 4 with colours")
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise DataError(
                f"{str(label_file)!r} holds {labels.dtype} of shape {labels.shape}; labels are integers with one axis"
            )
        if len(images) != len(labels):
            raise DataError(
                f"{str(image_file)!r} holds {len(images)} images, {label_file.name} holds {len(labels)} labels: they "
                "do not belong together"
            )
    return Split(*arrays)
