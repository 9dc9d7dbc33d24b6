"""Plan and arrays to arrays."""

from .batch import batched, stacked
from .cache import plan_cache
from .compile import compile
from .contract import contract, contract_expression, contract_path
from .expression import Expression, leaf
from .gradient import value_and_grad

__all__ = [
    "Expression",
    "batched",
    "compile",
    "contract",
    "contract_expression",
    "contract_path",
    "leaf",
    "plan_cache",
    "stacked",
    "value_and_grad",
]
