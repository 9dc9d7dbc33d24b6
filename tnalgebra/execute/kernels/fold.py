"""A matrix product and the steps that sum it up at once, by the folded kernel: the gradients of a bilinear unit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...algebra import operator
from ...graph import Labels
from ...plan import Step
from ...plan.formula import formulas
from ...plan.step import Tree
from ..threads import shares, thread_count
from .bilinear import LONG, SHARE, merged
from .folded import SPAN, Folded
from .fused import ROWS
from .jit import can_compile, native, numba_or_none, told
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
    is_sum = user.kind == "product" or (user.kind == "blocked" and user.reduce is not None and user.reduce.name == "add")
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
    return (
        places[tree] if isinstance(tree, int) else (tree[0], tuple(_renumbered(child, places) for child in tree[1]))
    )


def lower_folded(found: Fold, plain: Kernel) -> Kernel:
    """(A, B, operands…) → the values; numbers that the kernel does not take as `plain`."""
    made: dict[Any, tuple[Folded, Machine] | None] = {}

    def folded(*arrays: Array) -> list[Array]:
        dtype = arrays[0].dtype
        if dtype.char not in "fd" or not dtype.isnative or any(array.dtype != dtype for array in arrays):
            return plain(*arrays)  # type: ignore[no-any-return]
        if dtype not in made:
            made[dtype] = _machine(found, dtype)
        machine = made[dtype]
        return plain(*arrays) if machine is None else _run(found, *machine, arrays)

    return folded


def _machine(found: Fold, dtype: Any) -> tuple[Folded, Machine] | None:
    kernel = found.kernel(dtype.itemsize)
    try:
        return kernel, Machine(native(kernel.text(), dtype.name))
    except numba_or_none().errors.NumbaError as error:
        told(error)
        return None


def _run(found: Fold, kernel: Folded, machine: Machine, arrays: Sequence[Array]) -> list[Array]:
    dtype, sizes = arrays[0].dtype, found.product.sizes
    terms = found.product.terms[::-1] if found.is_turned else found.product.terms
    a, (a_rows, _) = _matrix(arrays[0], terms[0], (found.rows, found.inner), sizes, is_line=True)
    b, (b_columns, b_rows) = _matrix(arrays[1], terms[1], (found.columns, found.inner), sizes)
    operands = [_ordered(x, term, found.order(term)) for x, (_, term) in zip(arrays[2:], found.operands, strict=True)]
    orders = [found.order(term) for term in found.results]
    outs = [np.zeros([sizes[label] for label in order], dtype) for order in orders]
    columns, depth = found.size(found.columns), found.size(found.inner)
    numbers = [0, columns, found.size(found.rows), depth, b_rows, b_columns]
    numbers += [*(sizes[label] for label in found.rows), a_rows]
    for order in (*(found.order(term) for _, term in found.operands), *orders):
        strides = {label: prod(sizes[after] for after in order[axis + 1 :]) for axis, label in enumerate(order)}
        numbers += [strides.get(label, 0) for label in found.rows]

    is_much = found.size(found.rows) * columns * depth >= SHARE
    jobs = []
    for part in shares(-(-columns // kernel.width), thread_count() if is_much else 1):
        own = [part.start * kernel.width, min(columns, part.stop * kernel.width), *numbers[2:]]
        room = (-(-SPAN // kernel.width) * kernel.width * depth, ROWS * SPAN)
        jobs.append(((a, b, *operands, *outs, *(np.empty(size, dtype) for size in room)), own))
    machine(jobs)
    return [_ordered(out, order, term) for out, order, term in zip(outs, orders, found.results, strict=True)]


def _ordered(array: Array, term: Labels, order: Labels) -> Array:
    """The array contiguous with its axes in that order."""
    return np.require(array.transpose([term.index(label) for label in order]), requirements=["C", "A"])


def _matrix(
    array: Array, term: Labels, groups: tuple[Labels, Labels], sizes: dict[str, int], *, is_line: bool = False
) -> tuple[Array, tuple[int, int]]:
    """A matrix of two groups of labels, and its strides in entries; its rows are lines in memory where they must be."""
    strides = {label: stride // array.itemsize for label, stride in zip(term, array.strides, strict=True)}
    found = [merged(group, strides, sizes) for group in groups]
    if None not in found and array.flags.aligned and (not is_line or found[1] == 1):
        return array, (found[0] or 0, found[1] or 0)
    return _ordered(array, term, (*groups[0], *groups[1])), (prod(sizes[label] for label in groups[1]), 1)
