"""The gradient of ⊕ (x + y) where ⊕ is a sum behind an exponential: matrix products of exponentials too."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from ...algebra.scalar import compiled
from ...graph import Labels
from ...plan import Step
from ...plan.generated import Share, share
from ...plan.step import Tree, volume
from .blas import product
from .blocked import lower_blocked
from .exponential import smallest

__all__ = ["lower_shares"]

Array = Any
Kernel = Callable[..., Array]
TERMS = 1 << 16
"""Terms that are looked at together."""


def lower_shares(step: Step, xp: ModuleType, plain: Kernel) -> Kernel:
    """(x, y, c, t) → Σ c · g(x + y − t) = g(x − a) · Σ c / Σ g(x − a) g(y − b) · g(y − b), a and b the largest numbers.

    The inner sum is taken anew: t has the rounding errors of a and b, which may be larger than all that is left of
    them. Entries of it where digits may be lost count for themselves. Everything goes another way where a number is not
    finite (−∞ is).
    """
    found = share(step)
    if found is None or found.op.generator is None:
        return plain
    own, other, whole = (step.terms[place] for place in (found.own, found.other, found.total))
    inner = tuple(label for label in own if label not in whole)
    axes = [tuple(map(term.index, inner)) for term in (own, other)]
    g, count = compiled(found.op.generator[0], ("x",), xp), volume(inner, step.sizes)
    total_of, back = product(own, other, whole, step.sizes, xp), product(whole, other, own, step.sizes, xp)
    weight, single = _weight(step, found, xp), _entries(step, found, inner)

    def by_exponentials(*arrays: Array) -> Array:
        x, y, t = arrays[found.own], arrays[found.other], arrays[found.total]
        if x.dtype.kind != "f" or any(array.dtype != x.dtype for array in arrays):
            return plain(*arrays)
        c = weight(*arrays)
        tops = [xp.max(array, axis=axis, keepdims=True) for array, axis in zip((x, y), axes, strict=True)]
        size = xp.max(xp.abs(c))
        if not all(bool((array < np.inf).all()) for array in (*tops, t, size)):
            return plain(*arrays)
        tops = [xp.maximum(top, np.finfo(x.dtype).min) for top in tops]
        with np.errstate(all="ignore"):
            left, right = (g(array - top) for array, top in zip((x, y), tops, strict=True))
            total, least = total_of(left, right), smallest(x.dtype, count)
            unit = xp.where(size > 0, size, 1)  # so that no quotient is too large
            out = back(xp.where(total < least, 0, c / unit / total), right)
            out *= left
            out *= unit
            lost = (total < least) & (t > -np.inf)
            if bool(lost.any()):
                if xp is not np:
                    return plain(*arrays)
                single(x, y, c, np.nonzero(lost), out)
        return out

    return by_exponentials


def _weight(step: Step, found: Share, xp: ModuleType) -> Kernel:
    """The cotangent, for the labels of the sums."""
    whole, places = step.terms[found.total], found.weights
    if isinstance(found.weight, int) and step.terms[found.weight] == whole:
        return lambda *arrays: arrays[places[0]]

    def renamed(tree: Tree) -> Tree:
        return places.index(tree) if isinstance(tree, int) else (tree[0], tuple(map(renamed, tree[1])))

    terms = tuple(step.terms[place] for place in places)
    kernel = lower_blocked(replace(step, terms=terms, result=whole, tree=renamed(found.weight), reduce=None), xp)
    return lambda *arrays: kernel(*(arrays[place] for place in places))


def _entries(step: Step, found: Share, inner: Labels) -> Callable[..., None]:
    """The function that adds what single entries of the sums give, some at a time; on NumPy arrays."""
    assert found.op.generator is not None
    g, inverse = (compiled(text, ("x",), np) for text in found.op.generator)
    terms, whole, sizes = (step.terms[found.own], step.terms[found.other]), step.terms[found.total], step.sizes
    kept = [tuple(label for label in term if label in whole) for term in terms]
    turns = [tuple(map(term.index, (*own, *inner))) for term, own in zip(terms, kept, strict=True)]
    shape, back = [sizes[label] for label in (*kept[0], *inner)], np.argsort(turns[0])
    length = volume(inner, sizes)
    many = max(1, TERMS // length)

    def numbers(labels: Labels, places: tuple[Array, ...]) -> Array:
        at = tuple(places[whole.index(label)] for label in labels)
        return np.ravel_multi_index(at, [sizes[label] for label in labels]) if at else np.zeros_like(places[0])

    def single(x: Array, y: Array, c: Array, places: tuple[Array, ...], out: Array) -> None:
        left, right = (array.transpose(turn).reshape(-1, length) for array, turn in zip((x, y), turns, strict=True))
        (rows, columns), weights, more = (numbers(own, places) for own in kept), c[places], np.zeros(left.shape)
        low, order = float(inverse(np.finfo(x.dtype).tiny)), np.argsort(rows, kind="stable")
        for start in range(0, len(order), many):
            some = order[start : start + many]
            lines = rows[some]
            part = slice(lines[0], lines[-1] + 1)
            owners, spots, fall = _near(left[lines], right[columns[some]], low)
            shares = g(fall)
            shares *= (weights[some] / np.bincount(owners, shares))[owners]
            spots += (lines - lines[0])[owners] * length
            more[part] += np.bincount(spots, shares, more[part].size).reshape(-1, length)
        out += more.reshape(shape).transpose(back)

    return single


def _near(x: Array, y: Array, low: float) -> tuple[Array, Array, Array]:
    """Where in rows of terms x + y those are that are not far below the largest; and how far, to the last digit.

    Source for what the sum of two numbers loses: Knuth 1969, §4.2.2 (TwoSum).
    """
    total = np.add(x, y, dtype=np.float64)
    tops = total.max(1)
    rows, columns = np.nonzero(total > (tops + low)[:, None])  # most terms vanish, which takes an exponential long
    first, second, both = x[rows, columns], y[rows, columns], total[rows, columns]
    back = both - first
    rest = (first - (both - back)) + (second - back)
    return rows, columns, both - tops[rows] + rest
