"""CP ranks that a shape alone decides: of almost every tensor, and of the worst one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from ..formats.parts import check_shape

__all__ = ["KnownRank", "generic_cp_rank", "maximal_cp_rank"]

CHECKED = 15_000
"""Entries up to which computations have found no other defective shape."""


@dataclass(frozen=True, slots=True)
class KnownRank:
    """A rank that belongs to a shape. `by` says which theorem; where it is not `is_exact`, `by` says which bound it is.

    `str()` shows both.
    """

    rank: int
    is_exact: bool
    by: str

    def __str__(self) -> str:
        return f"{self.rank} (by {self.by})"


def generic_cp_rank(shape: Sequence[int]) -> KnownRank:
    """The CP rank of almost every complex tensor of a shape.

        ⌈Π n_t / (1 + Σ (n_t − 1))⌉,   the count of parameters,

    but for shapes that are known to be defective: with n₁ the largest size and n₁ − 1 ≥ Π_{t>1} n_t − Σ_{t>1} (n_t − 1)
    (unbalanced) it is min(n₁, Π_{t>1} n_t), and for 3 × m × m with m odd it is (3m + 1)/2. The defects of 4 × 4 × 3 and
    2 × 2 × m × m are at smaller ranks. No other shape is known to be defective: 2 × … × 2 is not, and computations have
    found none of up to 15000 entries. Beyond, that is conjectured, and the count is a lower bound (`is_exact` is
    False). Over the reals several ranks can be
    typical, each on an open set: the least of them is this one.

    shape: one size a mode; sizes of 1 do not matter. Raises `FormatError` for a shape that is none.
    Source: Abo, Ottaviani & Peterson 2009; Chiantini, Ottaviani & Vannieuwenhoven 2014; Catalisano, Geramita &
    Gimigliano 2008 and 2011; Strassen 1983.

    >>> import tnalgebra as tna
    >>> [tna.expressivity.generic_cp_rank(shape).rank for shape in ((2, 2, 2), (3, 3, 3), (4, 4, 4), (2, 3, 9))]
    [2, 5, 7, 6]
    """
    first, *rest = _essential(shape)
    if len(rest) <= 1:
        return KnownRank(min([first, *rest]) if rest else 1, True, "the rank of a matrix" if rest else "one mode")
    others, free = prod(rest), sum(size - 1 for size in rest)
    if first - 1 >= others - free:
        return KnownRank(min(first, others), True, "Catalisano, Geramita and Gimigliano: an unbalanced shape")
    sizes = sorted([first, *rest])
    if len(sizes) == 3 and sizes[0] == 3 and sizes[1] == sizes[2] and first % 2:
        return KnownRank((3 * first + 1) // 2, True, "Strassen: 3 × m × m with m odd")
    count = -(-first * others // (first + free))
    if first * others <= CHECKED or first == 2:
        return KnownRank(count, True, "the count of parameters")
    return KnownRank(count, False, "the count of parameters: at least that, and conjectured")


def maximal_cp_rank(shape: Sequence[int]) -> KnownRank:
    """The largest CP rank that a tensor of a shape can have, where it is known; else the least upper bound of these.

    Known: matrices; n₁ ≥ Π_{t>1} n_t, where it is that product; m × n × 2 with m ≤ n ≤ 2m (m + ⌊n/2⌋, Ja'Ja');
    3 × 3 × 3 (5); 2 × 2 × 2 × 2 (4 over the complex numbers, at most 5 over the reals). Bounds: twice the generic rank
    (over both fields) and Πn / max n.

    shape: one size a mode; sizes of 1 do not matter. Raises `FormatError` for a shape that is none.
    Source: Ja'Ja' 1979; Bremner & Hu 2013; Brylinski 2002, and Kong & Jiang 2013 over the reals; Blekherman & Teitler
    2015.

    >>> import tnalgebra as tna
    >>> tna.expressivity.maximal_cp_rank((2, 2, 2)).rank, tna.expressivity.maximal_cp_rank((4, 4, 4)).is_exact
    (3, False)
    """
    return min(_maxima(_essential(shape)), key=lambda known: (known.rank, not known.is_exact))


def _essential(shape: Sequence[int]) -> list[int]:
    """Sizes above 1, the largest first; one size of 1 where there are none."""
    return sorted((size for size in check_shape(shape) if size > 1), reverse=True) or [1]


def _maxima(sizes: list[int]) -> Iterator[KnownRank]:
    first, *rest = sizes
    generic, others = generic_cp_rank(sizes), prod(rest)
    if len(rest) <= 1:
        yield generic
        return
    yield KnownRank(others, first >= others, "the trivial decomposition")
    if len(sizes) == 3 and sizes[2] == 2 and first <= 2 * sizes[1]:
        yield KnownRank(sizes[1] + first // 2, True, "Ja'Ja': a pencil of matrices")
    if sizes == [3, 3, 3]:
        yield KnownRank(5, True, "Kruskal; Bremner and Hu")
    if sizes == [2, 2, 2, 2]:
        yield KnownRank(4, True, "Brylinski, over the complex numbers; over the reals at most 5, Kong and Jiang")
    if generic.is_exact:
        yield KnownRank(2 * generic.rank, False, "twice the generic rank")
