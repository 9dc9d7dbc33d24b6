"""What a CUDA kernel has to compute: for every entry a scalar expression of the operands, folded by ⊕."""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ...algebra import Operator, Pointwise
from ...algebra.scalar import parse
from ...algebra.schedule import Schedule
from ...algebra.schedule import Tree as Scalar
from ...graph import Labels
from ...plan import Step
from ...plan.formula import formula, formulas
from ...plan.step import Tree
from .blocked import loop_order

__all__ = ["ROOT", "SLOW", "Work", "work_of"]

Labelled = tuple[Scalar, frozenset[str]]
PRODUCT = Pointwise(("multiply", ("x", "y")), ("x", "y"))
CHAINS = ("maximum", "minimum")
"""Functions whose arguments may be grouped in any way: not even NaN tells."""
SUM: Scalar = ("add", ("x0", "x1"))
ROOT = "root"
"""The square root of a term, to one unit in the last place: no one looks for a term of a sum by its digits."""
LONG = frozenset(("cos", "divide", "exp", "expm1", "hypot", "log", "log1p", "power", ROOT, "sin", "sqrt", "tanh"))
"""Functions that take many instructions."""
SLOW, READ = 16, 8
"""What one of them costs, and a read of memory, in additions."""


@dataclass(frozen=True)
class Work:
    """result = ⊕ over `summed` of a scalar function of the operands.

    order: all labels, those outside first along which operands are read with larger strides.
    calls: the next total of ⊕, from the operands and the last one; the function itself where nothing is summed. Where
        it is Σ log(x + y), also the next product of sums, whose logarithm is a sum of logarithms.
    fold: ⊕ of two totals.
    """

    terms: tuple[Labels, ...]
    result: Labels
    summed: Labels
    order: Labels
    sizes: dict[str, int]
    calls: Schedule
    unit: float
    fold: "Work | None" = None

    @cached_property
    def labels(self) -> Labels:
        """All labels; their numbers are their positions here."""
        return (*self.result, *self.summed)

    @property
    def total(self) -> int | None:
        """The place of the last total, after the operands."""
        return len(self.terms) if self.summed else None

    @property
    def constants(self) -> range:
        """The places of constants; after them come those of calls."""
        first = len(self.terms) + bool(self.summed)
        return range(first, first + len(self.calls.constants))

    @property
    def end(self) -> int:
        """The place of the next total."""
        return self.calls.ends[0]

    @property
    def product(self) -> int | None:
        """The place of the next product of x + y, with that one of the last total for the last product."""
        return self.calls.ends[1] if len(self.calls.ends) > 1 else None

    def arguments(self, place: int) -> tuple[int, ...]:
        """The places that the value at a place is computed from."""
        return self.calls.calls[place - self.constants.stop][1] if place >= self.constants.stop else ()

    def needed(self, wanted: Iterable[int], given: Container[int] = ()) -> list[int]:
        """Places that these need, themselves included, in the order of computation; none for what is given."""
        found, rest = set[int](), [place for place in wanted if place not in given]
        while rest:
            place = rest.pop()
            if place not in found:
                found.add(place)
                rest += [argument for argument in self.arguments(place) if argument not in given]
        return sorted(found)

    def price(self, place: int) -> int:
        """What the value at a place costs by itself, in additions."""
        if place < len(self.terms):
            return READ
        if place < self.constants.stop:
            return 0
        return SLOW if self.calls.calls[place - self.constants.stop][0] in LONG else 1


def work_of(step: Step) -> Work:
    """The work of a step of kind blocked, or weighted: then the value is multiplied by the last operand."""
    assert step.tree is not None
    count, order = len(step.terms), loop_order([step])
    variables = tuple(f"x{i}" for i in range(count + 1))
    labels = dict(zip(variables, map(frozenset, step.terms), strict=False))
    tree: Tree = step.tree if step.kind == "blocked" else (PRODUCT, (step.tree, count - 1))
    value, _ = _grouped(formula(tree), labels, {})
    places = tuple(range(count + 1))
    whole: Tree = Pointwise(value, variables), places
    trees = [whole]
    if step.summed and step.reduce:
        trees = [(step.reduce, (count, whole))]
        is_sum = parse(step.reduce.value, ("x", "y")) == ("add", ("x", "y"))
        if is_sum and isinstance(value, tuple) and value[0] == "multiply":
            trees = [(Pointwise(("fma", (*value[1], variables[count])), variables), places)]
        elif is_sum and isinstance(value, tuple) and value[0] == "sqrt":
            trees = [(step.reduce, (count, (Pointwise((ROOT, value[1]), variables), places)))]
        elif is_sum and value == ("log", (SUM,)):
            trees.append((Pointwise(("multiply", (variables[count], SUM)), variables), places))
    return Work(
        step.terms,
        step.result,
        tuple(label for label in order if label in step.summed),
        order,
        step.sizes,
        formulas(trees, count + bool(step.summed)),
        step.reduce.unit if step.reduce else 0.0,
        _pair(step.reduce) if step.summed and step.reduce else None,
    )


def _pair(reduce: Operator) -> Work:
    return Work(((), ()), (), (), (), {}, formulas([(reduce, (0, 1))], 2), reduce.unit)


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
