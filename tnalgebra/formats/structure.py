"""What a format must give, so that all that formats can do is written once."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

from ..algebra import Operator
from ..errors import AlgebraError, IndexRangeError
from ..execute import Expression
from ..execute.namespace import namespace_of
from ..graph import Labels, Leaf, Node

__all__ = ["Structure", "as_mode", "require_multiply"]

Array = Any


def require_multiply(xi: Operator, what: str, instead: str) -> None:
    """Refuse an operation that rests on the linearity of every part, and name what works."""
    if xi.name != "multiply":
        raise AlgebraError(f"{what} is defined for ξ = multiply, not {xi}: parts do not enter linearly; {instead}")


def as_mode(mode: Any, ndim: int) -> int:
    """The number of a mode, negative ones counted from the end."""
    if isinstance(mode, bool) or not hasattr(mode, "__index__"):
        raise IndexRangeError(f"a mode is given by its number; got {mode!r}")
    number = int(mode.__index__())
    if not -ndim <= number < ndim:
        raise IndexRangeError(f"mode {number} is outside the modes 0, …, {ndim - 1}")
    return number % ndim


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
        modes = tuple((f"i{mode}",) for mode in range(self.ndim))
        node = self._graph(self._leaves(), modes, tuple(label for (label,) in modes))
        return Expression(node, self.parameters())

    def _leaves(self) -> list[Leaf]:
        parts = self.parameters()
        return [Leaf(name, tuple(map(str, range(parts[name].ndim)))) for name, _ in self._carriers()]

    @abstractmethod
    def _scaled(self, factor: Any) -> Self:
        """The multiple by a number."""

    @abstractmethod
    def _scaled_norm(self) -> tuple[float, int]:
        """The norm as mantissa · 2^exponent."""

    @abstractmethod
    def _without(self, rows: Mapping[int, Array]) -> Self:
        """The tensor in whose carriers these modes have been contracted away: `rows` is what is left of them."""

    @abstractmethod
    def _permuted(self, order: Sequence[int]) -> Self:
        """Mode `order[t]` as mode t."""

    @abstractmethod
    def _diagonal(self, first: int, second: int) -> Self:
        """The entries at which two modes of one size agree, as mode `first`."""

    @abstractmethod
    def _outer(self, other: Self) -> Self:
        """The modes of both, entries multiplied."""
