"""Damped Gauss-Newton for CP: it crosses the swamps in which alternating least squares stands still."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..formats import CPTensor
from .als import balance, residual
from .mttkrp import mttkrps

__all__ = ["refine"]

Array = Any
DAMPING = 1e-3
"""First damping, relative to the mean diagonal of JᴴJ; it falls after a success and rises after a failure."""
HOPELESS = 1e8
STALL = 1e-5
"""A step that lowers the error by less than this share of it ends the run."""


def refine(x: Array, factors: Sequence[Array], goal: float, steps: int) -> tuple[list[Array], list[float]]:
    """Minimise ‖x − Σ_r ⊗ v_r‖ over all factors at once; return them and the error after each step, which never rises.

    Each step solves (JᴴJ + μ·I) Δ = Jᴴ·(x − model). The normal matrix has a closed form in the factors; its size is
    R·Σn, so this is for cores, not for long modes.
    Source: Tomasi & Bro 2006; Phan, Tichavský & Cichocki 2013 for the blocks of JᴴJ.
    """
    factors, damping = list(factors), DAMPING
    losses = [residual(x, factors)]
    while losses[-1] > goal and len(losses) <= steps:
        trial, loss, damping = _improved(x, factors, losses[-1], damping)
        if trial is None:
            break
        factors = trial
        losses.append(loss)
        if losses[-2] - losses[-1] <= STALL * losses[-1]:
            break
    return factors, losses


def _improved(x: Array, factors: list[Array], loss: float, damping: float) -> tuple[list[Array] | None, float, float]:
    """Factors with a smaller error, that error, and the next damping; None where no damping gives one."""
    matrix, gradient = _normal_matrix(factors), _gradient(x, factors)
    mean = float(np.trace(matrix).real) / len(matrix)
    while damping < HOPELESS:
        trial = _step(factors, matrix, gradient, damping * mean)
        trial_loss = residual(x, trial)
        if trial_loss < loss:
            balance(trial)
            return trial, trial_loss, damping / 3
        damping *= 4
    return None, loss, damping


def _step(factors: Sequence[Array], matrix: Array, gradient: Array, damping: float) -> list[Array]:
    damped = matrix + damping * np.eye(len(matrix), dtype=matrix.dtype)
    delta = np.linalg.solve(damped, gradient)
    cuts = np.cumsum([factor.size for factor in factors])[:-1]
    return [factor + part.reshape(factor.shape) for factor, part in zip(factors, np.split(delta, cuts), strict=True)]


def _normal_matrix(factors: Sequence[Array]) -> Array:
    """JᴴJ by blocks: for modes t ≠ s, [(i, r), (j, q)] = Π_{u ≠ t, s} ⟨v_r, v_q⟩_u · v_q^t[i] · conj(v_r^s[j])."""
    grams = [factor.conj().T @ factor for factor in factors]
    rank = len(grams[0])

    def others(*skipped: int) -> Array:
        return prod((gram for mode, gram in enumerate(grams) if mode not in skipped), start=np.ones_like(grams[0]))

    rows = []
    for t, left in enumerate(factors):
        row = []
        for s, right in enumerate(factors):
            if t == s:
                block = np.einsum("rq,ij->irjq", others(t), np.eye(len(left)))
            else:
                block = np.einsum("rq,iq,jr->irjq", others(t, s), left, right.conj())
            row.append(block.reshape(len(left) * rank, len(right) * rank))
        rows.append(row)
    return np.block(rows)


def _gradient(x: Array, factors: Sequence[Array]) -> Array:
    """Jᴴ·(x − model), from the residual itself."""
    rest = x - CPTensor(tuple(factors)).to_dense()
    return np.concatenate([product.reshape(-1) for _, product in mttkrps(rest, list(factors))])
