"""The array library comes from the arrays; none but NumPy is imported unless an array of it is given."""

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ..algebra.scalar import is_complex, is_integral, is_numpy_like
from ..errors import DeviceError, DTypeError

__all__ = [
    "are_plain",
    "as_array",
    "concatenate",
    "device_of",
    "is_nonnegative",
    "is_numpy_like",
    "namespace_of",
    "to_device",
]

Array = Any
NUMPY = {np.ndarray}


def as_array(value: Any) -> Array:
    """Return an array as it is, and anything else as a NumPy array; refuse what is not numbers."""
    if type(value) is np.ndarray and value.dtype.char in "fdFD":
        return value  # what most arrays are
    if isinstance(value, np.ma.MaskedArray):
        raise DTypeError("operands must be whole arrays; this one has a mask: fill it first, as in `array.filled(0)`")
    if isinstance(value, np.ndarray | np.generic) or not hasattr(value, "dtype"):
        try:
            value = np.asarray(value)
        except ValueError as error:  # lists of different lengths
            raise DTypeError(f"operands must be numbers: {error}") from error
        if value.dtype.kind not in "biufc":
            raise DTypeError(
                f"operands must be numbers; got dtype {value.dtype} (object and string arrays are not numbers)"
            )
    return value


def are_plain(arrays: Iterable[Any]) -> bool:
    """Whether all are NumPy arrays, and of no subclass: the quick test of a call on small ones."""
    return {*map(type, arrays)} == NUMPY


def namespace_of(arrays: Sequence[Array]) -> ModuleType:
    """NumPy, CuPy, or the array-API namespace of arrays of one library.

    Raises `DeviceError` that names both, where the arrays live in two places.
    """
    if are_plain(arrays) or all(isinstance(array, np.ndarray) for array in arrays):
        return np
    libraries = {kind.__module__.partition(".")[0] for kind in {*map(type, arrays)}}
    if libraries == {"cupy"} and len({array.data.device_id for array in arrays}) == 1:
        import cupy

        module: ModuleType = cupy
        return module
    homes = {f"{type(array).__module__.split('.')[0]} on {device_of(array)}": array for array in arrays}
    if len(homes) > 1:
        raise DeviceError(
            f"operands live in two places: {' and '.join(homes)}; move them with to_device or the library's own call"
        )
    array = next(iter(homes.values()))
    import array_api_compat

    try:
        return array_api_compat.array_namespace(array)  # type: ignore[no-any-return]
    except TypeError as error:
        raise DTypeError(
            f"{type(array).__name__} is not an array of a library that follows the array API: {error}"
        ) from error


def concatenate(arrays: Sequence[Array], axis: int, xp: ModuleType) -> Array:
    """Join arrays along an axis; CuPy has the array standard's name for it since version 14 only."""
    return xp.concatenate(arrays, axis=axis) if is_numpy_like(xp) else xp.concat(arrays, axis=axis)


def is_nonnegative(array: Array) -> bool:
    """Whether no entry is negative (nor NaN, nor complex), nor infinite: 0 · ∞ is no product that keeps an order."""
    xp = namespace_of([array])
    if is_complex(array.dtype, xp):
        return False
    if is_numpy_like(xp):
        return bool(((array >= 0) & (array < np.inf)).all())
    if array.dtype == xp.bool:  # the array standard does not order truth values
        return True
    are_finite = is_integral(array.dtype, xp) or bool(xp.all(xp.isfinite(array)))
    return are_finite and bool(xp.all(array >= 0))


def device_of(array: Array) -> str:
    """``"cpu"``, ``"cuda:0"``, … for an array of any library.

    >>> import numpy as np
    >>> device_of(np.zeros(2))
    'cpu'
    """
    device: Any = getattr(array, "device", "cpu")
    if callable(device):  # JAX tracers and old releases
        device = device()
    if type(array).__module__.split(".")[0] == "cupy":
        return f"cuda:{device.id}"
    text = str(device).lower()
    return "cpu" if "cpu" in text else text


def to_device(array: Array, device: str) -> Array:
    """Copy a NumPy or CuPy array to ``"cpu"`` or ``"cuda"`` / ``"cuda:1"``; return it where it is there already.

    Raises `DeviceError` without CuPy or without such a device.
    """
    is_numpy = isinstance(array, np.ndarray)
    if device == "cpu":
        return array if is_numpy else array.get()
    name, _, number = device.partition(":")
    if name != "cuda" or not (number or "0").isdigit():
        raise DeviceError(f"unknown device {device!r}; known: 'cpu', 'cuda', 'cuda:0', 'cuda:1', …")
    try:
        import cupy

        with cupy.cuda.Device(int(number or 0)):
            return cupy.asarray(array)
    except ImportError as error:
        raise DeviceError("device 'cuda' needs CuPy: pip install 'tnalgebra[cuda13]' (or cuda12)") from error
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError(f"device {device!r} is not there: {error}") from error
