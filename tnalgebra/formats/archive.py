"""Arrays with a header in one file: a zip archive of `header.json` and one `.npy` file an array, without pickles.

`np.load` opens such a file as well. The header says what the arrays are, and their SHA-256 sums: a file that was cut
off or altered is refused.
"""

import json
import os
import struct
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import IO, Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np

from ..errors import DataError
from ..execute.namespace import to_device

__all__ = ["Header", "check_target", "read_archive", "write_archive", "write_whole"]

Array = Any
Header = dict[str, Any]
BROKEN = (BadZipFile, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError, struct.error)
"""What a damaged archive may raise, depending on where it is damaged."""
HEADER, FORMAT, VERSION = "header.json", "tnalgebra", 1


def write_archive(path: str | Path, kind: str, about: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write arrays and what is to be known about them to a file, whole or not at all.

    Raises `DataError` where the file cannot be written.
    """
    parts = {name: np.ascontiguousarray(to_device(part, "cpu")) for name, part in arrays.items()}
    header: Header = {
        "format": FORMAT,
        "version": VERSION,
        "library": _library(),
        "kind": kind,
        **about,
        "arrays": {
            name: {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": _digest(array)}
            for name, array in parts.items()
        },
    }
    header["sha256"] = _seal(header)
    write_whole(path, lambda file: _pack(file, header, parts))


def read_archive(path: str | Path, known: Collection[str]) -> tuple[Header, dict[str, Array]]:
    """Header and arrays of a file of one of the known kinds.

    Raises `DataError` where there is no such file, or it was cut off or altered, holds pickled objects, or comes from a
    later version.
    """
    name = repr(str(path))
    try:
        with ZipFile(path) as archive:
            header = _header(archive, name, known)
            return header, {key: _array(archive, key, about, name) for key, about in header["arrays"].items()}
    except FileNotFoundError:
        raise DataError(f"there is no file {name}") from None
    except DataError:
        raise
    except BROKEN as error:
        raise DataError(f"{name} is no tensor file, or it was cut off: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror or error}") from error


def _library() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tnalgebra")
    except PackageNotFoundError:  # a source tree that is not installed
        return "unknown"


def _seal(header: Header) -> str:
    """The digest of a header, its own aside."""
    rest = {key: value for key, value in header.items() if key != "sha256"}
    return sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _digest(array: Array) -> str:
    return sha256(np.ascontiguousarray(array).data if array.size else b"").hexdigest()


def _pack(file: IO[bytes], header: Header, arrays: Mapping[str, Array]) -> None:
    with ZipFile(file, "w", ZIP_STORED) as archive:
        archive.writestr(HEADER, json.dumps(header, indent=1))
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def write_whole(path: str | Path, pack: Callable[[IO[bytes]], None]) -> None:
    """Write beside the target, flush to the disk, and rename: no moment shows half a file."""
    target = Path(os.path.realpath(path))  # a link goes on leading to its file
    temporary = target.with_name(f".{target.name}.{token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            pack(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise DataError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_target(path: str | Path) -> None:
    """Raise `DataError` where a file could not be written: before the work, not after it."""
    path = Path(path)
    name, folder = repr(str(path)), os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise DataError(f"cannot write {name}: it is a folder; give the name of a file in it")
    if os.path.exists(path) and not os.path.isfile(path):
        return  # a pipe or a device, which is written to where it is
    if not os.path.isdir(folder):
        raise DataError(f"cannot write {name}: there is no folder {folder!r}")
    if not os.access(folder, os.W_OK):
        raise DataError(f"cannot write {name}: the folder {folder!r} is read-only")


def _header(archive: ZipFile, name: str, known: Collection[str]) -> Header:
    if HEADER not in archive.namelist():
        raise DataError(f"{name} is no tensor file: it has no {HEADER}")
    try:
        header = json.loads(archive.read(HEADER))
        is_ours = header["format"] == FORMAT and isinstance(header["version"], int)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{name} has a {HEADER} that cannot be read: {error}") from error
    if not is_ours:
        raise DataError(f"{name} is no tensor file: its {HEADER} says format {header['format']!r}")
    if header["version"] > VERSION:
        raise DataError(
            f"{name} has version {header['version']} of the file layout, this library reads up to {VERSION}: it was "
            f"written by tnalgebra {header.get('library')}, update to that"
        )
    if missing := sorted({"kind", "arrays", "sha256"} - set(header)):
        raise DataError(f"{name} was altered: its {HEADER} has no {', '.join(missing)}")
    if header["sha256"] != _seal(header):
        raise DataError(f"{name} was altered: its {HEADER} does not have the digest that it says")
    if header["kind"] not in known:
        raise DataError(f"{name} holds a {header['kind']!r}; known: {', '.join(known)}")
    held = sorted(member.removesuffix(".npy") for member in archive.namelist() if member != HEADER)
    if held != sorted(header["arrays"]):
        raise DataError(f"{name} was altered: it holds {', '.join(held)}, not {', '.join(sorted(header['arrays']))}")
    return dict(header)


def _array(archive: ZipFile, key: str, about: Mapping[str, Any], name: str) -> Array:
    """One array, checked against what the header says of it."""
    try:
        array = np.lib.format.read_array(BytesIO(archive.read(f"{key}.npy")), allow_pickle=False)
    except ValueError as error:
        is_pickle = "allow_pickle" in str(error)
        what = "holds pickled objects, which are not loaded" if is_pickle else f"was altered: {error}"
        raise DataError(f"{name} {what} (array {key!r})") from error
    found = {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": _digest(array)}
    for field, value in found.items():
        if value != about.get(field):
            raise DataError(f"{name} was altered: {field} of array {key!r} is {value}, not {about.get(field)}")
    return array
