"""A pair (⊕, ξ), and whether ξ distributes over ⊕: the one fact that lets a sum move."""

from dataclasses import dataclass

from .operator import Operator
from .registry import operator

__all__ = ["SEMIRINGS", "Semiring", "distributes"]


@dataclass(frozen=True, slots=True)
class Semiring:
    """The pair of a contraction: ⊕ reduces, ξ combines."""

    reduce: Operator
    xi: Operator


def distributes(xi: str | Operator, reduce: str | Operator, *, nonnegative: bool = False) -> bool:
    """Whether ξ(a, b ⊕ c) = ξ(a, b) ⊕ ξ(a, c) for all numbers, or for all that are not negative.

    >>> import tnalgebra as tna
    >>> tna.distributes("multiply", "add"), tna.distributes("rectifier", "add")
    (True, False)
    >>> tna.distributes("multiply", "maximum"), tna.distributes("multiply", "maximum", nonnegative=True)
    (False, True)
    """
    xi = xi if isinstance(xi, Operator) else operator(xi)
    name = reduce.name if isinstance(reduce, Operator) else operator(reduce).name
    return name in xi.distributes_over or (nonnegative and name in xi.distributes_over_nonnegative)


SEMIRINGS = {
    name: Semiring(operator(reduce), operator(xi))
    for name, (reduce, xi) in {
        "real": ("add", "multiply"),
        "max-plus": ("maximum", "add"),
        "min-plus": ("minimum", "add"),
        "log": ("logaddexp", "add"),
        "viterbi": ("maximum", "multiply"),
        "max-min": ("maximum", "minimum"),
        "boolean": ("logical_or", "logical_and"),
    }.items()
}
