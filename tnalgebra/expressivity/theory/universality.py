"""Universality: every tensor is a grid tensor."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ...algebra import Operator, operator
from ...errors import AlgebraError, DTypeError, FormatError, IndexRangeError
from ...formats import HTTensor, TTTensor
from ...networks import HierarchicalNetwork, Network, RecurrentNetwork, ShallowNetwork
from ..ranks import dense_of
from .indicators import Indicators
from .templates import check_kind, feature_map_of, realised, templates_of

__all__ = ["one_hot_network", "universal_network"]

Array = Any


def one_hot_network(index: Sequence[int], F: Any, *, kind: str = "shallow") -> Any:
    """The network with ξ = rectifier whose grid tensor is 1 at one index and 0 elsewhere.

        Γ = 1 − max over t of [i_t ≠ j_t]:    λ = (−1, 1),  F v₁⁽ᵗ⁾ = 1 − e_{j_t},  F v₂⁽ᵗ⁾ = 1

    index: j, numbers from 0, one a step. F: (M, M), a template a row.
    kind: shallow has width 2, recurrent unit ranks, hierarchical ranks 2; cp, tt and ht mean the same.
    Raises `IndexRangeError` for an index outside 0, …, M − 1, `ConstructionError` with the condition number of an F
    that cannot be inverted, `FormatError` for another shape, `UnknownNameError` for another kind.
    Source: GTM Lemma 4.6, where the recurrent network has ranks 2: with a row of ones in C one state is enough.

    >>> import numpy as np, tnalgebra as tna
    >>> tna.theory.one_hot_network((2, 0), np.eye(3))(np.eye(3)[[[2, 0], [0, 2]]])
    array([[1.],
           [0.]])
    """
    kind, F = check_kind(kind), templates_of(F)
    entry = np.asarray(index)
    if entry.ndim != 1 or not entry.size or entry.dtype.kind not in "iu":
        raise FormatError(f"index must be one integer a step; got {index!r}")
    if entry.min() < 0 or entry.max() >= len(F):
        raise IndexRangeError(f"index {tuple(map(int, entry))} must have numbers from 0 to {len(F) - 1}")
    found = Indicators(entry[None], np.ones(1), 0.0)
    return getattr(found, kind)(F, operator("rectifier"))


def universal_network(H: Any, F: Any, *, kind: str = "shallow", xi: str | Operator = "rectifier") -> Any:
    """The network whose grid tensor is H.

        rectifier:  H = c + Σ (H_j − c) ε^j = (c + Σ (H_j − c)) − Σ (H_j − c) max over t of [i_t ≠ j_t]
        multiply:   Ĥ = H ×₁ F⁻¹ ×₂ … ×_T F⁻¹ is the weight tensor, in CP, TT or HT format

    H: an array or a format of T modes of size M. F: (M, M), a template a row.
    kind: shallow, recurrent or hierarchical; cp, tt and ht mean the same.

    With c the most frequent value of H and n entries that differ from it, the rectifier (or maximum) needs the width
    n + 1 in a shallow network. A recurrent one has as many states as the n entries have prefixes, at most M^t after
    step t; a node of a balanced tree as many as they have restrictions to its steps, and one. The sum of networks in
    the paper has width 2 M^T. Rounding is relative to Σ |H_j − c|.
    For multiply the ranks are those of H; a shallow network has a term for each fibre of one mode, at most M^(T−1), or
    for each path through the train of H if there are fewer.
    Raises `AlgebraError` for another ξ with the reason, `ConstructionError` with the condition number of an F that
    cannot be inverted and for negative numbers of a tree of one step, `FormatError` for shapes that do not fit,
    `UnknownNameError` for another kind, `DTypeError` and `NonFiniteError` where H or F is complex or not finite.
    Source: GTM Theorem 4.7 and Proposition 4.8. A sum of one-hot grid tensors is any tensor, and their constant terms
    merge; a multiply network is linear in each step's features, which F⁻¹ turns into unit vectors.

    >>> import numpy as np, tnalgebra as tna
    >>> tna.theory.universal_network(np.diag([5.0, 7.0, 7.0]), np.eye(3)).ranks
    (4,)
    """
    kind, F, xi, H = check_kind(kind), templates_of(F), operator(xi), dense_of(H)
    if H.dtype.kind != "f":
        raise DTypeError(f"H must be real; got {H.dtype}")
    if set(H.shape) != {len(F)}:
        raise FormatError(f"every mode of H must have {len(F)} entries, as F is {F.shape}; H has shape {H.shape}")
    if xi.name == "multiply":
        return _multiplied(H.astype(F.dtype), F, kind)
    if xi.name not in ("rectifier", "maximum"):
        raise AlgebraError(f"no universal network is known for ξ = {xi}: {_why_not(xi)}; take rectifier or multiply")
    found, counts = np.unique(H, return_counts=True)
    constant = max(zip(found, counts, strict=True), key=lambda pair: (pair[1], pair[0] == 0))[0]
    others = constant != H
    return getattr(Indicators(np.argwhere(others), H[others] - constant, float(constant)), kind)(F, xi)


def _why_not(xi: Operator) -> str:
    if xi.name == "add":
        return "with sums every matricization of a grid tensor has rank 2 at most"
    return "the proofs are for the rectifier, whose terms are indicators, and for multiply, whose scores are linear"


def _multiplied(H: Array, F: Array, kind: str) -> Network:
    f = feature_map_of(F)
    match kind:
        case "recurrent":
            unit_vectors = realised(F, np.eye(len(F))).T
            return RecurrentNetwork(f, unit_vectors[None], TTTensor.from_dense(H).cores)
        case "hierarchical":
            tree = HTTensor.from_dense(H)
            return HierarchicalNetwork(f, tree.tree, tuple(realised(F, u) for u in tree.leaves), tree.transfers)
    factors = _terms(H)
    return ShallowNetwork(f, [realised(F, v) for v in factors], np.ones((factors[0].shape[1], 1), F.dtype))


def _terms(H: Array) -> list[Array]:
    """Factors of an exact CP decomposition: the paths of a train, or the fibres of one mode if these are fewer."""
    train = TTTensor.from_dense(H)
    mode = min(range(H.ndim), key=lambda mode: np.count_nonzero(H.any(axis=mode)))
    places = np.argwhere(H.any(axis=mode))
    if len(places) >= prod(train.ranks) or not len(places):
        paths = train.to_cp()
        return [paths.factors[0] * paths.weights, *paths.factors[1:]]
    factors = [np.eye(len(H), dtype=H.dtype)[:, place] for place in places.T]
    factors.insert(mode, np.moveaxis(H, mode, 0)[(slice(None), *places.T)].reshape(len(H), -1))
    return factors
