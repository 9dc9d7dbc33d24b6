"""One Σ of products of leaves as a tensor network: a node a leaf, a line a label."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import cos, hypot, pi, sin

from ..canvas import Diagram, Edge, Text
from ..canvas import Node as Spot
from ..canvas.diagram import Point, legend_of, text_width
from ..canvas.layered import layered
from .node import Contract, Leaf
from .sizes import Shape

__all__ = ["wires"]

LEG = 0.28
"""From the border of a node to the end of a line that ends free."""
ABOVE = 0.62
"""From a row of leaves to its dots."""
APART = 0.45
"""The least distance of two dots, and of a dot and a node."""
AT = 0.36
"""Where on a line its text stands: near its lower end, away from where lines meet or cross."""
MEANINGS = {"tensor": "tensor", "dot": "label with other than two ends"}


@dataclass(frozen=True, slots=True)
class _Labels:
    """What becomes of each label: bonds of two operands, legs of one in the output, dots for the rest."""

    words: dict[str, str]
    bonds: dict[tuple[int, int], list[str]]
    legs: list[list[str]]
    dots: dict[str, list[int]]


def wires(node: Contract, shapes: Mapping[str, Shape]) -> Diagram:
    """Leaves in a row where each meets only the next, else in a ring, in the order of the operands.

    A label of two operands is a line between them, one of the output a line that ends free. A label of other axes
    meets itself in a dot: a batch, a diagonal, a sum over one operand alone.
    """
    names = [child.name for child in node.operands if isinstance(child, Leaf)]
    found = _sorted(node, [shapes.get(name) for name in names])
    spots, ways = _placed(names, found)
    is_row = all(y == 0 for _, y in spots)
    drawn = [Spot(*spot, "tensor", name, name) for spot, name in zip(spots, names, strict=True)]
    edges = [_bond(drawn[a], drawn[b], "\n".join(words), is_row) for (a, b), words in found.bonds.items()]
    texts = list[Text]()
    for leaf, words, way in zip(drawn, found.legs, ways, strict=True):
        _legs(leaf, words, way, edges, texts)
    for label, places in found.dots.items():
        middle = _free([(dot.x, dot.y) for dot in drawn], [spots[i] for i in places], is_row)
        drawn.append(Spot(*middle, "dot"))
        is_open = label in node.output
        for i, count in Counter(places).items():
            word = ", ".join([found.words[label]] * count) if count > 1 or (not is_open and i == places[0]) else ""
            edges.append(Edge((spots[i], middle), word))
        if is_open:
            _legs(drawn[-1], [found.words[label]], (0.0, 1.0) if is_row else _outward(middle, len(names)), edges, texts)
    title = f"tensor network {node.equation}"
    legend = legend_of(drawn, MEANINGS) if found.dots else {}
    return Diagram(title, tuple(drawn), tuple(edges), tuple(texts), legend, str(node))


def _sorted(node: Contract, shapes: Sequence[Shape | None]) -> _Labels:
    sizes = dict[str, int]()
    for labels, shape in zip(node.inputs, shapes, strict=True):
        for label, size in zip(labels, shape or (), strict=False):
            sizes[label] = max(size, sizes.get(label, 1))  # an axis of size 1 broadcasts
    words = {label: f"{label} = {sizes[label]}" if label in sizes else label for term in node.inputs for label in term}
    found = _Labels(words, {}, [[] for _ in node.inputs], {})
    for label, word in words.items():
        places = [i for i, term in enumerate(node.inputs) for _ in range(term.count(label))]
        if len(set(places)) == len(places) == 2 and label not in node.output:
            found.bonds.setdefault((places[0], places[1]), []).append(word)
        elif len(places) == 1 and label in node.output:
            found.legs[places[0]].append(word)
        elif len(places) > 1 or sizes.get(label) != 1:  # a sum over one entry is none
            found.dots[label] = places
    return found


def _placed(names: Sequence[str], found: _Labels) -> tuple[list[Point], list[Point]]:
    """Places of the leaves, and for each the direction of its lines that end free."""
    if all(second - first == 1 for first, second in found.bonds):
        return _row(names, found), [(0.0, -1.0)] * len(names)
    if len(found.bonds) == len(names) - 1 and not found.dots and (order := _from_middle(len(names), found.bonds)):
        return _tree(names, found, order)
    spots = _ring(names, found)
    return spots, [_outward(spot, len(names)) for spot in spots]


def _row(names: Sequence[str], found: _Labels) -> list[Point]:
    widths = _widths(names, found)
    spots, x = list[Point](), 0.0
    for i, width in enumerate(widths):
        if i:
            words = found.bonds.get((i - 1, i), [])
            apart = (Spot(0, 0, text=names[i - 1]).width + Spot(0, 0, text=names[i]).width) / 2
            x += max((widths[i - 1] + width) / 2 + 0.2, apart + max(map(text_width, words), default=0.0) + 0.3)
        spots.append((x, 0.0))
    return spots


def _from_middle(count: int, bonds: Collection[tuple[int, int]]) -> list[tuple[int, int]]:
    """The bonds of a tree as (parent, child), the nearer to its middle the earlier; nothing where it is no tree."""

    def walk(root: int) -> list[tuple[int, int]]:
        found, seen, row = list[tuple[int, int]](), {root}, [root]
        for parent in row:
            for child in sorted(i for bond in bonds if parent in bond for i in bond if i not in seen):
                found.append((parent, child))
                seen.add(child)
                row.append(child)
        return found

    def height(order: Sequence[tuple[int, int]]) -> int:
        depth = dict[int, int]()
        for parent, child in order:
            depth[child] = depth.get(parent, 0) + 1
        return max(depth.values(), default=0)

    walks = [walk(root) for root in range(count)]
    return min(walks, key=height) if len(walks[0]) == count - 1 else []


def _tree(names: Sequence[str], found: _Labels, order: Sequence[tuple[int, int]]) -> tuple[list[Point], list[Point]]:
    """The middle on top; lines that end free go down where nothing is below, and else to the right."""
    number = {node: len(names) - 1 - i for i, node in enumerate([order[0][0], *(child for _, child in order)])}
    parents = {parent for parent, _ in order}
    widths = [0.0] * len(names)
    for i, width in enumerate(_widths(names, found)):
        widths[number[i]] = width
    bonds = [found.bonds.get((parent, child)) or found.bonds[child, parent] for parent, child in order]
    links = [(number[child], number[parent]) for parent, child in order]
    spots, _, _ = layered(widths, links, [max(map(text_width, words)) for words in bonds])
    ways = [(1.0, 0.0) if i in parents else (0.0, -1.0) for i in range(len(names))]
    return [spots[number[i]] for i in range(len(names))], ways


def _ring(names: Sequence[str], found: _Labels) -> list[Point]:
    """The first on top, the others clockwise; as wide as its nodes and the texts on its lines need."""
    words = [text_width(word) for bond in found.bonds.values() for word in bond]
    step = max(Spot(0, 0, text=name).width for name in names) + max(words, default=0.0) + 0.25
    radius = max(1.3 if found.dots else 0.9, step / (2 * sin(pi / len(names))))
    angles = [pi / 2 - 2 * pi * i / len(names) for i in range(len(names))]
    return [(radius * cos(angle), radius * sin(angle)) for angle in angles]


def _bond(first: Spot, second: Spot, text: str, is_row: bool) -> Edge:
    """The line of two nodes: from border to border in a row, so that its text stands in the middle of what is seen."""
    if is_row:
        return Edge(((first.x + first.width / 2, first.y), (second.x - second.width / 2, second.y)), text)
    low, high = sorted((first, second), key=lambda node: node.y)
    return Edge(((low.x, low.y), (high.x, high.y)), text, AT)


def _legs(node: Spot, words: Sequence[str], way: Point, edges: list[Edge], texts: list[Text]) -> None:
    """Lines out of a node into one direction, their ends apart by their texts."""
    right, up = way
    is_flat = abs(right) > 0.8
    left, bottom, _, _ = node.box
    reach = LEG + (node.x - left if is_flat else node.y - bottom)
    along = -(0.2 * (len(words) - 1) if is_flat else _span(words)) / 2
    for word in words:
        width = text_width(word)
        x, y = (0.0, along) if is_flat else (along + width / 2, 0.0)
        end = (node.x + right * reach + x, node.y + up * reach + y)
        edges.append(Edge(((node.x, node.y), end)))
        side = ("right" if right > 0 else "left") if is_flat else ("above" if up > 0 else "below")
        texts.append(Text(end[0] + 0.04 * right, end[1] + 0.04 * up, word, side))
        along += 0.2 if is_flat else width + 0.1


def _widths(names: Sequence[str], found: _Labels) -> list[float]:
    return [max(Spot(0, 0, text=name).width, _span(legs)) for name, legs in zip(names, found.legs, strict=True)]


def _span(words: Sequence[str]) -> float:
    return sum(map(text_width, words)) + 0.1 * max(0, len(words) - 1)


def _outward(spot: Point, count: int) -> Point:
    """Away from the middle of a ring; from the middle itself between the first of so many nodes and the next."""
    length = hypot(*spot)
    angle = pi / 2 - pi / count
    return (spot[0] / length, spot[1] / length) if length > 1e-9 else (cos(angle), sin(angle))


def _free(taken: Sequence[Point], ends: Sequence[Point], is_row: bool) -> Point:
    """A place between the ends where there is nothing yet: above a row; within a ring, or outside of one side of it."""
    x, y = (sum(values) / len(ends) for values in zip(*ends, strict=True))
    right, up = (0.0, 1.0) if is_row else _outward((x, y), len(taken))
    if is_row:
        y += ABOVE
    elif len(set(ends)) < 3:
        x, y = x + 0.4 * right, y + 0.4 * up
    while any(hypot(x - a, y - b) < APART for a, b in taken):
        x, y = x + APART * right, y + APART * up
    return x, y
