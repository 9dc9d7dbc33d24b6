"""The graph of many members at once: one more label on the leaves that differ, and on all that is computed from them.

The label stands in the output of every contraction that has it, so no ⊕ runs over it: what may be reordered and what is
summed where is for all members what it is for one.
"""

from collections.abc import Container, Mapping

from ..algebra import operator
from ..errors import AlgebraError
from .node import Bundle, Contract, Labels, Leaf, Map, Node, Sum, postorder
from .part import Shaped, Stack, Take

__all__ = ["batched", "labels_of"]

Done = Mapping[Node, Node]
"""Nodes of the old graph to those of the new one, which are equal where no member differs."""


def labels_of(root: Node) -> set[str]:
    """All labels of a graph."""
    found = set[str]()
    for node in postorder(root):
        found.update(node.output)
        if isinstance(node, Contract):
            found.update(*node.inputs)
        elif isinstance(node, Shaped):
            found.update(node.names, node.labels)
    return found


def batched(root: Node, names: Container[str], label: str) -> Node:
    """The graph with a new label before those of the leaves of these names, and of everything that depends on them.

    Of a `Bundle` every value has it, also one that is the same for all members.
    """
    done = dict[Node, Node]()
    for node in postorder(root):
        if isinstance(node, Leaf):
            done[node] = Leaf(node.name, (label, *node.output)) if node.name in names else node
        elif all(done[child] == child for child in node.operands):
            done[node] = node
        else:
            done[node] = _batched(node, done, label)
    return done[root]


def _batched(node: Node, done: Done, label: str) -> Node:
    """A node on operands of which one or more have the label."""
    source = next(done[child] for child in node.operands if done[child] != child)
    match node:
        case Contract(xi, reduce, inputs, children, output):
            terms = tuple(
                term if done[child] == child else (label, *term) for child, term in zip(children, inputs, strict=True)
            )
            return Contract(xi, reduce, terms, tuple(done[child] for child in children), (label, *output))
        case Map(function, child):
            return Map(function, done[child])
        case Take(child, axis, index):
            return Take(done[child], axis + 1, index)
        case Shaped(child, names, like, labels):
            own = names if done[child] == child else (label, *names)
            return Shaped(done[child], own, _like(like, done, source), (label, *labels))
        case Stack(children, places, like, axis):
            slices = tuple(_repeated(child, done, source) for child in children)
            return Stack(slices, places, _like(like, done, source), axis + 1)
        case Sum(children):
            return Sum(tuple(_repeated(child, done, source) for child in children))
        case Bundle(children):
            return Bundle(tuple(_repeated(child, done, source) for child in children))
    raise AlgebraError(f"{type(node).__name__} has no batch")


def _repeated(node: Node, done: Done, source: Node) -> Node:
    """The value of a node for every member, also where it is the same for all of them."""
    if done[node] != node:
        return done[node]
    axes = _axes(node, source)
    return Shaped(node, axes, _like(node, done, source), (source.output[0], *axes))


def _like(node: Node, done: Done, source: Node) -> Node:
    """A node in the shape of a node for every member; where that has no label, one that takes it from another node.

    Only its shape is asked for, so it is never computed.
    """
    if done[node] != node:
        return done[node]
    axes, (label, *rest) = _axes(node, source), source.output
    others = tuple(f"{label}{node.ndim + axis}" for axis in range(len(rest)))
    inputs = (axes, (label, *others))
    return Contract(operator("multiply"), operator("add"), inputs, (node, source), (label, *axes))


def _axes(node: Node, source: Node) -> Labels:
    """One label an axis, and none that another node has: a leaf may name two axes alike."""
    return tuple(f"{source.output[0]}{axis}" for axis in range(node.ndim))
