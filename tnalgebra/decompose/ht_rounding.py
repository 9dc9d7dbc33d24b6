"""Rounding of trees: QR from the leaves to the root, then truncated SVDs down again; never a Gram matrix."""

from collections.abc import Mapping, Sequence
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from ..execute.namespace import namespace_of
from ..formats import DimensionTree, HTTensor, TruncationReport
from ..formats.later import implements
from ..formats.orthogonal import ht_sweep, spread
from ..formats.parts import check_eps, check_rank
from ..formats.tree import Nested, climbed
from .basis import exact_basis, sketched_basis
from .budget import Budget
from .dense import finite, generator
from .factor import lower_factor

__all__ = ["count_cuts", "ht_round", "tightened"]

Array = Any


@implements("round", HTTensor)
def ht_round(
    tensor: HTTensor, *, eps: float | None = None, max_rank: int | Sequence[int] | None = None, seed: Any = None
) -> HTTensor:
    """Tree of smaller ranks with ‖X − X̃‖ ≤ eps·‖X‖: QR from the leaves to the root, then truncated SVDs down again.

    Once the parts below a node are isometries, its matricization has the singular values of a small matrix: what the
    root hands down. It is reduced by QR on the way, so no Gram matrix squares it. Every node is cut once; the
    projections are orthogonal and their squared losses add up to no more than was allowed. What is below the rounding
    errors of the parts is cut as well, so that A − A has rank one.
    seed: bases from random sketches where that pays; the error is measured, so eps holds all the same.
    Source: Grasedyck 2010, §4, with QR in place of reduced Gramians.

    >>> import tnalgebra as tna
    >>> t = tna.HTTensor.random((2, 3, 5), rank=2, seed=0)
    >>> (t + t).round(eps=1e-12).ranks
    (2, 2, 2, 2, 1)
    """
    eps, tree = check_eps(eps), tensor.tree
    cuts = tree.nodes[:-1]
    ranks = (None,) * len(cuts) if max_rank is None else check_rank(max_rank, len(cuts), "nodes below the root")
    for part in tensor.parameters().values():
        finite(part, "round")
    tensor, report = _cut(tensor, eps, dict(zip(cuts, ranks, strict=True)), generator(seed))
    return tightened(HTTensor(tree, tensor.leaves, tensor.transfers, truncation=report))


def tightened(tensor: HTTensor) -> HTTensor:
    """The same tensor, cut once more without a loss where a later cut has left another node's rank too large."""
    sides = [(size, prod(part.shape) // size) for part in tensor.transfers for size in part.shape]
    if all(size <= others for size, others in sides):
        return tensor
    found, _ = _cut(tensor, None, dict.fromkeys(tensor.tree.nodes[:-1]), None)
    return HTTensor(tensor.tree, found.leaves, found.transfers, truncation=tensor.truncation)


def count_cuts(tree: DimensionTree) -> int:
    """Truncations that lose anything of their own: the two children of a binary root share one."""
    return len(tree.nodes) - 1 - (isinstance(tree.nested, tuple) and len(tree.nested) == 2)


def _cut(
    tensor: HTTensor, eps: float | None, caps: Mapping[Nested, int | None], rng: Any
) -> tuple[HTTensor, TruncationReport]:
    """One sweep up and one down."""
    tree, xp = tensor.tree, namespace_of(tensor.leaves)
    swept = ht_sweep(tree, tensor.leaves, tensor.transfers, xp)
    norm = float(xp.linalg.norm(swept.parts[tree.nested]))
    if not norm:
        flat = {name: xp.zeros_like(part[_first(name, part.ndim)]) for name, part in tensor.parameters().items()}
        return tensor._rebuild(flat), TruncationReport(requested=eps, bound=0.0)
    budget = Budget(eps, norm, float(np.finfo(tensor.dtype).eps), count_cuts(tree))
    names = climbed(tree, str, " ".join)
    parts = _truncated(swept.parts, names, caps, budget, 4 * swept.noise, rng, xp)
    scaled = spread([parts[node] for node in tree.nodes], swept.exponent, len(tree.nodes) - 1)
    found = HTTensor.from_nodes(tree, dict(zip(tree.nodes, scaled, strict=True)))
    return found, budget.report(eps, [names[node] for node in caps])


def _first(name: str, ndim: int) -> tuple[slice, ...]:
    """The part's slice at rank one."""
    return (slice(None), slice(1)) if name.startswith("leaf") else (slice(1),) * ndim


def _truncated(
    parts: Mapping[Nested, Array],
    names: Mapping[Nested, str],
    caps: Mapping[Nested, int | None],
    budget: Budget,
    noise: float,
    rng: Any,
    xp: ModuleType,
) -> dict[Nested, Array]:
    """From the root down: what a node hands to a child is a square factor of the child's matricization.

    names: of all nodes, children before parents.
    """
    *_, root = nodes = list(names)
    handed: dict[Nested, Array] = {root: xp.ones((1, 1), dtype=parts[root].dtype)}
    bases: dict[Nested, Array] = {}
    for node in reversed(nodes):
        if not isinstance(node, tuple):
            continue
        weighed = xp.tensordot(parts[node], handed[node], axes=1)
        for axis, child in enumerate(node):
            rows = xp.moveaxis(weighed, axis, 0).reshape(weighed.shape[axis], -1)
            handed[child] = lower_factor(rows, xp)
            is_second = node is root and len(node) == 2 and axis == 1  # what it could lose, the first has lost
            allowed, cap = noise if is_second else max(budget.allowed(), noise), caps[child]
            sketched = sketched_basis(handed[child], allowed, cap, rng, xp) if rng is not None else None
            bases[child], discarded = sketched or exact_basis(handed[child], allowed, cap, xp)
            budget.spend(names[child], discarded)
            if node is root:
                weighed = xp.moveaxis(xp.tensordot(bases[child].T.conj(), weighed, axes=((1,), (axis,))), 0, axis)
    found = {}
    for node in nodes:
        part = parts[node]
        for axis, child in enumerate(node if isinstance(node, tuple) else ()):
            part = xp.moveaxis(xp.tensordot(bases[child].T.conj(), part, axes=((1,), (axis,))), 0, axis)
        found[node] = xp.tensordot(part, bases[node], axes=1) if node in bases else part
    return found
