"""Trees of ξ on blocks of their operands."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra import Operator, Pointwise
from ...algebra.scalar import cast, number
from ...graph import Labels
from ...plan.formula import formulas
from ...plan.step import Tree, operators
from .blas import aligner
from .line import Line, straight
from .unary import check_domain

__all__ = ["Block", "Evaluator"]

Array = Any
Block = dict[str, slice]
OFTEN = 4


class Evaluator:
    """The values of several trees on the same operands, computed together: what they share, once.

    order: labels of the blocks. chunk: how much of each a block spans at most.
    """

    def __init__(
        self, trees: Sequence[Tree], terms: Sequence[Labels], order: Labels, chunk: Sequence[int], xp: ModuleType
    ) -> None:
        self.trees, self.xp, self.chunk = trees, xp, tuple(chunk)
        self._schedule = formulas(trees, len(terms), is_expanded=xp is np)
        self._aligners = [aligner(term, order) for term in terms]
        self._axes = [[label if label in term else "" for label in order] for term in terms]
        self._held = [frozenset(axis for axis, label in enumerate(order) if label in term) for term in terms]
        self._lines: dict[tuple[Any, ...], Line] = {}
        has_pointwise = any(isinstance(op, Pointwise) for tree in trees for op in operators(tree))
        self._is_quiet = has_pointwise or any(head == "fmin" for head, _, _ in self._schedule.calls)

    def line(self, arrays: Sequence[Array]) -> Line:
        """The function of operands of these dtypes."""
        key = tuple([array.dtype for array in arrays])
        found = self._lines.get(key)
        if found is None:
            dtypes = [_checked(tree, key) for tree in self.trees]
            line = straight(self._schedule, self._held, key, self.xp)
            kept = tuple(dtype or own for dtype, own in zip(dtypes, line.dtypes, strict=True))
            found = self._lines[key] = replace(line, dtypes=kept)
        return found

    def whole(self, arrays: Sequence[Array], outs: Sequence[Array | None]) -> list[Array]:
        """The values over one block that is everything; an output that is None is made."""
        line = self.line(arrays)
        return self._run(line, [align(array) for align, array in zip(self._aligners, arrays, strict=True)], outs, ())

    def blockwise(
        self, arrays: Sequence[Array], held: Sequence[bool]
    ) -> Callable[[Block, Sequence[Array | None]], list[Array]]:
        """The function of a block, and of places for the values that are not held here; it uses its buffers again."""
        line = self.line(arrays)
        views = [align(array) for align, array in zip(self._aligners, arrays, strict=True)]
        sources, whole = list(zip(views, self._axes, strict=True)), slice(None)
        buffers = [
            self.xp.empty(tuple(size if axis in axes else 1 for axis, size in enumerate(self.chunk)), dtype)
            for axes, dtype in line.registers
        ]

        rooms = [
            self.xp.empty(self.chunk, dtype) if is_made and is_held else None
            for dtype, is_made, is_held in zip(line.dtypes, line.made, held, strict=True)
        ]

        def evaluate(block: Block, outs: Sequence[Array | None]) -> list[Array]:
            parts = [view[(*[block.get(label, whole) for label in axes], ...)] for view, axes in sources]
            shape = np.broadcast_shapes(*(part.shape for part in parts))
            parts = [self._with_grain(part, shape) for part in parts]
            cut: tuple[Any, ...] = (...,) if shape == self.chunk else tuple(slice(None, size) for size in shape)
            spots = [out if room is None else room[cut] for out, room in zip(outs, rooms, strict=True)]
            return self._run(line, parts, spots, [buffer[cut] for buffer in buffers])

        return evaluate

    def _with_grain(self, part: Array, shape: Sequence[int]) -> Array:
        """An operand that is read often along its last axis, contiguous there: vectors are not gathered."""
        is_against = part.ndim and part.shape[-1] > 1 and part.strides[-1] != part.itemsize
        return self.xp.ascontiguousarray(part) if is_against and part.size * OFTEN <= prod(shape) else part

    def _run(
        self, line: Line, parts: Sequence[Array], outs: Sequence[Array | None], buffers: Sequence[Array]
    ) -> list[Array]:
        """The values over the whole block and in their dtypes; those that have a place, in it."""
        if self._is_quiet:
            with np.errstate(all="ignore"):  # `where` evaluates the branch that it does not take
                values = line.call(*parts, *outs, *buffers)
        else:
            values = line.call(*parts, *outs, *buffers)
        found, shape = [], None
        for value, dtype, out in zip(values, line.dtypes, outs, strict=True):
            if out is not None and value is not out:
                out[...] = value
                value = out
            elif out is None:
                shape = shape or np.broadcast_shapes(*(part.shape for part in parts))
                if getattr(value, "shape", None) != shape or value.dtype != dtype:
                    is_array = hasattr(value, "strides")
                    value = cast(value, dtype, self.xp) if is_array else number(value, dtype, value, self.xp)
                    value = self.xp.broadcast_to(value, shape)
            found.append(value)
        return found


def _checked(tree: Tree, dtypes: Sequence[Any]) -> Any:
    """Refuse complex numbers where an operator has no meaning for them; the dtype of the value where it is known."""
    if isinstance(tree, int):
        return dtypes[tree]
    parts = [_checked(child, dtypes) for child in tree[1]]
    leaves = [dtype for dtype in parts if dtype is not None] or list(dtypes)
    common = np.result_type(*leaves)
    check_domain(tree[0], common)
    return None if isinstance(tree[0], Operator) else common
