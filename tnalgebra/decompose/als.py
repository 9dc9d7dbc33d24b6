"""Alternating least squares for CP: exact minimisation by blocks with a proximal term, so the loss never rises."""

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

import numpy as np

from ..formats import CPTensor, Format
from .mttkrp import mttkrps

__all__ = ["als", "balance", "is_degenerate", "residual", "sweep"]

Array = Any
PROXIMAL = 1e-11
"""Weight of the distance to the last factor, relative to the mean of the normal matrix's diagonal."""
STALL = 1e-7
"""A sweep that lowers the error by less than this share of it ends the run."""
PATIENCE = 25
"""Sweeps before a run is given up because four times as many at its last pace would not reach the goal."""
LARGE = 2.0
"""Norm of a term, in norms of the tensor, from which opposite terms are called degenerate."""
EXPANDED = 1e-4
"""Error down to which ‖x‖² − 2⟨x, model⟩ + ‖model‖² keeps digits that decide; below, the residual is formed."""


def als(x: Any, factors: Sequence[Array], goal: float, sweeps: int) -> tuple[list[Array], list[float]]:
    """Sweep over the modes of an array or a format of norm one until the error stalls, reaches `goal`, or the end.

    With a goal of 0 the run goes on while the error falls at all; else it also ends once the goal is out of reach.

    Mode t solves V_t · H = MTTKRP with H the entrywise product of the other Gram matrices; the proximal term keeps
    it regular where H is singular and cannot raise the loss. Returns the factors, and the error after each sweep.
    Source: Kolda & Bader 2009, §3.4; Li, Kindermann & Navasca 2013 for the proximal term.
    """
    factors = [np.array(factor) for factor in factors]
    losses = [residual(x, factors)]
    while losses[-1] > goal and len(losses) <= sweeps:
        losses.append(sweep(x, factors))
        balance(factors)
        gain = losses[-2] - losses[-1]
        is_hopeless = goal > 0 and len(losses) > PATIENCE and 4 * PATIENCE * gain < losses[-1] - goal
        if gain <= STALL * losses[-1] or is_hopeless:
            break
    return factors, losses


def sweep(x: Any, factors: list[Array]) -> float:
    """Update every factor once, and return the error."""
    grams = [factor.T @ factor.conj() for factor in factors]
    mode, product, normal = 0, np.empty(0), np.empty(0)
    for mode, product in mttkrps(x, factors):
        normal = prod((gram for other, gram in enumerate(grams) if other != mode), start=np.ones_like(grams[0]))
        weight = PROXIMAL * max(float(np.trace(normal).real) / len(normal), np.finfo(normal.dtype).tiny)
        regular = normal + weight * np.eye(len(normal), dtype=normal.dtype)
        right = product + weight * factors[mode]
        factors[mode] = np.linalg.solve(regular.T, right.T).T
        grams[mode] = factors[mode].T @ factors[mode].conj()
    overlap = float(np.vdot(factors[mode], product).real)  # the last product is still that of the other factors
    square = 1.0 - 2 * overlap + float(np.sum(normal * grams[mode]).real)
    return sqrt(square) if square > EXPANDED**2 else residual(x, factors)


def balance(factors: list[Array]) -> None:
    """Give every factor of a term the same norm: the product is unchanged, the normal matrices are better scaled."""
    norms = [np.linalg.norm(factor, axis=0) for factor in factors]
    size = np.prod(norms, axis=0) ** (1 / len(factors))
    for factor, norm in zip(factors, norms, strict=True):
        factor *= np.where(norm > 0, size / np.where(norm > 0, norm, 1), 1)


def residual(x: Any, factors: Sequence[Array]) -> float:
    """‖x − Σ_r ⊗ v_r‖, from the difference itself: the expanded square floors at 1e-8."""
    if isinstance(x, Format):
        return x.distance(CPTensor(tuple(factors)))
    return float(np.linalg.norm(x - CPTensor(tuple(factors)).to_dense()))


def is_degenerate(factors: Sequence[Array]) -> bool:
    """Whether two terms are nearly opposite and each is larger than the tensor (which has norm one)."""
    norms = np.prod([np.linalg.norm(factor, axis=0) for factor in factors], axis=0)
    gram = np.ones((len(norms),) * 2)
    for factor in factors:
        gram = gram * (factor.conj().T @ factor).real
    cosines = gram / np.maximum(np.outer(norms, norms), np.finfo(float).tiny)
    return bool(norms.max() > LARGE and cosines.min() < -0.9)
