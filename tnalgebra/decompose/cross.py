"""Tensors from functions: interpolation at rows and columns of large volume, which are looked for as it goes."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..errors import BudgetError, ConvergenceWarning, RankError
from ..formats import CPTensor, DimensionTree, HTTensor, TruncationReport, TTTensor
from ..formats.indexing import checked_points
from ..formats.later import implements
from ..formats.parts import check_eps, check_rank, check_shape, sealed
from ..formats.tree import as_tree, modes_of, renumbered
from ..formats.truncation import FitReport
from .budget import cut
from .cp_fit import problems
from .factor import svd
from .maxvol import maxvol
from .sampler import OutOfCalls, Sampler

__all__ = ["cp_from_function", "ht_from_function", "on_leaves", "tt_from_function"]

Array = Any
Function = Callable[[Array], Any]
START = 200
"""Random points among which the first columns are chosen, as those where the function is largest."""
COLUMNS = 4
"""Columns at the start."""
PIVOTS = 4
"""Points with the largest error that a sweep hands to the next as columns."""
FLOOR = 1e-14
"""Least tolerance of the SVDs of a sweep, relative: below is noise."""
STALL, PATIENCE = 0.9, 5
"""So many sweeps in a row that leave more than this share of the least error end the search."""


@implements("from_function", TTTensor)
def tt_from_function(
    f: Function,
    shape: Sequence[int],
    *,
    eps: float | None = None,
    max_rank: int | None = None,
    max_calls: int | None = None,
    initial: Any = None,
    seed: Any = 0,
    sweeps: int = 20,
) -> TTTensor:
    """Train that interpolates a function of multi-indices (TT-cross).

    A sweep walks along the modes: on the rows found so far times one mode, and the columns of the sweep before, it
    evaluates the function, keeps what an SVD at eps keeps, and chooses the rows of largest volume. The next sweep goes
    back. Ranks grow where a matrix is of full rank, and at random points where the error is largest.
    f: takes integers of shape (B, d), returns B numbers; it is asked once for each point.
    eps: relative error on fresh random points at which the search ends, half of it for the last rounding. It is an
    estimate: what no random point sees, no cross sees. max_rank: a cap. max_calls: points that f may be asked for.
    initial: (B, d) points where f is not small, if few are like that: the search starts from them, and half of the
    points on which it is judged are near them.
    The result's `fit` has the estimated error, its history and the number of points; where eps is not reached, a
    `ConvergenceWarning` says why.
    Source: Oseledets & Tyrtyshnikov 2010.

    >>> import numpy as np, tnalgebra as tna
    >>> t = tna.TTTensor.from_function(lambda i: np.sin(i.sum(axis=1)), (9,) * 20, eps=1e-9)
    >>> t.max_rank, t.fit.is_converged
    (2, True)
    """
    sizes = check_shape(shape)
    return _train(Sampler(f, sizes, max_calls), eps, max_rank, initial, seed, sweeps)


def _train(
    sampler: Sampler, eps: float | None, max_rank: int | None, initial: Any = None, seed: Any = 0, sweeps: int = 20
) -> TTTensor:
    """The train that interpolates what is sampled, with its reports and the warning that eps is not reached."""
    train, fit, limit = _crossed(sampler, eps, max_rank, initial, seed, sweeps)
    if eps is not None and fit.error > eps:
        problem = f"TT-cross reached an estimated relative error of {fit.error:.3g}, not eps = {eps:.3g}; raise {limit}"
        warnings.warn(problem, ConvergenceWarning, stacklevel=4)
    return replace(train, fit=fit, truncation=TruncationReport(requested=eps, bound=fit.error))


def _crossed(
    sampler: Sampler, eps: float | None, max_rank: int | None, initial: Any, seed: Any, sweeps: int
) -> tuple[TTTensor, FitReport, str]:
    """The train, how its error was estimated, and what limits that."""
    sizes, eps, max_calls, rng = sampler.shape, check_eps(eps), sampler.max_calls, np.random.default_rng(seed)
    if eps is None and max_rank is None:
        raise RankError("from_function needs eps, max_rank, or both")
    if sweeps < 1:
        raise BudgetError(f"from_function needs at least one sweep; got sweeps = {sweeps}")
    cap = None if max_rank is None else check_rank(max_rank, 1, "cap of all ranks")[0]
    near = np.zeros((0, len(sizes)), int) if initial is None else checked_points(initial, sizes)
    draw = partial(_random, sizes, near, rng)
    found, losses, is_out = _searched(sampler, near, draw, eps, cap, sweeps)
    rounded = found.round(eps=None if eps is None else eps / 2, max_rank=cap)
    points = draw(sampler.tested)
    error = _relative(rounded.gather(points), sampler(points, reserve=0))
    is_converged = error <= eps if eps is not None else not is_out
    fit = FitReport(
        error=error, losses=(*losses, error), is_converged=is_converged, is_estimate=True, calls=sampler.calls
    )
    return rounded, fit, f"max_calls = {max_calls}" if is_out else "max_rank or sweeps"


@implements("from_function", HTTensor)
def ht_from_function(
    f: Function,
    shape: Sequence[int],
    *,
    eps: float | None = None,
    max_rank: int | None = None,
    max_calls: int | None = None,
    tree: DimensionTree | None = None,
    initial: Any = None,
    **options: Any,
) -> HTTensor:
    """Hierarchical tensor that interpolates a function: a train by cross in the order of the leaves, laid on the tree.

    Arguments and reports as for a train; tree: balanced if not given.

    >>> import numpy as np, tnalgebra as tna
    >>> h = tna.HTTensor.from_function(lambda i: np.sin(i.sum(axis=1)), (9,) * 8, eps=1e-9)
    >>> h.max_rank
    2
    """
    sizes = check_shape(shape)
    tree = as_tree(tree, len(sizes))
    order = modes_of(tree.nested)
    if initial is not None:
        options["initial"] = checked_points(initial, sizes)[:, order]
    sampler = Sampler(f, [sizes[mode] for mode in order], max_calls, order)
    train = _train(sampler, eps, max_rank, **options)
    found = on_leaves(train, tree, max_rank, eps)
    assert found.fit is not None
    return replace(found, truncation=TruncationReport(requested=eps, bound=found.fit.error))


def on_leaves(train: TTTensor, tree: DimensionTree, max_rank: int | None, eps: float | None) -> HTTensor:
    """The tensor on a tree whose leaves, from left to right, are the modes of a train, its ranks under the same cap.

    Its report is that of the train; what the cap costs is added to the error.
    """
    order = modes_of(tree.nested)
    along = DimensionTree(renumbered(tree.nested, {mode: place for place, mode in enumerate(order)}))
    found = train.to_ht(along).round(max_rank=max_rank)
    assert train.fit is not None
    assert found.truncation is not None
    lost, fit = found.truncation.bound, train.fit
    if lost > np.finfo(train.dtype).eps ** 0.5:
        error = fit.error + lost
        fit = replace(fit, error=error, is_converged=fit.is_converged and (eps is None or error <= eps))
        if eps is not None and error > eps >= train.fit.error:
            problem = f"max_rank = {max_rank} on the tree leaves a relative error of {error:.3g}, not eps = {eps:.3g}"
            warnings.warn(f"{problem}; raise max_rank", ConvergenceWarning, stacklevel=4)
    found = found.permute([order.index(mode) for mode in range(len(order))])
    return HTTensor(tree, found.leaves, found.transfers, fit=fit)


@implements("from_function", CPTensor)
def cp_from_function(
    f: Function,
    shape: Sequence[int],
    *,
    eps: float | None = None,
    max_rank: int | None = None,
    max_calls: int | None = None,
    initial: Any = None,
    seed: Any = 0,
    sweeps: int = 20,
    **options: Any,
) -> CPTensor:
    """CP tensor of a function: a train by cross at half of eps, then a fit to that train by `fit_cp`.

    max_rank: of the CP tensor; the train has as much as it needs. Further options are those of `fit_cp`.

    >>> import numpy as np, tnalgebra as tna
    >>> tna.CPTensor.from_function(lambda i: 1 + np.exp(-i.sum(axis=1)), (9, 8, 7), eps=1e-6).rank
    2
    """
    if eps is None and max_rank is None:
        raise RankError("from_function needs eps, max_rank, or both")
    half = 1e-10 if eps is None else (check_eps(eps) or 0.0) / 2
    sampler = Sampler(f, check_shape(shape), max_calls)
    train, by_cross, limit = _crossed(sampler, half, None, initial, seed, sweeps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # they would name the half of eps
        found: CPTensor = train.fit_cp(eps=None if eps is None else half, max_rank=max_rank, seed=seed, **options)
    assert found.truncation is not None
    error = by_cross.error + found.truncation.bound  # of the train beside the function, and of the fit beside the train
    fit = replace(
        found.fit or by_cross,
        error=error,
        is_estimate=True,
        is_converged=error <= eps if eps is not None else by_cross.is_converged,
        calls=by_cross.calls,
    )
    for problem in problems(found.rank, fit, eps, "max_rank, restarts or sweeps" if by_cross.is_converged else limit):
        warnings.warn(problem, ConvergenceWarning, stacklevel=3)
    return replace(found, fit=fit, truncation=TruncationReport(requested=eps, bound=error))


def _searched(
    sampler: Sampler, near: Array, draw: Callable[[int], Array], eps: float | None, cap: int | None, sweeps: int
) -> tuple[TTTensor, list[float], bool]:
    """Sweep until the error on fresh random points is half of eps, or falls no more, or the calls are used up."""
    sizes, goal, losses = sampler.shape, 0.0 if eps is None else eps / 2, list[float]()
    best: TTTensor | None = None
    try:
        drawn = draw(min(START, sampler.tested))
        largest = drawn[np.argsort(-np.abs(sampler(drawn)), kind="stable")[:COLUMNS]]
        extra = _joined(near, largest)
        columns = [extra[:, mode:] for mode in range(len(sizes) + 1)]
        for half in range(2 * sweeps):
            is_back = half % 2 == 1
            rows, cores = _half(sampler, columns, max(goal / 10, FLOOR), cap, is_back)
            tensor = TTTensor(sealed(cores))
            points = draw(sampler.tested)
            truth, guess = sampler(points), tensor.gather(points)
            losses.append(_relative(guess, truth))
            best = tensor if losses[-1] <= min(losses) else best
            if _is_done(losses, goal):
                break
            extra = points[np.argsort(-np.abs(truth - guess), kind="stable")[:PIVOTS]]
            extra = extra if is_back else extra[:, ::-1]
            columns = [_joined(rows[len(sizes) - mode][:, ::-1], extra[:, mode:]) for mode in range(len(sizes) + 1)]
    except OutOfCalls:
        if best is None:
            raise BudgetError(
                f"max_calls = {sampler.max_calls} does not cover one sweep over the modes {sizes}: "
                f"{sampler.calls} points were evaluated; raise max_calls, or bound the ranks by max_rank"
            ) from None
        return best, losses, True
    assert best is not None
    return best, losses, False


def _is_done(losses: list[float], goal: float) -> bool:
    """Whether two sweeps in a row are good enough, or the error has stopped falling."""
    if goal and len(losses) > 1 and max(losses[-2:]) <= goal:
        return True
    return len(losses) > PATIENCE and min(losses[-PATIENCE:]) > STALL * min(losses[:-PATIENCE])


def _half(
    sampler: Sampler, columns: Sequence[Array], tol: float, cap: int | None, is_back: bool
) -> tuple[list[Array], list[Array]]:
    """One walk along the modes (backwards: of the reversed tensor): rows of every prefix, and the cores in order."""
    sizes = sampler.shape[::-1] if is_back else sampler.shape
    rows, cores = [np.zeros((1, 0), int)], list[Array]()
    for mode, size in enumerate(sizes):
        left, last = rows[-1], mode == len(sizes) - 1
        longer = np.column_stack([np.repeat(left, size, axis=0), np.tile(np.arange(size), len(left))])
        right = columns[mode + 1] if not last else np.zeros((1, 0), int)
        points = np.concatenate([np.repeat(longer, len(right), axis=0), np.tile(right, (len(longer), 1))], axis=1)
        values = sampler(points[:, ::-1] if is_back else points).reshape(len(longer), len(right))
        if last:
            cores.append(values.reshape(len(left), size, 1))
        else:
            picked, coefficients = _interpolated(values, tol, cap)
            cores.append(coefficients.reshape(len(left), size, -1))
            rows.append(longer[picked])
    rows.append(np.zeros((1, len(sizes)), int))
    return rows, [core.transpose(2, 1, 0) for core in reversed(cores)] if is_back else cores


def _interpolated(values: Array, tol: float, cap: int | None) -> tuple[Array, Array]:
    """Rows and coefficients from them to all; more rows than the rank where that is full, as more may be needed."""
    largest = float(np.max(np.abs(values)))
    if not largest:
        return np.zeros(1, int), np.zeros((len(values), 1), values.dtype)
    u, s, _ = svd(values / largest, np)
    rank, _ = cut(s**2, tol**2 * float(np.sum(s**2)), cap)
    count = rank + max(1, rank // 2) if rank == min(values.shape) else rank
    return maxvol(u[:, :rank], count if cap is None else min(count, cap))


def _joined(first: Array, second: Array) -> Array:
    """Rows of both, each once."""
    both = np.concatenate([first, second])
    return np.unique(both, axis=0) if both.shape[1] else both[:1]


def _random(sizes: Sequence[int], near: Array, rng: Any, count: int) -> Array:
    """Random points; every second one shares most of its indices with a point of `near`, if there is any."""
    points = np.stack([rng.integers(0, size, count) for size in sizes], axis=1)
    if len(near):
        close = near[rng.integers(0, len(near), (count + 1) // 2)]
        points[::2] = np.where(rng.random(close.shape) < min(0.5, 2 / len(sizes)), points[::2], close)
    return points


def _relative(guess: Array, truth: Array) -> float:
    """Norm of the difference by that of the truth; 0 where both are zero."""
    scale = float(np.max(np.abs([guess, truth]))) or 1.0
    return float(np.linalg.norm((guess - truth) / scale) / (np.linalg.norm(truth / scale) or 1.0))
