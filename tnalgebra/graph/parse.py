"""Equations and interleaved operands to labels: the only module that touches strings."""

from collections.abc import Hashable, Sequence
from functools import lru_cache

from opt_einsum.parser import convert_interleaved_input, parse_einsum_input

from ..errors import EquationError
from .node import Labels

__all__ = ["from_interleaved", "parse"]


@lru_cache(maxsize=4096)
def parse(equation: str, ndims: tuple[int, ...]) -> tuple[tuple[Labels, ...], Labels]:
    """Return labels of every operand and of the output, for operands with `ndims` axes.

    The syntax is opt_einsum's: ``"ij,jk->ik"``, spaces, any unicode letter, ``...`` for leading axes that broadcast,
    and an implicit output of the labels that stand once, sorted.

    >>> from tnalgebra.graph import parse
    >>> parse("ij, jk", (2, 2))
    ((('i', 'j'), ('j', 'k')), ('i', 'k'))
    """
    terms = equation.replace(" ", "").split("->")[0].split(",")
    if len(terms) != len(ndims):
        raise EquationError(f"`{equation}` has {len(terms)} terms, but {len(ndims)} operands are given")
    for position, (term, ndim) in enumerate(zip(terms, ndims, strict=True)):
        named = len(term.replace("...", ""))
        if named > ndim or (named < ndim and "..." not in term):
            raise EquationError(f"term {term!r} of `{equation}` names {named} axes, but operand {position} has {ndim}")
    try:
        inputs, output, _ = parse_einsum_input((equation, *[(1,) * ndim for ndim in ndims]), shapes=True)
    except ValueError as error:
        raise EquationError(f"cannot read `{equation}`: {error}") from error
    return tuple(tuple(term) for term in inputs.split(",")), tuple(output)


def from_interleaved(operands: Sequence[object]) -> tuple[str, list[object]]:
    """Return equation and operands of ``(A, [0, 1], B, [1, 2], [0, 2])``; labels are any hashables, or ``...``.

    >>> from tnalgebra.graph.parse import from_interleaved
    >>> from_interleaved(["A", [0, 1], "B", [1, 2], [0, 2]])
    ('ab,bc->ac', ['A', 'B'])
    """
    lists = [*operands[1::2], *([operands[-1]] if len(operands) % 2 else [])]
    for sublist in lists:
        if not isinstance(sublist, list | tuple) or not all(isinstance(label, Hashable) for label in sublist):
            raise EquationError(
                "operands without an equation must alternate with lists of labels, as in "
                f"(A, [0, 1], B, [1, 2], [0, 2]); got {type(sublist).__name__} where a list of labels belongs"
            )
    try:
        equation, tensors = convert_interleaved_input(list(operands))
    except (TypeError, ValueError, IndexError) as error:
        raise EquationError(f"cannot read interleaved operands: {error}") from error
    return equation, list(tensors)
