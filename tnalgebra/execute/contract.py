"""`contract`, `contract_path` and `contract_expression`: opt_einsum's three names, plus ξ and ⊕."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from ..algebra import Operator, operator
from ..errors import AlgebraError, AxisMismatchError, EquationError
from ..graph import Contract, Leaf, Node
from ..graph.parse import from_interleaved, parse
from ..plan import Plan, build_plan
from ..plan.paths import Optimizer
from .cache import plan_cache
from .expression import Expression, evaluate, merge
from .memory import MemoryLimit, as_bytes, itemsize_of
from .namespace import are_plain, as_array, is_numpy_like, namespace_of
from .promise import are_nonnegative, is_kept
from .recall import built, hashable, limit_for
from .run import Program

__all__ = ["contract", "contract_expression", "contract_path"]

Array = Any
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def contract(
    *operands: Any,
    xi: str | Operator = "multiply",
    reduce: str | Operator = "add",
    optimize: Optimizer = "auto",
    memory_limit: MemoryLimit = None,
) -> Any:
    """Generalized einsum: ξ in place of the product, ⊕ in place of the sum.

        out[o…] = ⊕ over every label not in the output of ξ(A[…], B[…], …)

    Sums move only where ξ distributes over ⊕; elsewhere the equation's own nesting is kept, whatever the optimizer.

    operands: an equation and its operands, or opt_einsum's interleaved form ``A, [0, 1], B, [1, 2], [0, 2]``.
        An operand is an array of any library, a format, or a symbolic `leaf`: the result is then an `Expression`.
    xi, reduce: names of registered operators. ⊕ starts from its unit, so a hypot over one entry is its modulus.
    optimize: an opt_einsum (or cotengra) optimizer by name or object, a path, or False for one step.
    memory_limit: bytes that may be allocated beside the operands, as ``2**30``, ``"2GiB"`` or ``"50%"``.

    The result has the dtype of ξ on the operands, and never shares memory with them.
    Raises `EquationError`, `AxisMismatchError`, `UnknownNameError`, `MemoryLimitError`, `DTypeError`, `DeviceError`.
    Source: opt_einsum for the syntax and the paths; Cohen & Shashua 2016 for ξ in place of the product.

    >>> import numpy as np, tnalgebra as tna
    >>> tna.contract("ij,jk->ik", np.array([[1.0, 5.0]]), np.array([[2.0], [3.0]]), xi="add", reduce="maximum")
    array([[8.]])
    """
    equation, tensors = _split(operands)
    if are_plain(tensors):
        return _contract_arrays(equation, tensors, np, xi, reduce, optimize, memory_limit)
    if not any(hasattr(tensor, "expression") or isinstance(tensor, Expression) for tensor in tensors):
        arrays = [as_array(tensor) for tensor in tensors]
        return _contract_arrays(equation, arrays, namespace_of(arrays), xi, reduce, optimize, memory_limit)
    expressions = [_as_expression(tensor, position) for position, tensor in enumerate(tensors)]
    nodes, bound = merge(expressions)
    node = _node(equation, nodes, xi, reduce)
    result = Expression(node, bound)
    if result.free:
        return result
    nonnegative = is_kept(node.xi, node.reduce, bound.values())
    return evaluate(node, bound, optimize=optimize, memory_limit=memory_limit, nonnegative=nonnegative)


def contract_path(
    *operands: Any,
    xi: str | Operator = "multiply",
    reduce: str | Operator = "add",
    optimize: Optimizer = "auto",
    memory_limit: MemoryLimit = None,
    nonnegative: bool = False,
    dtype: Any = np.float64,
) -> Plan:
    """Plan of a contraction from shapes alone; nothing is computed.

    operands: as in `contract`, a shape (or anything with `.shape`) in place of each array.
    nonnegative: promise that all entries are finite and none negative; multiply then distributes over maximum as well.

    >>> import tnalgebra as tna
    >>> tna.contract_path("ij,jk,kl->il", (3, 4), (4, 5), (5, 6), xi="logaddexp").is_reorderable
    False
    """
    equation, tensors = _split(operands)
    shapes = [_shape(tensor, position) for position, tensor in enumerate(tensors)]
    leaves = _leaves([len(shape) for shape in shapes])
    node = _node(equation, leaves, xi, reduce)
    return build_plan(
        node,
        {leaf.name: shape for leaf, shape in zip(leaves, shapes, strict=True)},
        optimize=hashable(optimize),
        memory_limit=as_bytes(memory_limit),
        itemsize=itemsize_of([np.dtype(dtype)], np, node),
        nonnegative=nonnegative,
    )


def contract_expression(
    equation: str,
    *shapes: Any,
    xi: str | Operator = "multiply",
    reduce: str | Operator = "add",
    constants: Sequence[int] = (),
    optimize: Optimizer = "auto",
    memory_limit: MemoryLimit = None,
    nonnegative: bool = False,
    dtype: Any = np.float64,
) -> Callable[..., Array]:
    """Plan once, call many times with arrays of these shapes.

    constants: positions whose `shapes` entry is the array itself, given here once.
    dtype: of the arrays to come; only the memory limit depends on it.

    Raises `AxisMismatchError` when called with another shape, and what `contract` raises.

    >>> import numpy as np, tnalgebra as tna
    >>> f = tna.contract_expression("bi,bj,ijk->bk", (32, 8), (32, 8), (8, 8, 4))
    >>> f(np.ones((32, 8)), np.ones((32, 8)), np.ones((8, 8, 4))).shape
    (32, 4)
    """
    plan = contract_path(
        equation,
        *shapes,
        xi=xi,
        reduce=reduce,
        optimize=optimize,
        memory_limit=memory_limit,
        nonnegative=nonnegative,
        dtype=dtype,
    )
    return PlannedContraction(plan, {position: _constant(shapes, position) for position in constants})


def _constant(operands: Sequence[Any], position: int) -> Array:
    given = operands[position] if 0 <= position < len(operands) else None
    if not hasattr(given, "dtype") or not hasattr(given, "shape"):
        raise EquationError(f"constant {position} must be the array of an operand; got {type(given).__name__}")
    return as_array(given)


class PlannedContraction:
    """A contraction that was planned once; call it with arrays of the planned shapes."""

    __slots__ = ("_constants", "_is_compiled", "_is_plain", "_plan", "_programs", "_shapes")

    def __init__(self, plan: Plan, constants: Mapping[int, Array], is_compiled: bool = False) -> None:
        self._plan, self._constants, self._is_compiled = plan, constants, is_compiled
        self._is_plain = not constants and not plan.nonnegative
        self._shapes = [shape for position, shape in enumerate(plan.shapes) if position not in constants]
        self._programs: dict[str, Program] = {"numpy": Program(plan, np, is_compiled=is_compiled)}

    def __reduce__(self) -> Any:
        """Copies and pickles make their programs themselves."""
        return PlannedContraction, (self._plan, self._constants, self._is_compiled)

    @property
    def plan(self) -> Plan:
        """What every call does."""
        return self._plan

    def compiled(self) -> "PlannedContraction":
        """The same with kernels that are compiled at the first call, see `tna.compile`."""
        return PlannedContraction(self._plan, self._constants, is_compiled=True)

    def __repr__(self) -> str:
        return f"<planned contraction of {', '.join(map(str, self._shapes))}>"

    def __call__(self, *arrays: Array) -> Array:
        """Contract arrays of the planned shapes, of any library."""
        is_quick = self._is_plain and are_plain(arrays)
        if is_quick and [array.shape for array in arrays if array.dtype.char in "fdFD"] == self._shapes:
            return self._programs["numpy"](arrays)
        return self._checked([as_array(array) for array in arrays])

    def _checked(self, arrays: Sequence[Array]) -> Array:
        """Name the operand that does not fit, put the constants in, and take the arrays' own library."""
        if len(arrays) != len(self._shapes):
            raise EquationError(f"planned for {len(self._shapes)} arrays; got {len(arrays)}")
        for position, (array, shape) in enumerate(zip(arrays, self._shapes, strict=True)):
            if tuple(array.shape) != shape:
                raise AxisMismatchError(
                    f"operand {position} was planned with shape {shape}, but has {tuple(array.shape)}"
                )
        rest = iter(arrays)
        full = [self._constants[i] if i in self._constants else next(rest) for i in range(len(self._plan.shapes))]
        if self._plan.nonnegative and not are_nonnegative(full):
            raise AlgebraError(
                "planned with nonnegative=True, but an operand has an entry that is negative, infinite or NaN: "
                "the result would be wrong"
            )
        xp = namespace_of(full)
        if xp.__name__ not in self._programs:
            self._programs[xp.__name__] = Program(self._plan, xp, is_compiled=self._is_compiled)
        return self._programs[xp.__name__](full)


def _split(operands: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    if not operands:
        raise EquationError("nothing to contract: give an equation and its operands")
    if isinstance(operands[0], str):
        return operands[0], operands[1:]
    return from_interleaved(operands)


def _shape(tensor: Any, position: int) -> tuple[int, ...]:
    shape = getattr(tensor, "shape", tensor)
    if not isinstance(shape, tuple | list) or not all(
        isinstance(size, int | np.integer) and size >= 0 for size in shape
    ):
        got = tensor if isinstance(tensor, tuple | list) else type(tensor).__name__
        raise EquationError(f"operand {position} must be a shape or have one; got {got}")
    return tuple(map(int, shape))


def _leaves(ndims: Sequence[int]) -> list[Leaf]:
    """One leaf an operand, named A, B, …; its own labels do not matter, the equation names its axes."""
    names = (ALPHABET[i] if len(ndims) <= len(ALPHABET) else f"A{i}" for i in range(len(ndims)))
    return [Leaf(name, tuple(f"{axis}" for axis in range(ndim))) for name, ndim in zip(names, ndims, strict=True)]


def _node(equation: str, children: Sequence[Node], xi: str | Operator, reduce: str | Operator) -> Contract:
    return _contraction(equation, tuple(children), operator(xi), operator(reduce))


@lru_cache(maxsize=1024)
def _contraction(equation: str, children: tuple[Node, ...], xi: Operator, reduce: Operator) -> Contract:
    """The node, built once for each equation and the same operands."""
    inputs, output = parse(equation, tuple(child.ndim for child in children))
    return Contract(xi, reduce, inputs, children, output)


def _as_expression(tensor: Any, position: int) -> Expression:
    if isinstance(tensor, Expression):
        return tensor
    if hasattr(tensor, "expression"):
        found: Expression = tensor.expression()
        return found
    array = as_array(tensor)
    (leaf,) = _leaves([len(array.shape)])
    name = ALPHABET[position] if position < len(ALPHABET) else f"A{position}"
    return Expression(Leaf(name, leaf.output), {name: array})


def _contract_arrays(
    equation: str,
    arrays: Sequence[Array],
    xp: ModuleType,
    xi: Any,
    reduce: Any,
    optimize: Any,
    memory_limit: MemoryLimit,
) -> Array:
    """Recall the program by equation and shapes, so that a repeated small call does not build its graph again."""
    nonnegative = False
    if xi != "multiply" or reduce != "add":
        xi, reduce = operator(xi), operator(reduce)
        nonnegative = is_kept(xi, reduce, arrays)
    optimize = optimize if isinstance(optimize, str) else hashable(optimize)
    shapes = (
        [(array.shape, array.dtype) for array in arrays]
        if is_numpy_like(xp)
        else [(array.shape, str(array.dtype)) for array in arrays]
    )
    limit = limit_for(arrays, memory_limit)
    key = (equation, xi, reduce, optimize, limit, nonnegative, xp, *shapes)

    def build() -> Program:
        leaves = _leaves([len(array.shape) for array in arrays])
        named = {leaf.name: as_array(array) for leaf, array in zip(leaves, arrays, strict=True)}
        return built(_node(equation, leaves, xi, reduce), named, optimize, limit, nonnegative=nonnegative)

    return plan_cache.get(key, build)(arrays)
