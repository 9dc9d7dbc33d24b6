"""The modes of a tensor in three groups, which stand for the three modes A, B and C of theorems on order three."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from ..errors import FormatError
from ..formats.structure import as_modes

__all__ = ["Groups", "check_groups", "neighbours"]

Groups = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def check_groups(groups: Sequence[int | Sequence[int]], ndim: int) -> Groups:
    """Three groups that share the modes out; a number stands for a group of one."""
    found = tuple(tuple(as_modes(group, ndim)) for group in groups)
    if len(found) != 3 or not all(found) or sorted(mode for group in found for mode in group) != list(range(ndim)):
        raise FormatError(f"groups must share the modes 0, …, {ndim - 1} out among three; got {list(groups)}")
    return found[0], found[1], found[2]


def neighbours(ndim: int) -> Iterator[Groups]:
    """Modes in a row cut in three, in all ways."""
    for i, j in combinations(range(1, ndim), 2):
        yield tuple(range(i)), tuple(range(i, j)), tuple(range(j, ndim))
