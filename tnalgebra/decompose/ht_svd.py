"""HT-SVD: truncated SVDs from the leaves of a tree to its root, each on what the ones before have left."""

from collections.abc import Mapping, Sequence
from math import prod
from types import ModuleType
from typing import Any

from ..execute.memory import MemoryLimit
from ..formats import DimensionTree, HTTensor, TruncationReport
from ..formats.later import implements
from ..formats.orthogonal import spread
from ..formats.parts import check_eps, check_rank
from ..formats.tree import Nested, as_tree, modes_of
from .basis import leading
from .budget import Budget
from .dense import Dense, generator, own, prepare
from .ht_rounding import count_cuts, tightened
from .streaming import decomposed

__all__ = ["ht_from_dense"]

Array = Any


@implements("from_dense", HTTensor)
def ht_from_dense(
    array: Any,
    *,
    eps: float | None = None,
    max_rank: int | Sequence[int] | None = None,
    tree: DimensionTree | None = None,
    memory_limit: MemoryLimit = None,
    seed: Any = None,
) -> HTTensor:
    """Hierarchical Tucker tensor of a dense array with ‖X − X̃‖ ≤ eps·‖X‖.

    Every node but the root is truncated once, on the core that is left; projections of one node after the other
    are orthogonal, so the squared losses add. With 2d − 3 cuts (the two children of a binary root share one) each may
    discard an equal share of what is still allowed.
    tree: any `DimensionTree` over the modes; balanced if not given.
    max_rank: a cap for every node below the root, or one a node in the order of `tree.nodes`.
    memory_limit, seed: as for a train.
    Source: Grasedyck 2010, Theorem 3.11; sequential truncation as in Vannieuwenhoven et al. 2012.

    >>> import numpy as np, tnalgebra as tna
    >>> i = np.arange(5.0)
    >>> tna.HTTensor.from_dense(np.sin(i[:, None, None] + i[:, None] + i), eps=1e-12).ranks
    (2, 2, 2, 2, 1)
    """
    options = {"tree": tree, "seed": seed}
    found: HTTensor = decomposed(array, _whole, eps=eps, max_rank=max_rank, memory_limit=memory_limit, **options)
    return found


def _whole(
    array: Any,
    *,
    eps: float | None,
    max_rank: int | Sequence[int] | None,
    tree: DimensionTree | None,
    seed: Any,
) -> HTTensor:
    """HT-SVD of an array in memory."""
    dense, eps, rng = prepare(array), check_eps(eps), generator(seed)
    tree = as_tree(tree, dense.array.ndim)
    cuts = tree.nodes[:-1]
    ranks = (None,) * len(cuts) if max_rank is None else check_rank(max_rank, len(cuts), "nodes below the root")
    if not dense.norm:
        return _zero(dense, tree, eps)
    budget = Budget(eps, dense.norm, dense.rounding, count_cuts(tree))
    exponent, core, xp = dense.exponent, dense.array, dense.xp
    del dense  # the array is not needed beside the first core that is smaller
    parts = _from_the_leaves(core, tree, dict(zip(cuts, ranks, strict=True)), budget, rng, xp)
    parts[tree.nested] = own(parts[tree.nested], array)
    scaled = spread([parts[node] for node in tree.nodes], exponent, len(cuts))
    report = budget.report(eps, [" ".join(map(str, modes_of(node))) for node in cuts])
    return tightened(HTTensor.from_nodes(tree, dict(zip(tree.nodes, scaled, strict=True)), truncation=report))


def _from_the_leaves(
    core: Array, tree: DimensionTree, caps: Mapping[Nested, int | None], budget: Budget, rng: Any, xp: ModuleType
) -> dict[Nested, Array]:
    """All leaves first, as the core shrinks soonest so; a node that is done goes behind the others without a copy."""
    frontier = list[Nested](range(tree.ndim))
    parts: dict[Nested, Array] = {}
    for node in sorted(caps, key=lambda node: isinstance(node, tuple)):
        children = node if isinstance(node, tuple) else (node,)
        axes = [frontier.index(child) for child in children]
        rest = [axis for axis in range(len(frontier)) if axis not in axes]
        sizes, others = [core.shape[axis] for axis in axes], [core.shape[axis] for axis in rest]
        matrix = core.transpose([*axes, *rest]).reshape(prod(sizes), -1)
        core = matrix  # not to be kept beside the matrix, if that is a copy
        basis, discarded = leading(matrix, budget.allowed(), caps[node], budget.norm**2 - budget.spent, rng, xp)
        budget.spend(" ".join(map(str, modes_of(node))), discarded)
        height, rank = basis.shape
        if rank == height:  # another basis would gain nothing
            basis, core = xp.eye(height, dtype=matrix.dtype), matrix.T.reshape(*others, height)
        else:
            core = (matrix.T @ basis.conj()).reshape(*others, rank)
        parts[node] = basis.reshape(*sizes, rank)
        frontier = [frontier[axis] for axis in rest] + [node]
    root = tree.nested
    if isinstance(root, tuple):
        core = core.transpose([frontier.index(child) for child in root])
    parts[root] = core[..., None]
    return parts


def _zero(dense: Dense, tree: DimensionTree, eps: float | None) -> HTTensor:
    xp, dtype = dense.xp, dense.array.dtype
    parts: dict[Nested, Array] = {mode: xp.zeros((size, 1), dtype) for mode, size in enumerate(dense.array.shape)}
    parts |= {branch: xp.zeros((1,) * (len(branch) + 1), dtype) for branch in tree.inner}
    return HTTensor.from_nodes(tree, parts, truncation=TruncationReport(requested=eps, bound=0.0))
