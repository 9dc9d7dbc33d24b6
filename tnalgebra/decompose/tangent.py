"""The manifold of trains of fixed ranks: tangent spaces, projections, retraction and transport; for ξ = multiply."""

from dataclasses import dataclass, field
from math import frexp, hypot
from typing import Any

import numpy as np

from ..errors import AxisMismatchError, FormatError
from ..execute.namespace import concatenate, namespace_of
from ..execute.scaling import as_float, is_moderate, largest, normalised, rescaled
from ..formats import CPTensor, Format, TTTensor
from ..formats.arithmetic import as_divisor
from ..formats.levels import tt_moderate
from ..formats.orthogonal import scaled_norm, tt_center
from ..formats.parts import sealed
from ..formats.structure import require_multiply

__all__ = ["TangentSpace", "TangentVector"]

Array = Any


@dataclass(frozen=True, slots=True, eq=False)
class TangentSpace:
    """Tangent space, at a train X, of the manifold of trains with its ranks.

        V = Σ_k U¹ ⋯ U^{k−1} · δ^k · V^{k+1} ⋯ V^d

    U are X's cores made isometries from the left, V from the right, and δ^k is orthogonal to U^k for k < d: so the
    terms are orthogonal to one another, and a vector is its δ.
    point: a train of minimal ranks, such as `round` gives; other ranks than these are on another manifold.
    Source: Holtz, Rohwedder & Schneider 2012; Steinlechner 2016, §3 for the algorithms.

    Raises `AlgebraError` for ξ other than multiply.

    >>> import tnalgebra as tna
    >>> x, z = (tna.TTTensor.random((4, 5, 6), rank=2, seed=seed) for seed in (0, 1))
    >>> space = tna.TangentSpace(x)
    >>> v = space.project(z)
    >>> v.to_tt().ranks, bool((z - v.to_tt()).inner(v.to_tt()) < 1e-12)
    ((1, 4, 4, 1), True)
    """

    point: TTTensor
    lefts: tuple[Array, ...] = field(init=False)
    rights: tuple[Array, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Make the cores isometries, both ways so that ranks are possible from both sides; the last left holds ‖X‖."""
        if not isinstance(self.point, TTTensor):
            raise FormatError(f"a tangent space is that of a TTTensor; got {type(self.point).__name__}")
        require_multiply(self.point.xi, "a tangent space", "there is no gauge freedom for other ξ")
        xp, last = namespace_of(self.point.cores), self.point.ndim - 1
        once, exponent = tt_center(self.point.cores, last, xp)
        rights, forth = tt_center(once, 0, xp)
        lefts, back = tt_center(rights, last, xp)
        lefts[last] = rescaled(lefts[last], exponent + forth + back)
        object.__setattr__(self, "rights", sealed(rights))
        object.__setattr__(self, "lefts", sealed(lefts))

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of every mode."""
        return self.point.shape

    @property
    def ranks(self) -> tuple[int, ...]:
        """Ranks of the point, without those that no train of its shape can have."""
        return (1, *(core.shape[2] for core in self.lefts))

    def project(self, z: Any) -> "TangentVector":
        """Orthogonal projection of a tensor: the tangent vector nearest to it.

        z: a train, or a CP tensor, at a cost of R·n·r²·d for R terms; another format or an array of the same shape is
        written as a train first. Raises `AxisMismatchError`, and `AlgebraError` for ξ other than multiply.
        """
        if isinstance(z, Format):
            require_multiply(z.xi, "a projection", "there is no inner product by parts for other ξ")
        tensor = z if isinstance(z, CPTensor) else z.to_tt() if isinstance(z, Format) else TTTensor.from_dense(z)
        if tensor.shape != self.shape:
            raise AxisMismatchError(f"project needs one shape; the point has {self.shape}, the tensor {tensor.shape}")
        raw = self._of_terms(tensor) if isinstance(tensor, CPTensor) else self._of_train(tensor)
        xp, *others = namespace_of(self.lefts), raw.pop()
        deltas = [_orthogonal(delta, left, xp) for delta, left in zip(raw, self.lefts, strict=False)]
        return TangentVector(self, (*deltas, *others))

    def _of_train(self, train: TTTensor) -> list[Array]:
        """A train between U¹ ⋯ U^{k−1} and V^{k+1} ⋯ V^d, for every k; exponents of 2 are kept apart on the way."""
        xp = namespace_of(self.lefts)
        cores, total = tt_moderate(train.cores, xp)
        after = [(xp.ones((1, 1), dtype=self.point.dtype), total)]
        for core, right in zip(reversed(cores[1:]), reversed(self.rights[1:]), strict=True):
            rest, exponent = after[-1]
            moved = xp.tensordot(core, rest, axes=1)  # (s, n, r)
            after.append(_normalised(xp.tensordot(moved, right.conj(), axes=((1, 2), (1, 2))), exponent))
        before, total, found = xp.ones((1, 1), dtype=self.point.dtype), 0, list[Array]()
        for mode, core in enumerate(cores):
            if mode:
                left = self.lefts[mode - 1].conj()
                before, total = _normalised(xp.tensordot(left, moved, axes=((0, 1), (0, 1))), total)
            rest, exponent = after.pop()
            moved = xp.tensordot(before, core, axes=1)  # (r, n, s)
            found.append(rescaled(xp.tensordot(moved, rest, axes=1), total + exponent))
        return found

    def _of_terms(self, z: CPTensor) -> list[Array]:
        """The same for a sum of products of vectors: one row a term stands for what is before and behind a mode."""
        xp, z = namespace_of(self.lefts), z._eased()
        factors, shifts = zip(*map(normalised, z.factors), strict=True)
        after = [(xp.ones((z.rank, 1), dtype=self.point.dtype), sum(shifts))]
        for factor, right in zip(reversed(factors[1:]), reversed(self.rights[1:]), strict=True):
            rest, exponent = after[-1]
            moved = _rows(factor.T, rest)  # (R, n·s)
            after.append(_normalised(moved @ right.conj().reshape(len(right), -1).T, exponent))
        (before, total), found = normalised(z.weights[:, None]), list[Array]()
        for mode, factor in enumerate(factors):
            if mode:
                left = self.lefts[mode - 1].conj()
                before, total = _normalised(moved @ left.reshape(-1, left.shape[2]), total)
            rest, exponent = after.pop()
            moved = _rows(before, factor.T)  # (R, r·n)
            found.append(rescaled((moved.T @ rest).reshape(self.lefts[mode].shape), total + exponent))
        return found

    def zero(self) -> "TangentVector":
        """The zero vector."""
        xp = namespace_of(self.lefts)
        return TangentVector(self, tuple(xp.zeros_like(left) for left in self.lefts))

    def random(self, *, seed: Any = None) -> "TangentVector":
        """A vector of norm one whose direction is uniformly distributed."""
        rng, xp, deltas = np.random.default_rng(seed), namespace_of(self.lefts), list[Array]()
        for mode, left in enumerate(self.lefts):
            draw = rng.standard_normal(left.shape)
            draw = draw + 1j * rng.standard_normal(left.shape) if left.dtype.kind == "c" else draw
            delta = xp.asarray(draw.astype(left.dtype))
            deltas.append(delta if mode == len(self.lefts) - 1 else _orthogonal(delta, left, xp))
        vector = TangentVector(self, tuple(deltas))
        return vector / vector.norm()

    def retract(self, vector: "TangentVector") -> TTTensor:
        """X + V, rounded to the ranks of X: the step of a Riemannian method, exact to second order in V.

        Raises `FormatError` for a vector of another space.
        """
        self._check(vector)
        return vector._blocks(self.lefts[-1]).round(max_rank=self.ranks[1:-1] or None)

    def transport(self, vector: "TangentVector") -> "TangentVector":
        """A vector of another tangent space, projected onto this one.

        >>> import tnalgebra as tna
        >>> x = tna.TTTensor.random((4, 5, 6), rank=2, seed=0)
        >>> step = tna.TangentSpace(x).random(seed=1)
        >>> there = tna.TangentSpace(step.space.retract(1e-3 * step))
        >>> 0.999 < there.transport(step).norm() <= 1
        True
        """
        return self.project(vector.to_tt())

    def _check(self, vector: "TangentVector") -> None:
        if vector.space is not self:
            raise FormatError("the vector belongs to another tangent space; transport() brings it to this one")


@dataclass(frozen=True, slots=True, eq=False)
class TangentVector:
    """A tangent vector, by its δ: (R before, n, R after), one a mode."""

    space: TangentSpace
    deltas: tuple[Array, ...]

    __array_ufunc__ = None  # NumPy numbers on the left leave the operation to the vector

    def __post_init__(self) -> None:
        """Freeze the parts."""
        object.__setattr__(self, "deltas", sealed(self.deltas))

    def __add__(self, other: Any) -> "TangentVector":
        if not isinstance(other, TangentVector):
            return NotImplemented
        self.space._check(other)
        return TangentVector(self.space, tuple(a + b for a, b in zip(self.deltas, other.deltas, strict=True)))

    def __sub__(self, other: Any) -> "TangentVector":
        return self + -other if isinstance(other, TangentVector) else NotImplemented

    def __neg__(self) -> "TangentVector":
        return -1 * self

    def __mul__(self, factor: Any) -> "TangentVector":
        if not isinstance(factor, int | float | complex | np.number):
            return NotImplemented
        return TangentVector(self.space, tuple(delta * factor for delta in self.deltas))

    __rmul__ = __mul__

    def __truediv__(self, factor: Any) -> "TangentVector":
        if not isinstance(factor, int | float | complex | np.number):
            return NotImplemented
        return self.__mul__(1 / as_divisor(factor, self.deltas[0].dtype))

    def inner(self, other: "TangentVector") -> Any:
        """⟨self, other⟩ = Σ_k ⟨δ^k, δ′^k⟩, the first conjugated, for vectors of one space."""
        self.space._check(other)
        xp = namespace_of(self.deltas)
        return sum(xp.vdot(a, b) for a, b in zip(self.deltas, other.deltas, strict=True))

    def norm(self) -> float:
        """Frobenius norm."""
        xp = namespace_of(self.deltas)
        return hypot(*(as_float(*scaled_norm(delta, 0, xp)) for delta in self.deltas))

    def to_tt(self) -> TTTensor:
        """The vector as a train, of twice the ranks."""
        return self._blocks(None)

    def _blocks(self, last: Array | None) -> TTTensor:
        """Cores [δ U], [V 0; δ U], …, [V; δ]; `last` is added to the last δ, as X is the vector with it alone.

        All δ have one scale, which the last core takes over where it is far from that of U and V.
        """
        lefts, rights, deltas = self.space.lefts, self.space.rights, list(self.deltas)
        if last is not None:
            deltas[-1] = deltas[-1] + last
        if len(deltas) == 1:
            return TTTensor(sealed(deltas))
        exponent = 0 if all(map(is_moderate, deltas)) else frexp(max(map(largest, deltas)))[1]
        deltas = [rescaled(delta, -exponent) for delta in deltas]
        xp = namespace_of(lefts)
        cores = [concatenate([deltas[0], lefts[0]], 2, xp)]
        for left, right, delta in zip(lefts[1:-1], rights[1:-1], deltas[1:-1], strict=True):
            upper = concatenate([right, xp.zeros((right.shape[0], *left.shape[1:]), dtype=left.dtype)], 2, xp)
            cores.append(concatenate([upper, concatenate([delta, left], 2, xp)], 0, xp))
        cores.append(rescaled(concatenate([rights[-1], deltas[-1]], 0, xp), exponent))
        return TTTensor(sealed(cores))


def _normalised(array: Array, exponent: int) -> tuple[Array, int]:
    """An array times 2^exponent as one of moderate scale, and the exponent that is left."""
    array, shift = normalised(array)
    return array, exponent + shift


def _rows(a: Array, b: Array) -> Array:
    """Row by row the products of all entries of two matrices: (R, i·j)."""
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)


def _orthogonal(delta: Array, left: Array, xp: Any) -> Array:
    """What of δ is orthogonal to an isometry."""
    overlap = xp.tensordot(left.conj(), delta, axes=((0, 1), (0, 1)))
    return delta - xp.tensordot(left, overlap, axes=1)
