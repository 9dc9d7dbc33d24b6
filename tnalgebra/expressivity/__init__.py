"""How wide one format must be to do what another does: ranks with their evidence, bounds, and a report."""

from . import theory
from .bounds import CPBounds, cp_bounds, predicted_widths
from .compress import Compressed
from .diagonalization import Diagonalized, simultaneous_diagonalization
from .known import KnownRank, generic_cp_rank, maximal_cp_rank
from .koszul import KoszulBound, koszul_bound
from .ranks import RankEstimate, matricization_rank
from .report import RankReport, compare_ranks
from .sketch import PivotedRank, SketchedRank, rank_by_qr, sketched_rank

__all__ = [
    "CPBounds",
    "Compressed",
    "Diagonalized",
    "KnownRank",
    "KoszulBound",
    "PivotedRank",
    "RankEstimate",
    "RankReport",
    "SketchedRank",
    "compare_ranks",
    "cp_bounds",
    "generic_cp_rank",
    "koszul_bound",
    "matricization_rank",
    "maximal_cp_rank",
    "predicted_widths",
    "rank_by_qr",
    "simultaneous_diagonalization",
    "sketched_rank",
    "theory",
]
