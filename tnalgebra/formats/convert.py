"""One format as another, exactly: what the small arrays of one are in the graph of the other."""

from math import prod
from typing import Any

import numpy as np

from ..execute.memory import check_bytes
from ..execute.namespace import namespace_of
from .cp import CPTensor
from .ht import HTTensor
from .later import implements
from .parts import sealed
from .structure import require_finite, require_multiply
from .tree import DimensionTree
from .tt import TTTensor

__all__ = [
    "cp_to_ht",
    "cp_to_tt",
    "ht_to_cp",
    "ht_to_ht",
    "ht_to_tt",
    "trivial_factors",
    "tt_to_cp",
    "tt_to_ht",
    "without_ones",
]

Array = Any


@implements("to_tt", CPTensor)
def cp_to_tt(tensor: CPTensor) -> TTTensor:
    """Diagonal cores: every inner rank is R. For ξ = multiply."""
    require_multiply(tensor.xi, "CP to TT", "to_ht() is exact for every ξ")
    tensor = tensor._eased()
    xp, rank = namespace_of(tensor.factors), tensor.rank
    eye = xp.eye(rank, dtype=tensor.dtype)
    cores = [factor[None, :, :] * eye[:, None, :] for factor in tensor.factors]  # (R, n, R)
    cores[0] = (tensor.factors[0] * tensor.weights)[None]
    cores[-1] = tensor.factors[-1].T[:, :, None] if tensor.ndim > 1 else cores[0].sum(axis=2, keepdims=True)
    return TTTensor(tuple(cores))


@implements("to_ht", CPTensor)
def cp_to_ht(tensor: CPTensor, tree: DimensionTree) -> HTTensor:
    """Factors as frames, diagonal transfers, the weights at the root: every rank is R, for every ξ on finite parts."""
    require_finite("CP to HT", tensor)
    tensor = tensor._eased() if tensor.xi.name == "multiply" else tensor
    xp, rank = namespace_of(tensor.factors), tensor.rank
    if not tree.inner:
        return HTTensor(tree, (tensor.factors[0] @ tensor.weights[:, None],), (), tensor.xi)
    diagonal = xp.arange(rank)
    transfers = []
    for branch in tree.inner:
        is_root = branch == tree.nested
        transfer = xp.zeros((rank,) * len(branch) + ((1,) if is_root else (rank,)), dtype=tensor.dtype)
        transfer[(diagonal,) * len(branch) + ((0,) if is_root else (diagonal,))] = tensor.weights if is_root else 1
        transfers.append(transfer)
    return HTTensor(tree, tensor.factors, tuple(transfers), tensor.xi)


@implements("to_cp", TTTensor)
def tt_to_cp(tensor: TTTensor) -> CPTensor:
    """One term a path through the bonds: the rank is the product of all TT ranks, for every ξ."""
    xp, ranks = namespace_of(tensor.cores), tensor.ranks
    size = prod(ranks) * sum(tensor.shape) * tensor.dtype.itemsize
    check_bytes(
        size, f"a CP tensor of rank {prod(ranks):.3g}, a term a path, which fit_cp may do without,", tensor.device
    )
    path, steps = xp.arange(prod(ranks)), [prod(ranks[mode + 1 :]) for mode in range(len(ranks))]
    paths = [path // step % rank for rank, step in zip(ranks, steps, strict=True)]  # the last bond the fastest
    factors = [core[paths[mode], :, paths[mode + 1]].T for mode, core in enumerate(tensor.cores)]
    return CPTensor(tuple(factors), xi=tensor.xi)


@implements("to_cp", HTTensor)
def ht_to_cp(tensor: HTTensor) -> CPTensor:
    """The tensor in its frames, a term for each column of all frames but the widest: R = Πk / max k. For ξ = multiply.

    It is the trivial decomposition of the core that is left when the frames are taken off; `fit_cp` finds small ranks.
    """
    require_multiply(tensor.xi, "HT to CP", "to_dense() gives the entries for other ξ")
    tensor = tensor._eased()
    xp, frames = namespace_of(tensor.leaves), tensor.leaves
    eyes = tuple(xp.eye(frame.shape[1], dtype=tensor.dtype) for frame in frames)
    if not tensor.tree.inner:
        return CPTensor(frames)
    core, kept = without_ones(HTTensor(tensor.tree, eyes, tensor.transfers))
    factors = trivial_factors(core.to_dense())
    ones = xp.ones((1, factors[0].shape[1]), dtype=tensor.dtype)
    whole = dict.fromkeys(range(tensor.ndim), ones) | dict(zip(kept, factors, strict=True))
    return CPTensor(sealed(frame @ whole[mode] for mode, frame in enumerate(frames)))


def without_ones(x: Any) -> tuple[Any, list[int]]:
    """An array or a format without its modes of size 1, of which NumPy takes but few, and the modes that are left."""
    kept = [mode for mode, size in enumerate(x.shape) if size > 1] or [0]
    return x[tuple(slice(None) if mode in kept else 0 for mode in range(x.ndim))], kept


def trivial_factors(array: Array) -> list[Array]:
    """CP factors of rank Πn / max n of any array: a fibre of the longest mode for every place of the others."""
    xp, long = namespace_of([array]), array.shape.index(max(array.shape))
    others = [size for mode, size in enumerate(array.shape) if mode != long]
    places = np.unravel_index(np.arange(prod(others)), others) if others else ()
    eyes = [xp.eye(size, dtype=array.dtype) for size in others]
    factors = [eye[:, xp.asarray(place)] for eye, place in zip(eyes, places, strict=True)]
    factors.insert(long, xp.moveaxis(array, long, 0).reshape(array.shape[long], -1))
    return factors


@implements("to_ht", TTTensor)
def tt_to_ht(tensor: TTTensor, tree: DimensionTree) -> HTTensor:
    """A node carries the bonds that leave its modes: its rank is their product (at most r² for modes in a row).

    Transfers are products of identities, so the conversion multiplies nothing; `round` finds smaller ranks if there
    are any. For ξ = multiply.
    """
    require_multiply(tensor.xi, "TT to HT", "to_cp() is exact for every ξ")
    return HTTensor.from_network(tensor.network(), tree)


@implements("to_tt", HTTensor)
def ht_to_tt(tensor: HTTensor) -> TTTensor:
    """The tree laid along the chain of its modes: a rank is the product of the edges of the tree that cross the bond.

    The branches stand where these products are least, so a bond that cuts off whole subtrees carries one edge each.
    For ξ = multiply.
    """
    require_multiply(tensor.xi, "HT to TT", "to_dense() gives the entries for other ξ")
    return TTTensor.from_network(tensor.network(), tensor.ndim)


@implements("to_ht", HTTensor)
def ht_to_ht(tensor: HTTensor, tree: DimensionTree) -> HTTensor:
    """The tree laid on another: the rank of a node is the product of the edges that leave its modes there.

    On its own tree the tensor itself, for every ξ; else for ξ = multiply.
    """
    if tree == tensor.tree:
        return tensor
    require_multiply(tensor.xi, "HT on another tree", "the tree is part of what the tensor means for other ξ")
    return HTTensor.from_network(tensor.network(), tree)


implements("to_cp", CPTensor)(lambda tensor: tensor)
implements("to_tt", TTTensor)(lambda tensor: tensor)
