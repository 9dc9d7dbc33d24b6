"""Orders of pairing, by opt_einsum's path finders (or cotengra's, or the user's)."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from functools import partial
from inspect import signature
from math import inf
from typing import Any

from opt_einsum.path_random import RandomOptimizer
from opt_einsum.paths import _PATH_OPTIONS, get_path_fn

from ..errors import PathError, UnknownNameError
from ..graph import Labels
from .cost import layout
from .step import union, volume

__all__ = ["Optimizer", "find_path"]

Path = tuple[tuple[int, ...], ...]
Optimizer = str | bool | Sequence[tuple[int, ...]] | Callable[..., Any]


def find_path(terms: Sequence[Labels], output: Labels, sizes: dict[str, int], optimize: Optimizer) -> Path:
    """Pairs of positions, each pair replaced by its result at the end of the list.

    Where sums may not move, the caller asks with every label in `output`: the path then only pairs.
    """
    count = len(terms)
    if isinstance(optimize, Sequence) and not isinstance(optimize, str):
        return _checked(optimize, count)
    if optimize is False:
        return (tuple(range(count)),)
    finder = _finder("auto" if optimize is True else optimize)
    if count <= 2:
        return (tuple(range(count)),)
    path = _checked(finder([frozenset(term) for term in terms], frozenset(output), dict(sizes), None), count)
    return _summed_first(path, terms, output, sizes) if count == 3 and optimize in (True, "auto") else path


def _summed_first(path: Path, terms: Sequence[Labels], output: Labels, sizes: dict[str, int]) -> Path:
    """Of three operands those first that are summed, if that is no more work and BLAS takes all without a copy.

    A product without a sum is written entry by entry, which takes as long as many multiplications of matrices.
    """

    def kept(pair: tuple[int, ...]) -> Labels:
        (other,) = {0, 1, 2} - {*pair}
        needed = {*terms[other], *output}
        return tuple(label for label in union(*(terms[place] for place in pair)) if label in needed)

    def cost(pair: tuple[int, ...]) -> tuple[int, int]:
        """Multiplications, and entries of what the pair gives."""
        (other,) = {0, 1, 2} - {*pair}
        work = volume(union(*(terms[place] for place in pair)), sizes) + volume(union(kept(pair), terms[other]), sizes)
        return work, volume(kept(pair), sizes)

    def is_summed(pair: tuple[int, ...]) -> bool:
        return len(kept(pair)) < len(union(*(terms[place] for place in pair)))

    def is_ready(pair: tuple[int, ...]) -> bool:
        (other,) = {0, 1, 2} - {*pair}
        made = layout(terms[pair[0]], terms[pair[1]], kept(pair), sizes)
        return not any((*made.copies, *layout(made.result, terms[other], output, sizes).copies))

    if len(path[0]) != 2 or is_summed(path[0]):
        return path
    most = cost(path[0])
    found = [pair for pair in ((0, 1), (0, 2), (1, 2)) if is_summed(pair) and is_ready(pair)]
    better = [pair for pair in found if cost(pair)[0] <= most[0] and cost(pair)[1] <= most[1]]
    return (min(better, key=cost), (0, 1)) if better else path


def _finder(optimize: Any) -> Callable[..., Any]:
    if callable(optimize):
        return partial(_call, optimize)
    if optimize not in _PATH_OPTIONS:
        with suppress(ImportError):
            import cotengra  # noqa: F401  (registers its presets with opt_einsum)
    if optimize not in _PATH_OPTIONS:
        raise UnknownNameError(
            f"unknown optimizer {optimize!r}; known: {', '.join(sorted(_PATH_OPTIONS))}, or an optimizer object"
        )
    named: Callable[..., Any] = get_path_fn(optimize)
    return named


def _call(finder: Callable[..., Any], *arguments: Any) -> Any:
    """Call a user's path finder as opt_einsum does, or without the memory limit if it takes none."""
    try:
        signature(finder).bind(*arguments)
    except TypeError:
        arguments = arguments[:-1]
    if isinstance(finder, RandomOptimizer) and getattr(finder, "_first_call_args", arguments[:3]) != arguments[:3]:
        finder = _unused(finder)
    return finder(*arguments)


def _unused(finder: RandomOptimizer) -> RandomOptimizer:
    """The same random search for another problem: opt_einsum's remember the first, but slices and nests are many."""
    other = copy(finder)
    other.costs, other.sizes, other.best = [], [], {"flops": inf, "size": inf}
    other._managing_executor = False  # the pool stays with the one that opened it
    del other._first_call_args
    return other


def _checked(path: Sequence[Sequence[int]], count: int) -> Path:
    """Refuse a path that does not end with one operand."""
    left = count
    for step in path:
        if len(set(step)) < len(step) or not step or max(step) >= left or min(step) < 0:
            raise PathError(f"path step {tuple(step)} does not pick distinct operands out of {left}")
        left += 1 - len(step)
    if left != 1:
        raise PathError(f"path {[tuple(step) for step in path]} leaves {left} operands of {count}; it must leave 1")
    return tuple(tuple(sorted(step)) for step in path)
