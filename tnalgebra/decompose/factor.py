"""QR, SVD and eigenvalues by LAPACK and CuPy: on one thread where more would wait, in blocks where cache ends."""

from contextlib import nullcontext
from types import ModuleType
from typing import Any

import numpy as np

from ..execute.namespace import concatenate
from ..execute.threads import one_thread
from ..formats.qr import TINY
from ..formats.qr import qr as small_qr

__all__ = ["cholesky", "eigh", "inverted", "lower_factor", "qr", "row_factor", "row_squares", "svd"]

Array = Any
SMALL = 1 << 21
"""Entries up to which LAPACK runs on one thread: more threads wait for each other longer than they compute.

SciPy may bring a BLAS beside that of NumPy, and the idle threads of one take the cores from the other.
"""
LWORK = 32
"""Work space of a QR factorization for each column: LAPACK's block size."""
COLUMNS = 2048
"""The least number of columns in a block of a long matrix, which has to stay in cache."""


def _threads(matrix: Array) -> Any:
    return one_thread() if matrix.size < SMALL else nullcontext()


def qr(matrix: Array, xp: ModuleType) -> tuple[Array, Array]:
    """Q with orthonormal columns and R, of the smaller side's size."""
    if xp is not np or matrix.size <= TINY:
        return small_qr(matrix, xp)
    from scipy.linalg import qr as scipy_qr

    with _threads(matrix):
        columns = np.array(matrix, order="F")  # SciPy would make two copies
        q, r = scipy_qr(columns, mode="economic", overwrite_a=True, check_finite=False)
    return q, r


def svd(matrix: Array, xp: ModuleType) -> tuple[Array, Array, Array]:
    """Divide and conquer; where that does not converge, the slower and safer driver."""
    if xp is not np:
        u, s, vh = xp.linalg.svd(matrix, full_matrices=False)
        return u, s, vh
    from scipy.linalg import LinAlgError
    from scipy.linalg import svd as scipy_svd

    with _threads(matrix):
        try:
            u, s, vh = scipy_svd(matrix, full_matrices=False, check_finite=False)
        except LinAlgError:
            u, s, vh = scipy_svd(matrix, full_matrices=False, check_finite=False, lapack_driver="gesvd")
    return u, s, vh


def eigh(matrix: Array, xp: ModuleType) -> tuple[Array, Array]:
    """Eigenvalues of a Hermitian matrix, falling, negative ones (which are rounding errors) as 0; and eigenvectors."""
    with _threads(matrix) if matrix.size > TINY else nullcontext():
        values, vectors = xp.linalg.eigh(matrix)
    return xp.maximum(values[::-1], 0), vectors[:, ::-1]


def cholesky(matrix: Array, xp: ModuleType) -> Array | None:
    """L with matrix = L·Lᴴ, or None where it is not positive definite: CuPy does not say so, its result tells."""
    try:
        lower = xp.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None
    if xp is np:
        return lower
    error = float(xp.linalg.norm(lower @ lower.T.conj() - matrix))
    return lower if error <= 1e-4 * float(xp.linalg.norm(matrix)) else None  # False for NaN


def lower_factor(matrix: Array, xp: ModuleType) -> Array:
    """L with matrix = L·Q, the rows of Q orthonormal: L has the matrix's left singular vectors."""
    height, width = matrix.shape
    if width <= height:
        return matrix
    if xp is np:
        return _lower_by_blocks(matrix, max(8 * height, COLUMNS))
    found, block = matrix[:, :0], max(8 * height, 1 << 18)
    for start in range(0, width, block):
        piece = concatenate([found, matrix[:, start : start + block]], 1, xp)
        found = _lower(piece, xp)
    return found


def _lower_by_blocks(matrix: Array, rows: int) -> Array:
    """So many columns at a time, in one buffer that stays in cache: what is left of the last ones stands on top."""
    from scipy.linalg import get_lapack_funcs

    (height, width), done = matrix.shape, 0
    (geqrf,) = get_lapack_funcs(("geqrf",), (matrix,))
    upper, is_upper = np.empty((0, height), matrix.dtype), np.triu(np.ones((height, height), bool))
    with one_thread() if height * rows < SMALL else nullcontext():
        while done < width:
            count = min(rows - len(upper), width - done)
            work = np.empty((len(upper) + count, height), matrix.dtype, order="F")
            work[: len(upper)], work[len(upper) :] = upper, matrix[:, done : done + count].T.conj()
            if len(work) > height:
                work, _, _, _ = geqrf(work, lwork=LWORK * height, overwrite_a=True)
                work = work[:height] * is_upper
            upper, done = work, done + count
    return upper.T.conj()


def _lower(matrix: Array, xp: ModuleType) -> Array:
    """L of one block on a device; a matrix that is not wide stays as it is."""
    return matrix if matrix.shape[1] <= matrix.shape[0] else xp.linalg.qr(matrix.T.conj(), mode="r").T.conj()


def row_factor(matrix: Array, drop: float, xp: ModuleType) -> Array:
    """L with matrix ≈ L·Q, Q with orthonormal rows, and as few columns as an error of `drop` in each row allows.

    drop: relative to the norm of a row; rows are scaled to norm one before the pivoted QR, so small ones keep digits.
    """
    if xp is not np:
        return _lower(matrix, xp)
    from scipy.linalg import qr as scipy_qr

    norms = np.sqrt(row_squares(matrix, xp))
    norms[norms == 0] = 1  # rows of zeros: others are of a scale at which squares have digits
    with _threads(matrix):
        _, r, order = scipy_qr(
            (matrix / norms[:, None]).T.conj(), mode="raw", pivoting=True, overwrite_a=True, check_finite=False
        )
    rank = max(1, int(np.count_nonzero(np.abs(np.diagonal(r)) > drop)))
    lower = np.empty((len(matrix), rank), matrix.dtype)
    lower[order] = r[:rank].T.conj()
    return lower * norms[:, None]


def inverted(triangle: Array) -> Array:
    """Inverse of an upper triangle whose diagonal has no zero."""
    from scipy.linalg import get_lapack_funcs

    with _threads(triangle):
        inverse, _ = get_lapack_funcs("trtri", (triangle,))(triangle)
    return inverse


def row_squares(matrix: Array, xp: ModuleType) -> Array:
    """Squared norm of every row."""
    flat = matrix.reshape(len(matrix), -1)
    if flat.dtype.kind == "c":
        return xp.einsum("ij,ij->i", flat.real, flat.real) + xp.einsum("ij,ij->i", flat.imag, flat.imag)
    return xp.einsum("ij,ij->i", flat, flat)
