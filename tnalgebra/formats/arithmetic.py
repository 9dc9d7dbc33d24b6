"""Sums, multiples, products, inner products and norms of formats, each for the ξ that it is defined for."""

from collections.abc import Sequence
from itertools import accumulate
from math import log
from typing import Any, Self, TypeVar

import numpy as np

from ..errors import AlgebraError, AxisMismatchError, FormatError
from ..execute.expression import Expression, evaluate_scaled, merge
from ..execute.namespace import as_array, namespace_of
from ..execute.scaling import as_float, as_number, largest
from .blocks import block_sum, inserted
from .graphs import inner_graph, leaf
from .structure import Structure, as_mode, require_multiply

__all__ = ["Arithmetic", "concatenate"]

Array = Any
NUMBERS = (int, float, complex, np.number, np.bool_)
LARGE = 2.0**100
"""A number between its inverse and this is multiplied into a part without a look at scales."""
T = TypeVar("T", bound="Arithmetic")


def is_number(other: Any) -> bool:
    """A number, or an array of no axes that holds one."""
    return isinstance(other, NUMBERS) or (isinstance(other, np.ndarray) and other.ndim == 0)


def is_moderate_number(number: Any) -> bool:
    """Whether its inverse is a number as well, or it is zero, NaN or infinite."""
    size = max(abs(number.real), abs(number.imag))
    return not 0 < size < np.inf or 1 / LARGE < size < LARGE


def as_divisor(number: Any, dtype: Any) -> Any:
    """The number with the digits of this dtype as well: the inverse of a NumPy number has no more than the number."""
    return np.result_type(number, dtype).type(number) if isinstance(number, np.generic | np.ndarray) else number


def parted(number: Any) -> tuple[Any, int]:
    """A number as one of moderate size times a power of two; integers of Python may be too large for a float."""
    if isinstance(number, int):
        return number / (1 << number.bit_length()), number.bit_length()
    exponent = int(np.frexp(max(abs(number.real), abs(number.imag)))[1])
    return number * 2.0 ** -(exponent // 2) * 2.0 ** (exponent // 2 - exponent), exponent


def is_between(part: Array) -> bool:
    """Whether an array has no infinite entry, and is not zero."""
    return 0 < largest(part) < np.inf


class Arithmetic(Structure):
    """Operators of formats: sums, multiples and products keep the format and let ranks grow, `round` lets them fall."""

    __slots__ = ()
    __array_ufunc__ = None  # NumPy numbers on the left leave the operation to the format

    def _check_alike(self, other: "Arithmetic", sign: str) -> None:
        self._check_sizes(other, sign)
        self._check_structure(other, sign)

    def _check_sizes(self, other: "Arithmetic", sign: str) -> None:
        own, others = self.shape, other.shape
        if own == others:
            return
        if len(own) != len(others):
            raise FormatError(f"operands of {sign} have {len(own)} and {len(others)} modes")
        for mode, (left, right) in enumerate(zip(own, others, strict=True)):
            if left != right:
                raise AxisMismatchError(
                    f"mode {mode} has size {left} in the left operand of {sign} but {right} in the right"
                )

    def _check_structure(self, other: "Arithmetic", sign: str) -> None:
        """Refuse another ξ (or another tree)."""
        if self.xi != other.xi:
            raise AlgebraError(f"operands of {sign} have ξ = {self.xi} and ξ = {other.xi}; both need the same")

    def __add__(self, other: Any) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        self._check_alike(other, "+")
        return block_sum([self, other])

    def __sub__(self, other: Any) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        self._check_alike(other, "-")
        return block_sum([self, other._scaled(-1)])

    def __pos__(self) -> Self:
        return self

    def __neg__(self) -> Self:
        return self._scaled(-1)

    def __mul__(self, other: Any) -> Self:
        """Entrywise product with a format (ranks multiply), or the multiple by a number."""
        if is_number(other):
            return self._times(other)
        if type(other) is not type(self):
            return NotImplemented
        require_multiply(self.xi, "the entrywise product", "grid tensors or to_dense() give it for other ξ")
        self._check_alike(other, "*")
        return self._evened()._kronecker(other._evened(), is_entrywise=True)

    def __rmul__(self, other: Any) -> Self:
        return self._times(other) if is_number(other) else NotImplemented

    def __truediv__(self, other: Any) -> Self:
        if not is_number(other):
            return NotImplemented
        if not other:
            raise FormatError(f"a tensor divided by {other} has no finite entries")
        return self._times(as_divisor(other, self.dtype), is_divisor=True)

    def _times(self, number: Any, *, is_divisor: bool = False) -> Self:
        """The multiple; where one part cannot hold it, all of them share its scale."""
        number = number[()] if isinstance(number, np.ndarray) else number
        with np.errstate(all="ignore"):
            plain = self._scaled(1 / number if is_divisor else number) if is_moderate_number(number) else None
        if plain is not None and (not number or is_between(plain.parameters()[plain._scale])):
            return plain
        if self.xi.name != "multiply":
            return self._scaled(1 / number if is_divisor else number)
        mantissa, exponent = parted(number)
        base = self._evened(-exponent if is_divisor else exponent)
        return base._scaled(1 / mantissa if is_divisor else mantissa)

    def kron(self, other: Self) -> Self:
        """Kronecker product: entry [i₁·m₁ + j₁, …] is self[i] · other[j] for `other` of shape (m₁, …); ranks multiply.

        other: the same format with as many modes (and the same tree). For ξ = multiply.

        >>> import tnalgebra as tna
        >>> t = tna.TTTensor.random((2, 3), rank=2, seed=0)
        >>> t.kron(t)
        TTTensor(shape=(4, 9), ranks=(1, 4, 1), dtype=float64)
        """
        require_multiply(self.xi, "the Kronecker product", "to_dense() and np.kron give it for other ξ")
        self._check_same_kind(other, "kron")
        if self.ndim != other.ndim:
            raise FormatError(f"operands of kron have {self.ndim} and {other.ndim} modes")
        self._check_structure(other, "kron")
        return self._evened()._kronecker(other._evened(), is_entrywise=False)

    def outer(self, other: Self) -> Self:
        """Outer product: entry [i, j] is self[i] · other[j], the modes of `other` after those of this tensor.

        Ranks stay in TT and HT, and multiply in CP. For ξ = multiply.

        >>> import tnalgebra as tna
        >>> t = tna.TTTensor.random((2, 3), rank=2, seed=0)
        >>> t.outer(t)
        TTTensor(shape=(2, 3, 2, 3), ranks=(1, 2, 1, 2, 1), dtype=float64)
        """
        require_multiply(self.xi, "the outer product", "contract with xi= gives the one of another ξ")
        self._check_same_kind(other, "outer")
        self._check_xi(other)
        return self._eased()._outer(other._eased())

    def _check_same_kind(self, other: Any, name: str) -> None:
        if type(other) is not type(self):
            raise FormatError(
                f"{name} of a {type(self).__name__} needs another one; got {type(other).__name__}: "
                "to_tt() and to_ht() convert exactly"
            )

    def _check_xi(self, other: "Arithmetic") -> None:
        if self.xi != other.xi:
            raise AlgebraError(f"operands have ξ = {self.xi} and ξ = {other.xi}; both need the same")

    def _kronecker(self, other: Self, *, is_entrywise: bool) -> Self:
        """Each part times each part: axes multiply, but for the modes of an entrywise product."""
        modes = dict(self._carriers())
        parts = {}
        for name, a in self.parameters().items():
            b = other.parameters()[name]
            shared = modes.get(name) if is_entrywise else None
            left, right = list[Any](), list[Any]()
            for axis in range(a.ndim):
                left += [slice(None)] if axis == shared else [slice(None), None]
                right += [slice(None)] if axis == shared else [None, slice(None)]
            shape = [n if axis == shared else n * b.shape[axis] for axis, n in enumerate(a.shape)]
            parts[name] = (a[tuple(left)] * b[tuple(right)]).reshape(shape)
        return self._rebuild(parts)

    def conj(self) -> Self:
        """The entrywise complex conjugate."""
        parts = self.parameters()
        if not any(part.dtype.kind == "c" for part in parts.values()):
            return self
        require_multiply(self.xi, "conjugation", "parts are real for other ξ")
        xp = namespace_of(list(parts.values()))
        return self._rebuild({name: xp.conj(part) for name, part in parts.items()})

    def inner(self, other: Any) -> Any:
        """⟨self, other⟩ = Σ conj(self) · other, over all entries, without forming any; the formats may differ.

        other: a format or an array of the same shape. For ξ = multiply. Powers of two are kept apart on the way, so
        the result is 0 or infinite only where no number of its dtype can hold it.
        """
        require_multiply(self.xi, "inner", "to_dense() gives it for other ξ")
        if isinstance(other, Arithmetic):
            require_multiply(other.xi, "inner", "to_dense() gives it for other ξ")
        own, shape = self.shape, tuple(other.shape if hasattr(other, "shape") else np.shape(other))
        if len(shape) != len(own):
            raise AxisMismatchError(f"operands of inner have {len(own)} and {len(shape)} modes")
        for mode, (left, size) in enumerate(zip(own, shape, strict=True)):
            if left != size:
                raise AxisMismatchError(
                    f"mode {mode} has size {left} in the left operand of inner but {size} in the right"
                )
        return as_number(*self._scaled_inner(other))

    def _scaled_inner(self, other: Any) -> tuple[Array, int]:
        """The inner product as a number and an exponent of 2."""
        value, exponent = self._inner(other)
        if exponent:  # a part that is far from one may have far scales in it, too
            value, exponent = self._eased()._inner(other._eased() if isinstance(other, Arithmetic) else other)
        return value, exponent

    def _inner(self, other: Any) -> tuple[Array, int]:
        if isinstance(other, Arithmetic):
            right = other.expression()
        else:
            right = Expression(leaf("x", np.ndim(other)), {"x": as_array(other)})
        (first, second), bound = merge([self.conj().expression(), right])
        return evaluate_scaled(inner_graph(first, second), bound, optimize=self._inner_path(other))

    def _inner_path(self, other: Any) -> Any:
        return "auto"

    def norm(self) -> float:
        """Frobenius norm, through orthogonalization: accurate where ⟨x, x⟩ has lost half of its digits.

        It is 0 or infinite only where the norm itself under- or overflows; `log_norm` never does. For ξ = multiply.
        """
        return as_float(*self._multiply_norm())

    def log_norm(self) -> float:
        """Natural logarithm of the norm; −∞ for the zero tensor. For ξ = multiply."""
        mantissa, exponent = self._multiply_norm()
        return log(mantissa) + exponent * log(2) if mantissa else -float("inf")

    def _multiply_norm(self) -> tuple[float, int]:
        require_multiply(self.xi, "the norm without densifying", "to_dense() gives it for other ξ")
        return self._scaled_norm()


def concatenate(tensors: Sequence[T], mode: int) -> T:
    """Tensors of one format joined along a mode, their ranks added; for ξ = multiply.

    tensors: of equal shapes but for that mode, and HT tensors on one tree.
    Raises `AxisMismatchError` with the mode and both sizes, `FormatError`, `AlgebraError`, `TreeError`.

    >>> import tnalgebra as tna
    >>> a, b = (tna.TTTensor.random((2, n, 5), rank=2, seed=n) for n in (3, 4))
    >>> tna.concatenate([a, b], mode=1)
    TTTensor(shape=(2, 7, 5), ranks=(1, 4, 4, 1), dtype=float64)
    """
    tensors = list(tensors)
    if not tensors:
        raise FormatError("nothing to concatenate: give at least one tensor")
    first = tensors[0]
    if not isinstance(first, Arithmetic):
        raise FormatError(f"concatenate needs formats; got {type(first).__name__}: np.concatenate joins arrays")
    mode = as_mode(mode, first.ndim)
    require_multiply(first.xi, "concatenation", "zeros beside a block count for other ξ; to_dense() and NumPy give it")
    for place, other in enumerate(tensors[1:], 1):
        first._check_same_kind(other, "concatenate")
        if other.ndim != first.ndim:
            raise FormatError(f"operands of concatenate have {first.ndim} and {other.ndim} modes")
        for axis, (left, right) in enumerate(zip(first.shape, other.shape, strict=True)):
            if axis != mode and left != right:
                raise AxisMismatchError(f"mode {axis} has size {left} in tensor 0 but {right} in tensor {place}")
        first._check_structure(other, "concatenate")
    starts = list(accumulate((tensor.shape[mode] for tensor in tensors), initial=0))
    return block_sum([inserted(t, {mode: (start, starts[-1])}) for t, start in zip(tensors, starts, strict=False)])
