"""The tree of ξ in one step as one scalar expression in x0, x1, …, a variable an operand."""

from collections.abc import Sequence
from functools import reduce

from ..algebra import Pointwise
from ..algebra.derivative import substituted
from ..algebra.scalar import TRUTH, parse
from ..algebra.schedule import Schedule, schedule
from ..algebra.schedule import Tree as Scalar
from .step import Step, Tree, leaves

__all__ = ["LIKE", "folding", "formula", "formulas", "temporaries"]

TOP: Scalar = ("maximum", ("x", "y"))
LOGADDEXP: Scalar = (
    "add", (TOP, ("log1p", (("exp", (("fmin", (("subtract", (("minimum", ("x", "y")), TOP)), 0)),)),)))
)  # fmt: skip
"""max + log(1 + exp(min − max)); fmin takes the NaN of ∞ − ∞ for 0, which is the difference of equal numbers."""
LIKE = "like"
"""like(v, x, …) is v in the dtype that the others have together: a truth value among integers is 0 or 1."""


def formula(tree: Tree) -> Scalar:
    """The value of the tree; `like` stands beside the functions of the language."""
    if isinstance(tree, int):
        return f"x{tree}"
    op, parts = tree[0], [formula(child) for child in tree[1]]
    if isinstance(op, Pointwise):
        return substituted(op.value, dict(zip(op.variables, parts, strict=True)))
    value = parse(op.value, ("x", "y"))

    def paired(x: Scalar, y: Scalar) -> Scalar:
        both = substituted(value, {"x": x, "y": y})
        return (LIKE, (both, x, y)) if isinstance(value, tuple) and value[0] in TRUTH else both

    return reduce(paired, parts)


def formulas(trees: Sequence[Tree], count: int, *, is_expanded: bool = True) -> Schedule:
    """The calls that compute the trees together, on so many operands.

    is_expanded: put functions that NumPy computes number by number into such that it computes many at once.
    """
    values = [_expanded(formula(tree), {}) if is_expanded else formula(tree) for tree in trees]
    return schedule(tuple(values), tuple(f"x{i}" for i in range(count)))


def folding(step: Step) -> Schedule | None:
    """The calls that compute ⊕ of x, which is there, and y; None where there is no ⊕."""
    return schedule((parse(step.reduce.value, ("x", "y")),), ("x", "y")) if step.summed and step.reduce else None


def temporaries(trees: Sequence[Tree]) -> int:
    """How many blocks are held at once."""
    return formulas(trees, 1 + max((leaf for tree in trees for leaf in leaves(tree)), default=0)).temporaries


def _expanded(tree: Scalar, done: dict[int, tuple[Scalar, Scalar]]) -> Scalar:
    if not isinstance(tree, tuple):
        return tree
    if id(tree) not in done:  # the tree is kept, so that no other takes its number
        head, children = tree[0], tuple(_expanded(child, done) for child in tree[1])
        if head == "power" and children[1] == 2:
            head, children = "multiply", (children[0], children[0])
        new = (
            substituted(LOGADDEXP, dict(zip("xy", children, strict=True))) if head == "logaddexp" else (head, children)
        )
        done[id(tree)] = tree, new
    return done[id(tree)][1]
