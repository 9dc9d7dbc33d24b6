"""Rounding of trains: triangular factors from the right, then bases from the left that keep what eps asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ..execute.namespace import namespace_of
from ..execute.scaling import normalised, rescaled, shifted
from ..formats import TruncationReport, TTTensor
from ..formats.later import implements
from ..formats.levels import tt_leveled
from ..formats.orthogonal import fitted, spread
from ..formats.parts import check_eps, check_rank, sealed
from .basis import OVERSAMPLED, exact_basis, normal_like
from .budget import Budget, NotCertified, certified_cut, gram_noise
from .dense import finite, generator
from .factor import cholesky, eigh, qr, row_factor, row_squares

__all__ = ["tt_round"]

Array = Any
Caps = Sequence[int | None]
POWERS = 2
"""Products with the Gram matrix that turn a random subspace to the leading eigenvectors."""


@implements("round", TTTensor)
def tt_round(
    tensor: TTTensor, *, eps: float | None = None, max_rank: int | Sequence[int] | None = None, seed: Any = None
) -> TTTensor:
    """Train of smaller ranks with ‖X − X̃‖ ≤ eps·‖X‖.

    From the right, each core times what is behind it becomes a triangle; from the left, a core times the triangle
    behind it has the singular values of the whole, and its leading left singular vectors are the new core. No
    isometry is formed on the way from the right. What is below the rounding errors of the cores is cut, so that A − A
    has rank one. Gram matrices stand for QR and SVD where `eps` or `max_rank` certifies that they are good enough.
    seed: leading vectors by random subspaces, which pays for ranks far above those that are kept; what they lose is
    measured, so eps holds all the same.
    Source: Oseledets 2011, Algorithm 2; Al Daas, Ballard & Manning 2022 for the Gram matrices.

    >>> import tnalgebra as tna
    >>> t = tna.TTTensor.random((2, 3, 5), rank=2, seed=0)
    >>> (t + t).round(eps=1e-12).ranks
    (1, 2, 2, 1)
    """
    eps, bonds = check_eps(eps), tensor.ndim - 1
    caps: Caps = [None] * bonds if max_rank is None else check_rank(max_rank, bonds, "inner bonds")
    unit = float(np.finfo(tensor.dtype).eps)
    try:
        return _rounded(tensor.cores, eps, caps, _Gram(unit) if seed is None else _Sketch(unit, generator(seed)))
    except NotCertified:
        return _rounded(tensor.cores, eps, caps, _Exact(unit))


class _Exact:
    """QR and SVD. Rows of a factor carry their own relative error, so that blocks of any scale keep their digits."""

    def __init__(self, unit: float) -> None:
        self.unit, self.noise = unit, (4 * unit) ** 2

    def right(self, matrix: Array, xp: ModuleType) -> Array:
        """L with matrix = L·Q, rows of Q orthonormal."""
        return row_factor(matrix, 16 * self.unit, xp)

    def left(self, matrix: Array, allowed: float, cap: int | None, noise: float, xp: ModuleType) -> tuple[Array, float]:
        """Leading left singular vectors, and the square of what they miss; noise is not worth keeping."""
        return exact_basis(matrix, max(allowed, 4 * noise), cap, xp)


class _Gram:
    """Gram matrices, which are good to the root of the unit roundoff; `NotCertified` where that may not be enough."""

    def __init__(self, unit: float) -> None:
        self.unit, self.noise = unit, 4 * unit

    def right(self, matrix: Array, xp: ModuleType) -> Array:
        """L with matrix·matrixᴴ = L·Lᴴ."""
        if matrix.shape[0] >= matrix.shape[1]:
            return matrix
        lower = cholesky(matrix @ matrix.T.conj(), xp)
        if lower is None:
            raise NotCertified
        return lower

    def eigen(self, gram: Array, allowed: float, cap: int | None, xp: ModuleType) -> tuple[Array, Array]:
        """Eigenvalues, falling, and eigenvectors."""
        return eigh(gram, xp)

    def left(self, matrix: Array, allowed: float, cap: int | None, noise: float, xp: ModuleType) -> tuple[Array, float]:
        """The same vectors, from the eigenvectors on the shorter side."""
        height, width = matrix.shape
        is_wide = height <= width
        gram = matrix @ matrix.T.conj() if is_wide else matrix.T.conj() @ matrix
        values, vectors = self.eigen(gram, allowed, cap, xp)
        trace = float(values.sum())
        doubt = noise + gram_noise(values.dtype, trace, max(matrix.shape))
        rank, discarded = certified_cut(values, allowed, cap, doubt)
        if is_wide:
            return vectors[:, :rank], discarded
        columns = matrix @ vectors[:, :rank]
        skew = (self.unit * trace / float(values[rank - 1])) ** 2 * trace  # as far as columns are not orthogonal
        if skew < 1e-4 * allowed:
            return columns / xp.sqrt(values[:rank]), discarded + skew
        return qr(columns, xp)[0], discarded


class _Sketch(_Gram):
    """Gram matrices whose leading eigenvectors come from the powers of a random subspace."""

    def __init__(self, unit: float, rng: Any) -> None:
        super().__init__(unit)
        self.rng = rng

    def eigen(self, gram: Array, allowed: float, cap: int | None, xp: ModuleType) -> tuple[Array, Array]:
        """Ritz values and vectors, enough of them for what is allowed; the last value is what they all miss."""
        trace, columns = float(xp.trace(gram).real), OVERSAMPLED + (cap or OVERSAMPLED)
        while columns * 2 <= len(gram):
            block = normal_like(gram, (len(gram), columns), self.rng, xp)
            for _ in range(POWERS):
                block, _ = qr(gram @ block, xp)
            values, vectors = eigh(block.T.conj() @ gram @ block, xp)
            missed = max(trace - float(values.sum()), 0.0)
            if missed < allowed / 2 or cap is not None:
                return xp.append(values, missed), block @ vectors
            columns *= 2
        return eigh(gram, xp)


@dataclass(frozen=True, slots=True)
class _Right:
    """What stands to the right of a bond: a factor, the squared rounding error of its rows, and its exponent."""

    lower: Array
    noise: Array
    exponent: int

    @classmethod
    def before(cls, core: Array, right: "_Right", method: Any, xp: ModuleType) -> tuple["_Right", Array | None]:
        """One core further to the left; and the exponents of its rows, taken out where they differ too much."""
        matrix = xp.tensordot(core, right.lower, axes=1).reshape(len(core), -1)
        matrix, shift = normalised(matrix)
        noise, exponents = rescaled(right.through(core), -2 * shift), _row_exponents(matrix, xp)
        if exponents is not None:
            matrix, noise = shifted(matrix, -exponents[:, None], xp), shifted(noise, -2 * exponents, xp)
        lower = method.right(matrix, xp)
        return cls(lower, noise + method.noise * row_squares(lower, xp), right.exponent + shift), exponents

    def through(self, core: Array) -> Array:
        """Squared error of core · lower, summed over the last axis but the bond."""
        squares = core.real**2 + core.imag**2 if core.dtype.kind == "c" else core**2
        return (squares @ self.noise).sum(axis=-1)


def _rounded(cores: Sequence[Array], eps: float | None, caps: Caps, method: Any) -> TTTensor:
    """Both sweeps. Exponents of 2 are kept apart; the budget is in units of the exponent of the first bond."""
    xp, last = namespace_of(cores), len(cores) - 1
    pairs = [finite(core, "round") for core in cores]
    if any(exponent for _, exponent in pairs):
        pairs = [finite(core, "round") for core in tt_leveled(cores, xp)]
    cores, exponents = zip(*pairs, strict=True)
    one = xp.ones((1, 1), dtype=xp.result_type(*cores))
    rights, cores = [_Right(one, xp.zeros(1, dtype=one.real.dtype), 0)], list(cores)
    for mode in range(last, 0, -1):
        right, gauge = _Right.before(cores[mode], rights[0], method, xp)
        if gauge is not None:  # a row is a column of the core before
            cores[mode], cores[mode - 1] = shifted(cores[mode].T, -gauge, xp).T, shifted(cores[mode - 1], gauge, xp)
        rights.insert(0, right)
    whole, shift = normalised(xp.tensordot(cores[0], rights[0].lower, axes=1))
    unit, norm = rights[0].exponent + shift, float(xp.linalg.norm(whole))
    if not norm or not caps:
        kept = cores if norm else [xp.zeros((1, core.shape[1], 1), dtype=one.dtype) for core in cores]
        parts = spread(kept, sum(exponents), last)
        return TTTensor(sealed(parts), truncation=TruncationReport(requested=eps, bound=0.0))
    budget = Budget(eps, norm, method.unit, len(caps))
    everywhere = float(np.ldexp(float(rights[0].through(cores[0][0])), -2 * shift))
    core, exponent, found = cores[0], 0, list[Array]()
    for bond, cap in enumerate(caps):
        left, size, _ = core.shape
        matrix, right = core.reshape(left * size, -1), rights[bond]
        shift = exponent + right.exponent - unit
        noise = float(np.ldexp(float(right.through(matrix)), 2 * shift))
        product = rescaled(matrix @ right.lower, shift)
        basis, discarded = method.left(product, budget.allowed(), cap, max(noise, everywhere), xp)
        if isinstance(method, _Sketch) and budget.is_near(discarded):
            raise NotCertified  # the cap costs a little more than is allowed; with the best subspace it may not
        budget.spend(f"{bond}|{bond + 1}", discarded)
        found.append(basis.reshape(left, size, -1))
        core, shift = normalised(xp.tensordot(basis.T.conj() @ matrix, cores[bond + 1], axes=1))
        exponent += shift
    kept, shift = fitted([*found, core], xp)
    return TTTensor(sealed(spread(kept, shift + exponent + sum(exponents), last)), truncation=budget.report(eps))


def _row_exponents(matrix: Array, xp: ModuleType) -> Array | None:
    """Exponents of 2 of the largest entries of the rows; None where the squares of all have digits beside others."""
    largest = abs(matrix).max(axis=1)
    exponents = xp.where(largest > 0, xp.frexp(largest)[1], 0)
    wide = int(exponents.max()) - int(exponents.min()) > int(np.finfo(largest.dtype).maxexp) // 8
    return exponents if wide else None
