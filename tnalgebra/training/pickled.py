"""Pickles of published data sets, read without running what they say.

A pickle names functions to call. Here the few names that these files need stand for plain readers of numbers, so that
nothing of NumPy, and nothing else, can be called by a file.
"""

import pickle
from collections.abc import Callable
from io import BytesIO
from math import prod
from typing import Any

import numpy as np

from ..errors import DataError

__all__ = ["PickledArray", "read_pickle"]

CODES = {"u1": "u1", "i4": "i4", "i8": "i8", "O": "O", "O4": "O", "O8": "O"}
ORDERS = {"|": "=", "=": "=", "<": "<", ">": ">"}


class PickledArray:
    """Where a pickle holds an array: `value` is that array, or a list for a vector of objects."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Any = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        if not (isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)):
            raise ValueError(f"an array has the shape {shape!r}")
        if not isinstance(dtype, _PickledDType):
            raise ValueError("an array has no dtype")
        if dtype.code == "O":
            if not isinstance(data, list) or shape != (len(data),):
                raise ValueError(f"a vector of objects has shape {shape}, which does not fit what it holds")
            self.value = data
            return
        found = np.dtype(dtype.order + dtype.code)
        if not isinstance(data, bytes) or len(data) != prod(shape) * found.itemsize:
            raise ValueError(f"an array of shape {shape} and dtype {found} does not fit the bytes that it has")
        self.value = np.frombuffer(data, found).reshape(shape, order="F" if is_fortran else "C")


class _PickledDType:
    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        self.order = ORDERS[_text(state[1])]


class _Reader:
    """A function that a pickle may call and cannot alter."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a function is altered")


def _text(value: Any) -> str:
    """Text of Python 3, or the bytes that it was in Python 2."""
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _array(*_: Any) -> PickledArray:
    """An empty array, which the pickle fills by `__setstate__`."""
    return PickledArray()


def _dtype(code: Any, *_: Any) -> _PickledDType:
    if _text(code) not in CODES:
        raise ValueError(f"an array has the dtype {_text(code)!r}; known: {', '.join(CODES)}")
    return _PickledDType(CODES[_text(code)])


def _encode(text: Any, encoding: Any) -> bytes:
    if _text(encoding) != "latin1":
        raise ValueError(f"bytes are written as {_text(encoding)!r}, not as latin1")
    return str(text).encode("latin-1")


READERS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "ndarray",  # only ever an argument of _reconstruct, which needs none
    ("numpy", "dtype"): _Reader(_dtype),
    ("numpy.core.multiarray", "_reconstruct"): _Reader(_array),
    ("numpy._core.multiarray", "_reconstruct"): _Reader(_array),
    ("_codecs", "encode"): _Reader(_encode),
    ("__builtin__", "bytes"): _Reader(lambda: b""),  # how protocol 2 writes empty bytes
    ("builtins", "bytes"): _Reader(lambda: b""),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name in a pickle."""
        try:
            return READERS[module, name]
        except KeyError:
            raise DataError(
                f"asks for {module}.{name}, which is refused, for it could run code; only arrays, numbers, text and "
                "containers are read: get the file from its publisher"
            ) from None


def read_pickle(data: bytes, name: str) -> Any:
    """Return what a pickle holds; an array in it is a `PickledArray`, and text of Python 2 is bytes.

    name: of the file, for errors.
    Raises `DataError` for a pickle that asks for more than arrays, numbers, text and containers, or is damaged.
    """
    stream = BytesIO(data)
    try:
        found = _Unpickler(stream, encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{name} {error}") from None
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(f"{name} is no pickle, or it was cut off or altered: {error}") from error
    if rest := len(data) - stream.tell():
        raise DataError(f"{name} was altered: {rest} bytes follow its pickle")
    return found
