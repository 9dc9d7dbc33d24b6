"""TT-SVD: one truncated SVD a bond, from the left."""

from collections.abc import Sequence
from typing import Any

from ..formats import TruncationReport, TTTensor
from ..formats.orthogonal import spread
from ..formats.parts import check_eps, check_rank
from ..formats.structure import implements
from .dense import Budget, prepare, truncated_svd

__all__ = ["tt_from_dense"]


@implements("from_dense", TTTensor)
def tt_from_dense(array: Any, *, eps: float | None = None, max_rank: int | Sequence[int] | None = None) -> TTTensor:
    """Tensor train of a dense array with ‖X − X̃‖ ≤ eps·‖X‖.

    Each of the d − 1 SVDs may discard an equal share of the squared error that is still allowed, so the whole stays
    within eps and no share is lost; ranks are at most √(d−1) times worse than the best.
    eps: relative Frobenius error of the whole; None keeps all but rounding errors.
    max_rank: a cap for every bond, or one a bond; where it binds, `truncation.bound` says what it cost.
    Source: Oseledets 2011, Algorithm 1.

    >>> import numpy as np, tnalgebra as tna
    >>> i = np.arange(5.0)
    >>> tna.TTTensor.from_dense(np.sin(i[:, None, None] + i[:, None] + i), eps=1e-12).ranks
    (1, 2, 2, 1)
    """
    dense, eps = prepare(array), check_eps(eps)
    shape, xp = dense.array.shape, dense.xp
    bonds = len(shape) - 1
    caps = [None] * bonds if max_rank is None else check_rank(max_rank, bonds, "inner bonds")
    if not dense.norm:
        cores = [xp.zeros((1, size, 1), dense.array.dtype) for size in shape]
        return TTTensor(tuple(cores), truncation=TruncationReport(requested=eps, bound=0.0))
    budget = Budget(eps, dense, bonds)
    cores, rest, rank = [], dense.array, 1
    for bond, cap in enumerate(caps):
        u, rest, discarded = truncated_svd(rest.reshape(rank * shape[bond], -1), budget.threshold(), cap, xp)
        budget.spend(f"{bond}|{bond + 1}", discarded)
        cores.append(u.reshape(rank, shape[bond], -1))
        rank = rest.shape[0]
    cores.append(rest.reshape(rank, shape[-1], 1))
    cores = spread(cores, dense.exponent, bonds)
    report = TruncationReport(requested=eps, bound=budget.bound, discarded=budget.discarded)
    return TTTensor(tuple(cores), truncation=report)
