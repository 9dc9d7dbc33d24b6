"""Tensors from some of their entries: least squares for one part after the other, on what is known."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import ConvergenceWarning
from ..formats import CPTensor, DimensionTree, HTTensor, TTTensor
from ..formats.indexing import checked_points
from ..formats.later import implements
from ..formats.parts import check_eps, check_rank, check_shape, sealed
from ..formats.tree import as_tree, modes_of
from ..formats.truncation import FitReport
from .cross import on_leaves
from .samples import TINY, Samples, Terms, Train

__all__ = ["cp_from_samples", "ht_from_samples", "tt_from_samples"]

Array = Any
SLOW, STALL = 1e-2, 1e-4
"""A sweep that lowers the error by less than this share ends the work at one rank, or at a random start."""
MORE, SAME = 30, 1.02
"""Sweeps after ranks that seem superfluous are gone, and the share of the error at which they were."""
FEWEST = 6
"""Sweeps before a stage may end: directions that have just come in are small at first."""
BETTER = 0.95
"""A larger rank has to lower the error on the entries held out to this share, to be kept."""


class Fit:
    """The search for a model: the best one so far by the entries held out, and the history of all sweeps."""

    def __init__(self, samples: Samples, eps: float | None, sweeps: int) -> None:
        self.samples, self.eps, self.left, self.is_held = samples, eps, sweeps, len(samples.held_values) > 0
        self.losses, self.error, self.parts = [1.0], np.inf, list[Array]()

    def run(self, model: Any, stall: float, share: float = 1.0) -> float:
        """Sweep until the error stalls; return that on the entries held out, and keep the model if it is the best.

        share: of the best error so far that the model has to come down to.
        """
        for count in range(self.left):
            model.sweep()
            self.left -= 1
            self.losses.append(self.samples.error(model.tensor, is_held=False))
            gain = self.losses[-2] - self.losses[-1]
            if self.losses[-1] <= TINY or (count >= FEWEST and gain <= stall * self.losses[-1]):
                break
        error = self.samples.error(model.tensor, is_held=self.is_held)
        if error < share * self.error and self.error > self.samples.floor:
            self.error, self.parts = error, list(model.parts)
        return error

    @property
    def is_done(self) -> bool:
        """Whether eps is met, or no sweep is left."""
        return self.left <= 0 or self.error <= max(self.eps or 0.0, self.samples.floor)

    def report(self) -> FitReport:
        """How it went; a warning where eps is not met."""
        is_converged = self.error <= self.eps if self.eps is not None else self.left > 0
        if self.eps is not None and not is_converged:
            problem = (
                f"completion reached a relative error of {self.error:.3g} on the entries held out, not eps = "
                f"{self.eps:.3g}; give more entries, or raise max_rank, restarts or sweeps"
            )
            warnings.warn(problem, ConvergenceWarning, stacklevel=4)
        losses, calls = tuple(self.losses), len(self.samples.values) + len(self.samples.held_values)
        return FitReport(
            error=self.error, losses=losses, is_converged=is_converged, is_estimate=self.is_held, calls=calls
        )


def _fitted(
    samples: Samples, kind: Any, max_rank: int, eps: float | None, restarts: int, sweeps: int
) -> tuple[Any, Fit]:
    """Ranks that grow together as long as that helps, then one by one; then random starts of the largest rank."""
    fit, model = Fit(samples, eps, sweeps), kind(samples)
    for rank in range(1, max_rank + 1):
        before = fit.error
        model.grow([rank] * len(model.ranks))
        if fit.run(model, SLOW, BETTER) > BETTER * before or fit.error <= samples.floor:
            break
        if fit.is_done:
            break
    model.parts = fit.parts
    open_bonds = list(range(len(model.ranks)))
    while open_bonds and not fit.is_done:
        bond = open_bonds.pop(0)
        before, parts = fit.error, fit.parts
        model.grow([rank + (place == bond) for place, rank in enumerate(model.ranks)])
        if max(model.ranks) <= max_rank and fit.run(model, SLOW, BETTER) <= BETTER * before:
            open_bonds.append(bond)
        model.parts = fit.parts if fit.error < before else parts
    for _ in range(restarts):
        if fit.is_done:
            break
        model = kind(samples)
        model.grow([max_rank] * len(model.ranks), noise=1.0)
        fit.run(model, STALL, BETTER)
    model.parts = fit.parts
    if not fit.is_done:
        fit.run(model, STALL)
        model.parts = fit.parts
    return model.tensor, fit


@implements("from_samples", TTTensor)
def tt_from_samples(
    indices: Any,
    values: Any,
    shape: Sequence[int],
    *,
    max_rank: int,
    eps: float | None = None,
    seed: Any = 0,
    restarts: int = 2,
    sweeps: int = 300,
) -> TTTensor:
    """Train of ranks up to `max_rank` from scattered entries, by alternating least squares on its cores.

    Ranks grow by one as long as a tenth of the entries, which no fit sees, are met better; where that does not reach
    eps, `restarts` random trains of the largest rank are tried. The best by the entries held out is returned. A tensor
    without structure beyond its ranks needs many entries, some ten for each parameter or more.
    eps: error on the entries held out at which the search ends. sweeps: in total. The result's `fit` has that error,
    and the history on the entries that were fitted.
    Source: Grasedyck, Kluge & Krämer 2015 for the alternating fit; Steinlechner 2016 for the growth of ranks.

    >>> import numpy as np, tnalgebra as tna
    >>> x = tna.TTTensor.random((8, 9, 7, 8), rank=2, seed=0)
    >>> points = np.random.default_rng(0).integers(0, x.shape, (1500, 4))
    >>> found = tna.TTTensor.from_samples(points, x.gather(points), x.shape, max_rank=3, eps=1e-5)
    >>> found.max_rank, bool(found.distance(x) < 1e-4 * x.norm())
    (2, True)
    """
    (rank,), samples = check_rank(max_rank, 1, "cap of all ranks"), Samples(indices, values, shape, seed)
    found, fit = _fitted(samples, Train, rank, check_eps(eps), restarts, sweeps)
    found = _rounded(found, fit)
    scaled = [core.astype(samples.dtype) for core in (*found.cores[:-1], found.cores[-1] * samples.scale)]
    return TTTensor(sealed(scaled), fit=fit.report())


def _rounded(train: TTTensor, fit: Fit) -> TTTensor:
    """The train without the ranks that its error leaves open, fitted anew, if the entries held out do not miss them."""
    samples = fit.samples
    rounded = train.round(eps=min(max(2 * fit.error, samples.floor), 0.5))
    if rounded.ranks == train.ranks:
        return train
    model = Train(samples)
    model.parts = [np.array(core) for core in rounded.cores]
    for _ in range(MORE):
        model.sweep()
    error = samples.error(model.tensor, is_held=fit.is_held)
    if error > max(SAME * fit.error, samples.floor):
        return train
    fit.error = error
    return model.tensor


@implements("from_samples", HTTensor)
def ht_from_samples(
    indices: Any, values: Any, shape: Sequence[int], *, tree: DimensionTree | None = None, **options: Any
) -> HTTensor:
    """Hierarchical tensor from scattered entries: a train in the order of the leaves, laid on the tree and rounded.

    Arguments and reports as for a train; tree: balanced if not given.
    """
    sizes = check_shape(shape)
    tree = as_tree(tree, len(sizes))
    order = modes_of(tree.nested)
    points = checked_points(indices, sizes)[:, list(order)]
    train = tt_from_samples(points, values, [sizes[mode] for mode in order], **options)
    return on_leaves(train, tree, options["max_rank"], options.get("eps"))


@implements("from_samples", CPTensor)
def cp_from_samples(
    indices: Any,
    values: Any,
    shape: Sequence[int],
    *,
    max_rank: int,
    eps: float | None = None,
    seed: Any = 0,
    restarts: int = 2,
    sweeps: int = 300,
) -> CPTensor:
    """CP tensor of rank up to `max_rank` from scattered entries, by alternating least squares on its factors.

    Arguments and reports as for a train.

    >>> import numpy as np, tnalgebra as tna
    >>> x = tna.CPTensor.random((8, 9, 7), rank=2, seed=0)
    >>> points = np.random.default_rng(0).integers(0, x.shape, (400, 3))
    >>> found = tna.CPTensor.from_samples(points, x.gather(points), x.shape, max_rank=3, eps=1e-5)
    >>> bool(found.distance(x) < 1e-4 * x.norm())
    True
    """
    (rank,), samples = check_rank(max_rank, 1, "rank of a CP tensor"), Samples(indices, values, shape, seed)
    found, fit = _fitted(samples, Terms, rank, check_eps(eps), restarts, sweeps)
    weights = (found.weights * samples.scale).astype(samples.dtype)
    terms = CPTensor(sealed(factor.astype(samples.dtype) for factor in found.factors), weights).normalize().sort()
    return replace(terms, fit=fit.report())
