"""Tensors in files: a zip archive of `header.json` and one `.npy` file an array, without pickles.

`np.load` opens such a file as well. The header says what the arrays are, and their SHA-256 sums: a file that was cut
off or altered is refused.
"""

import json
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict
from hashlib import sha256
from io import BytesIO
from math import isfinite
from pathlib import Path
from secrets import token_hex
from typing import IO, Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np

from ..algebra import Operator, operator
from ..errors import DataError, TnAlgebraError, UnknownNameError
from ..execute.namespace import to_device
from .base import Format
from .cp import CPTensor
from .ht import HTTensor
from .later import implements
from .tree import DimensionTree
from .truncation import FitReport, TruncationReport
from .tt import TTTensor

__all__ = ["load", "save"]

Array = Any
Header = dict[str, Any]
BROKEN = (BadZipFile, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError, struct.error)
"""What a damaged archive may raise, depending on where it is damaged."""
HEADER, FORMAT, VERSION = "header.json", "tnalgebra", 1


@implements("save", Format)
def save(tensor: Format, path: str | Path) -> None:
    """Write a tensor to a file, whole or not at all: a file of that name stays as it is until the new one is complete.

    Raises `DataError` where the file cannot be written.
    """
    arrays = {name: np.ascontiguousarray(to_device(part, "cpu")) for name, part in tensor.parameters().items()}
    header: Header = {
        "format": FORMAT,
        "version": VERSION,
        "library": _library(),
        "kind": type(tensor).__name__,
        "shape": list(tensor.shape),
        "ranks": list(tensor.ranks),
        "dtype": str(np.dtype(tensor.dtype)),
        "xi": {"name": tensor.xi.name, "value": tensor.xi.value},
        "tree": tensor.tree.nested if isinstance(tensor, HTTensor) else None,
        "truncation": _plain(asdict(tensor.truncation)) if tensor.truncation else None,
        "fit": _plain(asdict(tensor.fit)) if tensor.fit else None,
        "arrays": {
            name: {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": _digest(array)}
            for name, array in arrays.items()
        },
    }
    header["sha256"] = _seal(header)
    _write(path, lambda file: _pack(file, header, arrays))


def load(path: str | Path, *, device: str = "cpu") -> Any:
    """Read a tensor that `save` wrote, onto a device.

    Raises `DataError` where there is no such file, or it was cut off or altered, holds pickled objects, or comes from a
    later version; `UnknownNameError` for a ξ that is not registered.

    >>> import tempfile, tnalgebra as tna
    >>> t = tna.TTTensor.random((2, 3, 5), rank=2, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     t.save(f"{folder}/t.tna")
    ...     tna.load(f"{folder}/t.tna")
    TTTensor(shape=(2, 3, 5), ranks=(1, 2, 2, 1), dtype=float64)
    """
    name = repr(str(path))
    try:
        with ZipFile(path) as archive:
            header = _header(archive, name)
            arrays = {key: _array(archive, key, about, name) for key, about in header["arrays"].items()}
    except FileNotFoundError:
        raise DataError(f"there is no file {name}") from None
    except DataError:
        raise
    except BROKEN as error:
        raise DataError(f"{name} is no tensor file, or it was cut off: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror or error}") from error
    xi = _operator(header, name)
    try:
        tensor = KINDS[header["kind"]](header, arrays, xi)
    except (AttributeError, LookupError, TypeError, ValueError, TnAlgebraError) as error:
        raise DataError(f"{name} was altered: its arrays form no {header['kind']}: {error}") from error
    if list(tensor.shape) != header["shape"] or list(tensor.ranks) != header["ranks"]:
        raise DataError(
            f"{name} was altered: the header says shape {tuple(header['shape'])} and ranks {tuple(header['ranks'])}, "
            f"its arrays have {tensor.shape} and {tensor.ranks}"
        )
    return tensor if device == "cpu" else tensor.to_device(device)


def _reports(header: Header) -> dict[str, Any]:
    truncation, fit = _numbers(header["truncation"]), _numbers(header["fit"])
    return {
        "truncation": TruncationReport(**truncation) if truncation else None,
        "fit": FitReport(**{**fit, "losses": tuple(fit["losses"])}) if fit else None,
    }


def _cp(header: Header, arrays: Mapping[str, Array], xi: Operator) -> CPTensor:
    factors = tuple(arrays[f"factor{mode}"] for mode in range(len(header["shape"])))
    return CPTensor(factors, arrays["weights"], xi, **_reports(header))


def _tt(header: Header, arrays: Mapping[str, Array], xi: Operator) -> TTTensor:
    return TTTensor(tuple(arrays[f"core{mode}"] for mode in range(len(header["shape"]))), xi, **_reports(header))


def _ht(header: Header, arrays: Mapping[str, Array], xi: Operator) -> HTTensor:
    tree = DimensionTree.from_nested(header["tree"])
    leaves = tuple(arrays[f"leaf{mode}"] for mode in range(tree.ndim))
    transfers = tuple(arrays[f"transfer{i}"] for i in range(len(tree.inner)))
    return HTTensor(tree, leaves, transfers, xi, **_reports(header))


KINDS: dict[str, Callable[[Header, Mapping[str, Array], Operator], Format]] = {
    "CPTensor": _cp,
    "TTTensor": _tt,
    "HTTensor": _ht,
}


def _library() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tnalgebra")
    except PackageNotFoundError:  # a source tree that is not installed
        return "unknown"


def _plain(value: Any) -> Any:
    """Mappings, lists and numbers as JSON has them; a number that is not finite as its name."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    return float(value) if isfinite(value) else str(float(value))


def _numbers(value: Any) -> Any:
    """What `_plain` was given."""
    if isinstance(value, dict):
        return {key: _numbers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    return float(value) if value in ("inf", "-inf", "nan") else value


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


def _write(path: str | Path, pack: Callable[[IO[bytes]], None]) -> None:
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


def _header(archive: ZipFile, name: str) -> Header:
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
    fields = {"kind", "shape", "ranks", "xi", "tree", "truncation", "fit", "arrays", "sha256"}
    if missing := sorted(fields - set(header)):
        raise DataError(f"{name} was altered: its {HEADER} has no {', '.join(missing)}")
    if header["sha256"] != _seal(header):
        raise DataError(f"{name} was altered: its {HEADER} does not have the digest that it says")
    if header["kind"] not in KINDS:
        raise DataError(f"{name} holds a {header['kind']!r}; known: {', '.join(KINDS)}")
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


def _operator(header: Header, name: str) -> Operator:
    xi = header["xi"]
    try:
        found = operator(xi["name"])
    except UnknownNameError as error:
        raise UnknownNameError(
            f"{name} has ξ = {xi['name']}, which is not registered: register_operator(Operator(name={xi['name']!r}, "
            f"value={xi['value']!r}, unit=…)) makes it known"
        ) from error
    if found.value != xi["value"]:
        raise DataError(
            f"{name} has ξ = {xi['name']} with the value {xi['value']!r}, but the one that is registered has "
            f"{found.value!r}"
        )
    return found
