"""The slow truth: nested loops over every index, the definition and nothing else. Only tests use it."""

from collections.abc import Mapping
from functools import reduce
from itertools import product
from typing import Any

import numpy as np

from ..algebra import Operator
from ..algebra.scalar import compile_arrays
from ..graph import Bundle, Contract, Leaf, Map, Node, Shaped, Stack, Sum, Take, label_sizes
from ..graph.node import postorder

__all__ = ["evaluate"]


def evaluate(root: Node, arrays: Mapping[str, Any]) -> Any:
    """Evaluate a graph by loops; a reduction is the fold that starts from the unit of ⊕."""
    values: dict[Node, Any] = {}
    for node in postorder(root):
        operands = [values[child] for child in node.operands]
        match node:
            case Leaf(name):
                values[node] = np.asarray(arrays[name])
            case Map(function):
                values[node] = compile_arrays(function, ("x",), np)(*operands)
            case Sum():
                values[node] = sum(operands[1:], operands[0])
            case Contract():
                values[node] = _contract(node, operands)
            case Shaped():
                values[node] = _shaped(node, *operands)
            case Bundle():
                values[node] = tuple(operands)
            case Take(_, axis, index):
                values[node] = np.asarray(operands[0][(slice(None),) * axis + (index,)])
            case Stack(_, places, _, axis):
                *parts, like = operands
                values[node] = np.zeros(like.shape, np.result_type(*parts))
                for place, part in zip(places, parts, strict=True):
                    values[node][(slice(None),) * axis + (place,)] += part
    return values[root]


def _shaped(node: Shaped, value: Any, like: Any) -> Any:
    """Every entry of the value goes to the places of the shape that have its labels; an axis of size 1 has all."""
    found = np.zeros_like(like, dtype=value.dtype)
    sizes = label_sizes([node.names, node.labels], [value.shape, like.shape], "shape")
    for point in product(*map(range, sizes.values())):
        at = dict(zip(sizes, point, strict=True))
        source, target = (
            tuple(min(at[label], size - 1) for label, size in zip(labels, array.shape, strict=True))
            for labels, array in ((node.names, value), (node.labels, found))
        )
        found[target] += value[source]
    return found


def _combined(node: Contract, entries: list[Any]) -> Any:
    return reduce(node.xi.apply, entries) if isinstance(node.xi, Operator) else node.xi.apply(*entries)


def _contract(node: Contract, operands: list[Any]) -> Any:
    sizes = label_sizes(node.inputs, [operand.shape for operand in operands], node.equation)
    cells: dict[tuple[int, ...], list[Any]] = {
        index: [] for index in np.ndindex(*(sizes[label] for label in node.output))
    }
    for point in product(*(range(size) for size in sizes.values())):
        at = dict(zip(sizes, point, strict=True))
        entries = [
            operand[tuple(min(at[label], size - 1) for label, size in zip(labels, operand.shape, strict=True))]
            for operand, labels in zip(operands, node.inputs, strict=True)
        ]
        cells[tuple(at[label] for label in node.output)].append(_combined(node, entries))
    start = [node.reduce.unit] if node.summed else []
    with np.errstate(all="ignore"):
        folded = [reduce(node.reduce.apply, [*start, *terms]) for terms in cells.values()]
    return np.array(folded).reshape([sizes[label] for label in node.output])
