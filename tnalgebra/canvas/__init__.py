"""What pictures are made of: figures, one palette, diagrams as values, trees in characters; it knows no tensors."""

from .diagram import Diagram, Edge, Node, Text
from .figure import COLOURS, SERIES, Drawable, check_path, finish, new_figure
from .outline import outline
from .render import Diagrammed, render

__all__ = [
    "COLOURS",
    "SERIES",
    "Diagram",
    "Diagrammed",
    "Drawable",
    "Edge",
    "Node",
    "Text",
    "check_path",
    "finish",
    "new_figure",
    "outline",
    "render",
]
