"""Matricized tensors times Khatri-Rao products, for arrays and for formats, in the order in which ALS needs them."""

from collections.abc import Iterator
from functools import reduce, singledispatch
from math import prod
from typing import Any

import numpy as np

from ..formats import CPTensor, HTTensor, TTTensor
from ..formats.tree import Nested

__all__ = ["khatri_rao", "mttkrps"]

Array = Any
Products = Iterator[tuple[int, Array]]


@singledispatch
def mttkrps(x: Any, factors: list[Array]) -> Products:
    """(mode, M) for every mode, with M[i, r] = Σ x[…, i, …] · Π conj(factors of the other modes)[·, r].

    Each is computed from the factors as they are when it is asked for: ALS writes a new one after each. What two
    modes share is computed once.
    """
    raise TypeError(f"no products with factors are defined for {type(x).__name__}")


@mttkrps.register
def _(x: np.ndarray, factors: list[Array]) -> Products:
    """A dimension tree: the array meets the factors of one half of the modes at a time (Phan et al. 2013, §III)."""
    middle = (x.ndim + 1) // 2
    matrix = x.reshape(prod(x.shape[:middle]), -1)
    if x.ndim == 1:
        yield 0, np.repeat(x[:, None], factors[0].shape[1], axis=1)
        return
    yield from _halves(matrix @ khatri_rao(factors[middle:]).conj(), range(middle), factors)
    yield from _halves(matrix.T @ khatri_rao(factors[:middle]).conj(), range(middle, x.ndim), factors)


def _halves(partial: Array, modes: range, factors: list[Array]) -> Products:
    """The modes of a partial product (entries of the modes, R), half of them at a time."""
    if len(modes) == 1:
        yield modes[0], partial
        return
    middle = modes.start + (len(modes) + 1) // 2
    left, right = range(modes.start, middle), range(middle, modes.stop)
    rank = partial.shape[1]
    cube = partial.reshape(prod(len(factors[mode]) for mode in left), -1, rank)
    yield from _halves(np.einsum("lrz,rz->lz", cube, khatri_rao([factors[m] for m in right]).conj()), left, factors)
    yield from _halves(np.einsum("lrz,lz->rz", cube, khatri_rao([factors[m] for m in left]).conj()), right, factors)


def khatri_rao(factors: list[Array]) -> Array:
    """Columnwise Kronecker product, the last factor's index fastest: (Πn, R)."""
    return reduce(lambda a, b: (a[:, None, :] * b[None, :, :]).reshape(-1, a.shape[1]), factors)


@mttkrps.register
def _(x: CPTensor, factors: list[Array]) -> Products:
    """Inner products of columns with columns."""
    grams = [mine.T @ other.conj() for mine, other in zip(x.factors, factors, strict=True)]
    for mode, mine in enumerate(x.factors):
        others = [gram for other, gram in enumerate(grams) if other != mode]
        yield mode, mine @ (x.weights[:, None] * prod(others, start=np.ones_like(grams[mode])))
        grams[mode] = mine.T @ factors[mode].conj()


@mttkrps.register
def _(x: TTTensor, factors: list[Array]) -> Products:
    """What is to the right of every bond first, then from the left to the right."""
    rank = factors[0].shape[1]
    right = [np.ones((1, rank), x.dtype)]
    for core, factor in zip(reversed(x.cores[1:]), reversed(factors[1:]), strict=True):
        right.append(np.einsum("aiz,iz->az", np.tensordot(core, right[-1], axes=1), factor.conj()))
    left = np.ones((1, rank), x.dtype)
    for mode, core in enumerate(x.cores):
        yield mode, np.einsum("az,aiz->iz", left, np.tensordot(core, right.pop(), axes=1))
        rows = (left[:, None, :] * factors[mode].conj()[None, :, :]).reshape(-1, rank)
        left = core.reshape(-1, core.shape[2]).T @ rows


@mttkrps.register
def _(x: HTTensor, factors: list[Array]) -> Products:
    """The values of all nodes for the factors; then down the tree, each branch anew when its modes are done."""
    transfers = dict(zip(x.tree.inner, x.transfers, strict=True))
    values: dict[Nested, Array] = {}

    def climb(node: Nested) -> None:
        if isinstance(node, int):
            values[node] = x.leaves[node].T @ factors[node].conj()
        else:
            children = khatri_rao([values[child] for child in node])
            values[node] = transfers[node].reshape(len(children), -1).T @ children

    def visit(node: Nested, above: Array) -> Products:
        if isinstance(node, int):
            yield node, x.leaves[node] @ above
        else:
            for axis, child in enumerate(node):
                rest = np.tensordot(np.moveaxis(transfers[node], axis, 0), above, axes=1)  # (k, k of others …, R)
                others = khatri_rao([values[other] for other in node if other != child])
                yield from visit(child, np.einsum("koz,oz->kz", rest.reshape(len(rest), *others.shape), others))
        climb(node)

    for node in x.tree.nodes:
        climb(node)
    yield from visit(x.tree.nested, np.ones((1, factors[0].shape[1]), x.dtype))
