"""Rows of a tall matrix from which the others follow with small coefficients."""

from typing import Any

import numpy as np

__all__ = ["maxvol"]

Array = Any
TOLERANCE = 1.05
"""A swap of two rows has to enlarge the volume by this factor."""


def maxvol(matrix: Array, count: int) -> tuple[Array, Array]:
    """Row numbers P and coefficients B (m, count) with matrix ≈ B · matrix[P] and no coefficient much above 1.

    The first r rows form a square matrix of almost maximal volume; each further one is that with the largest
    coefficients, up to `count` rows.
    Source: Goreinov et al. 2010 for the square part; Mikhalev & Oseledets 2018 for the further rows.
    """
    from scipy.linalg import lu_factor, solve_triangular

    height, rank = matrix.shape
    packed, swaps = lu_factor(matrix, check_finite=False)
    order = np.arange(height)
    for i, j in enumerate(swaps[:rank]):
        order[[i, j]] = order[[j, i]]
    lower, upper = np.tril(packed, -1)[:rank] + np.eye(rank, dtype=matrix.dtype), np.triu(packed[:rank])
    coefficients = solve_triangular(upper, matrix.T, trans="T", check_finite=False)
    coefficients = solve_triangular(lower, coefficients, trans="T", lower=True, check_finite=False).T
    picked = list(order[:rank])
    for _ in range(100 * rank):
        row, column = divmod(int(np.abs(coefficients).argmax()), rank)
        if abs(coefficients[row, column]) <= TOLERANCE:
            break
        change = coefficients[row].copy()
        change[column] -= 1
        coefficients -= np.outer(coefficients[:, column] / coefficients[row, column], change)
        picked[column] = row
    return _extended(coefficients, picked, min(count, height))


def _extended(coefficients: Array, picked: list[int], count: int) -> tuple[Array, Array]:
    """Add the row with the largest coefficients, and spread every row over one more."""
    while len(picked) < count:
        sizes = np.sum(np.abs(coefficients) ** 2, axis=1)
        sizes[picked] = -1
        row = int(sizes.argmax())
        last = coefficients[row].conj()
        share = (coefficients @ last) / (1 + float(np.vdot(last, last).real))
        coefficients = np.column_stack([coefficients - np.outer(share, last.conj()), share])
        picked.append(row)
    return np.array(picked), coefficients
