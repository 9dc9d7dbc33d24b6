"""The picture of a graph: a tensor network where it is one Σ of products of leaves, else a row for every depth."""

from collections.abc import Mapping

from ..algebra import Pointwise
from ..canvas import Diagram, Edge, outline
from ..canvas import Node as Spot
from ..canvas.diagram import HEIGHT, Text, legend_of, text_width
from ..canvas.layered import layered
from .node import Bundle, Contract, Labels, Leaf, Map, Node, Sum, postorder
from .part import Shaped, Stack, Take
from .rewrite import inline
from .show import show_labels
from .sizes import Shape, shapes_of
from .wires import wires

__all__ = ["diagram_of", "tree_of"]

LONGEST = 22
"""Letters of a function, or of the labels on a line, that are shown."""
MOST = 24
"""Leaves up to which a network is drawn as one."""
MEANINGS = {
    "tensor": "tensor",
    "linear": "Σ of products",
    "xi": "ξ or ⊕ that is not linear",
    "map": "function, slice or shape",
}


def diagram_of(root: Node, shapes: Mapping[str, Shape]) -> Diagram:
    """The diagram of a graph, with sizes where the shapes of its leaves are known."""
    flat = inline(root)
    if isinstance(flat, Contract) and _is_network(flat):
        return wires(flat, shapes)
    known, nodes = _sized(root, shapes), list(postorder(root))
    number = {node: i for i, node in enumerate(nodes)}
    roles = [(_text(node), _role(node)) for node in nodes]
    links: dict[tuple[int, int], list[str]] = {}
    for node in nodes:
        for child, labels in zip(node.operands, _terms(node), strict=True):
            links.setdefault((number[child], number[node]), []).append(_line(labels, known.get(child)))
    notes = {link: "; ".join(dict.fromkeys(texts)) for link, texts in links.items()}
    widths = [Spot(0, 0, role, text).width for text, role in roles]
    spots, routes, places = layered(widths, list(notes), list(map(text_width, notes.values())))
    drawn = [
        Spot(*spot, role, text, node.name if isinstance(node, Leaf) else "")
        for spot, (text, role), node in zip(spots, roles, nodes, strict=True)
    ]
    edges = [Edge(route, text, at) for route, text, at in zip(routes, notes.values(), places, strict=True)]
    x, y = spots[-1]
    end = y + HEIGHT / 2 + 0.2
    edges += [Edge(((x, y), (x, end)))] * bool(root.output)
    texts = [Text(x, end + 0.02, _line(root.output, known.get(root)), "above")] * bool(root.output)
    return Diagram(
        f"expression with output {show_labels(root.output) or 'of one number'}",
        tuple(drawn), tuple(edges), tuple(texts), legend_of(drawn, MEANINGS), str(root),
    )  # fmt: skip


def tree_of(root: Node, shapes: Mapping[str, Shape]) -> str:
    """The graph in characters, a node a line; what was shown above is named again, not shown again."""
    known, opened = _sized(root, shapes), set[Node]()

    def text(part: tuple[Node, Labels]) -> str:
        node, labels = part
        again = " (as above)" if node in opened and node.operands else ""
        return f"{_text(node)} [{_line(labels, known.get(node))}]{again}"

    def children(part: tuple[Node, Labels]) -> list[tuple[Node, Labels]]:
        node, _ = part
        below = [] if node in opened else list(zip(node.operands, _terms(node), strict=True))
        opened.add(node)
        return below

    return outline((root, root.output), children, text)


def _sized(root: Node, shapes: Mapping[str, Shape]) -> dict[Node, Shape]:
    """Shapes of all nodes, or of some leaves where others have none yet."""
    leaves = [node for node in postorder(root) if isinstance(node, Leaf)]
    if all(leaf.name in shapes for leaf in leaves):
        return shapes_of(root, shapes)
    return {leaf: shapes[leaf.name] for leaf in leaves if leaf.name in shapes}


def _terms(node: Node) -> tuple[Labels, ...]:
    """What a node calls the axes of its operands."""
    return node.inputs if isinstance(node, Contract) else tuple(child.output for child in node.operands)


def _text(node: Node) -> str:
    """What a node does, in few letters."""
    match node:
        case Leaf(name):
            return name
        case Contract():
            return _short(f"{node.summation} {_operator(node)}".strip() or f"as {show_labels(node.output)}")
        case Map(function):
            return _short(function)
        case Take(child, axis, index):
            return f"{child.output[axis]} = {index}"
        case Stack():
            return f"stack along {node.output[node.axis]}"
        case Shaped():
            return "in the shape of"
        case Sum():
            return "+"
    return "together"


def _role(node: Node) -> str:
    """How a node is drawn."""
    match node:
        case Leaf():
            return "tensor"
        case Contract():
            is_linear = node.xi.name == "multiply" or (len(node.operands) == 1 and not isinstance(node.xi, Pointwise))
            return "linear" if is_linear and (node.reduce.name == "add" or not node.summed) else "xi"
        case Sum() | Bundle():
            return "linear"
    return "map"


def _operator(node: Contract) -> str:
    if isinstance(node.xi, Pointwise):
        return node.xi.name
    if len(node.operands) == 1:
        return ""
    return "·" * (not node.summed) if node.xi.name == "multiply" else node.xi.name


def _is_network(node: Contract) -> bool:
    leaves = all(isinstance(child, Leaf) for child in node.operands)
    return leaves and node.xi.name == "multiply" and _role(node) == "linear" and len(node.operands) <= MOST


def _line(labels: Labels, shape: Shape | None) -> str:
    """Labels, and sizes if they are known: ``ij: 3 × 4``."""
    text = show_labels(labels)
    return _short(text if shape is None or not labels else f"{text}: {'×'.join(map(str, shape))}")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
