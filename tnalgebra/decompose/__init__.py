"""Dense arrays to formats, with an error that is promised and reported.

`CPTensor.from_dense`, `TTTensor.from_dense` and `HTTensor.from_dense` end here:

* TT by successive SVDs (Oseledets 2011): ``eps``, ``max_rank``;
* HT by SVDs from the leaves to the root (Grasedyck 2010; Vannieuwenhoven et al. 2012): ``eps``, ``max_rank``, ``tree``;
* CP by alternating least squares with restarts: ``eps``, ``max_rank``, ``seed``, ``restarts``, ``sweeps``.
"""

from .completion import cp_from_samples, ht_from_samples, tt_from_samples
from .cp_fit import cp_fit, cp_from_dense, cp_round
from .cross import cp_from_function, ht_from_function, tt_from_function
from .ht_rounding import ht_round
from .ht_svd import ht_from_dense
from .reshape import tt_quantize, tt_reshape
from .sums import stack_sum
from .tangent import TangentSpace, TangentVector
from .tree_search import tree_optimize
from .tt_rounding import tt_round
from .tt_svd import tt_from_dense

__all__ = [
    "TangentSpace",
    "TangentVector",
    "cp_fit",
    "cp_from_dense",
    "cp_from_function",
    "cp_from_samples",
    "cp_round",
    "ht_from_dense",
    "ht_from_function",
    "ht_from_samples",
    "ht_round",
    "stack_sum",
    "tree_optimize",
    "tt_from_dense",
    "tt_from_function",
    "tt_from_samples",
    "tt_quantize",
    "tt_reshape",
    "tt_round",
]
