"""What ⊗ and ⊕ are: numbers, not tensors."""

from .operator import Operator
from .pointwise import Pointwise
from .registry import known_operators, operator, register_operator
from .semiring import SEMIRINGS, Semiring, distributes

__all__ = [
    "SEMIRINGS",
    "Operator",
    "Pointwise",
    "Semiring",
    "distributes",
    "known_operators",
    "operator",
    "register_operator",
]
