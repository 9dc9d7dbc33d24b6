"""Entries of tensors modulo a prime, and the ranks of parts of their odd/even matricizations: proved, not measured."""

from functools import reduce
from math import prod
from typing import Any

import numpy as np

from ..formats import CPTensor, Format, HTTensor, TTTensor
from ..formats.tree import Nested
from .certificate import PRIME, modular_product, modular_rank, residues

__all__ = ["odd_even_part", "odd_even_rank"]

Array = Any
NUMBERED = 2**62
"""So many rows can be told apart by one number."""


def odd_even_rank(tensor: Format, lines: int, seed: Any = 0) -> tuple[int, int]:
    """A rank that the odd/even matricization has at least, and the largest that could have been found.

    Its rows and columns are taken where there are no more than `lines`, else so many at random. The rank is that of the
    numbers as they are, without rounding.
    """
    part = odd_even_part(tensor, *_lines(tensor.shape, lines, np.random.default_rng(seed)))
    return modular_rank(part, min(part.shape)), min(part.shape)


def _lines(shape: tuple[int, ...], lines: int, rng: np.random.Generator) -> list[Array]:
    """Indices of rows, over the modes 0, 2, …, and of columns, over the others."""
    found = []
    for sizes in (shape[::2], shape[1::2]):
        if prod(sizes) > NUMBERED:  # none is drawn twice among so many
            found.append(rng.integers(sizes, size=(lines, len(sizes))))
            continue
        places = rng.choice(prod(sizes), min(lines, prod(sizes)), replace=False)
        found.append(np.stack(np.unravel_index(places, sizes), axis=-1))
    return found


def odd_even_part(tensor: Format, rows: Array, columns: Array) -> Array:
    """Entries modulo `PRIME` of the odd/even matricization in some rows and columns, each an index of its modes.

    rows: (lines, modes 0, 2, …). columns: (lines, modes 1, 3, …). For ξ = multiply.
    """
    places = [rows[:, None, mode // 2] if mode % 2 == 0 else columns[None, :, mode // 2] for mode in range(tensor.ndim)]
    if isinstance(tensor, CPTensor):
        terms = reduce(_times, (residues(f)[at] for f, at in zip(tensor.factors, places, strict=True)))
        return modular_product(terms, residues(tensor.weights)[:, None])[..., 0]
    if isinstance(tensor, TTTensor):
        matrices = (residues(core).swapaxes(0, 1)[at] for core, at in zip(tensor.cores, places, strict=True))
        entries: Array = reduce(modular_product, matrices)
        return entries[..., 0, 0]
    assert isinstance(tensor, HTTensor)
    return _climbed(tensor, tensor.tree.nested, places)[..., 0]


def _times(left: Array, right: Array) -> Array:
    return left * right % PRIME


def _climbed(tensor: HTTensor, node: Nested, places: list[Array]) -> Array:
    """The values of a node of the tree, its rank last."""
    if isinstance(node, int):
        return residues(tensor.leaves[node])[places[node]]
    transfer = residues(tensor.transfers[tensor.tree.inner.index(node)])
    found = transfer.reshape(-1)
    for child, size in zip(node, transfer.shape, strict=False):
        below = _climbed(tensor, child, places)[..., None, :]
        found = modular_product(below, found.reshape(*found.shape[:-1], size, -1))[..., 0, :]
    return found
