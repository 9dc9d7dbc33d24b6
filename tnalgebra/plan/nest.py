"""Contractions of many operands as contractions of two, in the order in which they will be computed."""

from collections.abc import Mapping, Sequence
from math import prod

from ..algebra import Operator, distributes
from ..graph import Contract, Labels, Node, label_sizes
from ..graph.node import postorder
from ..graph.rewrite import inline, settled
from ..graph.sizes import Shape, shapes_of
from .paths import Optimizer, find_path
from .step import FEW, union

__all__ = ["nested"]

SLACK = 1.05
"""So much more work than the path through merged nodes the nesting that is given may be."""


def nested(root: Node, shapes: Mapping[str, Shape], optimize: Optimizer = "auto") -> Node:
    """The graph with a node for every pair on the path, where sums may move.

    A derivative by each of n operands then shares these nodes, and all n cost as much as a few contractions. The
    nesting that is given is kept unless a path through merged nodes costs less: the tiles of a network can then be made
    again. So it is where a size is 0: ⊕ over nothing is its unit, which need not pass through ξ.
    """
    root = settled(root, shapes)
    if not all(map(all, shapes.values())):
        return root
    merged = inline(root, keep_shared=True)
    given, found = (_in_pairs(graph, shapes, optimize) for graph in (root, merged))
    return given if _work(given, shapes) <= SLACK * _work(found, shapes) else found


def _work(root: Node, shapes: Mapping[str, Shape]) -> int:
    """Applications of ξ."""
    found, total = shapes_of(root, shapes), 0
    for node in postorder(root):
        if isinstance(node, Contract):
            sizes = label_sizes(node.inputs, [found[child] for child in node.operands], node.equation)
            total += max(1, len(node.operands) - 1) * prod(sizes.values())
    return total


def _in_pairs(root: Node, shapes: Mapping[str, Shape], optimize: Optimizer) -> Node:
    found, done = shapes_of(root, shapes), dict[Node, Node]()
    for node in postorder(root):
        children = [done[child] for child in node.operands]
        done[node] = node.rebuilt(children)
        if isinstance(node, Contract) and len(children) > 2 and _is_free(node):
            sizes = label_sizes(node.inputs, [found[child] for child in node.operands], node.equation)
            done[node] = _paired(node, children, sizes, optimize)
    return done[root]


def _is_free(node: Contract) -> bool:
    return isinstance(node.xi, Operator) and (not node.summed or distributes(node.xi, node.reduce))


def _paired(node: Contract, children: Sequence[Node], sizes: dict[str, int], optimize: Optimizer) -> Node:
    """A label is summed in the pair after which no one needs it; one that a single operand has, before."""
    assert isinstance(node.xi, Operator)
    xi, reduce, output = node.xi, node.reduce, node.output
    is_crowded = len(sizes) > FEW and reduce.unit_is_strict
    alone = {label for label, size in sizes.items() if is_crowded and size == 1}  # ⊕ over one entry is that entry
    terms: list[tuple[Labels, Node]] = list(zip(node.inputs, children, strict=True))
    for picked in find_path([union(labels) for labels, _ in terms], output, sizes, optimize):
        chosen = [terms[i] for i in picked]
        terms = [term for i, term in enumerate(terms) if i not in picked]
        needed = {*output, *(label for labels, _ in terms for label in labels if label not in alone)}
        inputs, operands = zip(*chosen, strict=True)
        kept = tuple(label for label in union(*inputs) if label in needed) if terms else output
        terms.append((kept, Contract(xi, reduce, inputs, operands, kept)))
    return terms[0][1]
