"""Diagrams of networks: a column a step, from the input below to the features, and the format that joins them above."""

from collections.abc import Sequence

from ..canvas import Diagram, Edge, Node, Text
from ..canvas.diagram import HEIGHT, Point, subscript, text_width
from ..formats.picture import chain_rows, place_tree, xi_legend
from ..formats.tree import DimensionTree
from .network import Network

__all__ = ["hierarchical_diagram", "recurrent_diagram", "shallow_diagram"]

LEG = HEIGHT / 2 + 0.22
RISE = 0.65
"""From an input's features to the part that takes them, and on."""
STEPS = 8
"""Steps in a row of a recurrent network; longer ones go on in the next."""
AT, LOW = 0.46, 0.32
"""Where on a line its rank stands: low where many lines meet."""


class _Picture:
    """A diagram in the making."""

    def __init__(self, network: Network, about: str) -> None:
        self.network, self.about = network, about
        self.nodes, self.edges, self.texts = list[Node](), list[Edge](), list[Text]()
        self.is_multiply = network.xi.name == "multiply"

    def input(self, x: float, y: float, step: int, key: str) -> Point:
        """The features of a step and the part that takes them, one above the other; the place of the part."""
        below = y - RISE
        self.edges += [Edge(((x, below - LEG), (x, below))), Edge(((x, below), (x, y)), str(self.network.n_features))]
        self.nodes += [Node(x, below, "map", "f", "feature_weight"), Node(x, y, key=key)]
        self.texts.append(Text(x, below - LEG - 0.03, subscript("x", step), "below"))
        return x, y

    def join(self, ends: Sequence[Point], spot: Point, ranks: Sequence[int], at: float = AT) -> None:
        """Lines from several parts to one place."""
        self.edges += [Edge((end, spot), str(rank), at) for end, rank in zip(ends, ranks, strict=True)]

    def output(self, x: float, y: float, *, is_up: bool = True) -> None:
        """The line on which the scores leave."""
        count = self.network.classes
        word = f"{count} class{'es' * (count != 1)}"
        end = (x, y + LEG) if is_up else (x + LEG, y)
        self.edges.append(Edge(((x, y), end)))
        self.texts.append(Text(end[0] + 0.04 * (not is_up), end[1] + 0.03 * is_up, word, "above" if is_up else "right"))

    def finished(self) -> Diagram:
        """The diagram."""
        legend = xi_legend(self.nodes, self.network.xi.name) or {"tensor": "linear", "map": "features"}
        return Diagram(
            repr(self.network), tuple(self.nodes), tuple(self.edges), tuple(self.texts), legend, self.about
        )  # fmt: skip


def shallow_diagram(network: Network, about: str) -> Diagram:
    """All steps meet in one ξ, and the weights make scores of it."""
    picture, (rank,), steps = _Picture(network, about), network.ranks, network.steps or 1
    pitch = max(0.6, 0.35 + text_width(str(rank)))
    middle = pitch * (steps - 1) / 2
    ends = [picture.input(pitch * t, 0.0, t, "factors") for t in range(steps)]
    top = 0.8 + min(1.2, 0.06 * steps)
    picture.join(ends, (middle, top), [rank] * steps, LOW)
    picture.edges.append(Edge(((middle, top), (middle, top + 0.6)), str(rank)))
    picture.nodes += [Node(middle, top, "dot" if picture.is_multiply else "xi"), Node(middle, top + 0.6, key="weights")]
    picture.output(middle, top + 0.6)
    return picture.finished()


def recurrent_diagram(network: Network, about: str, width: int) -> Diagram:
    """The state goes from core to core; each takes the input of its step first, by ξ where it is no product."""
    picture, ranks = _Picture(network, about), network.ranks
    count, apart = len(ranks) - 1, 0.0 if picture.is_multiply else 0.62
    pitch = HEIGHT + 0.3 + apart + max(map(text_width, map(str, ranks)))
    spots = chain_rows(count, pitch, -3 * RISE - 0.75, STEPS)
    before: Point | None = None
    for t, (x, y) in enumerate(spots):
        end = picture.input(x, y - RISE, t, "inputs")
        picture.join([end], (x, y), [width])
        core = (x + apart, y)
        if apart:
            picture.nodes.append(Node(x, y, "xi"))
            picture.edges.append(Edge(((x, y), core)))
        picture.nodes.append(Node(*core, key=f"core{t}"))
        if before is not None and before[1] == y:
            picture.edges.append(Edge(((before[0] + HEIGHT / 2, y), (x - HEIGHT / 2, y)), str(ranks[t])))
        elif before is not None:  # on in the next row: the line leaves on the right and comes back on the left
            there, back = (before[0] + pitch - apart, before[1]), (x - pitch + apart, y)
            picture.edges += [Edge((before, there), str(ranks[t])), Edge((back, (x, y)), str(ranks[t]))]
        before = core
    assert before is not None
    picture.output(*before, is_up=False)
    if network.steps is None:
        x, y = spots[1]
        picture.texts.append(Text(x + apart, y + HEIGHT / 2 + 0.05, "every step between", "above"))
    return picture.finished()


def hierarchical_diagram(network: Network, about: str, tree: DimensionTree) -> Diagram:
    """Steps are joined along the tree: by ξ where it is no product, and then by the branch's own weights."""
    picture, ranks = _Picture(network, about), dict(zip(tree.nodes, network.ranks, strict=True))
    pitch = max(0.6, 0.35 + max(map(text_width, map(str, ranks.values()))))
    spots = place_tree(tree, pitch, RISE if picture.is_multiply else 1.1)
    for mode in range(tree.ndim):
        picture.input(*spots[mode], mode, f"leaf{mode}")
    for i, branch in enumerate(tree.inner):
        x, y = spots[branch]
        picture.nodes.append(Node(x, y, key=f"transfer{i}"))
        if not picture.is_multiply:
            picture.edges.append(Edge(((x, y), (x, y - 0.45))))
            picture.nodes.append(Node(x, y - 0.45, "xi"))
            y -= 0.45
        picture.join([spots[child] for child in branch], (x, y), [ranks[child] for child in branch])
    x, y = spots[tree.nested]
    if not (tree.inner or picture.is_multiply):  # one step alone is joined with the unit
        picture.nodes.append(Node(x, y + 0.5, "xi"))
        picture.edges.append(Edge(((x, y), (x, y + 0.5))))
        y += 0.5
    picture.output(x, y)
    return picture.finished()
