"""What is to be computed: labels and nodes, never an array."""

from .node import Contract, Labels, Leaf, Map, Node, Sum
from .parse import parse
from .sizes import label_sizes, shape_of

__all__ = ["Contract", "Labels", "Leaf", "Map", "Node", "Sum", "label_sizes", "parse", "shape_of"]
