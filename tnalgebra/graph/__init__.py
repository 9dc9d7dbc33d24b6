"""What is to be computed: labels and nodes, never an array."""

from .node import Bundle, Contract, Labels, Leaf, Map, Node, Sum
from .parse import parse
from .part import Shaped, Stack, Take
from .sizes import label_sizes, shape_of

__all__ = [
    "Bundle",
    "Contract",
    "Labels",
    "Leaf",
    "Map",
    "Node",
    "Shaped",
    "Stack",
    "Sum",
    "Take",
    "label_sizes",
    "parse",
    "shape_of",
]
