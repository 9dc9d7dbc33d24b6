"""What a network of another library is here: one contraction of arrays, multiply over add."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..algebra import operator
from ..errors import AlgebraError, DataError, EquationError, FormatError
from ..execute import Expression
from ..execute.namespace import as_array
from ..formats import Format, TTTensor
from ..formats.structure import require_multiply
from ..graph import Contract, Labels, Leaf
from ..graph.rewrite import inline

__all__ = ["Network", "as_expression", "as_network", "check_train", "library"]

Array = Any


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Arrays with one label an axis, and the labels of the result; a label that is not in it is summed."""

    arrays: tuple[Array, ...]
    terms: tuple[Labels, ...]
    output: Labels

    def ends(self) -> Counter[str]:
        """At how many axes each label stands, the result's included."""
        return Counter([label for term in (*self.terms, self.output) for label in term])


def as_expression(network: Network, names: Sequence[str]) -> Expression:
    """The network as an expression with its arrays bound; names that are taken or no identifiers are replaced."""
    leaves, bound = [], {}
    for i, (array, term) in enumerate(zip(network.arrays, network.terms, strict=True)):
        name = names[i] if names[i].isidentifier() and names[i] not in bound else f"node{i}"
        bound[name] = as_array(array)
        leaves.append(Leaf(name, tuple(f"{axis}" for axis in range(len(term)))))
    multiply, add = operator("multiply"), operator("add")
    return Expression(Contract(multiply, add, network.terms, tuple(leaves), network.output), bound)


def as_network(x: Any) -> Network:
    """A format or an expression as one contraction; modes of a format are labelled i0, i1, ….

    Raises `AlgebraError` for another ξ or ⊕, `EquationError` for an expression with free leaves or maps.
    """
    if not isinstance(x, Format | Expression):
        raise EquationError(f"a format or an expression is needed; got {type(x).__name__}")
    expression = x.expression() if isinstance(x, Format) else x
    if expression.free:
        raise EquationError(f"the expression has no arrays for {', '.join(expression.free)}")
    node = inline(expression.node)
    if isinstance(node, Leaf):
        return Network((expression.bound[node.name],), (node.output,), node.output)
    if not isinstance(node, Contract) or not all(isinstance(child, Leaf) for child in node.operands):
        raise AlgebraError(
            "only one contraction of arrays can be a network of another library, products in sums; evaluate() gives "
            "the array of any expression"
        )
    if (node.xi.name, node.reduce.name) != ("multiply", "add"):
        raise AlgebraError(
            f"a network of another library multiplies and adds; this expression has ξ = {node.xi} and ⊕ = "
            f"{node.reduce}: evaluate() or to_dense() gives its array"
        )
    arrays = tuple(expression.bound[child.name] for child in node.operands if isinstance(child, Leaf))
    return Network(arrays, node.inputs, node.output)


def check_train(tensor: Any, what: str) -> None:
    """Refuse what is no train of products."""
    if not isinstance(tensor, TTTensor):
        raise FormatError(f"{what} needs a TTTensor; got {type(tensor).__name__}: to_tt() converts exactly")
    require_multiply(tensor.xi, what, "to_dense() gives the entries for other ξ")


def library(name: str) -> Any:
    """Import another library, or say how to install it."""
    try:
        return import_module(name)
    except ImportError as error:
        package = name.split(".")[0]
        raise DataError(f"this needs {package}: pip install {package}") from error
