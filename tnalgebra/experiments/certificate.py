"""Proofs that a matrix has full rank: cheap ones in floating point, exact ones modulo a prime."""

from typing import Any

import numpy as np

__all__ = ["PRIME", "SAFETY", "margin", "modular_product", "modular_rank", "residues"]

Array = Any
SAFETY = 100.0
"""A margin beyond this is taken for proof. Ten for the estimate of the condition number, which was at most 6 times too
small for 14 000 matrices; ten for rounding errors of the entries and of the elimination, n·ε but for small factors."""
PRIME = 2**31 - 1
"""Products of two residues fit 64 bits, and 2³¹ is 1: powers of two are cheap."""


def margin(matrix: Array) -> float:
    """How many times n·ε the relative distance from a square matrix to the next singular one is, in the ∞-norm.

    That distance is the reciprocal condition number; LAPACK's estimate of it takes an LU decomposition (dgetrf,
    dgecon), a tenth of the time of singular values. The matrix may be overwritten.
    """
    from scipy.linalg import lapack

    # The transpose, whose 1-norm is the ∞-norm of the matrix, is in the order of LAPACK without a copy.
    norm = lapack.dlange("1", matrix.T)
    factors, _, singular = lapack.dgetrf(matrix.T, overwrite_a=1)
    if singular or not norm:
        return 0.0
    estimate, _ = lapack.dgecon(factors, norm)
    return float(estimate / (len(matrix) * np.finfo(float).eps))


def residues(array: Array) -> Array:
    """Floating-point numbers modulo `PRIME`, as the binary fractions that they are, without rounding."""
    mantissa, exponent = np.frexp(array)
    whole = (mantissa * 2.0**53).astype(np.int64) % PRIME
    return whole * 2 ** ((exponent.astype(np.int64) - 53) % 31) % PRIME


def modular_product(left: Array, right: Array) -> Array:
    """`left @ right` of residues."""
    found: Array = 0
    for k in range(left.shape[-1]):
        found = (found + left[..., :, k, None] * right[..., k, None, :]) % PRIME
    return found


def modular_rank(matrix: Array, enough: int) -> int:
    """Rank modulo `PRIME` of residues, counted up to `enough`: never above the rank of the numbers themselves.

    It is below that rank only where the prime divides minors, which has a chance of about 2⁻³¹ for random numbers.
    """
    matrix, rank = matrix.copy(), 0
    for column in range(matrix.shape[1]):
        below = np.flatnonzero(matrix[rank:, column])
        if len(below):
            pivot = rank + below[0]
            matrix[[rank, pivot]] = matrix[[pivot, rank]]
            scale = matrix[rank + 1 :, column] * pow(int(matrix[rank, column]), -1, PRIME) % PRIME
            matrix[rank + 1 :, column:] -= scale[:, None] * matrix[rank, column:] % PRIME
            matrix[rank + 1 :, column:] %= PRIME
            rank += 1
        if rank >= min(enough, len(matrix)):
            break
    return rank
