"""Tensors and networks of other libraries, there and back; a library is imported when a function needs it."""

from .quimb import from_quimb, from_quimb_mps, to_quimb, to_quimb_mps
from .tensorly import from_tensorly, to_tensorly
from .tensornetwork import NodeGraph, from_finite_mps, from_nodes, to_finite_mps, to_nodes

__all__ = [
    "NodeGraph",
    "from_finite_mps",
    "from_nodes",
    "from_quimb",
    "from_quimb_mps",
    "from_tensorly",
    "to_finite_mps",
    "to_nodes",
    "to_quimb",
    "to_quimb_mps",
    "to_tensorly",
]
