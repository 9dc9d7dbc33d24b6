"""Many small problems of equal shape as one program."""

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from ..errors import AxisMismatchError, EquationError
from ..graph import Leaf, Node
from ..graph.batch import batched as labelled
from ..graph.batch import labels_of
from ..graph.node import postorder
from .contract import _as_expression
from .expression import Expression, check_labels, unique
from .gradient import ValueAndGrad
from .namespace import namespace_of

__all__ = ["batched", "stacked"]

Array = Any
P = TypeVar("P", Expression, ValueAndGrad)


def batched(planned: P, leaves: str | Collection[str] | None = None, *, label: str = "member") -> P:
    """The same computation for every member of a batch, as one program: a leading axis on leaves and result.

        batched(e)(A, B)[n, …] = e(A[n], B[n])

    planned: an `Expression`, or what `value_and_grad` gave; the result is of the same kind, and is evaluated, planned,
        compiled, differentiated and batched like any other. Value and gradient are those of each member; the gradient
        by a leaf that the members share is the sum over them.
    leaves: names of those that have the axis; all free ones if not given. The members share the others.
    label: what the axis is called where the graph is printed, with a prime where that name is taken.
    No ⊕ runs over the label, so that every ξ keeps its order. An axis of size 1 broadcasts, as any other does.
    Raises `EquationError` for a leaf that there is not, or that is bound to an array already: `stacked` has those.

    >>> import numpy as np, tnalgebra as tna
    >>> e = tna.contract("ij,j->i", tna.leaf("A", "ij"), tna.leaf("x", "j"), xi="rectifier")
    >>> print(many := tna.batched(e, "A"))
    out[member,i] = Σ_j rectifier(A[member,i,j], x[j])
    >>> many.evaluate(A=np.ones((1000, 2, 3)), x=np.ones(3)).shape
    (1000, 2)
    """
    check_labels((label,), "the members")
    if isinstance(planned, ValueAndGrad):
        inner = batched(planned.expression, leaves, label=label)
        return ValueAndGrad(inner, planned.wrt, is_compiled=planned.is_compiled)
    if not isinstance(planned, Expression):
        raise EquationError(
            f"cannot batch {type(planned).__name__}: give an expression or what value_and_grad(…) returns; formats and "
            "networks are stacked(…), and an equation takes one label more, as 'zij,zjk->zik'"
        )
    names = planned.free if leaves is None else (leaves,) if isinstance(leaves, str) else tuple(leaves)
    if not names or not set(names) <= set(planned.free):
        wanted = next((repr(name) for name in names if name not in planned.free), "none")
        raise EquationError(
            f"the members must differ in a free leaf; got {wanted}, and the expression has "
            f"{', '.join(planned.free) or 'none'}: formats, networks and others whose arrays are bound are stacked(…)"
        )
    return Expression(labelled(planned.node, frozenset(names), unique(label, labels_of(planned.node))), planned.bound)


def stacked(members: Sequence[Any], leaves: str | Collection[str] = (), *, label: str = "member") -> Expression:
    """Formats, networks or expressions of one structure as one expression, with an axis of the members before its own.

        stacked([e₀, e₁, …])[n, …] = eₙ

    members: one or more, of equal graphs and equal shapes; their arrays are stacked, and become those of the result. An
        array that all of them have in common is not repeated.
    leaves: free ones that are given for each member, with a leading axis; the members share the others.
    label: as in `batched`.
    Raises `EquationError` for no members and for other graphs, `AxisMismatchError` that names the member, the label
    and both sizes.

    >>> import tnalgebra as tna
    >>> trains = [tna.TTTensor.random((2, 3, 5), rank=2, xi="hypot", seed=seed) for seed in range(100)]
    >>> tna.stacked(trains).evaluate().shape
    (100, 2, 3, 5)
    """
    expressions = [_as_expression(member, 0) for member in members]
    if not expressions:
        raise EquationError("nothing to stack: give one member or more")
    first = expressions[0]
    for member, expression in enumerate(expressions):
        _check_structure(member, expression, first)
    differ = [name for name in first.bound if any(e.bound[name] is not first.bound[name] for e in expressions)]
    own = differ or list(first.bound)
    arrays = {name: _stack(name, [e.bound[name] for e in expressions], first.node) for name in own}
    free = Expression(first.node, {name: array for name, array in first.bound.items() if name not in own})
    names = (*own, *((leaves,) if isinstance(leaves, str) else leaves))
    many = batched(free, names, label=label)
    return Expression(many.node, {**many.bound, **arrays})


def _check_structure(member: int, expression: Expression, first: Expression) -> None:
    if expression.node != first.node:
        raise EquationError(
            f"member {member} is another graph than member 0: only members of one kind, order, tree and ξ run together"
        )
    if expression.free != first.free:
        lists = (", ".join(each.free) or "no leaf" for each in (expression, first))
        raise EquationError("of member {} {} is free, but of member 0 {}".format(member, *lists))


def _stack(name: str, arrays: Sequence[Array], root: Node) -> Array:
    """One array of those of the members, which must have one shape."""
    shape = tuple(arrays[0].shape)
    for member, array in enumerate(arrays):
        for axis, (size, own) in enumerate(zip(shape, array.shape, strict=True)):
            if own != size:
                leaf = next(node for node in postorder(root) if isinstance(node, Leaf) and node.name == name)
                raise AxisMismatchError(
                    f"label {leaf.output[axis]!r} of leaf {name!r} (axis {axis}) is {own} for member {member} but "
                    f"{size} for member 0: members of one program have equal shapes"
                )
    return namespace_of(arrays).stack(arrays)
