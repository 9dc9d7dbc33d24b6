"""How wide one format must be to do what another does: ranks with their evidence, bounds, and a report."""

from . import theory
from .bounds import CPBounds, cp_bounds, predicted_widths
from .ranks import RankEstimate, matricization_rank
from .report import Compressed, RankReport, compare_ranks

__all__ = [
    "CPBounds",
    "Compressed",
    "RankEstimate",
    "RankReport",
    "compare_ranks",
    "cp_bounds",
    "matricization_rank",
    "predicted_widths",
    "theory",
]
