"""A diagram as a value: nodes, lines and texts at their places, in inches; nothing is drawn here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

__all__ = ["HEIGHT", "Box", "Diagram", "Edge", "Node", "Point", "Text", "legend_of", "subscript", "text_width"]

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""
HEIGHT = 0.3
"""Of a node; a round one without text is as wide."""
DOT = 0.1
CHARACTER = 0.083
"""Width of a letter of 9 points, rather too much than too little."""
LINE = 0.15
"""Height of a line of text."""
ROLES = ("tensor", "linear", "xi", "map", "dot")


def text_width(text: str) -> float:
    """Inches that a text takes."""
    return CHARACTER * max(map(len, text.split("\n")))


@dataclass(frozen=True, slots=True)
class Node:
    """A node around a point, as wide as its text needs.

    role   | what it is                               | drawn as
    ------ | ---------------------------------------- | ----------------------------
    tensor | an array                                 | a full round shape, blue
    linear | Σ of products                            | an open round shape, blue
    xi     | ξ, where it is no product: not linear    | a shape with points, orange
    map    | a function of every entry, a slice       | a rectangle, grey
    dot    | where one label meets three or more      | a dot, black

    key: a name that `Diagram.numbered` knows. badge: a number beside it.

    >>> Node(0.0, 0.0, "xi", "rectifier").width > Node(0.0, 0.0, "xi").width
    True
    """

    x: float
    y: float
    role: str = "tensor"
    text: str = ""
    key: str = ""
    badge: str = ""

    @property
    def width(self) -> float:
        """Inches from left to right."""
        if self.role == "dot":
            return DOT
        around = {"xi": 0.24, "map": 0.12}.get(self.role, 0.18)
        return max(HEIGHT, text_width(self.text) + around) if self.text else HEIGHT

    @property
    def height(self) -> float:
        """Inches from bottom to top."""
        return DOT if self.role == "dot" else HEIGHT + LINE * self.text.count("\n")

    @property
    def box(self) -> Box:
        """What it covers."""
        right, top = self.x + self.width / 2, self.y + self.height / 2
        beside, above = (0.2, 0.14) if self.badge else (0.0, 0.0)
        return self.x - self.width / 2, self.y - self.height / 2, right + beside, top + above


@dataclass(frozen=True, slots=True)
class Edge:
    """A line through points, with a text on it, at this part of its way.

    >>> Edge(((0.0, 0.0), (1.0, 0.0), (1.0, 3.0)), "4").middle
    (1.0, 1.0)
    """

    points: tuple[Point, ...]
    text: str = ""
    at: float = 0.5

    @property
    def middle(self) -> Point:
        """Where the text stands."""
        pieces = list(zip(self.points, self.points[1:], strict=False))
        lengths = [((a - c) ** 2 + (b - d) ** 2) ** 0.5 for (a, b), (c, d) in pieces]
        left = self.at * sum(lengths)
        for ((a, b), (c, d)), length in zip(pieces, lengths, strict=True):
            if left <= length and length:
                part = left / length
                return a + part * (c - a), b + part * (d - b)
            left -= length
        return self.points[-1]


@dataclass(frozen=True, slots=True)
class Text:
    """A text beside a point: to the "left" or "right" of it, "above" or "below", or around its "center".

    >>> Text(1.0, 2.0, "n", "above").box[1]
    2.0
    """

    x: float
    y: float
    text: str
    side: str = "center"

    @property
    def box(self) -> Box:
        """What it covers."""
        width, height = text_width(self.text), LINE * (1 + self.text.count("\n"))
        left = self.x - {"left": width, "right": 0.0}.get(self.side, width / 2)
        bottom = self.y - {"below": height, "above": 0.0}.get(self.side, height / 2)
        return left, bottom, left + width, bottom + height


@dataclass(frozen=True, slots=True)
class Diagram:
    """Nodes, lines and texts, and what the roles of the nodes mean here.

    title and about: for those who do not see the picture. legend: role → meaning.

    >>> import tnalgebra as tna
    >>> [text.text for text in tna.TTTensor.random((2, 3), 4, seed=0).diagram().labels]
    ['n₀ = 2', 'n₁ = 3', '4']
    """

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    texts: tuple[Text, ...] = ()
    legend: Mapping[str, str] = field(default_factory=dict)
    about: str = ""

    @property
    def labels(self) -> tuple[Text, ...]:
        """The texts, and those on lines."""
        return self.texts + tuple(Text(*edge.middle, edge.text) for edge in self.edges if edge.text)

    @property
    def box(self) -> Box:
        """What everything covers."""
        points = ((*point, *point) for edge in self.edges for point in edge.points)
        boxes = [*(node.box for node in self.nodes), *(text.box for text in self.labels), *points]
        left, bottom, right, top = zip(*boxes, strict=True)
        return min(left), min(bottom), max(right), max(top)

    def numbered(self, numbers: Mapping[str, int]) -> "Diagram":
        """The same with a number beside every node whose key has one.

        >>> import tnalgebra as tna
        >>> [node.badge for node in tna.TTTensor.random((2, 3), 4, seed=0).diagram().numbered({"core1": 7}).nodes]
        ['', '7']
        """
        badges = (str(numbers.get(node.key, "")) for node in self.nodes)
        nodes = tuple(replace(node, badge=badge) for node, badge in zip(self.nodes, badges, strict=True))
        return replace(self, nodes=nodes)


def subscript(name: str, number: int) -> str:
    """A name with a number below the line: ``n₁₂``."""
    return name + "".join(chr(ord("₀") + int(digit)) for digit in str(number))


def legend_of(nodes: Iterable[Node], meanings: Mapping[str, str]) -> dict[str, str]:
    """Those meanings whose role is there, in the order of the roles."""
    there = {node.role for node in nodes}
    return {role: meanings[role] for role in ROLES if role in there and role in meanings}
