"""Derivatives of expressions: as expressions, or as numbers together with the value."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..algebra.scalar import is_complex, is_integral, number
from ..errors import DTypeError, EquationError
from ..graph import Bundle, Leaf, Shaped
from ..graph.absorbing import absorbing
from ..graph.vjp import leaves_of, paired, vjp_by_name
from ..plan import Plan, build_plan
from ..plan.nest import nested
from .expression import Expression, evaluate, leaf_names, unique
from .memory import MemoryLimit, as_bytes
from .namespace import namespace_of
from .recall import program_for
from .run import Program

__all__ = ["ValueAndGrad", "value_and_grad"]

Array = Any


class ValueAndGrad:
    """A scalar expression and its gradient as one plan; what both need is computed once."""

    __slots__ = ("_graphs", "_seed", "expression", "is_compiled", "wrt")

    def __init__(self, expression: Expression, wrt: Sequence[str], is_compiled: bool = False) -> None:
        self.expression, self.wrt, self.is_compiled = expression, tuple(wrt), is_compiled
        self._seed = unique("seed", leaf_names(expression.node))
        self._graphs: dict[frozenset[tuple[str, tuple[int, ...]]], Bundle] = {}

    def __reduce__(self) -> Any:
        """Copies and pickles make their graphs themselves."""
        return ValueAndGrad, (self.expression, self.wrt, self.is_compiled)

    def __call__(self, /, *, memory_limit: MemoryLimit = None, **arrays: Array) -> tuple[Array, dict[str, Array]]:
        """The value and, by name, the gradient for these leaves."""
        given = self._given(arrays)
        node = self._graph({name: tuple(array.shape) for name, array in given.items()})
        value, *gradients = evaluate(node, given, memory_limit=memory_limit, is_compiled=self.is_compiled)
        if _has_nan(gradients) and np.any(value == value):
            with np.errstate(invalid="ignore"):  # `where` evaluates the branch that it does not take
                _, *gradients = evaluate(_absorbing(node), given, memory_limit=memory_limit)
        return value, dict(zip(self.wrt, gradients, strict=True))

    def program(self, /, **arrays: Array) -> tuple[Program, dict[str, Array]]:
        """The program for arrays of these shapes, and all leaves in the order in which it takes them."""
        given = self._given(arrays)
        node = self._graph({name: tuple(array.shape) for name, array in given.items()})
        return program_for(node, given, is_compiled=self.is_compiled), given

    def _given(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """All leaves, and the seed; refuses what has no derivative."""
        given = self.expression.given(arrays)
        xp = namespace_of(list(given.values()))
        for name in self.wrt:
            if is_integral(given[name].dtype, xp) or is_complex(given[name].dtype, xp):
                raise DTypeError(f"leaf {name!r} has dtype {given[name].dtype}; a gradient needs real floating point")
        dtypes = {array.dtype for array in given.values()}
        dtype = dtypes.pop() if xp is not np and len(dtypes) == 1 else xp.result_type(*given.values())
        given[self._seed] = number(1, dtype, next(iter(given.values())), xp)
        return given

    def compiled(self) -> "ValueAndGrad":
        """The same with kernels that are compiled at the first call, see `tna.compile`."""
        return ValueAndGrad(self.expression, self.wrt, is_compiled=True)

    def plan(self, /, *, memory_limit: MemoryLimit = None, **shapes: Any) -> Plan:
        """The plan of value and gradient for leaves of these shapes; an array stands for its shape."""
        given = {**self.expression.shapes(shapes), self._seed: ()}
        return build_plan(self._graph(given), given, memory_limit=as_bytes(memory_limit))

    def _graph(self, shapes: Mapping[str, tuple[int, ...]]) -> Bundle:
        key = frozenset(shapes.items())
        if key not in self._graphs:
            root = paired(nested(self.expression.node, shapes))
            one = Leaf(self._seed, ())
            seed = Shaped(one, (), root, root.output) if root.ndim else one  # the values of a batch, each for itself
            leaves = leaves_of(self.expression.node, self.wrt)  # at these shapes the root may need fewer
            self._graphs[key] = Bundle((root, *vjp_by_name(root, leaves, seed)))
        return self._graphs[key]


def _has_nan(arrays: Sequence[Array]) -> bool:
    """Whether NumPy arrays hold a NaN: their sum of squares is one then. No other device is waited for."""
    if not arrays or not isinstance(arrays[0], np.ndarray):
        return False
    total = sum([np.vdot(array, array) for array in arrays])
    return bool(total != total)


@lru_cache(maxsize=64)
def _absorbing(node: Bundle) -> Bundle:
    value, *gradients = node.children
    return Bundle((value, *absorbing(value, gradients)))


def value_and_grad(expression: Expression, wrt: str | Sequence[str] | None = None) -> ValueAndGrad:
    """Value and gradient of a scalar expression, planned together.

        value = e(A, B, …),    gradient[A] = ∂e/∂A in the shape of A

    wrt: names of leaves; all free ones if not given. At a kink the operator's convention holds: ties are split, and the
    derivative is 0 at 0 and at −∞. Where the value is a number and NumPy finds NaN in a gradient, it is computed again
    with 0 · ∞ = 0: what has no part in the value has none in its slope. What is NaN then is ∞ − ∞.
    Raises `EquationError` for an expression that is not a scalar or a leaf that it does not have, `AlgebraError` for an
    operator without derivative, `DTypeError` for integers and complex numbers.

    >>> import numpy as np, tnalgebra as tna
    >>> e = tna.contract("i,i->", tna.leaf("A", "i"), tna.leaf("B", "i"), xi="rectifier")
    >>> value, gradient = tna.value_and_grad(e, "A")(A=np.array([1.0, -2.0]), B=np.array([0.5, 3.0]))
    >>> print(value, gradient["A"])
    4.0 [1. 0.]
    """
    if not isinstance(expression, Expression):
        raise EquationError(
            f"value_and_grad needs an expression; got {type(expression).__name__}: a contraction without a symbolic "
            "leaf is computed at once, so give an operand that is a leaf"
        )
    if expression.ndim:
        raise EquationError(
            f"a gradient belongs to a scalar, but `{expression}` has {expression.ndim} axes; contract it to `->`, take "
            "its gradients(…) with a seed, or batch what value_and_grad gives for one member"
        )
    names = expression.free if wrt is None else (wrt,) if isinstance(wrt, str) else tuple(wrt)
    leaves_of(expression.node, names)
    return ValueAndGrad(expression, names)
