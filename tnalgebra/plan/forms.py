"""The forms of a graph that may be planned: as it is nested, and with nodes merged into their users."""

from collections.abc import Iterator, Mapping
from math import prod

from ..algebra import Pointwise
from ..graph import Bundle, Contract, Node
from ..graph.node import postorder
from ..graph.rewrite import inline
from ..graph.sizes import Shape, shapes_of

__all__ = ["forms", "least_work"]


def forms(root: Node, shapes: Mapping[str, Shape], nonnegative: bool) -> Iterator[Node]:
    """Graphs of the same value, merged ones first; a path through many merged nodes may be worse than the nesting.

    A node that is used twice may be merged into both users or computed once. It is computed once where ties of its
    value are looked for, as other pairs would round otherwise, and nothing is merged where a size is 0: ⊕ over nothing
    is its unit, which need not pass through ξ.
    """
    choices = _choices(root) if all(map(all, shapes.values())) else ()
    merged = [inline(root, keep_shared=keep, nonnegative=nonnegative) for keep in choices]
    yield from dict.fromkeys((*merged, root))


def least_work(root: Node, shapes: Mapping[str, Shape]) -> int:
    """Operations that every plan of this graph takes: the entries of the largest ⊕ over ξ, which is formed whole."""
    found = shapes_of(root, shapes)
    sums = [node for node in postorder(root) if isinstance(node, Contract) and node.summed and len(node.operands) > 1]
    return max((prod(found[node]) for node in sums), default=0)


def _choices(root: Node) -> tuple[bool, ...]:
    """Whether shared nodes stay as they are; what is wanted together is there to be shared."""
    nodes = postorder(root)
    is_compared = any(isinstance(node, Contract) and isinstance(node.xi, Pointwise) for node in nodes)
    return (True,) if isinstance(root, Bundle) or is_compared else (False, True)
