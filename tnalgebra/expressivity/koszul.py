"""Lower bounds on the border rank by Koszul flattenings: more than any matricization can give."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, prod
from typing import Any

import numpy as np

from ..decompose.cp_search import core_of
from ..errors import FormatError, MemoryLimitError, RankError
from ..execute.memory import as_bytes
from .groups import Groups, check_groups, neighbours
from .ranks import Matricizations, RankEstimate, estimate

__all__ = ["KoszulBound", "koszul_bound"]

Array = Any
WORK = 10**9
"""Multiplications that all flattenings of one call take together, where p is not given."""


@dataclass(frozen=True, slots=True, eq=False)
class KoszulBound:
    """A lower bound on the border rank, so on the CP rank, and what it rests on.

    bound: ⌈estimate.rank / C(2p, p)⌉. estimate: the rank of the flattening. p: wedge factors; 0 is a matricization.
    groups: the modes of A, B and C.
    """

    bound: int
    p: int
    groups: Groups
    estimate: RankEstimate

    def __repr__(self) -> str:
        return f"KoszulBound(bound={self.bound}, p={self.p}, groups={self.groups}, gap={self.estimate.gap:.3g})"


def koszul_bound(
    x: Any,
    p: int | None = None,
    groups: Sequence[int | Sequence[int]] | None = None,
    *,
    tol: float | None = None,
    seed: Any = 0,
) -> KoszulBound:
    """Lower bound on the border rank (and so on the CP rank) from a Koszul flattening.

        T_A^∧p : Λ^p A ⊗ B* → Λ^(p+1) A ⊗ C,   border rank ≥ ⌈rank(T_A^∧p) / C(2p, p)⌉,   dim A = 2p + 1

    as a term a ⊗ b ⊗ c of T contributes the map ω ⊗ β ↦ β(b) · a∧ω ⊗ c, whose rank is C(2p, p). A larger A is
    projected to dimension 2p + 1 by a random isometry: the bound holds for any, and random ones do best.

    x: an array or a format (it is made dense) of order three, or of higher order with its modes in three `groups`: if
    not given, neighbours, in all ways. p: 1 ≤ p and 2p + 1 ≤ dim A; if not given, every p that may raise the bound,
    as far as 10⁹ multiplications go, and the matricizations of A as p = 0. tol: of the rank, relative to the largest
    singular value; by default the larger side of the flattening times ε.

    Raises `FormatError` for an order below three or groups that do not share the modes out, `RankError` for a p that
    does not fit, `MemoryLimitError`, and as `matricization_rank` does.
    Source: Landsberg & Ottaviani 2015, New lower bounds for the border rank of matrix multiplication, §2.

    >>> import tnalgebra as tna
    >>> x = tna.CPTensor.random((3, 3, 3), 5, seed=0)
    >>> tna.expressivity.koszul_bound(x).bound, tna.matricization_rank(x, [0]).rank
    (5, 3)
    """
    cuts = x if isinstance(x, Matricizations) else Matricizations(x, tol)
    if cuts.ndim < 3:
        raise FormatError(f"a Koszul flattening needs three modes; got {cuts.ndim}: matricization_rank is the CP rank")
    candidates = list(_groupings(cuts.ndim)) if groups is None else [check_groups(groups, cuts.ndim)]
    if p is None:
        return _best(cuts, candidates, seed)
    sizes = {each: prod(cuts.shape[mode] for mode in each[0]) for each in candidates}
    fitting = [each for each in candidates if p >= 1 and 2 * p + 1 <= sizes[each]]
    if not fitting:
        raise RankError(f"p = {p} needs 1 ≤ p and 2p + 1 ≤ dim A; the groups for A have at most {max(sizes.values())}")
    return max((_bound(cuts, cuts.array, p, each, seed) for each in fitting), key=lambda found: found.bound)


def _best(cuts: Matricizations, candidates: Sequence[Groups], seed: Any) -> KoszulBound:
    """The largest bound among matricizations and those flattenings that may give more, as far as the budget goes."""
    best, left = _matricized(cuts, candidates), WORK
    if not best.bound or best.bound >= max(_ceiling(cuts.shape, each) for each in candidates):
        return best
    array, _ = core_of(cuts.array / np.linalg.norm(cuts.array.reshape(-1)))  # the same rank on shorter modes
    for possible, work, p, groups in sorted(_tries(array.shape, candidates), key=lambda found: (-found[0], found[1])):
        if possible > best.bound and work <= left:
            left -= work
            best = max(best, _bound(cuts, array, p, groups, seed), key=lambda found: found.bound)
    return best


def _bound(cuts: Matricizations, array: Array, p: int, groups: Groups, seed: Any) -> KoszulBound:
    found = estimate(_flattening(_grouped(array, groups), p, seed), cuts.tol, cuts.eps)
    return KoszulBound(-(-found.rank // comb(2 * p, p)), p, groups, found)


def _matricized(cuts: Matricizations, candidates: Sequence[Groups]) -> KoszulBound:
    """The best matricization whose rows are one group."""
    groups = max(candidates, key=lambda each: cuts.rank(each[0]).rank)
    found = cuts.rank(groups[0])
    return KoszulBound(found.rank, 0, groups, found)


def _ceiling(shape: tuple[int, ...], groups: Groups) -> int:
    """No flattening gives more: C(2p+1, p) / C(2p, p) is below 2."""
    a, b, c = (prod(shape[mode] for mode in group) for group in groups)
    return (2 if a > 2 else 1) * min(b, c)


def _groupings(ndim: int) -> Iterator[Groups]:
    """Modes in a row cut in three, each of them as the first."""
    for parts in neighbours(ndim):
        for first in range(3):
            rest = [part for place, part in enumerate(parts) if place != first]
            yield parts[first], rest[0], rest[1]


def _tries(shape: tuple[int, ...], candidates: Sequence[Groups]) -> Iterator[tuple[int, int, int, Groups]]:
    """The largest bound that a flattening can give, its work, p and groups."""
    for groups in candidates:
        a, b, c = (prod(shape[mode] for mode in group) for group in groups)
        for p in range(1, (a - 1) // 2 + 1):
            m, n = comb(2 * p + 1, p) * b, comb(2 * p + 1, p) * c
            if (work := 4 * m * n * min(m, n)) > WORK:
                break
            yield -(-min(m, n) // comb(2 * p, p)), work, p, groups


def _grouped(array: Array, groups: Groups) -> Array:
    sizes = [prod(array.shape[mode] for mode in group) for group in groups]
    return array.transpose([mode for group in groups for mode in group]).reshape(sizes)


def _flattening(array: Array, p: int, seed: Any) -> Array:
    """Rows (p+1 of the indices of A, C), columns (p of them, B)."""
    wide, (_, b, c) = 2 * p + 1, array.shape
    needed, limit = array.itemsize * comb(wide, p) ** 2 * b * c, as_bytes("50%") or 0
    if needed > limit:
        raise MemoryLimitError(
            f"the Koszul flattening for p = {p} takes {needed} bytes, more than half of the memory: take a smaller p"
        )
    if len(array) > wide:
        normal = np.random.default_rng(seed).standard_normal((len(array), wide))
        array = np.tensordot(np.linalg.qr(normal)[0].T, array, axes=1)
    subsets = list(combinations(range(wide), p))
    places = {subset: place for place, subset in enumerate(combinations(range(wide), p + 1))}
    found = np.zeros((len(places), array.shape[2], len(subsets), array.shape[1]), array.dtype)
    for column, subset in enumerate(subsets):
        for index in set(range(wide)) - set(subset):
            sign = (-1) ** sum(other < index for other in subset)  # a_index ∧ ω in increasing order
            found[places[tuple(sorted((*subset, index)))], :, column] = sign * array[index].T
    return found.reshape(len(places) * array.shape[2], -1)
