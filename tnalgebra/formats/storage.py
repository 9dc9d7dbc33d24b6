"""Tensors in files: what the header of an archive says of them, and back."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from ..algebra import Operator, operator
from ..errors import DataError, TnAlgebraError, UnknownNameError
from .archive import Header, read_archive, write_archive
from .base import Format
from .branch import parsed
from .cp import CPTensor
from .ht import HTTensor
from .later import implements
from .tree import DimensionTree
from .truncation import FitReport, TruncationReport
from .tt import TTTensor

__all__ = ["READERS", "load", "save"]

Array = Any
Reader = Callable[[Header, Mapping[str, Array], Operator], Any]


@implements("save", Format)
def save(tensor: Format, path: str | Path) -> None:
    """Write a tensor to a file, whole or not at all: a file of that name stays as it is until the new one is complete.

    Raises `DataError` where the file cannot be written.
    """
    about = {
        "shape": list(tensor.shape),
        "ranks": list(tensor.ranks),
        "dtype": str(np.dtype(tensor.dtype)),
        "xi": {"name": tensor.xi.name, "value": tensor.xi.value},
        "tree": repr(tensor.tree.nested) if isinstance(tensor, HTTensor) else None,
        "truncation": _plain(asdict(tensor.truncation)) if tensor.truncation else None,
        "fit": _plain(asdict(tensor.fit)) if tensor.fit else None,
    }
    write_archive(path, type(tensor).__name__, about, tensor.parameters())


def load(path: str | Path, *, device: str = "cpu") -> Any:
    """Read a tensor or a network that `save` wrote, onto a device.

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
    header, arrays = read_archive(path, READERS)
    try:
        xi = _operator(header, name)
        found = READERS[header["kind"]](header, arrays, xi)
        is_same = list(found.ranks) == header["ranks"] and list(getattr(found, "shape", ())) == header.get("shape", [])
    except (UnknownNameError, DataError):
        raise
    except (AttributeError, LookupError, TypeError, ValueError, TnAlgebraError) as error:
        raise DataError(f"{name} was altered: its arrays form no {header['kind']}: {error}") from error
    if not is_same:
        raise DataError(
            f"{name} was altered: the header says shape {tuple(header.get('shape', ()))} and ranks "
            f"{tuple(header['ranks'])}, its arrays have {tuple(getattr(found, 'shape', ()))} and {tuple(found.ranks)}"
        )
    return found if device == "cpu" else found.to_device(device)


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
    tree = DimensionTree(parsed(header["tree"]))
    leaves = tuple(arrays[f"leaf{mode}"] for mode in range(tree.ndim))
    transfers = tuple(arrays[f"transfer{i}"] for i in range(len(tree.inner)))
    return HTTensor(tree, leaves, transfers, xi, **_reports(header))


READERS: dict[str, Reader] = {"CPTensor": _cp, "TTTensor": _tt, "HTTensor": _ht}
"""What makes an object of header and arrays, by kind; networks add theirs."""


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
