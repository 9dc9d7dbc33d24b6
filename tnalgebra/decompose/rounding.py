"""Rounding of trains and trees: QR to one center, then truncated SVDs; never a Gram matrix, which halves the digits."""

from collections.abc import Sequence
from typing import Any

from ..execute.namespace import namespace_of
from ..formats import HTTensor, TruncationReport, TTTensor
from ..formats.orthogonal import ht_sweep, spread, tt_center
from ..formats.parts import check_eps, check_rank
from ..formats.structure import implements
from ..formats.tree import Nested, modes_of
from .dense import Budget, prepare, truncated_svd

__all__ = ["ht_round", "tt_round"]

Array = Any


@implements("round", TTTensor)
def tt_round(tensor: TTTensor, *, eps: float | None = None, max_rank: int | Sequence[int] | None = None) -> TTTensor:
    """Train of smaller ranks with ‖X − X̃‖ ≤ eps·‖X‖: right-to-left QR, then left-to-right truncated SVDs.

    Source: Oseledets 2011, Algorithm 2.

    >>> import tnalgebra as tna
    >>> t = tna.TTTensor.random((2, 3, 5), rank=2, seed=0)
    >>> (t + t).round(eps=1e-12).ranks
    (1, 2, 2, 1)
    """
    eps, xp, bonds = check_eps(eps), namespace_of(tensor.cores), tensor.ndim - 1
    caps = [None] * bonds if max_rank is None else check_rank(max_rank, bonds, "inner bonds")
    cores, exponent = tt_center(tensor.cores, 0, xp)
    dense = prepare(cores[0], "round")
    if not dense.norm:
        zeros = tuple(xp.zeros((1, size, 1), dtype=dense.array.dtype) for size in tensor.shape)
        return TTTensor(zeros, truncation=TruncationReport(requested=eps, bound=0.0))
    budget = Budget(eps, dense, bonds)
    for bond, cap in enumerate(caps):
        left, size, _ = cores[bond].shape
        u, rest, discarded = truncated_svd(cores[bond].reshape(left * size, -1), budget.threshold(), cap, xp)
        budget.spend(f"{bond}|{bond + 1}", discarded)
        cores[bond] = u.reshape(left, size, -1)
        cores[bond + 1] = xp.tensordot(rest, cores[bond + 1], axes=1)
    report = TruncationReport(requested=eps, bound=budget.bound, discarded=budget.discarded)
    return TTTensor(tuple(spread(cores, exponent, -1 % len(cores))), truncation=report)


@implements("round", HTTensor)
def ht_round(tensor: HTTensor, *, eps: float | None = None, max_rank: int | Sequence[int] | None = None) -> HTTensor:
    """Tree of smaller ranks with ‖X − X̃‖ ≤ eps·‖X‖: QR from the leaves to the root, then truncated SVDs down again.

    Once the parts below a node are isometries, its matricization has the singular values of a small matrix: what the
    root hands down. It is reduced by QR on the way, so no Gram matrix squares it. Every node is cut once; the
    projections are orthogonal and their squared losses add up to no more than was allowed.
    Source: Grasedyck 2010, §4, with QR in place of reduced Gramians.

    >>> import tnalgebra as tna
    >>> t = tna.HTTensor.random((2, 3, 5), rank=2, seed=0)
    >>> (t + t).round(eps=1e-12).ranks
    (2, 2, 2, 2, 1)
    """
    eps, tree = check_eps(eps), tensor.tree
    cuts = tree.nodes[:-1]
    ranks = (None,) * len(cuts) if max_rank is None else check_rank(max_rank, len(cuts), "nodes below the root")
    tensor, report = _cut(tensor, eps, dict(zip(cuts, ranks, strict=True)))
    tensor, _ = _cut(tensor, None, dict.fromkeys(cuts))  # one cut may have made another node's rank larger than needed
    return HTTensor(tree, tensor.leaves, tensor.transfers, truncation=report)


def _cut(tensor: HTTensor, eps: float | None, caps: dict[Nested, int | None]) -> tuple[HTTensor, TruncationReport]:
    """One sweep up and one down."""
    tree, xp = tensor.tree, namespace_of(tensor.leaves)
    parts, exponent = ht_sweep(tree, tensor.leaves, tensor.transfers, xp)
    dense = prepare(parts[tree.nested], "round")
    if not dense.norm:
        flat = {name: xp.zeros_like(part[_first(name, part.ndim)]) for name, part in tensor.parameters().items()}
        return tensor._rebuild(flat), TruncationReport(requested=eps, bound=0.0)
    budget = Budget(eps, dense, len(caps) - (isinstance(tree.nested, tuple) and len(tree.nested) == 2))
    parts = _truncated(parts, tree.nodes, caps, budget, xp)
    scaled = spread([parts[node] for node in tree.nodes], exponent, len(tree.nodes) - 1)
    parts = dict(zip(tree.nodes, scaled, strict=True))
    leaves = tuple(parts[mode] for mode in range(tree.ndim))
    found = HTTensor(tree, leaves, tuple(parts[branch] for branch in tree.inner))
    return found, TruncationReport(requested=eps, bound=budget.bound, discarded=budget.discarded)


def _first(name: str, ndim: int) -> tuple[slice, ...]:
    """The part's slice at rank one."""
    return (slice(None), slice(1)) if name.startswith("leaf") else (slice(1),) * ndim


def _truncated(
    parts: dict[Nested, Array], nodes: Sequence[Nested], caps: dict[Nested, int | None], budget: Budget, xp: Any
) -> dict[Nested, Array]:
    """From the root down: what a node hands to a child is a square factor of the child's matricization."""
    handed: dict[Nested, Array] = {nodes[-1]: xp.ones((1, 1), dtype=parts[nodes[-1]].dtype)}
    bases: dict[Nested, Array] = {}
    for node in reversed(nodes):
        if not isinstance(node, tuple):
            continue
        weighed = xp.tensordot(parts[node], handed[node], axes=1)
        for axis, child in enumerate(node):
            rows = xp.moveaxis(weighed, axis, 0).reshape(weighed.shape[axis], -1)
            handed[child] = xp.linalg.qr(rows.T.conj(), mode="r").T.conj() if rows.shape[1] > rows.shape[0] else rows
            basis, _, discarded = truncated_svd(handed[child], budget.threshold(), caps[child], xp)
            budget.spend(" ".join(map(str, modes_of(child))), discarded)
            bases[child] = basis
    found = {}
    for node in nodes:
        part = parts[node]
        for axis, child in enumerate(node if isinstance(node, tuple) else ()):
            part = xp.moveaxis(xp.tensordot(bases[child].T.conj(), part, axes=((1,), (axis,))), 0, axis)
        found[node] = xp.tensordot(part, bases[node], axes=1) if node in bases else part
    return found
