"""One format as another, exactly: what the small arrays of one are in the graph of the other."""

from math import prod
from typing import Any

from ..errors import TreeError
from ..execute.namespace import namespace_of
from .arithmetic import require_multiply
from .base import implements
from .cp import CPTensor
from .ht import HTTensor
from .tree import DimensionTree, Nested, modes_of
from .tt import TTTensor

__all__ = ["cp_to_ht", "cp_to_tt", "tt_to_cp", "tt_to_ht"]

Array = Any


@implements("to_tt", CPTensor)
def cp_to_tt(tensor: CPTensor) -> TTTensor:
    """Diagonal cores: every inner rank is R. For ξ = multiply."""
    require_multiply(tensor.xi, "CP to TT", "to_ht() is exact for every ξ")
    xp, rank = namespace_of(tensor.factors), tensor.rank
    eye = xp.eye(rank, dtype=tensor.dtype)
    cores = [factor[None, :, :] * eye[:, None, :] for factor in tensor.factors]  # (R, n, R)
    cores[0] = (tensor.factors[0] * tensor.weights)[None]
    cores[-1] = tensor.factors[-1].T[:, :, None] if tensor.ndim > 1 else cores[0].sum(axis=2, keepdims=True)
    return TTTensor(tuple(cores))


@implements("to_ht", CPTensor)
def cp_to_ht(tensor: CPTensor, tree: DimensionTree) -> HTTensor:
    """Factors as frames, diagonal transfers, the weights at the root: every rank is R, for every ξ."""
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
    paths = xp.stack([index.reshape(-1) for index in xp.meshgrid(*map(xp.arange, ranks), indexing="ij")])
    factors = [core[paths[mode], :, paths[mode + 1]].T for mode, core in enumerate(tensor.cores)]
    return CPTensor(tuple(factors), xi=tensor.xi)


@implements("to_ht", TTTensor)
def tt_to_ht(tensor: TTTensor, tree: DimensionTree) -> HTTensor:
    """A node carries the bonds that leave its modes: its rank is their product (at most r² for modes in a row).

    Transfers are products of identities, so the conversion multiplies nothing; `round` finds smaller ranks if there
    are any. For ξ = multiply.
    """
    require_multiply(tensor.xi, "TT to HT", "to_cp() is exact for every ξ")
    xp = namespace_of(tensor.cores)
    open_bonds = {node: _bonds(node, tensor.ndim) for node in tree.nodes}
    leaves = [core.transpose(1, 0, 2).reshape(core.shape[1], -1) for core in tensor.cores]
    transfers = [_transfer(branch, open_bonds, tensor.ranks, xp, tensor.dtype) for branch in tree.inner]
    return HTTensor(tree, tuple(leaves), tuple(transfers))


def _bonds(node: Nested, ndim: int) -> tuple[int, ...]:
    """Bonds with one end in the node's modes: bond b joins modes b − 1 and b, those at the ends have rank 1."""
    modes = set(modes_of(node))
    return tuple(bond for bond in range(1, ndim) if (bond - 1 in modes) != (bond in modes))


def _transfer(
    branch: tuple[Nested, ...], bonds: dict[Nested, tuple[int, ...]], ranks: tuple[int, ...], xp: Any, dtype: Any
) -> Array:
    """δ of every bond: two children that share it, or a child and the branch that hands it on."""
    sides = [*branch, branch]
    ends = [(side, bond) for side in range(len(sides)) for bond in bonds[sides[side]]]
    delta = xp.ones((1,) * len(ends), dtype=dtype)
    for bond in {bond for _, bond in ends}:
        first, second = (position for position, (_, name) in enumerate(ends) if name == bond)
        shape = [ranks[bond] if position in (first, second) else 1 for position in range(len(ends))]
        delta = delta * xp.eye(ranks[bond], dtype=dtype).reshape(shape)
    return delta.reshape([prod(ranks[bond] for bond in bonds[side]) for side in sides])


@implements("to_ht", HTTensor)
def ht_to_ht(tensor: HTTensor, tree: DimensionTree) -> HTTensor:
    """The tensor itself, if the tree is its own."""
    if tree != tensor.tree:
        raise TreeError(
            f"the tensor has the tree {tensor.tree.nested}; on {tree.nested} "
            "from_dense(t.to_dense(), tree=…) decomposes it anew"
        )
    return tensor


implements("to_cp", CPTensor)(lambda tensor: tensor)
implements("to_tt", TTTensor)(lambda tensor: tensor)
