"""Orthonormal bases of what decompositions keep, found as cheaply as the tolerance allows.

A Gram matrix costs one product, but squares the matrix: what is below 1e-8 of the largest singular value drowns in
rounding errors. QR and SVD keep every digit. So a Gram matrix decides only where its rounding errors are certainly
below what may be discarded; `NotCertified` sends the caller to the exact way.
"""

from types import ModuleType
from typing import Any

import numpy as np

from .budget import NEAR, NotCertified, certified_cut, cut, gram_noise
from .factor import eigh, inverted, lower_factor, qr, row_squares, svd

__all__ = ["OVERSAMPLED", "exact_basis", "gram_basis", "leading", "normal_like", "sketched_basis"]

Array = Any
OVERSAMPLED = 10
"""Random vectors beyond the rank that is looked for."""
PAYS = 6
"""How many times longer than the number of random vectors both sides of a matrix have to be."""
CHUNK = 1 << 19
"""Entries of a long matrix that are multiplied at once: in double precision, whatever the dtype is."""


def leading(
    matrix: Array, allowed: float, cap: int | None, total: float, rng: Any, xp: ModuleType
) -> tuple[Array, float]:
    """U (m, r) with orthonormal columns for a matrix of squared norm `total`, and the square of what U·Uᴴ misses.

    r is the least rank that misses at most `allowed`, or the cap. rng: a generator tries random sketches first.
    """
    found = sketched_basis(matrix, allowed, cap, rng, xp) if rng is not None else None
    if found is not None:
        return found
    is_wide = matrix.shape[0] <= matrix.shape[1]
    if is_wide and (cap is not None or allowed >= 4 * gram_noise(np.float64, total, CHUNK // matrix.shape[0])):
        try:
            return gram_basis(matrix, allowed, cap, xp)
        except NotCertified:
            pass
    return exact_basis(matrix, allowed, cap, xp)


def gram_basis(matrix: Array, allowed: float, cap: int | None, xp: ModuleType) -> tuple[Array, float]:
    """The same for a wide matrix, from the eigenvectors of matrix · matrixᴴ. Raises `NotCertified`."""
    wide = np.result_type(matrix.dtype, np.float64)
    step, sums = max(1, CHUNK // len(matrix)), list[tuple[int, Array]]()
    for start in range(0, matrix.shape[1], step):
        piece = matrix[:, start : start + step].astype(wide, copy=False)
        count, product = 1, piece @ piece.T.conj()
        while sums and sums[-1][0] == count:  # sums of equally many pieces are added: roundings do not pile up
            count, product = 2 * count, sums.pop()[1] + product
        sums.append((count, product))
    gram = sum(product for _, product in reversed(sums))
    values, vectors = eigh(gram, xp)
    noise = gram_noise(wide, float(values.sum()), min(step, matrix.shape[1]))
    rank, discarded = certified_cut(values, allowed, cap, noise)
    return vectors[:, :rank].astype(matrix.dtype, copy=False), discarded


def sketched_basis(
    matrix: Array, allowed: float, cap: int | None, rng: Any, xp: ModuleType
) -> tuple[Array, float] | None:
    """The same from products with random vectors, as many as it takes; None where these are too many to pay.

    The error is that of the residual, which is formed. A cap is taken as it is, an `allowed` error is met. None as well
    where the cap costs a little more than is allowed, as the best basis may not.
    Source: Halko, Martinsson & Tropp 2011, Algorithm 4.4 with one power iteration.
    """
    columns = OVERSAMPLED + (cap or OVERSAMPLED)
    while columns * PAYS <= min(matrix.shape):
        sketch = matrix @ normal_like(matrix, (matrix.shape[1], columns), rng, xp)
        q, _ = qr(matrix @ (matrix.T.conj() @ qr(sketch, xp)[0]), xp)
        missed = _residual(matrix, q, xp)
        if missed < allowed or cap is not None:
            u, s, _ = svd(lower_factor(q.T.conj() @ matrix, xp), xp)
            rank, discarded = cut(s.astype(np.float64) ** 2, max(allowed - missed, 0.0), cap)
            lost = discarded + missed
            return None if allowed < lost < NEAR * allowed else (q @ u[:, :rank], lost)
        columns *= 2
    return None


def _residual(matrix: Array, q: Array, xp: ModuleType) -> float:
    """‖matrix − q·qᴴ·matrix‖², a few columns at a time."""
    found, step = 0.0, max(1, CHUNK // len(matrix))
    for start in range(0, matrix.shape[1], step):
        piece = matrix[:, start : start + step]
        rest = piece - q @ (q.T.conj() @ piece)
        found += float(xp.linalg.norm(rest)) ** 2
    return found


def normal_like(array: Array, shape: tuple[int, ...], rng: Any, xp: ModuleType) -> Array:
    """Normal entries of an array's dtype, on its device."""
    draw = rng.standard_normal(shape)
    draw = draw + 1j * rng.standard_normal(shape) if array.dtype.kind == "c" else draw
    return xp.asarray(draw.astype(array.dtype))


def exact_basis(matrix: Array, allowed: float, cap: int | None, xp: ModuleType) -> tuple[Array, float]:
    """U (m, r) with orthonormal columns, and the square of ‖matrix − U·Uᴴ·matrix‖, by QR and SVD."""
    height, width = matrix.shape
    if height <= width:
        u, s, _ = svd(lower_factor(matrix, xp), xp)
        rank, discarded = cut(s.astype(np.float64) ** 2, allowed, cap)
        return u[:, :rank], discarded
    q, r = qr(matrix, xp)
    if (cap is None or cap >= width) and _is_regular(r, allowed, xp):
        return q, 0.0
    u, s, _ = svd(r, xp)
    rank, discarded = cut(s.astype(np.float64) ** 2, allowed, cap)
    return q @ u[:, :rank], discarded


def _is_regular(triangle: Array, allowed: float, xp: ModuleType) -> bool:
    """Whether no singular value of a triangle is small enough to be discarded: 1 / ‖R⁻¹‖ is a lower bound."""
    if xp is not np or not np.all(np.diagonal(triangle)):
        return False
    return bool(float(row_squares(inverted(triangle), xp).sum()) * allowed < 1)
