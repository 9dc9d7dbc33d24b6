"""Programs of graphs by the shapes of their leaves, planned once."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..graph import Node
from ..plan import build_plan
from ..plan.paths import Optimizer
from .cache import plan_cache
from .memory import MemoryLimit, as_bytes, cast_bytes, check_room, itemsize_of
from .namespace import device_of, is_numpy_like, namespace_of
from .run import Program

__all__ = ["built", "hashable", "limit_for", "program_for"]

Array = Any


def hashable(optimize: Optimizer) -> Any:
    """The optimizer as a key of the cache: a path in tuples."""
    return tuple(map(tuple, optimize)) if isinstance(optimize, list | tuple) else optimize


def program_for(
    node: Node,
    arrays: Mapping[str, Array],
    optimize: Optimizer = "auto",
    memory_limit: MemoryLimit = None,
    *,
    nonnegative: bool = False,
    is_compiled: bool = False,
) -> Program:
    """Plan a graph for leaves of these shapes, or recall the program."""
    values = list(arrays.values())
    xp, optimize, limit = namespace_of(values), hashable(optimize), limit_for(values, memory_limit)
    named = [(name, array.shape, array.dtype) for name, array in arrays.items()]
    shapes = tuple(named if is_numpy_like(xp) else [(name, tuple(shape), str(dtype)) for name, shape, dtype in named])
    key = (node, shapes, xp.__name__, optimize, limit, nonnegative, is_compiled)
    return plan_cache.get(
        key, lambda: built(node, arrays, optimize, limit, nonnegative=nonnegative, is_compiled=is_compiled)
    )


def limit_for(arrays: Sequence[Array], memory_limit: MemoryLimit) -> int | None:
    """The limit in bytes, on the device of the arrays."""
    return None if memory_limit is None else as_bytes(memory_limit, device_of(arrays[0]) if arrays else "cpu")


def built(
    node: Node,
    arrays: Mapping[str, Array],
    optimize: Optimizer,
    limit: int | None,
    *,
    nonnegative: bool,
    is_compiled: bool = False,
) -> Program:
    """The program of a graph for leaves like these; refuses what does not fit this machine."""
    values = list(arrays.values())
    xp = namespace_of(values)
    plan = build_plan(
        node,
        {name: tuple(array.shape) for name, array in arrays.items()},
        optimize=optimize,
        memory_limit=limit,
        itemsize=itemsize_of([array.dtype for array in values], xp, node),
        nonnegative=nonnegative,
        held=0 if limit is None else cast_bytes(values, xp, node),
    )
    check_room(plan, values)
    return Program(plan, xp, is_compiled=is_compiled)
