"""One step of a plan: slots in, a slot out, labels, and what it costs."""

from dataclasses import dataclass, field
from math import prod

from ..algebra import Operator, Pointwise
from ..graph import Labels
from ..graph.show import show_equation

__all__ = ["FEW", "Step", "Tree", "leaves", "operators", "union", "volume"]

FEW = 32
"""So many labels every array library can broadcast; of more, those of size 1 are left out."""

Tree = int | tuple[Operator | Pointwise, tuple["Tree", ...]]
"""Which operands ξ combines first: a leaf is the position of an input."""


def leaves(tree: Tree) -> list[int]:
    """The positions of the operands, as often as they stand in the tree."""
    return [tree] if isinstance(tree, int) else [leaf for child in tree[1] for leaf in leaves(child)]


def operators(tree: Tree | None) -> list[Operator | Pointwise]:
    """What the tree is made of."""
    return [tree[0], *(op for child in tree[1] for op in operators(child))] if isinstance(tree, tuple) else []


def union(*terms: Labels) -> Labels:
    """Labels of all terms, in order of first appearance."""
    return tuple(dict.fromkeys(label for term in terms for label in term))


def volume(labels: Labels, sizes: dict[str, int]) -> int:
    """Number of entries over these labels."""
    return prod(sizes[label] for label in labels)


@dataclass(frozen=True, slots=True)
class Step:
    """One kernel call.

    kind      | what it does
    --------- | ---------------------------------------------------------------
    view      | diagonals, dropped axes, transposition: no arithmetic
    reduce    | ⊕ over labels of one operand
    product   | Σ of products of two operands: BLAS
    blocked   | ⊕ over ξ of any operands, in cache-sized blocks
    weighted  | Σ of W · ξ(…): ξ in blocks, then BLAS on the block
    pieces    | Σ of W · ξ(a, b) for a piecewise linear ξ: by tables of slopes and intercepts
    map       | a scalar expression on every entry
    sum       | entrywise sum of its operands
    shape     | axes repeated, summed or laid on a diagonal, to the shape of another
    take      | one slice along an axis, the index in `text`: no arithmetic
    stack     | slices at the indices in `text` along an axis, 0 elsewhere
    loop      | the `body` for every slice of some labels
    """

    kind: str
    inputs: tuple[int, ...]
    output: int
    terms: tuple[Labels, ...]
    result: Labels
    sizes: dict[str, int] = field(default_factory=dict)
    tree: Tree | None = None
    reduce: Operator | None = None
    text: str = ""
    flops: int = 0
    bytes_moved: int = 0
    scratch_bytes: int = 0
    output_bytes: int = 0
    body: tuple["Step", ...] = ()
    chunks: dict[str, int] = field(default_factory=dict)
    aliases: tuple[int, ...] = ()

    @property
    def equation(self) -> str:
        """The step as an einsum string."""
        return show_equation(self.terms, self.result)

    @property
    def summed(self) -> Labels:
        """The labels that ⊕ runs over in this step."""
        return tuple(label for label in union(*self.terms) if label not in self.result)
