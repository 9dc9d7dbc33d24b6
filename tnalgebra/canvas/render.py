"""A diagram drawn with Matplotlib."""

from abc import abstractmethod
from typing import Any

from .diagram import DOT, HEIGHT, Diagram, Node, text_width
from .figure import COLOURS, Drawable, check_path, finish, new_figure

__all__ = ["Diagrammed", "render"]

INK, PAPER = "#222222", "white"
FACE = {"tensor": COLOURS["blue"], "linear": PAPER, "xi": COLOURS["orange"], "map": "#e6e6e6", "dot": INK}
BORDER = {"tensor": COLOURS["blue"], "linear": COLOURS["blue"], "xi": "#8a5f00", "map": "#777777", "dot": INK}
LETTERS = {"tensor": PAPER}
"""White letters on blue, dark ones elsewhere: both are read at a contrast of more than 4.5."""
MARGIN = 0.12
GAP = 0.22
"""Between the diagram and its legend, and between the entries of that."""


class Diagrammed(Drawable):
    """What says as a `Diagram` what it looks like."""

    __slots__ = ()

    @abstractmethod
    def diagram(self) -> Diagram:
        """The picture as a value: nodes, lines and texts at their places."""

    def draw(self, path: Any = None) -> Any:
        """Draw with Matplotlib; save if a path is given, as PNG, SVG or PDF by its ending. Returns the axes.

        Raises `PictureError` for another ending, and where Matplotlib is missing.
        """
        return render(self.diagram(), path)


def render(diagram: Diagram, path: Any = None) -> Any:
    """Draw a diagram at its size in inches; save if a path is given. Returns the axes. Raises `PictureError`."""
    check_path(path)
    left, bottom, right, top = diagram.box
    entries = [(Node(0, 0, role), meaning) for role, meaning in diagram.legend.items()]
    needed = sum(node.width + 0.06 + text_width(meaning) + GAP for node, meaning in entries) - GAP
    spare = max(0.0, needed - (right - left)) / 2
    left, right, floor = left - spare, right + spare, bottom - (GAP + HEIGHT if entries else 0)
    size = (right - left + 2 * MARGIN, top - floor + 2 * MARGIN)
    figure = new_figure(*size, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(left - MARGIN, right + MARGIN)
    axes.set_ylim(floor - MARGIN, top + MARGIN)
    axes.set_axis_off()
    _lines(axes, diagram)
    for node in diagram.nodes:
        _node(axes, node)
    _texts(axes, diagram)
    x = (left + right - max(needed, 0.0)) / 2
    for node, meaning in entries:
        _node(axes, Node(x + node.width / 2, floor + HEIGHT / 2, node.role))
        axes.text(x + node.width + 0.06, floor + HEIGHT / 2, meaning, va="center_baseline", fontsize=9, color=INK)
        x += node.width + 0.06 + text_width(meaning) + GAP
    finish(figure, path, diagram.title, diagram.about)
    return axes


def _lines(axes: Any, diagram: Diagram) -> None:
    from matplotlib.collections import LineCollection

    lines = [edge.points for edge in diagram.edges]
    axes.add_collection(LineCollection(lines, colors="#666666", linewidths=1.4, zorder=1, capstyle="round"))


def _texts(axes: Any, diagram: Diagram) -> None:
    anchors = {"left": ("right", "center"), "right": ("left", "center"), "above": ("center", "bottom")}
    anchors |= {"below": ("center", "top"), "center": ("center", "center_baseline")}
    behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0}
    for text in diagram.labels:
        ha, va = anchors[text.side]
        box = behind if text.side == "center" else None
        axes.text(text.x, text.y, text.text, ha=ha, va=va, fontsize=8.5, color=INK, bbox=box, zorder=4)


def _node(axes: Any, node: Node) -> None:
    axes.add_patch(_shape(node))
    if node.text:
        colour = LETTERS.get(node.role, INK)
        axes.text(
            node.x,
            node.y,
            node.text,
            ha="center",
            va="center_baseline" if "\n" not in node.text else "center",
            fontsize=9,
            color=colour,
            zorder=3,
        )
    if node.badge:
        x, y = node.x + node.width / 2, node.y + node.height / 2
        frame = {"boxstyle": "round,pad=0.2", "facecolor": PAPER, "edgecolor": INK, "linewidth": 0.8}
        axes.text(x, y, node.badge, ha="center", va="center_baseline", fontsize=7, color=INK, bbox=frame, zorder=5)


def _shape(node: Node) -> Any:
    """A disc, a pill, a hexagon that is a diamond where it has no text, or a rectangle."""
    from matplotlib.patches import Circle, FancyBboxPatch, Polygon, Rectangle

    style: dict[str, Any] = {
        "facecolor": FACE[node.role],
        "edgecolor": BORDER[node.role],
        "linewidth": 1.4,
        "zorder": 2,
    }
    half, side, up = node.width / 2, HEIGHT / 2, node.height / 2
    if node.role == "dot":
        return Circle((node.x, node.y), DOT / 2, **style)
    if node.role == "map":
        return Rectangle((node.x - half, node.y - up), node.width, node.height, **style)
    if node.role == "xi":
        up, side = (up * 1.15, half * 1.15) if half <= up else (up, side * 0.75)
        half = max(half, side)
        right = [(node.x + half - side, node.y + up), (node.x + half, node.y), (node.x + half - side, node.y - up)]
        return Polygon(right + [(2 * node.x - x, y) for x, y in reversed(right)], closed=True, **style)
    if node.width <= HEIGHT:
        return Circle((node.x, node.y), half, **style)
    pill = f"round,pad=0,rounding_size={HEIGHT / 2}"
    return FancyBboxPatch((node.x - half, node.y - up), node.width, node.height, boxstyle=pill, **style)
