"""The graphs of formats: of structure alone and of no array, so each is built once and then recalled."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ..algebra import Operator, operator
from ..graph import Contract, Labels, Leaf, Node
from ..plan.step import union
from .tree import DimensionTree, Nested

__all__ = [
    "branch_graph",
    "carried",
    "cp_graph",
    "ht_graph",
    "in_turn",
    "inner_graph",
    "leaf",
    "mode_labels",
    "numbered",
    "tt_graph",
    "tt_leaves",
]

Inputs = tuple[Labels, ...]
Operands = tuple[Node, ...]
RECALLED = 1024
"""So many graphs of a kind are kept."""


@lru_cache(maxsize=RECALLED)
def numbered(name: str, count: int) -> Labels:
    """name0, name1, …: the same strings each time, which are hashed once and found by identity."""
    return tuple(f"{name}{i}" for i in range(count))


@lru_cache(maxsize=RECALLED)
def mode_labels(ndim: int) -> Inputs:
    """One label a mode, alone."""
    return tuple((label,) for label in numbered("i", ndim))


@lru_cache(maxsize=RECALLED)
def carried(name: str, count: int, axis: int) -> tuple[tuple[str, int], ...]:
    """For each mode the name of its part, and its axis there."""
    return tuple((part, axis) for part in numbered(name, count))


@lru_cache(maxsize=RECALLED)
def leaf(name: str, ndim: int) -> Leaf:
    """The leaf of a part; its own labels do not matter."""
    return Leaf(name, numbered("", ndim))


@lru_cache(maxsize=RECALLED)
def cp_graph(xi: Operator, carriers: Operands, labels: Inputs, output: Labels) -> Contract:
    """Σ_r weights[r] · ξ over the carriers."""
    inputs = tuple((*label, "r") for label in labels)
    multiply, add, weights = operator("multiply"), operator("add"), Leaf("weights", ("r",))
    if xi == multiply:
        return Contract(multiply, add, (("r",), *inputs), (weights, *carriers), output)
    terms = union(*inputs)
    inner = Contract(xi, add, inputs, carriers, terms)
    return Contract(multiply, add, (("r",), terms), (weights, inner), output)


@lru_cache(maxsize=RECALLED)
def tt_leaves(count: int) -> tuple[Leaf, ...]:
    """The leaves of the cores of a train."""
    return tuple(leaf(name, 3) for name in numbered("core", count))


@lru_cache(maxsize=RECALLED)
def tt_graph(xi: Operator, carriers: Operands, labels: Inputs, output: Labels) -> Contract:
    """Σ over all bonds of ξ over the carriers."""
    inputs = tuple((f"r{mode}", *label, f"r{mode + 1}") for mode, label in enumerate(labels))
    return Contract(xi, operator("add"), inputs, carriers, output)


@lru_cache(maxsize=RECALLED)
def ht_graph(xi: Operator, tree: DimensionTree, carriers: Operands, labels: Inputs, output: Labels) -> Node:
    """Branch by branch: Σ of its transfer times ξ over its children."""
    multiply, add, ndim = operator("multiply"), operator("add"), tree.ndim
    found: dict[Nested, tuple[Node, Labels]] = {
        mode: (carriers[mode], (*labels[mode], f"k{mode}")) for mode in range(ndim)
    }
    if not tree.inner:
        return Contract(multiply, add, (found[0][1],), (found[0][0],), output)
    for i, branch in enumerate(tree.inner):
        nodes, inputs = zip(*(found[child] for child in branch), strict=True)
        own = (*(term[-1] for term in inputs), f"k{ndim + i}")
        value = tuple(label for label in union(*inputs) if label not in own)
        result = output if branch == tree.nested else (*value, own[-1])
        if xi != multiply:
            terms = union(*inputs)
            nodes, inputs = (Contract(xi, add, inputs, nodes, terms),), (terms,)
        children = (leaf(f"transfer{i}", len(own)), *nodes)
        found[branch] = (Contract(multiply, add, (own, *inputs), children, result), result)
    return found[tree.nested][0]


@lru_cache(maxsize=RECALLED)
def branch_graph(xi: Operator, children: int) -> Contract:
    """One branch for a batch: the leaves z0, z1, … are the values of its children."""
    multiply, add, ranks = operator("multiply"), operator("add"), numbered("k", children + 1)
    inputs: Inputs = tuple(("b", rank) for rank in ranks[:-1])
    nodes: Operands = tuple(Leaf(name, term) for name, term in zip(numbered("z", children), inputs, strict=True))
    if xi != multiply:
        terms = union(*inputs)
        nodes, inputs = (Contract(xi, add, inputs, nodes, terms),), (terms,)
    return Contract(multiply, add, (ranks, *inputs), (Leaf("transfer", ranks), *nodes), ("b", ranks[-1]))


@lru_cache(maxsize=RECALLED)
def inner_graph(left: Node, right: Node) -> Contract:
    """Σ over all modes of the product of two tensors."""
    modes = numbered("i", left.ndim)
    return Contract(operator("multiply"), operator("add"), (modes, modes), (left, right), ())


def in_turn(inputs: Sequence[Any], *_: Any) -> list[tuple[int, int]]:
    """The path through two trains from the left, a core of each in turn.

    The transfer matrices then stand left of wide matrices, which BLAS multiplies faster than tall ones from the right.
    inputs: the cores of one train, and those of the other.
    """
    count = len(inputs)
    order = sorted(range(count), key=lambda i: (i % (count // 2 or 1), -i))
    left, path, last = list(range(count)), list[tuple[int, int]](), order[0]
    for core in order[1:]:
        path.append((left.index(last), left.index(core)))
        left = [i for i in left if i not in (last, core)] + [count]
        last = count
    return path
