"""Plan and arrays to arrays."""

from .cache import plan_cache
from .compile import compile
from .contract import contract, contract_expression, contract_path
from .expression import Expression, leaf
from .gradient import value_and_grad

__all__ = [
    "Expression",
    "compile",
    "contract",
    "contract_expression",
    "contract_path",
    "leaf",
    "plan_cache",
    "value_and_grad",
]
