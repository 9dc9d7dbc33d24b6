"""How wide one format must be to do what another does: ranks with their evidence, bounds, and a report."""

from . import theory
from .bounds import CPBounds, cp_bounds, predicted_widths
from .compress import Compressed
from .diagonalization import Diagonalized, simultaneous_diagonalization
from .fitted import FittedShallow, fit_shallow
from .known import KnownRank, generic_cp_rank, maximal_cp_rank
from .koszul import KoszulBound, koszul_bound
from .ranks import RankEstimate, matricization_rank
from .report import RankReport, compare_ranks
from .sampling import sampled_rank
from .sketch import PivotedRank, SketchedRank, rank_by_qr, sketched_rank
from .widths import WidthBound, WidthBounds, shallow_width_bounds, shallow_width_lower_bound

__all__ = [
    "CPBounds",
    "Compressed",
    "Diagonalized",
    "FittedShallow",
    "KnownRank",
    "KoszulBound",
    "PivotedRank",
    "RankEstimate",
    "RankReport",
    "SketchedRank",
    "WidthBound",
    "WidthBounds",
    "compare_ranks",
    "cp_bounds",
    "fit_shallow",
    "generic_cp_rank",
    "koszul_bound",
    "matricization_rank",
    "maximal_cp_rank",
    "predicted_widths",
    "rank_by_qr",
    "sampled_rank",
    "shallow_width_bounds",
    "shallow_width_lower_bound",
    "simultaneous_diagonalization",
    "sketched_rank",
    "theory",
]
