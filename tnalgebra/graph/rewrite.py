"""Legal rewrites of a graph: merge nested nodes where algebra allows it, give leaves other names."""

from collections.abc import Mapping
from functools import lru_cache
from itertools import count

from ..algebra import Pointwise, distributes
from .node import Contract, Labels, Leaf, Node, postorder
from .part import Shaped
from .sizes import Shape, shapes_of

__all__ = ["inline", "is_mergeable", "renamed", "settled"]


GROWTH = 4
"""Merging shared nodes may give one node this many terms for each distinct node of the graph, and no more."""


def is_mergeable(outer: Contract, inner: Contract, nonnegative: bool = False) -> bool:
    """Whether `inner` may become terms of `outer` without changing a number.

    With no sum inside, associativity of a common ξ is enough (and with one operand there is no ξ at all).
    With a sum inside, it must be the same sum, and it must be free to leave ξ of `outer`.
    """
    if isinstance(inner.xi, Pointwise) or isinstance(outer.xi, Pointwise):
        return False  # it has no laws
    same_xi = inner.xi == outer.xi or len(inner.operands) == 1
    if not inner.summed:
        return same_xi or len(outer.operands) == 1
    free = len(outer.operands) == 1 or distributes(outer.xi, outer.reduce, nonnegative=nonnegative)
    return inner.reduce == outer.reduce and free and (same_xi or len(outer.operands) == 1)


def settled(root: Node, shapes: Mapping[str, Shape]) -> Node:
    """The graph without those `Shaped` nodes whose child has the shape already."""
    found, done = shapes_of(root, shapes), dict[Node, Node]()
    for node in postorder(root):
        if isinstance(node, Shaped) and node.names == node.labels and found[node.child] == found[node.like]:
            done[node] = done[node.child]
        else:
            done[node] = node.rebuilt([done[child] for child in node.operands])
    return done[root]


@lru_cache(maxsize=1024)
def renamed(root: Node, pairs: tuple[tuple[str, str], ...]) -> Node:
    """The graph with other names for its leaves, given as pairs of the old one and the new."""
    if all(old == new for old, new in pairs):
        return root
    names, done = dict(pairs), dict[Node, Node]()
    for node in postorder(root):
        if isinstance(node, Leaf):
            done[node] = Leaf(names.get(node.name, node.name), node.output)
        else:
            done[node] = node.rebuilt([done[child] for child in node.operands])
    return done[root]


def inline(root: Node, *, keep_shared: bool = False, nonnegative: bool = False) -> Node:
    """Merge every nested `Contract` that may be merged; with `keep_shared`, none that is used twice.

    A shared node is kept, too, where merging would multiply terms: squares of squares would double them each time.
    """
    nodes = list(postorder(root))
    users: dict[Node, int] = {}
    for node in nodes:
        for child in node.operands:
            users[child] = users.get(child, 0) + 1
    most = max(64, GROWTH * len(nodes))
    done: dict[Node, Node] = {}
    for node in nodes:
        done[node] = new = node.rebuilt([done[child] for child in node.operands])
        if isinstance(new, Contract):
            is_crowded = sum(len(child.operands) for child in new.operands) > most
            kept = {done[child] for child in node.operands if users[child] > 1 and (keep_shared or is_crowded)}
            done[node] = _merge(new, kept, nonnegative)
    return done[root]


def _merge(outer: Contract, kept: set[Node], nonnegative: bool) -> Contract:
    """Replace each mergeable operand by its own operands, its labels renamed into those of `outer`."""
    taken = {label for labels in outer.inputs for label in labels}
    fresh = (f"s{n}" for n in count(1))
    xi, inputs, operands = outer.xi, list[Labels](), list[Node]()
    for labels, child in zip(outer.inputs, outer.operands, strict=True):
        if child in kept or not isinstance(child, Contract) or not is_mergeable(outer, child, nonnegative):
            inputs.append(labels)
            operands.append(child)
            continue
        rename = dict(zip(child.output, labels, strict=True))
        held = [rename.keys() & term for term in child.inputs]
        if any(len({rename[label] for label in term}) < len(term) for term in held):
            inputs.append(labels)  # a diagonal does not broadcast, but the terms of this value may
            operands.append(child)
            continue
        if len(outer.operands) == 1 and len(child.operands) > 1:
            xi = child.xi
        for label in child.summed:
            rename[label] = label if label not in taken else next(name for name in fresh if name not in taken)
            taken.add(rename[label])
        inputs.extend(tuple(rename[label] for label in term) for term in child.inputs)
        operands.extend(child.operands)
    return Contract(xi, outer.reduce, tuple(inputs), tuple(operands), outer.output)
