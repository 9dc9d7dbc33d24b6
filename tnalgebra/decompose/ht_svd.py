"""HT-SVD: truncated SVDs from the leaves of a tree to its root, each on what the ones before have left."""

from collections.abc import Sequence
from math import prod
from typing import Any

from ..formats import DimensionTree, HTTensor, TruncationReport
from ..formats.orthogonal import spread
from ..formats.parts import check_eps, check_rank
from ..formats.structure import implements
from ..formats.tree import Nested, as_tree, modes_of
from .dense import Budget, Dense, prepare, truncated_svd

__all__ = ["ht_from_dense"]

Array = Any


@implements("from_dense", HTTensor)
def ht_from_dense(
    array: Any,
    *,
    eps: float | None = None,
    max_rank: int | Sequence[int] | None = None,
    tree: DimensionTree | None = None,
) -> HTTensor:
    """Hierarchical Tucker tensor of a dense array with ‖X − X̃‖ ≤ eps·‖X‖.

    Every node but the root is truncated once, on the core that is left; projections of one node after the other
    are orthogonal, so the squared losses add. With 2d − 3 cuts (the two children of a binary root share one) each may
    discard an equal share of what is still allowed.
    tree: any `DimensionTree` over the modes; balanced if not given.
    max_rank: a cap for every node below the root, or one a node in the order of `tree.nodes`.
    Source: Grasedyck 2010, Theorem 3.11; sequential truncation as in Vannieuwenhoven et al. 2012.

    >>> import numpy as np, tnalgebra as tna
    >>> i = np.arange(5.0)
    >>> tna.HTTensor.from_dense(np.sin(i[:, None, None] + i[:, None] + i), eps=1e-12).ranks
    (2, 2, 2, 2, 1)
    """
    dense, eps = prepare(array), check_eps(eps)
    ndim = dense.array.ndim
    tree = as_tree(tree, ndim)
    cuts = tree.nodes[:-1]
    ranks = (None,) * len(cuts) if max_rank is None else check_rank(max_rank, len(cuts), "nodes below the root")
    caps = dict(zip(cuts, ranks, strict=True))
    if not dense.norm:
        return _zero(dense, tree, eps)
    budget = Budget(eps, dense, len(cuts) - (isinstance(tree.nested, tuple) and len(tree.nested) == 2))
    parts, frontier, core = {}, list[Nested](range(ndim)), dense.array
    for node in sorted(cuts, key=lambda node: isinstance(node, tuple)):  # all leaves first: the core shrinks soonest
        children = node if isinstance(node, tuple) else (node,)
        core, sizes = _front(core, [frontier.index(child) for child in children])
        frontier = [node, *(other for other in frontier if other not in children)]
        basis, core_matrix, discarded = truncated_svd(
            core.reshape(prod(sizes), -1), budget.threshold(), caps[node], dense.xp
        )
        budget.spend(" ".join(map(str, modes_of(node))), discarded)
        parts[node] = basis.reshape(*sizes, -1)
        core = core_matrix.reshape(-1, *core.shape[len(sizes) :])
    root = tree.nested
    if isinstance(root, tuple):
        parts[root] = core.transpose([frontier.index(child) for child in root])[..., None]
    else:
        parts[root] = core[:, None]
    parts = dict(zip(tree.nodes, spread([parts[n] for n in tree.nodes], dense.exponent, len(cuts)), strict=True))
    report = TruncationReport(requested=eps, bound=budget.bound, discarded=budget.discarded)
    return _assembled(tree, parts, report)


def _front(core: Array, axes: Sequence[int]) -> tuple[Array, tuple[int, ...]]:
    """The core with these axes first, in this order, and their sizes."""
    rest = [axis for axis in range(core.ndim) if axis not in axes]
    moved = core.transpose([*axes, *rest])
    return moved, moved.shape[: len(axes)]


def _assembled(tree: DimensionTree, parts: dict[Nested, Array], report: TruncationReport) -> HTTensor:
    leaves = tuple(parts[mode] for mode in range(tree.ndim))
    return HTTensor(tree, leaves, tuple(parts[branch] for branch in tree.inner), truncation=report)


def _zero(dense: Dense, tree: DimensionTree, eps: float | None) -> HTTensor:
    xp, dtype = dense.xp, dense.array.dtype
    parts: dict[Nested, Array] = {mode: xp.zeros((size, 1), dtype) for mode, size in enumerate(dense.array.shape)}
    parts |= {branch: xp.zeros((1,) * (len(branch) + 1), dtype) for branch in tree.inner}
    return _assembled(tree, parts, TruncationReport(requested=eps, bound=0.0))
