"""A graph that a user holds: symbolic leaves to be given, and bound ones that a format brought along."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from ..canvas import Diagram, Diagrammed
from ..errors import EquationError
from ..graph import Leaf, Node, Take
from ..graph.node import postorder
from ..graph.picture import diagram_of, tree_of
from ..graph.rewrite import renamed
from ..graph.show import show_labels
from ..graph.vjp import leaves_of, paired, vjp_by_name
from ..plan import Plan, build_plan
from ..plan.paths import Optimizer
from .memory import MemoryLimit, as_bytes
from .namespace import are_plain, as_array
from .recall import hashable, program_for

__all__ = ["Expression", "check_labels", "evaluate", "evaluate_scaled", "leaf", "leaf_names", "merge", "unique"]

Array = Any
MOST = 64
"""Sets of shapes for which a compiled expression remembers what it runs."""
RESERVED = ("optimize", "memory_limit", "nonnegative")


@dataclass(frozen=True, slots=True, eq=False)
class Expression(Diagrammed):
    """What is to be computed: a node of the graph, and the arrays of those leaves that have one already.

    >>> import numpy as np, tnalgebra as tna
    >>> a, b = tna.leaf("A", "ir"), tna.leaf("B", "jr")
    >>> e = tna.contract("ir,jr->ij", a, b, xi="hypot")
    >>> print(e)
    out[ij] = Σ_r hypot(A[ir], B[jr])
    >>> e.evaluate(A=np.array([[3.0]]), B=np.array([[4.0]]))
    array([[5.]])
    """

    node: Node
    bound: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the arrays as those of a call."""
        if self.bound and not are_plain(self.bound.values()):
            object.__setattr__(self, "bound", {name: as_array(array) for name, array in self.bound.items()})

    @property
    def ndim(self) -> int:
        """Number of axes of the value."""
        return self.node.ndim

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the leaves that must be given, in order of first use."""
        return tuple(name for name in leaf_names(self.node) if name not in self.bound)

    def __str__(self) -> str:
        return str(self.node)

    def __repr__(self) -> str:
        return f"<Expression {show_labels(self.node.output) or 'scalar'} of {', '.join(self.free) or 'bound leaves'}>"

    def __getitem__(self, index: Any) -> "Expression":
        """The slice at integers, such as ``e[:, 2]``; axes that are not named, or have a colon, stay.

        Raises `EquationError` for an index of another kind or too many of them, and, once sizes are known,
        `IndexRangeError` for one that is outside its axis.

        >>> import tnalgebra as tna
        >>> print(tna.leaf("X", "btn")[:, 2])
        out[bn] = X[btn] at t = 2
        """
        items = index if isinstance(index, tuple) else (index,)
        if len(items) > self.ndim:
            raise EquationError(f"{len(items)} indices are given, but the expression has {self.ndim} axes")
        node = self.node
        for axis, item in reversed(list(enumerate(items))):
            if isinstance(item, int | np.integer) and not isinstance(item, bool) and item >= 0:
                node = Take(node, axis, int(item))
            elif not (isinstance(item, slice) and item == slice(None)):
                raise EquationError(f"axis {axis} is indexed with {item!r}; give a number from 0, or a colon")
        return Expression(node, self.bound)

    __iter__ = None  # an integer of any size is an index, until sizes are known

    def evaluate(self, /, *, optimize: Optimizer = "auto", memory_limit: MemoryLimit = None, **arrays: Array) -> Array:
        """Value of the expression for these leaves.

        Raises `EquationError` for a leaf that is missing or unknown, `AxisMismatchError` for sizes that do not fit.
        """
        return evaluate(self.node, self.given(arrays), optimize=optimize, memory_limit=memory_limit)

    def compiled(self) -> Callable[..., Array]:
        """`evaluate` as a function of the leaves, with kernels that are compiled at the first call: `tna.compile`."""
        return _Compiled(self).evaluate

    def gradients(self, wrt: str | Sequence[str] | None = None, *, seed: str = "seed") -> dict[str, "Expression"]:
        """Σ seed · ∂e/∂leaf as an expression in the leaves and the seed, for each leaf of `wrt` (all free ones).

        seed: name of the leaf that holds the cotangent, in the shape of this expression. Complex numbers are not
        conjugated. The results are expressions, and have gradients in turn. See `value_and_grad` for numbers.
        Raises `EquationError` for a leaf that there is not, `AlgebraError` for an operator without derivative.

        >>> import tnalgebra as tna
        >>> e = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"))
        >>> print(e.gradients("A", seed="G")["A"])
        t1[ij] = Σ_k G[ik] · B[jk]
        out[ij] = t1[ij] in the shape of A[ij]
        """
        names = self.free if wrt is None else (wrt,) if isinstance(wrt, str) else tuple(wrt)
        if seed in leaf_names(self.node) or seed in RESERVED:
            raise EquationError(f"the seed cannot be named {seed!r}: the expression has a leaf of that name")
        root = paired(self.node)
        found = vjp_by_name(root, leaves_of(root, names), Leaf(seed, self.node.output))
        return {name: Expression(node, self.bound) for name, node in zip(names, found, strict=True)}

    def given(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """All leaves by name, bound and given; raises `EquationError` where they are not those of the expression."""
        self._check_names(arrays)
        return {**self.bound, **{name: as_array(array) for name, array in arrays.items()}}

    def shapes(self, given: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        """Shapes of all leaves; an array stands for its shape."""
        self._check_names(given)
        return {name: tuple(getattr(value, "shape", value)) for name, value in {**self.bound, **given}.items()}

    def plan(
        self,
        /,
        *,
        optimize: Optimizer = "auto",
        memory_limit: MemoryLimit = None,
        nonnegative: bool = False,
        **shapes: Any,
    ) -> Plan:
        """Plan for leaves of these shapes; an array stands for its shape."""
        limit = as_bytes(memory_limit)
        return build_plan(
            self.node, self.shapes(shapes), optimize=hashable(optimize), memory_limit=limit, nonnegative=nonnegative
        )

    def diagram(self) -> Diagram:
        """The graph as a picture: a tensor network where it is one Σ of products, else a node for every operation."""
        return diagram_of(self.node, {name: tuple(array.shape) for name, array in self.bound.items()})

    def show(self) -> str:
        """Draw the graph with characters, the result first.

        >>> import tnalgebra as tna
        >>> print(tna.contract("ir,jr->ij", tna.leaf("A", "ir"), tna.leaf("B", "jr"), xi="hypot").show())
        Σ_r hypot [ij]
        ├─ A [ir]
        └─ B [jr]
        """
        return tree_of(self.node, {name: tuple(array.shape) for name, array in self.bound.items()})

    def _check_names(self, given: Mapping[str, Any]) -> None:
        free = self.free
        if {*free} == given.keys():
            return
        missing = [name for name in free if name not in given]
        unknown = [name for name in given if name not in free]
        if missing or unknown:
            parts = [
                f"{word} {', '.join(names)}" for word, names in (("missing", missing), ("unknown", unknown)) if names
            ]
            raise EquationError(
                f"leaves do not fit: {'; '.join(parts)}; the expression has {', '.join(self.free) or 'no free leaf'}"
            )


class _Compiled:
    """A compiled expression, and what it runs on arrays like those that it had before."""

    __slots__ = ("_bound", "_expression", "_known")

    def __init__(self, expression: Expression) -> None:
        self._expression, self._bound = expression, list(expression.bound.values())
        self._known: dict[Any, Callable[[Sequence[Array]], Array]] = {}

    def __reduce__(self) -> Any:
        """Copies and pickles make their programs themselves."""
        return _Compiled, (self._expression,)

    def evaluate(self, /, **arrays: Array) -> Array:
        """The value for these leaves; to call a method takes less time than an object with `__call__`."""
        try:
            run = self._known[tuple([(name, type(x), x.shape, x.dtype) for name, x in arrays.items()])]
        except (AttributeError, KeyError):  # no array, or the first of its kind
            return self._first(arrays)
        return run([*self._bound, *arrays.values()])

    def _first(self, arrays: Mapping[str, Array]) -> Array:
        given = self._expression.given(arrays)
        program = program_for(self._expression.node, given, is_compiled=True)
        if are_plain(arrays.values()):
            if len(self._known) >= MOST:
                self._known.clear()
            key = tuple([(name, np.ndarray, array.shape, array.dtype) for name, array in arrays.items()])
            self._known[key] = program.settled(list(given.values()))
        return program(list(given.values()))


@lru_cache(maxsize=1024)
def leaf_names(node: Node) -> tuple[str, ...]:
    """Names of all leaves, in order of first use."""
    return tuple(dict.fromkeys(child.name for child in postorder(node) if isinstance(child, Leaf)))


def leaf(name: str, labels: str | Sequence[str]) -> Expression:
    """Return a tensor to be given later by name, with one label an axis; leaves of one name are one tensor.

    Raises `EquationError` for a name that is no identifier, and labels that are no strings.

    >>> import tnalgebra as tna
    >>> print(tna.leaf("A", "ij"))
    A[ij]
    """
    if not name.isidentifier() or name in RESERVED:
        raise EquationError(f"leaf name {name!r} must be an identifier, and none of {', '.join(RESERVED)}")
    check_labels(labels, f"leaf {name!r}")
    return Expression(Leaf(name, tuple(labels)))


def check_labels(labels: Sequence[str], what: str) -> None:
    """Raise `EquationError` for labels that no equation could have."""
    if not all(isinstance(label, str) for label in labels):
        raise EquationError(f"labels of {what} must be strings, as in 'ij'; got {labels!r}")
    if bad := [label for label in labels if not label or {*label} & {*" .,->"}]:
        raise EquationError(f"{bad[0]!r} cannot be a label of {what}: give a letter for each axis, as in 'ij'")


def merge(expressions: Sequence[Expression]) -> tuple[list[Node], dict[str, Array]]:
    """Nodes of several expressions in one namespace: bound leaves get names of their own, one for each array."""
    taken = {name for expression in expressions for name in expression.free}
    names: dict[int, str] = {}
    bound: dict[str, Array] = {}
    nodes = []
    for expression in expressions:
        for name, array in expression.bound.items():
            if id(array) not in names:
                fresh = names[id(array)] = unique(name, taken)
                taken.add(fresh)
                bound[fresh] = array
        pairs = tuple([(name, names[id(array)]) for name, array in expression.bound.items()])
        nodes.append(renamed(expression.node, pairs))
    return nodes, bound


def unique(name: str, taken: Container[str]) -> str:
    """The name, with as many primes as it takes."""
    while name in taken:
        name += "'"
    return name


def evaluate(
    node: Node,
    arrays: Mapping[str, Array],
    *,
    optimize: Optimizer = "auto",
    memory_limit: MemoryLimit = None,
    nonnegative: bool = False,
    is_compiled: bool = False,
) -> Array:
    """Plan (or recall the plan of) a graph for these leaves, and run it."""
    program = program_for(node, arrays, optimize, memory_limit, nonnegative=nonnegative, is_compiled=is_compiled)
    return program(list(arrays.values()))


def evaluate_scaled(node: Node, arrays: Mapping[str, Array], *, optimize: Optimizer = "auto") -> tuple[Array, int]:
    """The value of a graph of multiply over add as an array and an exponent of 2: nothing over- or underflows."""
    return program_for(node, arrays, optimize).scaled(list(arrays.values()))
