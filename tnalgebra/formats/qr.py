"""QR of matrices: of small ones by LAPACK itself, as NumPy's way to it takes many times longer than the work."""

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["TINY", "qr", "triangle"]

Array = Any
TINY = 1 << 12
"""Entries up to which BLAS starts no threads by itself; those of NumPy's and SciPy's would wait for one another."""


def qr(matrix: Array, xp: ModuleType) -> tuple[Array, Array]:
    """An isometry and an upper triangle whose product is the matrix."""
    if not _is_tiny(matrix, xp):
        q, r = xp.linalg.qr(matrix)
        return q, r
    reflectors, factors, r = _factored(matrix)
    q, *_ = _lapack(matrix.dtype.char)[1](reflectors[:, : len(r)], factors)
    return q, r


def triangle(matrix: Array, xp: ModuleType) -> Array:
    """The upper triangle alone, whose columns have the inner products of those of the matrix."""
    return _factored(matrix)[2] if _is_tiny(matrix, xp) else xp.linalg.qr(matrix, mode="r")


def _factored(matrix: Array) -> tuple[Array, Array, Array]:
    """The matrix with reflectors below its diagonal, their factors, and the triangle."""
    reflectors, factors, *_ = _lapack(matrix.dtype.char)[0](matrix)
    rows = min(matrix.shape)
    return reflectors, factors, reflectors[:rows] * _upper(rows, matrix.shape[1])


def _is_tiny(matrix: Array, xp: ModuleType) -> bool:
    return xp is np and matrix.size <= TINY and matrix.dtype.char in "dD"


@lru_cache(maxsize=2)
def _lapack(char: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The factorization, and what makes an isometry of its reflectors."""
    from scipy.linalg import lapack

    return (lapack.dgeqrf, lapack.dorgqr) if char == "d" else (lapack.zgeqrf, lapack.zungqr)


@lru_cache(maxsize=256)
def _upper(rows: int, columns: int) -> Array:
    """Ones on and above the diagonal."""
    return np.triu(np.ones((rows, columns)))
