"""A matrix product and the steps that sum it up at once, by the folded kernel: the gradients of a bilinear unit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ...algebra import operator
from ...graph import Labels
from ...plan import Step
from ...plan.formula import formulas
from ...plan.step import Tree
from ..threads import shares, thread_count
from .bilinear import LONG, SHARE
from .folded import SPAN, Folded
from .fused import ROWS
from .jit import by_dtype, can_compile, native
from .layouts import Laid, Layouts, contiguous, merged
from .native import Machine

__all__ = ["Fold", "fold", "lower_folded"]

Array = Any
Kernel = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Fold:
    """Steps that read a product of matrices A and B, its columns those of B, and sum over some of its rows.

    operands: slots and labels of what else they read. trees: their ξ, of the operands and, last, of the product.
    results: labels of their values. All labels are those of the product.
    """

    product: Step
    is_turned: bool
    rows: Labels
    inner: Labels
    columns: Labels
    operands: tuple[tuple[int, Labels], ...]
    trees: tuple[Tree, ...]
    results: tuple[Labels, ...]

    @property
    def inputs(self) -> tuple[int, ...]:
        """Slots of A, B and the operands."""
        pair = self.product.inputs[::-1] if self.is_turned else self.product.inputs
        return (*pair, *(slot for slot, _ in self.operands))

    def size(self, labels: Labels) -> int:
        """How many entries these labels have."""
        return prod(self.product.sizes[label] for label in labels)

    def order(self, term: Labels) -> Labels:
        """The labels of an operand or a value with those of columns last."""
        return (*(label for label in term if label not in self.columns), *(self.columns * (self.columns[0] in term)))

    @property
    def is_much(self) -> bool:
        """Whether threads share it out."""
        return self.size((*self.rows, *self.inner, *self.columns)) >= SHARE

    @property
    def terms(self) -> tuple[Labels, ...]:
        """Labels of A, B and the operands."""
        pair = self.product.terms[::-1] if self.is_turned else self.product.terms
        return (*pair, *(term for _, term in self.operands))

    def laid(self, strides: Sequence[Sequence[int]]) -> Laid:
        """For arrays of these strides, in entries: the order to copy each to, where it must be, and the numbers."""
        sizes, orders, steps = self.product.sizes, list[Labels | None](), list[int]()
        for term, group, place in zip(self.terms, (self.rows, self.columns), strides, strict=False):
            own = dict(zip(term, place, strict=True))
            found = [merged(group, own, sizes), merged(self.inner, own, sizes)]
            is_line = not orders and found[1] != 1
            orders.append((*group, *self.inner) if None in found or is_line else None)
            steps += [step or 0 for step in found] if orders[-1] is None else [self.size(self.inner), 1]
        for (_, term), place in zip(self.operands, strides[2:], strict=True):
            order = self.order(term)
            own = dict(zip(term, place, strict=True))
            is_whole = all(sizes[label] == 1 or own[label] == step for label, step in contiguous(order, sizes).items())
            orders.append(None if is_whole else order)
        a_rows, _, b_columns, b_rows = steps
        columns, depth = self.size(self.columns), self.size(self.inner)
        numbers = [0, columns, columns, self.size(self.rows), depth, a_rows, b_rows, b_columns]
        numbers += [self.size(term) // columns for term in self.results]
        numbers += [sizes[label] for label in self.rows]
        for term in (*(term for _, term in self.operands), *self.results):
            own = contiguous(self.order(term), sizes)
            numbers += [own.get(label, 0) for label in self.rows]
        return orders, numbers

    def rooms(self, kernel: Folded) -> tuple[int, int]:
        """Entries that the kernel needs for B and for a block of the product."""
        return -(-SPAN // kernel.width) * kernel.width * self.size(self.inner), ROWS * SPAN

    def kernel(self, itemsize: int) -> Folded:
        """The kernel, which depends on how many labels there are and not on their sizes."""
        values = formulas(self.trees, len(self.operands) + 1, is_expanded=False)
        return Folded(values, len(self.rows), tuple(self.columns[0] in term for _, term in self.operands), itemsize)


def fold(product: Step, users: Sequence[Step]) -> Fold | None:
    """The steps as the kernel takes them; None where they are of another form, or small."""
    if product.kind != "product" or not product.summed or not users or 0 in product.sizes.values():
        return None
    left, right = product.terms
    own = [tuple(label for label in term if label in product.result) for term in (left, right)]
    parts = [_part(product, user) for user in users]
    if {*own[0]} & {*own[1]} or len({*left}) < len(left) or len({*right}) < len(right) or None in parts:
        return None
    operands = tuple(dict.fromkeys(pair for part in parts if part for pair in part.operands))
    results = tuple(part.result for part in parts if part)
    trees = tuple(part.tree_of(operands) for part in parts if part)
    for is_turned in (True, False):
        rows, columns = own[::-1] if is_turned else own
        terms = [*results, *(term for _, term in operands if {*term} & {*columns})]
        if columns and all({*columns} <= {*term} for term in terms):
            found = Fold(product, is_turned, rows, product.summed, columns, operands, trees, results)
            is_small = found.size(columns) < LONG or found.size(rows) < ROWS or found.size(product.summed) < LONG
            return None if is_small or not can_compile(found.kernel(4).values) else found
    return None


@dataclass(frozen=True, slots=True)
class _Part:
    """One user: its operands and value in the labels of the product, and its tree, in which the product has a place."""

    operands: tuple[tuple[int, Labels], ...]
    place: int
    tree: Tree
    result: Labels

    def tree_of(self, operands: Sequence[tuple[int, Labels]]) -> Tree:
        """The tree on all operands; the product comes after them."""
        places = [operands.index(pair) for pair in self.operands]
        places.insert(self.place, len(operands))
        return _renumbered(self.tree, places)


def _part(product: Step, user: Step) -> _Part | None:
    is_sum = user.kind == "product" or (
        user.kind == "blocked" and user.reduce is not None and user.reduce.name == "add"
    )
    if not is_sum or not user.summed or user.inputs.count(product.output) != 1:
        return None
    place = user.inputs.index(product.output)
    names = dict(zip(user.terms[place], product.result, strict=True))
    labels = {label for term in user.terms for label in term}
    if len(names) < len(product.result) or not labels <= {*names} or any(len({*t}) < len(t) for t in user.terms):
        return None
    terms = [tuple(map(names.__getitem__, term)) for term in user.terms]
    operands = tuple(pair for i, pair in enumerate(zip(user.inputs, terms, strict=True)) if i != place)
    tree = user.tree if user.tree is not None else (operator("multiply"), (0, 1))
    return _Part(operands, place, tree, tuple(map(names.__getitem__, user.result)))


def _renumbered(tree: Tree, places: Sequence[int]) -> Tree:
    return places[tree] if isinstance(tree, int) else (tree[0], tuple(_renumbered(child, places) for child in tree[1]))


def lower_folded(found: Fold, plain: Kernel) -> Kernel:
    """(A, B, operands…) → the values; numbers that the kernel does not take as `plain`."""
    return by_dtype(partial(_Run, found), plain)


class _Run:
    """The kernel of one dtype on arrays of any strides."""

    def __init__(self, found: Fold, dtype: Any) -> None:
        self._fold, self._dtype, self._kernel = found, dtype, found.kernel(dtype.itemsize)
        self._machine = Machine(native(self._kernel.text(), dtype.name))
        self._layouts = Layouts(found.terms, found.laid)
        orders = [found.order(term) for term in found.results]
        self._shapes = [tuple(found.product.sizes[label] for label in order) for order in orders]
        self._turns = [tuple(map(o.index, term)) for o, term in zip(orders, found.results, strict=True)]

    def __call__(self, *arrays: Array) -> list[Array]:
        found, width, dtype = self._fold, self._kernel.width, self._dtype
        ready, numbers = self._layouts(arrays)
        outs, jobs = [np.empty(shape, dtype) for shape in self._shapes], list[Any]()
        for part in shares(-(-numbers[1] // width), thread_count() if found.is_much else 1):
            own = [part.start * width, min(numbers[1], part.stop * width), *numbers[2:]]
            rooms = (np.empty(size, dtype) for size in found.rooms(self._kernel))
            jobs.append(((*ready, *outs, *rooms), own))
        self._machine(jobs)
        return [np.ascontiguousarray(out.transpose(turn)) for out, turn in zip(outs, self._turns, strict=True)]
