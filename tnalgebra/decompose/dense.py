"""A dense array made ready: finite, floating, and of a scale at which squares neither overflow nor vanish."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import DTypeError, FormatError, NonFiniteError
from ..execute.namespace import as_array, namespace_of
from ..execute.scaling import exponent_of, is_moderate, rescaled

__all__ = ["Dense", "finite", "generator", "own", "prepare"]

Array = Any


PIECE = 1 << 20
"""Entries that are made wider at once."""


@dataclass(frozen=True, slots=True)
class Dense:
    """The array times 2^−exponent, and the norm of that."""

    array: Array
    exponent: int
    norm: float
    xp: ModuleType

    @property
    def rounding(self) -> float:
        """Relative error below which singular values are noise.

        A zero singular value is computed as about one rounding error of the largest, and a matricization has at most
        √N of them: together ε·N^¼; 8 is the margin.
        """
        eps: float = np.finfo(self.array.dtype).eps
        return float(8 * eps * self.array.size**0.25)


def prepare(array: Any, what: str = "from_dense") -> Dense:
    """Check an array and scale it, if it needs it, by a power of two (which loses nothing).

    Raises `NonFiniteError` with the number of such entries, `DTypeError`, `FormatError` for no modes and for masks.
    """
    if np.ma.is_masked(array):
        raise FormatError(f"{what} needs every entry; from_samples completes a tensor from those that are not masked")
    x = as_array(array)
    xp = namespace_of([x])
    if xp.__name__ not in ("numpy", "cupy"):
        raise DTypeError(f"{what} takes NumPy and CuPy arrays; got {type(x).__name__}, convert it first")
    if x.ndim == 0 or 0 in x.shape:
        raise FormatError(f"{what} needs at least one mode, and no mode of size 0; got shape {x.shape}")
    if isinstance(x, np.ndarray) and not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    if x.dtype.kind in "biu":
        x = x.astype(np.float64)
    elif x.dtype == np.float16:
        x = x.astype(np.float32)
    elif x.dtype not in (np.float32, np.float64, np.complex64, np.complex128):
        raise DTypeError(f"{what} takes float32, float64, complex64 and complex128; got {x.dtype}")
    norm, limits = _norm(x, xp), np.finfo(x.dtype)
    if float(limits.tiny) ** 0.25 < norm < float(limits.max) ** 0.25:  # finite, and moderate
        return Dense(x, 0, norm, xp)
    x, exponent = finite(x, what)
    return Dense(x, exponent, _norm(x, xp), xp)


def _norm(x: Array, xp: ModuleType) -> float:
    """Frobenius norm, summed in double precision: a long sum of single ones would be off in the third digit."""
    flat = x.reshape(-1) if x.flags.c_contiguous else x.T.reshape(-1)
    wide = np.result_type(x.dtype, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if x.dtype == wide:
            return float(xp.linalg.norm(flat))
        pieces = range(0, len(flat), PIECE)
        return float(sum(float(xp.linalg.norm(flat[i : i + PIECE].astype(wide))) ** 2 for i in pieces) ** 0.5)


def own(part: Array, array: Any) -> Array:
    """The part, or a copy of it where it is a view of the caller's array: nothing had to be changed in it."""
    return part.copy() if isinstance(part, np.ndarray) and np.may_share_memory(part, array) else part


def generator(seed: Any) -> Any:
    """A random generator for a seed, or None for None."""
    return None if seed is None else np.random.default_rng(seed)


def finite(array: Array, what: str) -> tuple[Array, int]:
    """The array at a moderate scale, and the exponent of 2 that was taken out. Raises `NonFiniteError`."""
    exponent = 0 if is_moderate(array) else exponent_of(array)
    if exponent is None:
        xp = namespace_of([array])
        bad = int(xp.count_nonzero(~xp.isfinite(array)))
        raise NonFiniteError(f"{what} needs finite numbers; {bad} of {array.size} entries are NaN or infinite")
    return rescaled(array, -exponent), exponent
