"""Bounds on the CP rank, and the widths that ERNN's Table 2 predicts from one format for the others."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from ..decompose.als import residual
from ..decompose.cp_search import fit_rank
from ..formats import CPTensor, DimensionTree, TTTensor
from ..formats.tree import Nested, modes_of
from .ranks import Matricizations

__all__ = ["CPBounds", "bipartitions", "cp_bounds", "predicted_widths"]

Array = Any
ALL_BIPARTITIONS = 10**10
"""Multiplications for which all bipartitions are tried; beyond, single modes, prefixes and odd/even."""
FIT_UNKNOWNS = 600
"""Largest R·Σn for which a fit is tried."""
FIT_RANKS = 3
FIT_GOAL = 1e-8


@dataclass(frozen=True, slots=True)
class CPBounds:
    """lower ≤ CP rank ≤ upper, and what each rests on. The CP rank itself is NP-hard."""

    lower: int
    lower_by: str
    upper: int
    upper_by: str

    def __str__(self) -> str:
        return f"{self.lower} (by {self.lower_by}) to {self.upper} (by {self.upper_by})"


def bipartitions(matricizations: Matricizations) -> Iterator[tuple[int, ...]]:
    """Row sets worth trying: all of them when few, else odd/even, prefixes and single modes."""
    ndim = matricizations.ndim
    if ndim == 1:
        yield (0,)
        return
    every = [
        rows
        for size in range(1, ndim // 2 + 1)
        for rows in combinations(range(ndim), size)
        if 2 * size < ndim or 0 in rows
    ]
    if ndim <= 12 and sum(map(matricizations.cost, every)) <= ALL_BIPARTITIONS:
        yield from every
        return
    few = [
        tuple(range(0, ndim, 2)),
        *(tuple(range(bond)) for bond in range(1, ndim)),
        *((m,) for m in range(1, ndim - 1)),
    ]
    yield from dict.fromkeys(few)


def cp_bounds(x: Any, tol: float | None = None, *, seed: Any = 0) -> CPBounds:
    """Bounds on the CP rank of an array or a format.

    lower: the largest matricization rank among the bipartitions tried [ERNN Lemma 1]. upper: the smallest of the
    trivial Πn / max n, the number of non-zero fibres of one mode, the rank of a CP tensor or the paths of a train that
    was given, and a fit with a residual of 1e-8 at a rank close above the lower bound (it says its residual).
    tol: of the ranks, as in `matricization_rank`. seed: of the starts of the fit.
    """
    matricizations = x if isinstance(x, Matricizations) else Matricizations(x, tol)
    array = matricizations.array
    if not array.any():
        return CPBounds(0, "the zero tensor", 0, "the zero tensor")
    rows = max(bipartitions(matricizations), key=lambda rows: matricizations.rank(rows).rank)
    lower = matricizations.rank(rows).rank
    by = (
        f"the matricization {' '.join(map(str, rows))} | {' '.join(str(m) for m in range(array.ndim) if m not in rows)}"
    )
    upper, upper_by = min(_constructions(array, x), key=lambda bound: bound[0])
    if array.ndim == 2:
        return CPBounds(lower, by, lower, "the SVD of the matrix")
    if lower < upper:
        unit = array / np.linalg.norm(array.reshape(-1))
        for rank in range(lower, min(lower + FIT_RANKS, upper)):
            if rank * sum(array.shape) > FIT_UNKNOWNS:
                break
            factors, fit = fit_rank(unit, rank, FIT_GOAL, seed, restarts=2, sweeps=100)
            if fit.error <= FIT_GOAL:
                return CPBounds(lower, by, rank, f"a fit with residual {residual(unit, factors):.1g}")
    return CPBounds(lower, by, max(lower, upper), upper_by)


def _constructions(array: Array, x: Any) -> Iterator[tuple[int, str]]:
    trivial = prod(array.shape) // max(array.shape)
    yield trivial, "the trivial decomposition"
    for mode in range(array.ndim):
        fibres = int(np.count_nonzero(array.any(axis=mode)))
        yield fibres, f"the non-zero fibres of mode {mode}"
    if isinstance(x, CPTensor) and x.xi.name == "multiply":
        yield x.rank, "the CP tensor given"
    if isinstance(x, TTTensor) and x.xi.name == "multiply":
        yield prod(x.ranks), "the paths of the train given"


def predicted_widths(given: str, width: int, ndim: int, size: int) -> dict[str, str]:
    """ERNN Table 2: the width that each format needs for what a `given` one of some width does.

    size: the smallest mode, the number of features. Upper bounds hold always; lower bounds hold for almost every
    tensor of the given width, with q = min(width, size). The exponent of the TT width, log₂(d)/2 in the paper, is the
    number of subtrees of a balanced tree that make up a prefix of the modes, or what is left of it.

    >>> predicted_widths("TT", 2, 8, 4)
    {'TT': '2', 'HT': '≤ 4', 'CP': '≥ 16'}
    """
    least = f"≥ {min(width, size) ** (ndim // 2)}"
    table = {
        "TT": {"TT": f"{width}", "HT": f"≤ {width**2}", "CP": least},
        "HT": {"TT": f"≤ {width ** _pieces(ndim)}", "HT": f"{width}", "CP": least},
        "CP": {"TT": f"≤ {width}", "HT": f"≤ {width}", "CP": f"{width}"},
    }
    return table[given]


def _pieces(ndim: int) -> int:
    """Over all cuts of a train, the most subtrees of the balanced tree that one side of the cut needs at least."""
    tree = DimensionTree.balanced(ndim)

    def cover(node: Nested, modes: range) -> int:
        inside = [mode in modes for mode in modes_of(node)]
        if all(inside) or not any(inside):
            return int(all(inside))
        return sum(cover(child, modes) for child in node) if isinstance(node, tuple) else 0

    sides = [(range(bond), range(bond, ndim)) for bond in range(1, ndim)]
    return max((min(cover(tree.nested, side) for side in pair) for pair in sides), default=0)
