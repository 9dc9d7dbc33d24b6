"""What ⊗ and ⊕ are: numbers, not tensors."""

from .operator import Operator
from .registry import known_operators, operator, register_operator
from .semiring import SEMIRINGS, Semiring, distributes

__all__ = ["SEMIRINGS", "Operator", "Semiring", "distributes", "known_operators", "operator", "register_operator"]
