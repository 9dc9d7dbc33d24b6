"""Separation: a recurrent network that no shallow one of moderate width equals."""

import numpy as np

from ...algebra import operator
from ...networks import FeatureMap, RecurrentNetwork
from .templates import check_size, pairs_of

__all__ = ["exponential_separation"]


def exponential_separation(M: int, R: int, T: int) -> RecurrentNetwork:
    """The recurrent network with ξ = rectifier whose grid tensor says whether all pairs of steps agree.

        Γ[i₁ … i_T] = 0 where i₁ = i₂ ≤ q, i₃ = i₄ ≤ q, …, and 1 elsewhere,    q = min(M, R), templates F = I
        odd t:   C = 1 − I,  G[1, i, k] = δ_ik
        even t:  C = 1 − I and a row of ones,  G[j, i, 1] = δ_ij,  G[j, M + 1, 1] = (1 − q, 0, …, 0)_j

    M: templates. R: the rank after odd steps; after even ones it is 1. T: steps, an even number. All steps have the
    L = M + 1 rows of the even ones; in odd steps no core reads the last.
    For M ≥ 2 the odd/even matricization of Γ has rank q^(T/2) + 1 if R < M, and q^(T/2) if not; a shallow network with
    this grid tensor has a width of at least 2 q^(T/2) / (M T).
    Raises `ConstructionError` for an odd T, `FormatError` for sizes below 1.
    Source: GTM Lemma 4.11 and Theorem 4.9. An odd step notes its index, an even one compares; where a pair differs the
    state is 1, and a maximum with 1 stays 1. Erratum: the paper prints ones in place of δ_ij, which gives rank 1.

    >>> import tnalgebra as tna
    >>> tna.theory.exponential_separation(3, 2, 4).ranks
    (1, 2, 1, 2, 1)
    """
    check_size(M=M, R=R)
    pairs, q = pairs_of(T=T), min(M, R)
    odd, even = np.zeros((1, M + 1, R)), np.zeros((R, M + 1, 1))
    odd[0, :M] = np.eye(M, R)
    even[:, :M, 0] = np.eye(R, M)
    even[0, M, 0] = 1 - q
    rows = np.vstack([1 - np.eye(M), np.ones((1, M))])
    return RecurrentNetwork(FeatureMap.identity(M), rows[None], (odd, even) * pairs, operator("rectifier"))
