"""Scalar expressions: one text, compiled for whichever array library evaluates it.

The language is Python arithmetic and comparison on the variables, numbers, ``inf`` and the functions
in `FUNCTIONS`. There is no way to reach anything else, so a text from a file is safe to compile.
"""

import ast
import operator as op
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import DTypeError, LawError
from .schedule import Tree, schedule

__all__ = [
    "COMPARE",
    "FUNCTIONS",
    "Tree",
    "as_ufunc",
    "cast",
    "compile_arrays",
    "compiled",
    "is_complex",
    "is_integral",
    "is_numpy_like",
    "number",
    "parse",
    "temporaries",
]

Array = Any

FUNCTIONS = {
    "abs": 1, "cos": 1, "exp": 1, "expm1": 1, "hypot": 2, "isfinite": 1, "isinf": 1, "isnan": 1, "log": 1,
    "log1p": 1, "logaddexp": 2, "logical_and": 2, "logical_or": 2, "maximum": 2, "minimum": 2, "sign": 1,
    "sin": 1, "sqrt": 1, "tanh": 1, "where": 3,
}  # fmt: skip
BINARY = {ast.Add: ("add", op.add), ast.Sub: ("subtract", op.sub), ast.Mult: ("multiply", op.mul),
          ast.Div: ("divide", op.truediv), ast.Pow: ("power", op.pow)}  # fmt: skip
COMPARE = {ast.Lt: ("less", op.lt), ast.LtE: ("less_equal", op.le), ast.Gt: ("greater", op.gt),
           ast.GtE: ("greater_equal", op.ge), ast.Eq: ("equal", op.eq), ast.NotEq: ("not_equal", op.ne)}  # fmt: skip

TRUTH = ("logical_and", "logical_or")
PREDICATES = (*TRUTH, "isfinite", "isinf", "isnan", "where")


@lru_cache(maxsize=512)
def parse(text: str, variables: tuple[str, ...]) -> Tree:
    """Nested ``(function, arguments)`` of a text; a variable is a string, a constant a number."""

    def walk(node: ast.AST) -> Tree:
        match node:
            case ast.BinOp(left, kind, right) if type(kind) in BINARY:
                return _folded(BINARY[type(kind)][0], (walk(left), walk(right)))
            case ast.UnaryOp(ast.USub(), ast.Constant(value)) if isinstance(value, int | float):
                return -value
            case ast.UnaryOp(ast.USub(), ast.Name("inf")):
                return -np.inf
            case ast.UnaryOp(ast.USub(), operand):
                return _folded("subtract", (0, walk(operand)))
            case ast.Compare(left, [kind], [right]) if type(kind) in COMPARE:
                return COMPARE[type(kind)][0], (walk(left), walk(right))
            case ast.Call(ast.Name(name), args, []) if FUNCTIONS.get(name) == len(args):
                return _folded(name, tuple(map(walk, args)))
            case ast.Name("inf"):
                return np.inf
            case ast.Name(name) if name in variables:
                return name
            case ast.Constant(value) if isinstance(value, int | float) and not isinstance(value, bool):
                return value
        raise LawError(
            f"`{ast.unparse(node)}` in `{text}` is not a scalar expression; use + - * / **, comparisons, "
            f"{', '.join(variables)}, inf and {', '.join(sorted(FUNCTIONS))}"
        )

    try:
        body = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise LawError(f"`{text}` is not a scalar expression: {error.msg}") from error
    return walk(body)


def _folded(head: str, parts: tuple[Tree, ...]) -> Tree:
    """The function of its arguments, or a number where these are numbers: NumPy's own would widen float32."""
    numbers = [part for part in parts if isinstance(part, int | float)]
    if head in PREDICATES or len(numbers) < len(parts):
        return head, parts
    with np.errstate(all="ignore"):
        value = float(getattr(np, head)(*map(np.float64, numbers)))
    is_whole = head != "divide" and all(isinstance(part, int) for part in numbers) and abs(value) < 2**53
    return int(value) if is_whole and value.is_integer() else value


@lru_cache(maxsize=512)
def as_ufunc(text: str, variables: tuple[str, ...]) -> str | None:
    """Name of the one array function that the text is, e.g. ``x * y`` → ``multiply``; else None."""
    tree = parse(text, variables)
    return tree[0] if isinstance(tree, tuple) and tree[1] == variables else None


def is_numpy_like(xp: ModuleType) -> bool:
    """Whether the namespace has NumPy's methods and in-place ufuncs."""
    return xp.__name__ in ("numpy", "cupy")


def is_integral(dtype: Any, xp: ModuleType) -> bool:
    """Whether a dtype of that library has integers or truth values; CuPy before 14 has no `isdtype`."""
    return dtype.kind in "biu" if is_numpy_like(xp) else bool(xp.isdtype(dtype, ("bool", "integral")))


def is_complex(dtype: Any, xp: ModuleType) -> bool:
    """Whether a dtype of that library has complex numbers."""
    return dtype.kind == "c" if is_numpy_like(xp) else bool(xp.isdtype(dtype, "complex floating"))


def cast(x: Array, dtype: Any, xp: ModuleType) -> Array:
    """Return the array in that dtype; CuPy before 14 has `astype` only as a method."""
    if x.dtype == dtype:
        return x
    return x.astype(dtype) if is_numpy_like(xp) else xp.astype(x, dtype)


def number(value: float, dtype: Any, like: Array, xp: ModuleType) -> Array:
    """Return a number as an array on the device of another; Dask arrays have none."""
    if xp is np:
        return np.asarray(value, dtype=dtype)
    if is_numpy_like(xp):
        return xp.full((), value, dtype=dtype)  # nothing is copied from the host, which a CUDA graph could not repeat
    return xp.asarray(value, dtype=dtype, device=getattr(like, "device", None))


def _constant(xp: ModuleType, value: float, like: Array) -> Array:
    """Turn a number into what functions of the array standard accept: an array of the operand's dtype."""
    kind = like.dtype if float(value).is_integer() or not is_integral(like.dtype, xp) else None
    return number(value, kind, like, xp)


def _truth(name: str, xp: ModuleType) -> Callable[..., Array]:
    """Return a logical operator that keeps the dtype of its operands: 0 and 1, so that a sum of them counts."""

    def evaluate(x: Array, y: Array) -> Array:
        if is_numpy_like(xp):
            return getattr(xp, name)(x, y).astype(xp.result_type(x, y))
        return cast(_logical(xp, name, x, y), xp.result_type(x, y), xp)

    return evaluate


def _logical(xp: ModuleType, name: str, x: Array, y: Array) -> Array:
    return getattr(xp, name)(x != 0 if x.dtype != xp.bool else x, y != 0 if y.dtype != xp.bool else y)


INFIX = {name: function for name, function in (*BINARY.values(), *COMPARE.values())}


def compile_arrays(expression: Tree, variables: tuple[str, ...], xp: ModuleType) -> Callable[..., Array]:
    """Return ``f(*variables)`` on arrays of `xp`; constants take the dtype of the first variable.

    expression: a text, or a tree. A value that it needs twice is computed once, and dropped after its last use.
    """
    tree = parse(expression, variables) if isinstance(expression, str) else expression
    is_direct = is_numpy_like(xp)
    name = tree[0] if isinstance(tree, tuple) and tree[1] == variables else None
    if name in TRUTH:
        return _truth(name, xp)
    if name is not None and is_direct:
        function: Callable[..., Array] = getattr(xp, name)
        return function
    line = schedule((tree,), variables)
    calls = [(_function(head, xp), places, done) for head, places, done in line.calls]

    def evaluate(*arrays: Array) -> Array:
        like, values = arrays[0], [*arrays, *line.constants]
        try:
            for function, places, done in calls:
                values.append(function([values[place] for place in places], like))
                for place in done:
                    values[place] = None
        except OverflowError as error:
            raise DTypeError(
                f"`{expression}` cannot be computed in {like.dtype}: {error}; use a wider dtype"
            ) from error
        return values[line.ends[0]]

    return evaluate


compiled = lru_cache(maxsize=512)(compile_arrays)
"""The same, each expression once."""


def _function(head: str, xp: ModuleType) -> Callable[[list[Array], Array], Array]:
    """A function of the language on arrays of `xp`; `like` gives constants a dtype and a device."""
    if is_numpy_like(xp):
        direct = getattr(xp, head)
        return lambda args, like: direct(*args)
    if head in INFIX:
        infix = INFIX[head]
        return lambda args, like: infix(*args)

    def call(args: list[Array], like: Array) -> Array:
        args = [_constant(xp, value, like) if isinstance(value, int | float) else value for value in args]
        return _logical(xp, head, *args) if head.startswith("logical") else getattr(xp, head)(*args)

    return call


@lru_cache(maxsize=512)
def temporaries(text: str, variables: tuple[str, ...]) -> int:
    """How many arrays are held at once beside one for the value."""

    def peak(node: Tree, is_placed: bool) -> int:
        if not isinstance(node, tuple):
            return 0
        head, children = node
        is_free, held, most = is_placed and head != "where", 0, 0
        for child in children:
            if isinstance(child, tuple):
                most = max(most, held + peak(child, is_free))
                held, is_free = held + (not is_free), False
        return max(most, held + (not is_placed or head == "where"))

    return peak(parse(text, variables), True)
