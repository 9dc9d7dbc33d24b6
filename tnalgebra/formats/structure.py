"""What a format must give, so that all that formats can do is written once."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from operator import index
from typing import Any, Self

import numpy as np

from ..algebra import Operator
from ..errors import AlgebraError, FormatError, IndexRangeError, NonFiniteError
from ..execute import Expression
from ..execute.namespace import namespace_of
from ..execute.scaling import are_near_one, is_moderate, largest
from ..graph import Labels, Leaf, Node
from .graphs import leaf, mode_labels, numbered
from .orthogonal import evened

__all__ = ["Structure", "as_index", "as_mode", "as_modes", "as_sides", "require_finite", "require_multiply"]

Array = Any


def require_multiply(xi: Operator, what: str, instead: str) -> None:
    """Refuse an operation that rests on the linearity of every part, and name what works."""
    if xi.name != "multiply":
        raise AlgebraError(f"{what} is defined for ξ = multiply, not {xi}: parts do not enter linearly; {instead}")


def require_finite(what: str, *tensors: "Structure") -> None:
    """Refuse infinite parts for ξ other than multiply where zeros are laid beside them: 0 · ∞ is no number."""
    for xi, parts in ((tensor.xi, tensor.parameters().values()) for tensor in tensors):
        if xi.name != "multiply" and not all(np.isfinite(largest(part)) for part in parts):
            raise NonFiniteError(f"{what} lays zeros beside the parts, which must be finite for ξ = {xi}")


def as_index(item: Any) -> int | None:
    """An integer of any library as Python's; None for what is none, arrays and truth values among it."""
    if isinstance(item, bool | np.bool_) or np.ndim(item):
        return None
    try:
        return index(item)
    except TypeError:
        return None


def as_mode(mode: Any, ndim: int) -> int:
    """The number of a mode, negative ones counted from the end."""
    number = as_index(mode)
    if number is None:
        raise IndexRangeError(f"a mode is given by its number; got {mode!r}")
    if not -ndim <= number < ndim:
        raise IndexRangeError(f"mode {number} is outside the modes 0, …, {ndim - 1}")
    return number % ndim


def as_modes(modes: Any, ndim: int) -> list[int]:
    """One mode or several, as a list of numbers."""
    if as_index(modes) is not None or isinstance(modes, str) or not hasattr(modes, "__iter__"):
        modes = [modes]
    return [as_mode(mode, ndim) for mode in modes]


def as_sides(rows: Any, cols: Any, ndim: int) -> tuple[list[int], list[int]]:
    """Modes of the rows and of the columns of a matrix, which share all out; cols are the others, rising, if None."""
    left = as_modes(rows, ndim)
    right = [mode for mode in range(ndim) if mode not in left] if cols is None else as_modes(cols, ndim)
    if sorted([*left, *right]) != list(range(ndim)):
        raise FormatError(f"rows {left} and cols {right} must share out the modes 0, …, {ndim - 1}, each once")
    return left, right


class Structure(ABC):
    """A tensor as small arrays on an einsum graph.

    A subclass says which arrays these are, which of their axes are modes and which are bonds, and how the graph
    changes when modes go, move or meet.
    """

    __slots__ = ()
    xi: Operator

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Size of every mode."""

    @property
    @abstractmethod
    def ranks(self) -> tuple[int, ...]:
        """Sizes of the bonds."""

    @property
    def ndim(self) -> int:
        """Number of modes."""
        return len(self.shape)

    @abstractmethod
    def parameters(self) -> dict[str, Array]:
        """Arrays by name."""

    @property
    def dtype(self) -> Any:
        """Common dtype of the parts."""
        arrays = list(self.parameters().values())
        return namespace_of(arrays).result_type(*arrays)

    @abstractmethod
    def _rebuild(self, parts: Mapping[str, Array]) -> Self:
        """The same structure with other arrays, which it may keep."""

    @abstractmethod
    def _carriers(self) -> tuple[tuple[str, int], ...]:
        """For each mode: the name of the part that carries it, and its axis there."""

    @abstractmethod
    def _bonds(self, name: str) -> tuple[int, ...]:
        """The axes of a part that are ranks: neither a mode nor the 1 at an end."""

    @abstractmethod
    def _graph(self, carriers: Sequence[Node], labels: Sequence[Labels], output: Labels) -> Node:
        """The graph with `carriers[t]` in place of mode t's part and `labels[t]` in place of the mode."""

    def expression(self) -> Expression:
        """The graph of the tensor, its parts bound: a valid operand of `contract`."""
        node = self._graph(self._leaves(), mode_labels(self.ndim), numbered("i", self.ndim))
        return Expression(node, self.parameters())

    def _leaves(self) -> Sequence[Leaf]:
        parts = self.parameters()
        return [leaf(name, parts[name].ndim) for name, _ in self._carriers()]

    @property
    @abstractmethod
    def _scale(self) -> str:
        """Name of the part that a multiple scales."""

    @abstractmethod
    def _scaled(self, factor: Any) -> Self:
        """The multiple by a number."""

    def _evened(self, exponent: int = 0) -> Self:
        """The same tensor times 2^exponent, with powers of two moved between its parts where these are far from one.

        All parts then have the same share of the scale of the whole. For ξ = multiply, where each enters linearly.
        """
        parts = self.parameters()
        if not exponent and are_near_one(list(parts.values())):
            return self
        base = self if all(map(is_moderate, parts.values())) else self._leveled()
        parts = base.parameters()
        found = evened(list(parts.values()), exponent)
        return base if found is None else base._rebuild(dict(zip(parts, found, strict=True)))

    def _leveled(self) -> Self:
        """The same tensor with powers of two moved along its bonds, where it has any: what meets is of one scale."""
        return self

    def _eased(self) -> Self:
        """`_evened`, where a quick look at the parts does not tell that it would change nothing."""
        return self if are_near_one(list(self.parameters().values())) else self._evened()

    def _blocks(self) -> dict[str, Array]:
        """The parts as they can be laid beside those of others: as one part has one scale for all of its blocks, even.

        For ξ other than multiply as they are.
        """
        parts = self.parameters()
        is_even = self.xi.name != "multiply" or are_near_one(list(parts.values()))
        return parts if is_even else self._evened().parameters()

    @abstractmethod
    def _scaled_norm(self) -> tuple[float, int]:
        """The norm as mantissa · 2^exponent."""

    @abstractmethod
    def _without(self, rows: Mapping[int, Array], exponent: int) -> Self:
        """2^exponent times the tensor whose carriers have lost these modes: `rows` is what is left of them."""

    @abstractmethod
    def _permuted(self, order: Sequence[int]) -> Self:
        """Mode `order[t]` as mode t."""

    @abstractmethod
    def _diagonal(self, first: int, second: int) -> Self:
        """The entries at which two modes of one size agree, as mode `first`."""

    @abstractmethod
    def _outer(self, other: Self) -> Self:
        """The modes of both, entries multiplied."""
