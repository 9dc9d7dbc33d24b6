"""What a CUDA kernel has to compute: for every entry a scalar expression of the operands, folded by ⊕."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ...algebra import Pointwise
from ...algebra.schedule import Schedule
from ...algebra.schedule import Tree as Scalar
from ...graph import Labels
from ...plan import Step
from ...plan.formula import formula, formulas
from ...plan.step import Tree
from .blocked import loop_order

__all__ = ["SLOW", "Work", "price", "work_of"]

Labelled = tuple[Scalar, frozenset[str]]
PRODUCT = Pointwise(("multiply", ("x", "y")), ("x", "y"))
CHAINS = ("maximum", "minimum")
"""Functions whose arguments may be grouped in any way: not even NaN tells."""
LONG = frozenset(("cos", "divide", "exp", "expm1", "hypot", "log", "log1p", "power", "sin", "sqrt", "tanh"))
"""Functions that take many instructions."""
SLOW, READ = 16, 8
"""What one of them costs, and a read of memory, in additions."""


def price(head: str) -> int:
    """What a function costs, in additions."""
    return SLOW if head in LONG else 1


@dataclass(frozen=True)
class Work:
    """result = ⊕ over `summed` of a scalar function of the operands.

    order: all labels, those outside first along which operands are read with larger strides.
    """

    terms: tuple[Labels, ...]
    result: Labels
    summed: Labels
    order: Labels
    sizes: dict[str, int]
    calls: Schedule
    fold: Schedule | None
    unit: float

    @cached_property
    def labels(self) -> Labels:
        """All labels; their numbers are their positions here."""
        return (*self.result, *self.summed)

    @property
    def head(self) -> str:
        """The function that the value is of; none if it is an operand."""
        return self._head(self.calls.ends[0])

    @cached_property
    def price_per_term(self) -> int:
        """What one term of ⊕ costs, no value at hand."""
        lines = (self.calls, self.fold) if self.fold else (self.calls,)
        return sum(price(head) for line in lines for head, _, _ in line.calls) + READ * len(self.terms)

    def price_of(self, place: int) -> int:
        """What the value at a place costs, by itself."""
        if place < len(self.terms):
            return READ
        head = self._head(place)
        return price(head) if head else 0

    def _head(self, place: int) -> str:
        position = place - len(self.terms) - len(self.calls.constants)
        return self.calls.calls[position][0] if position >= 0 else ""


def work_of(step: Step) -> Work:
    """The work of a step of kind blocked, or weighted: then the value is multiplied by the last operand."""
    assert step.tree is not None
    tree: Tree = step.tree if step.kind == "blocked" else (PRODUCT, (step.tree, len(step.terms) - 1))
    variables = tuple(f"x{i}" for i in range(len(step.terms)))
    grouped, _ = _grouped(formula(tree), dict(zip(variables, map(frozenset, step.terms), strict=True)), {})
    order = loop_order([step])
    return Work(
        step.terms,
        step.result,
        tuple(label for label in order if label in step.summed),
        order,
        step.sizes,
        formulas([(Pointwise(grouped, variables), tuple(range(len(variables))))], len(variables)),
        formulas([(step.reduce, (0, 1))], 2) if step.summed and step.reduce else None,
        step.reduce.unit if step.reduce else 0.0,
    )


def _grouped(tree: Scalar, labels: dict[str, frozenset[str]], done: dict[int, tuple[Scalar, Labelled]]) -> Labelled:
    """The same number with its labels; in a chain, what has fewer labels comes first, and is then computed less often.

    So max(max(x, y), 0) becomes max(max(x, 0), y): the inner one needs to be known for entries of x only.
    """
    if not isinstance(tree, tuple):
        return tree, labels[tree] if isinstance(tree, str) else frozenset()
    if id(tree) not in done:  # the tree is kept, so that no other takes its number
        head, children = tree
        if head in CHAINS:
            found = _joined(head, [_grouped(part, labels, done) for part in _chain(head, tree)])
        else:
            parts = [_grouped(child, labels, done) for child in children]
            found = (head, tuple(part for part, _ in parts)), frozenset().union(*(own for _, own in parts))
        done[id(tree)] = tree, found
    return done[id(tree)][1]


def _chain(head: str, tree: Scalar) -> Iterator[Scalar]:
    if isinstance(tree, tuple) and tree[0] == head:
        for child in tree[1]:
            yield from _chain(head, child)
    else:
        yield tree


def _joined(head: str, parts: list[Labelled]) -> Labelled:
    """The function of all parts; one with few labels joins one that has them too."""
    while len(parts) > 1:
        (first, own), *rest = sorted(parts, key=lambda part: len(part[1]))
        place = next((i for i, (_, others) in enumerate(rest) if own <= others), 0)
        second, others = rest.pop(place)
        parts = [*rest, ((head, (second, first)), own | others)]
    return parts[0]
