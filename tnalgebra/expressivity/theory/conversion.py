"""Conversion: what a shallow network does, done step by step."""

from typing import Any

from ...errors import FormatError
from ...execute.namespace import namespace_of
from ...networks import RecurrentNetwork, ShallowNetwork

__all__ = ["shallow_as_recurrent"]

Array = Any


def shallow_as_recurrent(net: ShallowNetwork) -> RecurrentNetwork:
    """The recurrent network with the scores of a shallow one, for any ξ.

        C⁽ᵗ⁾ = V⁽ᵗ⁾ᵀ,    G⁽ᵗ⁾[j, i, k] = δ_ij δ_ik,    the first G[1, i, k] = δ_ik, the last G[j, i, y] = δ_ij λ[i, y]

    A width of R gives the ranks R on every bond, L = R; a width of 1 gives unit ranks. With one weight tensor a class
    the result has one too.
    Raises `FormatError` for what is no shallow network.
    Source: GTM Proposition 4.5 for R = 1. There h⁽ᵗ⁾ = ξ(⟨f(x⁽ᵗ⁾), v⁽ᵗ⁾⟩, h⁽ᵗ⁻¹⁾), and the last core multiplies by λ.
    For more terms it is the linear combination of R such networks.

    >>> import tnalgebra as tna
    >>> net = tna.ShallowNetwork.random(steps=3, inputs=2, features=4, rank=1, classes=7, xi="logaddexp", seed=0)
    >>> tna.theory.shallow_as_recurrent(net).ranks
    (1, 1, 1, 7)
    """
    if not isinstance(net, ShallowNetwork):
        raise FormatError(f"shallow_as_recurrent takes a ShallowNetwork; got {type(net).__name__}")
    xp, rank = namespace_of([net.factors]), net.ranks[0]
    classes = net.factors.shape[:-3]
    eye = xp.eye(rank, dtype=net.weights.dtype)
    weights = net.weights[..., None] if classes else net.weights  # (…, R, y)
    first, between, last = eye[None, :, :], eye[:, :, None] * eye[:, None, :], eye[:, :, None] * weights[..., None, :]
    cores = [first, *[between] * (net.steps - 2), last] if net.steps > 1 else [weights[..., None, :, :]]
    cores = [xp.broadcast_to(core, (*classes, *core.shape[-3:])) for core in cores]
    return RecurrentNetwork(net.feature_map, xp.moveaxis(net.factors, -1, -2), tuple(cores), net.xi)
