"""Pictures of tensors, networks, plans, ranks and trainings, drawn with Matplotlib when they are asked for.

Every function returns the axes, a tuple where there are several, and saves the picture if a path is given: as PNG, SVG
or PDF by its ending, with a title and a description for those who do not see it.
"""

from ..canvas import Diagram, Diagrammed, Drawable, Edge, Node, Text
from .boundary import decision_boundary
from .distribution import lower_bounds
from .heat import matricization
from .spectra import ranks, singular_values
from .wiring import contraction_tree, history, network

__all__ = [
    "Diagram",
    "Diagrammed",
    "Drawable",
    "Edge",
    "Node",
    "Text",
    "contraction_tree",
    "decision_boundary",
    "history",
    "lower_bounds",
    "matricization",
    "network",
    "ranks",
    "singular_values",
]
