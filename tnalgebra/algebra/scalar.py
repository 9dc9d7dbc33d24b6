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

from ..errors import LawError

__all__ = [
    "COMPARE",
    "FUNCTIONS",
    "Tree",
    "as_ufunc",
    "cast",
    "compile_arrays",
    "compile_into",
    "is_complex",
    "is_integral",
    "is_numpy_like",
    "number",
    "parse",
    "schedule",
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

Tree = tuple[str, tuple[Any, ...]] | str | int | float
"""A variable, a constant, or a function with its arguments."""


@lru_cache(maxsize=512)
def parse(text: str, variables: tuple[str, ...]) -> Tree:
    """Nested ``(function, arguments)`` of a text; a variable is a string, a constant a number."""

    def walk(node: ast.AST) -> Tree:
        match node:
            case ast.BinOp(left, kind, right) if type(kind) in BINARY:
                return BINARY[type(kind)][0], (walk(left), walk(right))
            case ast.UnaryOp(ast.USub(), ast.Constant(value)) if isinstance(value, int | float):
                return -value
            case ast.UnaryOp(ast.USub(), ast.Name("inf")):
                return -np.inf
            case ast.UnaryOp(ast.USub(), operand):
                return "subtract", (0, walk(operand))
            case ast.Compare(left, [kind], [right]) if type(kind) in COMPARE:
                return COMPARE[type(kind)][0], (walk(left), walk(right))
            case ast.Call(ast.Name(name), args, []) if FUNCTIONS.get(name) == len(args):
                return name, tuple(map(walk, args))
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
    device = getattr(like, "device", None)
    return xp.asarray(value, dtype=dtype) if is_numpy_like(xp) else xp.asarray(value, dtype=dtype, device=device)


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
    constants, steps, root = schedule(tree, variables)
    calls = [(_function(head, xp), places, done) for head, places, done in steps]

    def evaluate(*arrays: Array) -> Array:
        like, values = arrays[0], [*arrays, *constants]
        for function, places, done in calls:
            values.append(function([values[place] for place in places], like))
            for place in done:
                values[place] = None
        return values[root]

    return evaluate


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


Schedule = tuple[list[int | float], list[tuple[str, tuple[int, ...], tuple[int, ...]]], int]


def schedule(tree: Tree, variables: tuple[str, ...]) -> Schedule:
    """Constants, steps and the place of the value: places are the variables, the constants, then one a step.

    A step is the function, the places of its arguments, and the places of steps that nothing reads later.
    """
    constants: dict[tuple[type, int | float], int] = {}
    known: dict[tuple[str, tuple[Any, ...]], int] = {}
    seen: dict[int, Any] = {}

    def visit(node: Tree) -> Any:
        """The number of a step, the name of a variable, or a constant in a list."""
        if isinstance(node, str):
            return node
        if not isinstance(node, tuple):
            constants.setdefault((type(node), node), len(constants))
            return type(node), node
        if id(node) not in seen:
            key = node[0], tuple(map(visit, node[1]))
            seen[id(node)] = known.setdefault(key, len(known))
        return seen[id(node)]

    def place(found: Any) -> int:
        if isinstance(found, str):
            return variables.index(found)
        if isinstance(found, tuple):
            return len(variables) + constants[found]
        return len(variables) + len(constants) + int(found)

    root = visit(tree)
    calls = [(head, tuple(map(place, args))) for head, args in known]
    last = {argument: number for number, (_, args) in enumerate(calls) for argument in args}
    first, end = len(variables) + len(constants), place(root)
    steps = [
        (head, args, tuple(p for p in dict.fromkeys(args) if p >= first and p != end and last[p] == number))
        for number, (head, args) in enumerate(calls)
    ]
    return [value for _, value in constants], steps, end


@lru_cache(maxsize=512)
def compile_into(text: str, variables: tuple[str, ...], xp: ModuleType) -> Callable[..., Array]:
    """Return ``f(*variables, out=buffer)`` for NumPy or CuPy; `out` must not overlap a variable."""
    tree = parse(text, variables)

    def value(node: Tree, env: dict[str, Array], out: Array | None) -> Array:
        if isinstance(node, str):
            return env[node]
        if not isinstance(node, tuple):
            return node
        head, children = node
        args, free = [], out
        for child in children:  # the first nested value may live in the buffer; later ones are temporaries
            args.append(value(child, env, free if isinstance(child, tuple) and head != "where" else None))
            free = None if isinstance(child, tuple) else free
        if head == "where":
            result = xp.where(*args)
            if out is None:
                return result
            out[...] = result
            return out
        return getattr(xp, head)(*args) if out is None else getattr(xp, head)(*args, out=out)

    def evaluate(*arrays: Array, out: Array) -> Array:
        return value(tree, dict(zip(variables, arrays, strict=True)), out)

    return evaluate


@lru_cache(maxsize=512)
def temporaries(text: str, variables: tuple[str, ...]) -> int:
    """How many arrays `compile_into` holds at once beside its buffer."""

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
