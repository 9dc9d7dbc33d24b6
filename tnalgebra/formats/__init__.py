"""CP, TT and HT tensors as frozen values; each is an einsum graph with arrays on its leaves."""

from . import convert as _convert  # noqa: F401  (registers to_cp, to_tt and to_ht)
from .arithmetic import concatenate
from .base import Format
from .cp import CPTensor
from .ht import HTTensor
from .storage import load
from .tree import DimensionTree
from .truncation import FitReport, TruncationReport
from .tt import TTTensor

__all__ = [
    "CPTensor",
    "DimensionTree",
    "FitReport",
    "Format",
    "HTTensor",
    "TTTensor",
    "TruncationReport",
    "concatenate",
    "load",
]
