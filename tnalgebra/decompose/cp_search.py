"""CP fits at one rank after the other, until one meets its goal."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from ..errors import BudgetError, MemoryLimitError
from ..execute.threads import one_thread
from ..formats import Format
from ..formats.convert import trivial_factors, without_ones
from ..formats.truncation import FitReport
from .als import als, is_degenerate
from .basis import exact_basis
from .budget import cut
from .factor import eigh, svd
from .gauss_newton import refine

__all__ = ["Search", "fit_rank"]

Array = Any
Fitted = tuple[list[Array], FitReport]
ONE_THREAD = 10**5
"""Entries of a core up to which BLAS is held to one thread: its threads would wait longer than they compute."""
WARM_UP = 20
"""Sweeps of ALS before Gauss-Newton takes over."""
GAUSS_NEWTON_WORK = 5 * 10**10
"""Multiplications that the Gauss-Newton steps of one run may take; a step takes (R·Σn)³."""
SMALL_CORE, MORE = 1 << 12, 2
"""A core of so many entries gets so many times more starts: each costs little, and most end in a local minimum."""
CORE = 1 << 20
"""Entries of the core of a format up to which it is fitted as an array."""
FULL = 1e-12
"""Ratio of the eigenvalues of a Gram matrix from which a mode certainly needs all of its indices."""


def fit_rank(x: Array, rank: int, goal: float, seed: Any = 0, restarts: int = 3, sweeps: int = 500) -> Fitted:
    """Factors of a CP fit of one rank to an array of norm one, and how the fit went."""
    return Search(x, goal, seed, restarts, sweeps).fit(rank)


class Search:
    """Fits of an array or a format of norm one, at one rank after the other.

    They run on the core that is left when every mode is written in a basis of its own fibres: the factors of a best
    fit lie in these bases, so nothing is lost, and a long mode costs no more than what the others can span.
    """

    def __init__(self, x: Any, goal: float, seed: Any, restarts: int, sweeps: int) -> None:
        if restarts < 1 or sweeps < 1:
            raise BudgetError(f"a fit takes one start and one sweep or more; got {restarts} restarts, {sweeps} sweeps")
        self.goal, self.rng, self.sweeps = goal, np.random.default_rng(seed), sweeps
        self.x, self.bases, self.kept = short_core(x)
        self.restarts = restarts * (MORE if prod(self.x.shape) <= SMALL_CORE else 1)

    def run(self, cap: int | None) -> Fitted:
        """Without a goal, the fit at the cap; else the least rank that was found to meet the goal.

        The rank grows by half until a fit meets the goal, then halves the distance to the last that did not.
        """
        top = min(self.trivial, cap or self.trivial)
        if not self.goal:
            return self.fit(top)
        rank = min(top, least_rank(self.x, self.goal))
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
        if rank == self.trivial and not isinstance(self.x, Format):
            report = FitReport(error=0.0, losses=(0.0,), restarts=0, is_converged=True, is_degenerate=False)
            return self._lifted(trivial_factors(self.x)), report
        runs: list[Fitted] = []
        with one_thread() if prod(self.x.shape) < ONE_THREAD or isinstance(self.x, Format) else nullcontext():
            for start in starts(self.x, rank, self.rng, self.restarts):
                runs.append(self._fit_from(start))
                if runs[-1][1].error <= self.goal:
                    break
        factors, report = min(runs, key=lambda run: run[1].error)
        return self._lifted(factors), replace(report, restarts=len(runs))

    def _fit_from(self, start: list[Array]) -> Fitted:
        """A few sweeps of ALS, then Gauss-Newton on cores that are small enough for it, else ALS to the end."""
        steps = min(self.sweeps, GAUSS_NEWTON_WORK // (start[0].shape[1] * sum(self.x.shape)) ** 3)
        is_small = steps > WARM_UP and not isinstance(self.x, Format)
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
        whole = dict.fromkeys(range(len(self.bases)), np.ones((1, factors[0].shape[1])))
        whole |= dict(zip(self.kept, factors, strict=True))
        return [whole[mode] if basis is None else basis @ whole[mode] for mode, basis in enumerate(self.bases)]


def core_of(x: Array) -> tuple[Array, list[Array | None]]:
    """The array in orthonormal bases of its fibres, mode by mode (an exact Tucker form), and the bases.

    A mode that needs all of its indices stays as it is; its basis is None.
    """
    allowed = (8 * float(np.finfo(x.dtype).eps) * x.size**0.25) ** 2
    bases: list[Array | None] = []
    for mode, size in enumerate(x.shape):
        basis, moved = None, np.moveaxis(x, mode, 0).reshape(size, -1)
        is_full = False
        if size <= moved.shape[1]:
            values, _ = eigh(moved @ moved.T.conj(), np)
            is_full = bool(values[-1] > FULL * values[0])
        if not is_full:
            basis, _ = exact_basis(moved, allowed, None, np)
            rest = (len(basis.T), *(n for m, n in enumerate(x.shape) if m != mode))
            x = np.moveaxis((basis.T.conj() @ moved).reshape(rest), 0, mode)
        bases.append(basis)
    return np.ascontiguousarray(x), bases


def short_core(x: Any) -> tuple[Any, list[Array | None], list[int]]:
    """The core of an array or a format without its modes of size 1, the bases of all modes, and the modes it has."""
    if isinstance(x, Format):
        return _core_of_format(x)
    core, bases = core_of(x)
    core, kept = without_ones(core)
    return core, bases, kept


def _core_of_format(x: Format) -> tuple[Any, list[Array | None], list[int]]:
    """The same of a format: its core is an array if it is small, else a format whose modes are as short as may be."""
    bases: list[Array | None] = []
    parts = x.parameters()
    for mode, (name, axis) in enumerate(x._carriers()):
        moved = np.moveaxis(parts[name], axis, 0).reshape(x.shape[mode], -1)
        basis = np.linalg.qr(moved)[0] if moved.shape[1] < moved.shape[0] else None
        if basis is not None:
            parts[name] = np.moveaxis(np.tensordot(basis.T.conj(), parts[name], axes=(1, axis)), 0, axis)
        bases.append(basis)
    x, kept = without_ones(x._rebuild(parts))
    if prod(x.shape) > CORE:
        return x, bases, kept
    core, inner = core_of(x.to_dense())
    for mode, basis in zip(kept, inner, strict=True):
        outer = bases[mode]
        bases[mode] = outer if basis is None else basis if outer is None else outer @ basis
    core, rest = without_ones(core)
    return core, bases, [kept[axis] for axis in rest]


def starts(x: Any, rank: int, rng: Any, restarts: int) -> Iterator[list[Array]]:
    """Leading singular vectors of each matricization first (random columns where they run out), then random factors."""
    for run in range(restarts):
        factors = []
        for mode, size in enumerate(x.shape):
            factor = rng.standard_normal((size, rank)).astype(x.dtype) / np.sqrt(size)
            if run == 0 and not isinstance(x, Format):
                unfolded = np.moveaxis(x, mode, 0).reshape(size, -1)
                leading = eigh(unfolded @ unfolded.conj().T, np)[1][:, :rank]
                factor[:, : leading.shape[1]] = leading
            factors.append(factor)
        yield factors


def least_rank(x: Any, goal: float) -> int:
    """The largest rank that a matricization needs for the goal: no CP tensor of smaller rank can meet it."""
    if isinstance(x, Format):
        try:
            return max(ranks_of_bonds(x.to_tt(), goal**2), default=1)
        except MemoryLimitError:  # a train in this order of modes is too large, and a bound is all that is wanted
            return 1
    ndim = x.ndim
    sides = [(mode,) for mode in range(ndim)] + [tuple(range(bond)) for bond in range(2, ndim - 1)]
    ranks = []
    for side in dict.fromkeys([*sides, tuple(range(0, ndim, 2))]):
        rest = [mode for mode in range(ndim) if mode not in side]
        matrix = x.transpose([*side, *rest]).reshape(prod(x.shape[mode] for mode in side), -1)
        ranks.append(exact_basis(matrix, goal**2, None, np)[0].shape[1])
    return int(max(ranks))


def ranks_of_bonds(train: Any, allowed: float) -> Iterator[int]:
    """The least rank of each matricization of a train that misses at most `allowed`, each on its own."""
    core, *rest = train.orthogonalize(0).cores
    for after in rest:
        _, s, vh = svd(core.reshape(-1, core.shape[2]), np)
        yield cut(s**2, allowed, None)[0]
        core = np.tensordot(s[:, None] * vh, after, axes=1)
