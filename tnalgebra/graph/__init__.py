"""What is to be computed: labels and nodes, never an array."""

from .node import Bundle, Contract, Labels, Leaf, Map, Node, Shaped, Sum
from .parse import parse
from .sizes import label_sizes, shape_of

__all__ = ["Bundle", "Contract", "Labels", "Leaf", "Map", "Node", "Shaped", "Sum", "label_sizes", "parse", "shape_of"]
