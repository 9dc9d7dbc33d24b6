"""Sums of many tensors: two partial sums of equal length at a time, rounded before they grow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp, inf, log, log1p
from typing import Any

import numpy as np

from ..errors import FormatError
from ..formats import CPTensor, Format, TruncationReport
from ..formats.blocks import block_sum
from ..formats.parts import check_eps

__all__ = ["Partial", "merged", "stack_sum"]

FLOOR = 1e-15
"""Relative error below which rounding errors are larger than what a truncation leaves out."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A partial sum, the number of its terms, and the logarithm of what truncations on the way lost at most."""

    tensor: Any
    count: int = 1
    log_lost: float = -inf


def stack_sum(tensors: Sequence[Any], *, eps: float | None = None, max_rank: Any = None) -> Any:
    """Σ of many tensors of one format, rounded in between so that ranks stay small, with ‖S − S̃‖ ≤ eps·‖S‖.

    eps: relative to the norm of the sum, even where terms cancel: partial sums are then rounded more carefully, and
    the sum is taken anew. max_rank: a cap for the result; partial sums may have twice as much.
    CP tensors, and HT tensors of other ξ, are added by blocks; CP is rounded once, at the end, if eps or max_rank asks.
    Raises `FormatError`, `AxisMismatchError`, `AlgebraError` for trains of another ξ.

    >>> import tnalgebra as tna
    >>> terms = [tna.TTTensor.random((4, 4, 4), rank=1, seed=n) for n in range(30)]
    >>> tna.stack_sum(terms, eps=1e-10).ranks
    (1, 4, 4, 1)
    """
    terms, eps = list(tensors), check_eps(eps)
    if not terms:
        raise FormatError("nothing to sum: give at least one tensor")
    if not isinstance(terms[0], Format):
        raise FormatError(f"stack_sum needs formats; got {type(terms[0]).__name__}: from_dense makes one of an array")
    for other in terms[1:]:
        terms[0]._check_same_kind(other, "stack_sum")
        terms[0]._check_alike(other, "stack_sum")
    if isinstance(terms[0], CPTensor) or terms[0].xi.name != "multiply":
        total = block_sum(terms)
        return total if eps is None and max_rank is None else total.round(eps=eps, max_rank=max_rank)
    step, before = None if eps is None else eps / (4 * len(terms)), inf
    while True:
        partial = merged(map(Partial, terms), step, doubled(max_rank))
        result = partial.tensor.round(eps=None if eps is None else 0.75 * eps, max_rank=max_rank)
        lost = relative_loss(partial.log_lost, result)
        is_stuck = max_rank is not None and lost > before / 2  # it is the cap that loses, not the step
        if eps is None or lost <= eps / 4 or not step or step < FLOOR or is_stuck:
            return with_loss(result, eps, lost, "partial sums")
        step, before = step * eps / (8 * lost), lost


def doubled(max_rank: Any) -> Any:
    """A cap for what is still to be truncated."""
    return None if max_rank is None else 2 * max_rank if np.ndim(max_rank) == 0 else [2 * rank for rank in max_rank]


def merged(partials: Iterable[Partial], step: float | None, max_rank: Any, *, is_disjoint: bool = False) -> Partial:
    """Add as a binary counter does: sums of equally many terms are joined, and rounded with relative error `step`.

    is_disjoint: whether the terms have no entry in common, so that the squares of their errors add.
    """
    waiting: list[Partial] = []

    def join() -> None:
        right, left = waiting.pop(), waiting.pop()
        total = block_sum([left.tensor, right.tensor]).round(eps=step, max_rank=max_rank)
        power = 2 if is_disjoint else 1
        before = np.logaddexp(power * left.log_lost, power * right.log_lost) / power
        waiting.append(Partial(total, left.count + right.count, float(np.logaddexp(before, log_loss(total)))))

    for partial in partials:
        waiting.append(partial)
        while len(waiting) > 1 and waiting[-1].count == waiting[-2].count:
            join()
    while len(waiting) > 1:
        join()
    return waiting[0]


def log_loss(tensor: Format) -> float:
    """Logarithm of what the truncation of a tensor lost at most."""
    assert tensor.truncation is not None
    bound = tensor.truncation.bound
    if not bound:
        return -inf
    norm = tensor.log_norm()  # of what is left; that and what is lost are orthogonal
    return log(bound) + norm - (log1p(-(bound**2)) / 2 if bound < 1 else 0.0)


def relative_loss(log_lost: float, tensor: Format) -> float:
    """A loss in norms of a tensor; 0 where nothing is lost of nothing."""
    norm = tensor.log_norm()
    return 0.0 if log_lost == -inf else exp(min(log_lost - norm, 700.0)) if norm > -inf else inf


def with_loss(tensor: Any, eps: float | None, lost: float, where: str) -> Any:
    """The tensor with a report that counts what was lost before its last truncation."""
    last = tensor.truncation
    report = TruncationReport(requested=eps, bound=lost + last.bound, discarded={**last.discarded, where: lost})
    return replace(tensor, truncation=report)
