"""TT-SVD: one truncated SVD a bond, from both ends towards the middle."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..execute.memory import MemoryLimit
from ..formats import TruncationReport, TTTensor
from ..formats.later import implements
from ..formats.orthogonal import fitted, spread
from ..formats.parts import check_eps, check_rank, sealed
from .basis import leading
from .budget import Budget
from .dense import generator, own, prepare
from .streaming import decomposed

__all__ = ["tt_from_dense"]

Array = Any


@implements("from_dense", TTTensor)
def tt_from_dense(
    array: Any,
    *,
    eps: float | None = None,
    max_rank: int | Sequence[int] | None = None,
    memory_limit: MemoryLimit = None,
    seed: Any = None,
) -> TTTensor:
    """Tensor train of a dense array with ‖X − X̃‖ ≤ eps·‖X‖.

    The core that is left is reduced from that end whose matricization is smaller, so every matrix is wide, and only
    its left singular vectors are needed. Each of the d − 1 truncations may discard an equal share of the squared error
    that is still allowed, so the whole stays within eps and no share is lost; ranks are at most √(d−1) times worse
    than the best.
    eps: relative Frobenius error of the whole; None keeps all but rounding errors.
    max_rank: a cap for every bond, or one a bond; where it binds, `truncation.bound` says what it cost.
    memory_limit: bytes that may be allocated; a larger array is decomposed slab by slab, and so is, within 512 MiB, a
        `numpy.memmap` or an array of Dask, h5py or Zarr.
    seed: bases from random sketches where that pays; the error is measured, so eps holds all the same.
    Source: Oseledets 2011, Algorithm 1.

    >>> import numpy as np, tnalgebra as tna
    >>> i = np.arange(5.0)
    >>> tna.TTTensor.from_dense(np.sin(i[:, None, None] + i[:, None] + i), eps=1e-12).ranks
    (1, 2, 2, 1)
    """
    found: TTTensor = decomposed(array, _whole, eps=eps, max_rank=max_rank, memory_limit=memory_limit, seed=seed)
    return found


def _whole(array: Any, *, eps: float | None, max_rank: int | Sequence[int] | None, seed: Any) -> TTTensor:
    """TT-SVD of an array in memory."""
    dense, eps, rng = prepare(array), check_eps(eps), generator(seed)
    shape, xp = dense.array.shape, dense.xp
    bonds = len(shape) - 1
    caps = [None] * bonds if max_rank is None else check_rank(max_rank, bonds, "inner bonds")
    if not dense.norm:
        cores = [xp.zeros((1, size, 1), dense.array.dtype) for size in shape]
        return TTTensor(sealed(cores), truncation=TruncationReport(requested=eps, bound=0.0))
    budget = Budget(eps, dense.norm, dense.rounding, bonds)
    exponent, core = dense.exponent, dense.array
    del dense  # the array is not needed beside the first core that is smaller
    cores, middle = _from_both_ends(core, shape, caps, budget, rng, xp)
    cores[middle] = own(cores[middle], array)
    cores, shift = fitted(cores, xp)
    report = budget.report(eps, [f"{bond}|{bond + 1}" for bond in range(bonds)])
    return TTTensor(sealed(spread(cores, exponent + shift, middle)), truncation=report)


def _from_both_ends(
    core: Array, shape: Sequence[int], caps: Sequence[int | None], budget: Budget, rng: Any, xp: ModuleType
) -> tuple[list[Array], int]:
    """Cores that are isometries towards the middle one, which is where the two ends meet."""
    lefts, rights = list[Array](), list[Array]()
    before, after, first, last = 1, 1, 0, len(shape) - 1
    while first < last:
        is_left = before * shape[first] <= shape[last] * after
        bond = first if is_left else last - 1
        matrix = core.reshape(before * shape[first], -1) if is_left else core.reshape(-1, shape[last] * after).T
        total = budget.norm**2 - budget.spent
        basis, discarded = leading(matrix, budget.allowed(), caps[bond], total, rng, xp)
        budget.spend(f"{bond}|{bond + 1}", discarded)
        height, rank = basis.shape
        if rank == height:  # another basis would gain nothing
            basis = xp.eye(height, dtype=matrix.dtype)
        else:
            core = basis.T.conj() @ matrix if is_left else matrix.T @ basis.conj()
        if is_left:
            lefts.append(basis.reshape(before, shape[first], rank))
            before, first = rank, first + 1
        else:
            rights.append(basis.T.reshape(rank, shape[last], after))
            after, last = rank, last - 1
    return [*lefts, core.reshape(before, shape[first], after), *reversed(rights)], first
