"""Bounds on the CP rank, and the widths that ERNN's Table 2 predicts from one format for the others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from ..decompose.als import residual
from ..decompose.cp_search import fit_rank
from ..errors import RankError, UnknownNameError
from ..formats import CPTensor, DimensionTree, Format, HTTensor, TTTensor
from ..formats.tree import Nested, modes_of
from .diagonalization import simultaneous_diagonalization
from .koszul import koszul_bound
from .ranks import Matricizations, listed

__all__ = ["CPBounds", "bipartitions", "cp_bounds", "predicted_widths"]

ALL_BIPARTITIONS = 10**10
"""Multiplications for which all bipartitions are tried; beyond, single modes, prefixes and odd/even."""
CHEAP = 3 * 10**9
"""Multiplications that the bipartitions of a large format may take together."""
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
    """Row sets worth trying: all of them when few, else odd/even, prefixes and single modes; of formats the cheap."""
    ndim = matricizations.ndim
    if ndim == 1:
        yield (0,)
        return
    if matricizations.is_large:
        yield from _cheap(matricizations)
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


def _cheap(matricizations: Matricizations) -> Iterator[tuple[int, ...]]:
    """Single modes, prefixes, intervals, and every other mode of the first ones, as far as the budget goes."""
    ndim, left = matricizations.ndim, CHEAP
    lengths = [2**power for power in range(1, ndim.bit_length()) if 2**power < ndim]
    sets = [
        *((mode,) for mode in range(ndim)),
        *(tuple(range(bond)) for bond in range(2, ndim)),
        *(tuple(range(0, stop, 2)) for stop in range(3, ndim + 1, 2)),
        *(tuple(range(i, i + size)) for size in lengths for i in range(size // 2, ndim - size, size // 2)),
    ]
    for rows in dict.fromkeys(sets):
        cost = matricizations.cost(rows)
        if cost <= left:
            left -= cost
            yield rows


def cp_bounds(x: Any, tol: float | None = None, *, seed: Any = 0) -> CPBounds:
    """Bounds on the CP rank of an array or a format.

    lower: the largest matricization rank among the bipartitions tried [ERNN Lemma 1], or that of a Koszul flattening
    where one is affordable and gives more. upper: the smallest of the trivial Πn / max n, the number of non-zero fibres
    of one mode, the rank of a CP tensor, the paths of a train or the frames of a tree that was given; at a rank close
    above the lower bound, an exact decomposition by simultaneous diagonalization, or a fit with a residual of 1e-8
    (both say their residual). Formats with more than 4 million entries are not made dense: matricizations that their
    structure makes cheap, and what was given.
    tol: of the ranks, as in `matricization_rank`. seed: of projections and of the starts of the fit.

    >>> import tnalgebra as tna
    >>> print(tna.expressivity.cp_bounds(tna.CPTensor.random((4,) * 30, 3, seed=0)))
    3 (by the matricization 0 | 1…29) to 3 (by the CP tensor given)
    """
    cuts = x if isinstance(x, Matricizations) else Matricizations(x, tol)
    rows, lower = cuts.widest(bipartitions(cuts))
    if not lower:
        return CPBounds(0, "the zero tensor", 0, "the zero tensor")
    rest = [mode for mode in range(cuts.ndim) if mode not in rows]
    by = f"the matricization {listed(rows, cuts.ndim)} | {listed(rest, cuts.ndim)}"
    upper, upper_by = min(_constructions(cuts), key=lambda bound: bound[0])
    if cuts.ndim <= 2:
        return CPBounds(lower, by, lower, "the SVD of the matrix" if cuts.ndim == 2 else upper_by)
    if lower < upper and not cuts.is_large:
        koszul = koszul_bound(cuts, seed=seed)
        if koszul.bound > lower:
            lower, by = koszul.bound, f"a Koszul flattening, p = {koszul.p}, of {_grouped(koszul.groups)}"
        if lower < upper:
            upper, upper_by = min([(upper, upper_by), *_decompositions(cuts, lower, upper, seed)], key=lambda b: b[0])
    return CPBounds(lower, by, max(lower, upper), upper_by)


def _grouped(groups: Sequence[Sequence[int]]) -> str:
    return " × ".join(" ".join(map(str, group)) for group in groups)


def _decompositions(cuts: Matricizations, lower: int, upper: int, seed: Any) -> Iterator[tuple[int, str]]:
    """The first rank from the lower bound on at which a decomposition is found, and how."""
    unit = cuts.array / np.linalg.norm(cuts.array.reshape(-1))
    for rank in range(lower, min(lower + FIT_RANKS, upper)):
        try:
            found = simultaneous_diagonalization(unit, rank, tol=FIT_GOAL, seed=seed)
        except RankError:
            if rank * sum(unit.shape) > FIT_UNKNOWNS:
                continue
            factors, fit = fit_rank(unit, rank, FIT_GOAL, seed, restarts=2, sweeps=100)
            if fit.error <= FIT_GOAL:
                yield rank, f"a fit with residual {residual(unit, factors):.1g}"
                return
        else:
            yield rank, f"simultaneous diagonalization with residual {found.residual:.1g}"
            return


def _constructions(cuts: Matricizations) -> Iterator[tuple[int, str]]:
    x, shape = cuts.source, cuts.shape
    yield prod(shape) // max(shape), "the trivial decomposition"
    if isinstance(x, Format) and x.xi.name == "multiply":
        if isinstance(x, CPTensor):
            yield x.rank, "the CP tensor given"
        elif isinstance(x, TTTensor):
            yield prod(x.ranks), "the paths of the train given"
        elif isinstance(x, HTTensor):
            ranks = [leaf.shape[1] for leaf in x.leaves]
            yield prod(ranks) // max(ranks), "the frames of the tree given"
    if not cuts.is_large:
        for mode in range(cuts.ndim):
            fibres = int(np.count_nonzero(cuts.array.any(axis=mode)))
            yield fibres, f"the non-zero fibres of mode {mode}"


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
    if given not in table:
        raise UnknownNameError(f"unknown format {given!r}; known: {', '.join(table)}")
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
