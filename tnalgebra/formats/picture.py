"""Diagrams of trees and formats in fixed layouts: a star, a chain, a tree above the modes."""

from collections.abc import Mapping, Sequence
from math import cos, pi, sin

from ..canvas import Diagram, Edge, Node, Text
from ..canvas.diagram import HEIGHT, Point, legend_of, subscript, text_width
from .tree import DimensionTree, Nested, modes_of

__all__ = ["chain_rows", "cp_diagram", "ht_diagram", "place_tree", "tree_diagram", "tt_diagram", "xi_legend"]

ROW = 16
"""Cores in a row of a chain; longer ones go on in the next."""
NAMED = 12
"""Modes up to which sizes are written with their names, and every line of a star with its rank."""
LEG = HEIGHT / 2 + 0.25
RISE = 0.7
"""From a row of a tree to the next."""
AT = 0.4


def xi_legend(nodes: Sequence[Node], xi: str) -> dict[str, str]:
    """What is to be said where there is a ξ that is no product."""
    has_xi = any(node.role == "xi" for node in nodes)
    return legend_of(nodes, {"tensor": "linear", "map": "features", "xi": f"ξ = {xi}"}) if has_xi else {}


def tree_diagram(tree: DimensionTree) -> Diagram:
    """The leaves in a row with their modes, each branch above its children."""
    spots = place_tree(tree, 0.5)
    nodes = [Node(*spot, text=str(node) if isinstance(node, int) else "") for node, spot in spots.items()]
    edges = [Edge((spots[child], spots[branch])) for branch in tree.inner for child in branch]
    return Diagram(f"dimension tree {tree.nested}", tuple(nodes), tuple(edges), about=tree.show())


def place_tree(tree: DimensionTree, pitch: float, rise: float = RISE) -> dict[Nested, Point]:
    """A place for every node: the leaves in a row, each branch above the middle of its children."""
    spots: dict[Nested, Point] = {mode: (pitch * place, 0.0) for place, mode in enumerate(modes_of(tree.nested))}
    for branch in tree.inner:
        below = [spots[child] for child in branch]
        spots[branch] = (sum(x for x, _ in below) / len(below), rise + max(y for _, y in below))
    return spots


def cp_diagram(title: str, about: str, sizes: Sequence[int], rank: int, xi: str) -> Diagram:
    """A star: the factors around the ξ that joins them, the weights on top."""
    count, words = len(sizes) + 1, _sizes(sizes)
    pitch = HEIGHT + 0.12 + max(map(text_width, [str(rank), *words]))
    radius = max(0.95, pitch / (2 * sin(pi / count)))
    angles = [pi / 2 - 2 * pi * i / count for i in range(count)]
    spots = [(radius * cos(angle), radius * sin(angle)) for angle in angles]
    factors = [Node(*spot, key=f"factor{mode}") for mode, spot in enumerate(spots[1:])]
    middle = Node(0, 0, "dot" if xi == "multiply" else "xi")
    text = [str(rank)] + [str(rank) if len(sizes) <= NAMED else ""] * len(sizes)
    edges = [Edge((spot, (0.0, 0.0)), word, AT) for spot, word in zip(spots, text, strict=True)]
    texts = list[Text]()
    for angle, word in zip(angles[1:], words, strict=True):
        right, up = cos(angle), sin(angle)
        near, far = radius + LEG, radius + LEG + 0.05
        edges.append(Edge(((radius * right, radius * up), (near * right, near * up))))
        side = ("right" if right > 0 else "left") if abs(right) > 0.5 else ("above" if up > 0 else "below")
        texts.append(Text(far * right, far * up, word, side))
    nodes = (Node(*spots[0], text="λ", key="weights"), *factors, middle)
    return Diagram(title, nodes, tuple(edges), tuple(texts), xi_legend(nodes, xi), about)


def tt_diagram(title: str, about: str, sizes: Sequence[int], ranks: Sequence[int], xi: str) -> Diagram:
    """A chain: every core is bonded to the next, by ξ where it is no product."""
    words, inner = _sizes(sizes), [str(rank) for rank in ranks[1:-1]]
    gap = max(map(text_width, inner), default=0.0) + 0.24
    step = HEIGHT + gap if xi == "multiply" else 2 * (HEIGHT + gap) - 0.12
    pitch = max(step, 0.1 + max(map(text_width, words)))
    spots = chain_rows(len(sizes), pitch, -1.25, ROW if xi == "multiply" else ROW // 2)
    nodes = [Node(*spot, key=f"core{mode}") for mode, spot in enumerate(spots)]
    edges, texts = list[Edge](), list[Text]()
    for (x, y), word in zip(spots, words, strict=True):
        edges.append(Edge(((x, y), (x, y - LEG))))
        texts.append(Text(x, y - LEG - 0.03, word, "below"))
    for (x, y), (right, below), word in zip(spots, spots[1:], inner, strict=False):
        if right > x and xi == "multiply":
            edges.append(Edge(((x, y), (right, below)), word))
        elif right > x:
            middle = (x + right) / 2
            nodes.append(Node(middle, y, "xi"))
            edges += [Edge(((x + HEIGHT / 2, y), (middle - HEIGHT / 2, y)), word), Edge(((middle, y), (right, below)))]
        else:  # the chain goes on in the next row: the line leaves on the right and comes back on the left
            edges += [Edge(((x, y), (x + pitch, y)), word), Edge(((right - pitch, below), (right, below)), word)]
            if xi != "multiply":
                nodes.append(Node(right - pitch, below, "xi"))
    return Diagram(title, tuple(nodes), tuple(edges), tuple(texts), xi_legend(nodes, xi), about)


def chain_rows(count: int, pitch: float, step: float, row: int) -> list[Point]:
    """Places from left to right, and on in a next row where one is full."""
    return [(pitch * (i % row), step * (i // row)) for i in range(count)]


def ht_diagram(
    title: str, about: str, tree: DimensionTree, sizes: Sequence[int], ranks: Mapping[Nested, int], xi: str
) -> Diagram:
    """The tree, with the rank of a node on the line above it, and ξ below every branch where it is no product."""
    words = _sizes(sizes)
    pitch = HEIGHT + 0.1 + max(map(text_width, [*words, *map(str, ranks.values())]))
    spots = place_tree(tree, pitch, RISE if xi == "multiply" else 1.1)
    keys: dict[Nested, str] = {mode: f"leaf{mode}" for mode in range(tree.ndim)}
    keys |= {branch: f"transfer{i}" for i, branch in enumerate(tree.inner)}
    nodes = [Node(*spots[node], key=keys[node]) for node in tree.nodes]
    edges, texts = list[Edge](), list[Text]()
    for branch in tree.inner:
        x, y = spots[branch]
        if xi != "multiply":
            edges.append(Edge(((x, y), (x, y - 0.45))))
            y -= 0.45
            nodes.append(Node(x, y, "xi"))
        edges += [Edge((spots[child], (x, y)), str(ranks[child]), AT) for child in branch]
    for mode, word in enumerate(words):
        x, y = spots[mode]
        edges.append(Edge(((x, y), (x, y - LEG))))
        texts.append(Text(x, y - LEG - 0.03, word, "below"))
    return Diagram(title, tuple(nodes), tuple(edges), tuple(texts), xi_legend(nodes, xi), about)


def _sizes(sizes: Sequence[int]) -> list[str]:
    if len(sizes) > NAMED:
        return list(map(str, sizes))
    return [f"{subscript('n', mode)} = {size}" for mode, size in enumerate(sizes)]
