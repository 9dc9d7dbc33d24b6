"""CP of a dense array: SVD where that is exact, ALS with restarts elsewhere, a rank that grows until eps is met."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from math import prod, sqrt
from typing import Any

import numpy as np

from ..errors import ConvergenceWarning, RankError
from ..formats import CPTensor, TruncationReport
from ..formats.convert import trivial_factors
from ..formats.orthogonal import spread
from ..formats.parts import check_eps, check_rank
from ..formats.structure import implements
from ..formats.truncation import FitReport
from .als import als, is_degenerate
from .basis import exact_basis
from .dense import Dense, prepare
from .gauss_newton import refine

__all__ = ["cp_from_dense", "fit_rank"]

Array = Any
Fitted = tuple[list[Array], FitReport]
ONE_THREAD = 10**5
"""Entries of a core up to which BLAS is held to one thread: its threads would wait longer than they compute."""
WARM_UP = 20
"""Sweeps of ALS before Gauss-Newton takes over."""
GAUSS_NEWTON_WORK = 5 * 10**10
"""Multiplications that the Gauss-Newton steps of one run may take; a step takes (R·Σn)³."""


@implements("from_dense", CPTensor)
def cp_from_dense(
    array: Any,
    *,
    eps: float | None = None,
    max_rank: int | None = None,
    seed: Any = 0,
    restarts: int = 2,
    sweeps: int = 500,
) -> CPTensor:
    """CP tensor of a dense array: of rank `max_rank`, or of the least rank found that meets `eps`.

    Up to two modes the SVD is exact. Beyond, the CP rank is NP-hard and a best fit may not exist: each rank is tried
    by least squares from `restarts` starts (alternating, then Gauss-Newton on small cores), from the largest
    matricization rank at eps upwards, and the trivial decomposition of rank Πn / max n ends the search. Where neither
    reaches eps within `max_rank`, the best fit is returned with a `ConvergenceWarning`. The result's `truncation` says
    what was reached, its `fit` how.
    eps: relative Frobenius error of the whole. seed: of the random starts. sweeps: of each run.
    Source: Kolda & Bader 2009, §3.4; Tomasi & Bro 2006.

    >>> import numpy as np, tnalgebra as tna
    >>> x = tna.CPTensor.random((3, 5, 7), rank=2, seed=1).to_dense()
    >>> tna.CPTensor.from_dense(x, eps=1e-6).rank
    2
    """
    if eps is None and max_rank is None:
        raise RankError("from_dense of a CP tensor needs eps, max_rank, or both: its rank cannot be read off the array")
    dense, eps = prepare(array), check_eps(eps)
    cap = None if max_rank is None else check_rank(max_rank, 1, "rank of a CP tensor")[0]
    if not dense.norm:
        zeros = [dense.xp.zeros((size, 1), dense.array.dtype) for size in dense.array.shape]
        return CPTensor(tuple(zeros), truncation=TruncationReport(requested=eps, bound=0.0))
    if dense.array.ndim <= 2:
        return _by_svd(dense, eps, cap)
    x = np.asarray(dense.array if dense.xp is np else dense.array.get()) / dense.norm
    factors, fit = _Search(x.astype(np.result_type(x, np.float64)), eps or 0.0, seed, restarts, sweeps).run(cap)
    for problem in _problems(len(factors[0].T), fit, eps):
        warnings.warn(problem, ConvergenceWarning, stacklevel=3)
    return _assembled(factors, dense, TruncationReport(requested=eps, bound=fit.error), fit)


def _problems(rank: int, fit: FitReport, eps: float | None) -> Iterator[str]:
    if fit.is_degenerate and (eps is None or fit.error > eps):
        yield (
            f"terms of the CP fit of rank {rank} grow against one another, so no best fit of this rank may exist "
            "(border rank); a larger rank does not have to"
        )
    if eps is not None and fit.error > eps:
        yield (
            f"CP of rank {rank} reached a relative error of {fit.error:.3g}, not eps = {eps:.3g}; "
            "raise max_rank, restarts or sweeps"
        )


def fit_rank(x: Array, rank: int, goal: float, seed: Any = 0, restarts: int = 3, sweeps: int = 500) -> Fitted:
    """Factors of a CP fit of one rank to an array of norm one, and how the fit went."""
    return _Search(x, goal, seed, restarts, sweeps).fit(rank)


class _Search:
    """Fits of an array of norm one, at one rank after the other.

    ALS runs on the core that is left when every mode is written in a basis of its own fibres: the factors of a best
    fit lie in these bases, so nothing is lost, and a long mode costs no more than what the others can span.
    """

    def __init__(self, x: Array, goal: float, seed: Any, restarts: int, sweeps: int) -> None:
        self.goal, self.rng, self.restarts, self.sweeps = goal, np.random.default_rng(seed), restarts, sweeps
        self.x, self.bases = _core(x)

    def run(self, cap: int | None) -> Fitted:
        """Without a goal, the fit at the cap; else the least rank that was found to meet the goal.

        The rank grows by half until a fit meets the goal, then halves the distance to the last that did not.
        """
        top = min(self.trivial, cap or self.trivial)
        if not self.goal:
            return self.fit(top)
        rank = min(top, _least_rank(self.x, self.goal))
        failed, best = rank - 1, self.fit(rank)
        while best[1].error > self.goal and rank < top:
            failed, rank = rank, min(top, max(rank + 1, rank * 3 // 2))
            best = self.fit(rank)
        while best[1].error <= self.goal and rank - failed > 1:
            middle = (rank + failed) // 2
            trial = self.fit(middle)
            if trial[1].error <= self.goal:
                rank, best = middle, trial
            else:
                failed = middle
        return best

    @property
    def trivial(self) -> int:
        """A rank that every tensor of this shape has at most."""
        return int(prod(self.x.shape) // max(self.x.shape))

    def fit(self, rank: int) -> Fitted:
        """The best of several runs at one rank; the first that meets the goal ends them."""
        if rank == self.trivial:
            report = FitReport(error=0.0, losses=(0.0,), restarts=0, is_converged=True, is_degenerate=False)
            return self._lifted(trivial_factors(self.x)), report
        from threadpoolctl import threadpool_limits

        runs: list[Fitted] = []
        with threadpool_limits(limits=1 if self.x.size < ONE_THREAD else None, user_api="blas"):
            for start in _starts(self.x, rank, self.rng, self.restarts):
                runs.append(self._fit_from(start))
                if runs[-1][1].error <= self.goal:
                    break
        factors, report = min(runs, key=lambda run: run[1].error)
        return self._lifted(factors), replace(report, restarts=len(runs))

    def _fit_from(self, start: list[Array]) -> Fitted:
        """A few sweeps of ALS, then Gauss-Newton on cores that are small enough for it, else ALS to the end."""
        steps = min(self.sweeps, GAUSS_NEWTON_WORK // (start[0].shape[1] * sum(self.x.shape)) ** 3)
        is_small = steps > WARM_UP
        factors, losses = als(self.x, start, self.goal, min(WARM_UP, self.sweeps) if is_small else self.sweeps)
        if is_small:
            factors, further = refine(self.x, factors, self.goal, steps)
            losses = losses + further[1:]
        degenerate = is_degenerate(factors)
        is_converged = (losses[-1] <= self.goal or len(losses) <= self.sweeps) and not degenerate
        report = FitReport(
            error=losses[-1], losses=tuple(losses), restarts=1, is_converged=is_converged, is_degenerate=degenerate
        )
        return factors, report

    def _lifted(self, factors: list[Array]) -> list[Array]:
        return [basis @ factor for basis, factor in zip(self.bases, factors, strict=True)]


def _core(x: Array) -> tuple[Array, list[Array]]:
    """The array in orthonormal bases of its fibres, mode by mode (an exact Tucker form), and the bases."""
    threshold = prepare(x).rounding * float(np.linalg.norm(x.reshape(-1)))
    bases = []
    for mode in range(x.ndim):
        moved = np.moveaxis(x, mode, 0)
        matrix = moved.reshape(len(moved), -1)
        basis, _ = exact_basis(matrix, threshold**2, None, np)
        bases.append(basis)
        x = np.moveaxis((basis.T.conj() @ matrix).reshape(-1, *moved.shape[1:]), 0, mode)
    return x, bases


def _starts(x: Array, rank: int, rng: Any, restarts: int) -> Iterator[list[Array]]:
    """Leading singular vectors of each matricization first (random columns where they run out), then random factors."""
    for run in range(restarts):
        factors = []
        for mode, size in enumerate(x.shape):
            factor = rng.standard_normal((size, rank)).astype(x.dtype) / np.sqrt(size)
            if run == 0:
                unfolded = np.moveaxis(x, mode, 0).reshape(size, -1)
                leading = np.linalg.eigh(unfolded @ unfolded.conj().T)[1][:, ::-1][:, :rank]
                factor[:, : leading.shape[1]] = leading
            factors.append(factor)
        yield factors


def _least_rank(x: Array, goal: float) -> int:
    """The largest rank that a matricization needs for the goal: no CP tensor of smaller rank can meet it."""
    ndim = x.ndim
    sides = [(mode,) for mode in range(ndim)] + [tuple(range(bond)) for bond in range(2, ndim - 1)]
    ranks = []
    for side in dict.fromkeys([*sides, tuple(range(0, ndim, 2))]):
        rest = [mode for mode in range(ndim) if mode not in side]
        matrix = x.transpose([*side, *rest]).reshape(prod(x.shape[mode] for mode in side), -1)
        ranks.append(exact_basis(matrix, goal**2, None, np)[0].shape[1])
    return int(max(ranks))


def _by_svd(dense: Dense, eps: float | None, cap: int | None) -> CPTensor:
    """One mode is its own factor; two modes are a matrix."""
    x = dense.array
    threshold = (dense.rounding if eps is None else eps) * dense.norm
    matrix = x.reshape(len(x), -1)
    left, discarded = exact_basis(matrix, threshold**2, cap, dense.xp)
    right = left.T.conj() @ matrix
    factors = [left, right.T] if x.ndim == 2 else [left * right[0, 0]]
    report = TruncationReport(requested=eps, bound=sqrt(discarded) / dense.norm)
    weights, *factors = spread([dense.xp.ones(factors[0].shape[1], dtype=x.dtype), *factors], dense.exponent, 0)
    return CPTensor(tuple(factors), weights, truncation=report)


def _assembled(factors: list[Array], dense: Dense, report: TruncationReport, fit: FitReport) -> CPTensor:
    """Unit columns, weights sorted by size, in the dtype and on the device of the array."""
    norms = [np.linalg.norm(factor, axis=0) for factor in factors]
    weights = np.prod(norms, axis=0) * dense.norm
    order = np.argsort(-weights, kind="stable")
    units = [(factor / np.where(norm > 0, norm, 1))[:, order] for factor, norm in zip(factors, norms, strict=True)]
    xp, dtype = dense.xp, dense.array.dtype
    parts = [xp.asarray(part, dtype=dtype) for part in (weights[order], *units)]
    scaled, *units = spread(parts, dense.exponent, 0)
    return CPTensor(tuple(units), scaled, truncation=report, fit=fit)
