"""Alternating least squares for CP: exact minimisation by blocks with a proximal term, so the loss never rises."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..execute import contract

__all__ = ["als", "balance", "is_degenerate", "letters_of", "mttkrp", "residual"]

Array = Any
PROXIMAL = 1e-11
"""Weight of the distance to the last factor, relative to the mean of the normal matrix's diagonal."""
STALL = 1e-7
"""A sweep that lowers the error by less than this share of it ends the run."""
PATIENCE = 25
"""Sweeps before a run is given up because four times as many at its last pace would not reach the goal."""
LARGE = 2.0
"""Norm of a term, in norms of the tensor, from which opposite terms are called degenerate."""


def als(x: Array, factors: Sequence[Array], goal: float, sweeps: int) -> tuple[list[Array], list[float]]:
    """Sweep over the modes of an array of norm one until the error stalls, reaches `goal`, or the sweeps end.

    With a goal of 0 the run goes on while the error falls at all; else it also ends once the goal is out of reach.

    Mode t solves V_t · H = MTTKRP with H the entrywise product of the other Gram matrices; the proximal term keeps
    it regular where H is singular and cannot raise the loss. Returns the factors, and the error after each sweep.
    Source: Kolda & Bader 2009, §3.4; Li, Kindermann & Navasca 2013 for the proximal term.
    """
    factors = [np.array(factor) for factor in factors]
    losses = [residual(x, factors)]
    while losses[-1] > goal and len(losses) <= sweeps:
        for mode in range(x.ndim):
            _update(x, factors, mode)
        balance(factors)
        losses.append(residual(x, factors))
        gain = losses[-2] - losses[-1]
        is_hopeless = goal > 0 and len(losses) > PATIENCE and 4 * PATIENCE * gain < losses[-1] - goal
        if gain <= STALL * losses[-1] or is_hopeless:
            break
    return factors, losses


def _update(x: Array, factors: list[Array], mode: int) -> None:
    normal = np.ones((factors[0].shape[1],) * 2, x.dtype)
    for other, factor in enumerate(factors):
        normal = normal if other == mode else normal * (factor.T @ factor.conj())
    weight = PROXIMAL * max(float(np.trace(normal).real) / len(normal), np.finfo(x.dtype).tiny)
    regular = normal + weight * np.eye(len(normal), dtype=x.dtype)
    right = mttkrp(x, factors, mode) + weight * factors[mode]
    factors[mode] = np.linalg.solve(regular.T, right.T).T


def letters_of(x: Array) -> list[str]:
    """One label a mode; ``z`` is left for the rank."""
    return [chr(97 + mode) for mode in range(x.ndim)]


def mttkrp(x: Array, factors: Sequence[Array], mode: int) -> Array:
    """Σ x[…] · Π conj(factors of the other modes): matricized tensor times Khatri-Rao product, never formed."""
    letters = letters_of(x)
    others = [other for other in range(x.ndim) if other != mode]
    terms = ",".join(f"{letters[other]}z" for other in others)
    return contract(f"{''.join(letters)},{terms}->{letters[mode]}z", x, *(factors[other].conj() for other in others))


def balance(factors: list[Array]) -> None:
    """Give every factor of a term the same norm: the product is unchanged, the normal matrices are better scaled."""
    norms = [np.linalg.norm(factor, axis=0) for factor in factors]
    size = np.prod(norms, axis=0) ** (1 / len(factors))
    for factor, norm in zip(factors, norms, strict=True):
        factor *= np.where(norm > 0, size / np.where(norm > 0, norm, 1), 1)


def residual(x: Array, factors: Sequence[Array]) -> float:
    """‖x − Σ_r ⊗ v_r‖, from the difference itself: the expanded square floors at 1e-8."""
    letters = letters_of(x)
    terms = ",".join(f"{letter}z" for letter in letters)
    return float(np.linalg.norm((x - contract(f"{terms}->{''.join(letters)}", *factors)).reshape(-1)))


def is_degenerate(factors: Sequence[Array]) -> bool:
    """Whether two terms are nearly opposite and each is larger than the tensor (which has norm one)."""
    norms = np.prod([np.linalg.norm(factor, axis=0) for factor in factors], axis=0)
    gram = np.ones((len(norms),) * 2)
    for factor in factors:
        gram = gram * (factor.conj().T @ factor).real
    cosines = gram / np.maximum(np.outer(norms, norms), np.finfo(float).tiny)
    return bool(norms.max() > LARGE and cosines.min() < -0.9)
