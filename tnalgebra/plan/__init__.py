"""Graph and sizes to a plan: which step, in which order, at which cost; no arrays."""

from .build import build_plan
from .plan import Plan
from .step import Step

__all__ = ["Plan", "Step", "build_plan"]
