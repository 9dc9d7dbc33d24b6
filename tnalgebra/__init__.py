"""Tensor-network algebra on einsum graphs: CP, tensor-train and hierarchical Tucker tensors, for any ξ.

A tensor format is a picture of an einsum graph; what the library does is to substitute something into the leaves of
that graph and to contract it, in an order that the algebra permits.
"""

from typing import TYPE_CHECKING

from . import decompose, expressivity, networks, plot, training
from .algebra import Operator, distributes, operator, register_operator
from .decompose import TangentSpace, stack_sum
from .errors import TnAlgebraError
from .execute import (
    Expression,
    batched,
    compile,
    contract,
    contract_expression,
    contract_path,
    leaf,
    plan_cache,
    stacked,
    value_and_grad,
)
from .expressivity import compare_ranks, matricization_rank, shallow_width_bounds, shallow_width_lower_bound, theory
from .formats import CPTensor, DimensionTree, HTTensor, TTTensor, concatenate, load
from .networks import FeatureMap, FixedMap, HierarchicalNetwork, RecurrentNetwork, ShallowNetwork, grid_tensor
from .training import SGD, Adam, Checkpoint, fit, load_data

if TYPE_CHECKING:
    from .training import TensorNetworkClassifier, TensorNetworkRegressor

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "CPTensor",
    "Checkpoint",
    "DimensionTree",
    "Expression",
    "FeatureMap",
    "FixedMap",
    "HTTensor",
    "HierarchicalNetwork",
    "Operator",
    "RecurrentNetwork",
    "ShallowNetwork",
    "TTTensor",
    "TangentSpace",
    "TensorNetworkClassifier",
    "TensorNetworkRegressor",
    "TnAlgebraError",
    "batched",
    "compare_ranks",
    "compile",
    "concatenate",
    "contract",
    "contract_expression",
    "contract_path",
    "decompose",
    "distributes",
    "expressivity",
    "fit",
    "grid_tensor",
    "leaf",
    "load",
    "load_data",
    "matricization_rank",
    "networks",
    "operator",
    "plan_cache",
    "plot",
    "register_operator",
    "shallow_width_bounds",
    "shallow_width_lower_bound",
    "stack_sum",
    "stacked",
    "theory",
    "training",
    "value_and_grad",
]

if not TYPE_CHECKING:  # a type checker would take every name for one that is there

    def __getattr__(name: str):
        """Import the estimators when they are asked for: scikit-learn is optional, and slow to import."""
        if name not in ("TensorNetworkClassifier", "TensorNetworkRegressor"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(training, name)
