"""Sums, multiples, entrywise products, inner products and norms of formats, each for the ξ that it is defined for."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import ldexp, log
from typing import Any, Self

import numpy as np

from ..algebra import Operator
from ..errors import AlgebraError, AxisMismatchError, FormatError
from ..execute import contract
from ..execute.namespace import namespace_of

__all__ = ["Arithmetic", "require_multiply"]

Array = Any


def require_multiply(xi: Operator, what: str, instead: str) -> None:
    """Refuse an operation that rests on the linearity of every part, and name what works."""
    if xi.name != "multiply":
        raise AlgebraError(
            f"{what} is defined for ξ = multiply, not {xi}: no part but the last enters linearly; {instead}"
        )


class Arithmetic(ABC):
    """Operators of formats; a subclass gives `_plus`, `_scaled`, `_times` and `_scaled_norm`.

    Sums and multiples keep the format: ranks add, so round the result where that is defined.
    """

    __slots__ = ()
    __array_ufunc__ = None  # NumPy numbers on the left leave the operation to the format
    xi: Operator

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Size of every mode."""

    @abstractmethod
    def parameters(self) -> dict[str, Array]:
        """Arrays by name."""

    @abstractmethod
    def _rebuild(self, parts: Mapping[str, Array]) -> Self:
        """The same format with other arrays."""

    @abstractmethod
    def _plus(self, other: Self) -> Self: ...

    @abstractmethod
    def _scaled(self, factor: Any) -> Self: ...

    @abstractmethod
    def _times(self, other: Self) -> Self: ...

    @abstractmethod
    def _scaled_norm(self) -> tuple[float, int]:
        """The norm as mantissa · 2^exponent."""

    def _check_alike(self, other: "Arithmetic", sign: str) -> None:
        if len(self.shape) != len(other.shape):
            raise FormatError(f"operands of {sign} have {len(self.shape)} and {len(other.shape)} modes")
        for mode, (left, right) in enumerate(zip(self.shape, other.shape, strict=True)):
            if left != right:
                raise AxisMismatchError(
                    f"mode {mode} has size {left} in the left operand of {sign} but {right} in the right"
                )
        if self.xi != other.xi:
            raise AlgebraError(f"operands of {sign} have ξ = {self.xi} and ξ = {other.xi}; both need the same")

    def __add__(self, other: Any) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        self._check_alike(other, "+")
        return self._plus(other)

    def __sub__(self, other: Any) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        self._check_alike(other, "-")
        return self._plus(other._scaled(-1))

    def __neg__(self) -> Self:
        return self._scaled(-1)

    def __mul__(self, other: Any) -> Self:
        """Entrywise product with a format (ranks multiply), or the multiple by a number."""
        if isinstance(other, int | float | complex | np.number):
            return self._scaled(other)
        if type(other) is not type(self):
            return NotImplemented
        self._check_alike(other, "*")
        require_multiply(self.xi, "the entrywise product", "grid tensors or to_dense() give it for other ξ")
        return self._times(other)

    def __rmul__(self, other: Any) -> Self:
        return self._scaled(other) if isinstance(other, int | float | complex | np.number) else NotImplemented

    def __truediv__(self, other: Any) -> Self:
        return self._scaled(1 / other) if isinstance(other, int | float | complex | np.number) else NotImplemented

    def conj(self) -> Self:
        """The entrywise complex conjugate."""
        require_multiply(self.xi, "conjugation", "parts are real for other ξ")
        xp = namespace_of(list(self.parameters().values()))
        return self._rebuild({name: xp.conj(part) for name, part in self.parameters().items()})

    def inner(self, other: Any) -> Any:
        """⟨self, other⟩ = Σ conj(self) · other, over all entries, without forming any; the formats may differ.

        other: a format or an array of the same shape. For ξ = multiply.
        """
        require_multiply(self.xi, "inner", "to_dense() gives it for other ξ")
        shape = tuple(getattr(other, "shape", np.shape(other)))
        if shape != self.shape:
            raise AxisMismatchError(f"inner needs one shape; got {self.shape} and {shape}")
        labels = [f"{mode}" for mode in range(len(self.shape))]
        return contract(self.conj(), labels, other, labels, [])

    def norm(self) -> float:
        """Frobenius norm, through orthogonalization: accurate where ⟨x, x⟩ has lost half of its digits.

        It is 0 or infinite only where the norm itself under- or overflows; `log_norm` never does. For ξ = multiply.
        """
        mantissa, exponent = self._multiply_norm()
        try:
            return ldexp(mantissa, exponent)
        except OverflowError:
            return float("inf")

    def log_norm(self) -> float:
        """Natural logarithm of the norm; −∞ for the zero tensor. For ξ = multiply."""
        mantissa, exponent = self._multiply_norm()
        return log(mantissa) + exponent * log(2) if mantissa else -float("inf")

    def _multiply_norm(self) -> tuple[float, int]:
        require_multiply(self.xi, "the norm without densifying", "to_dense() gives it for other ξ")
        return self._scaled_norm()
