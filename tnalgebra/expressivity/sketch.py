"""Ranks without singular values of the whole matrix: by pivoted QR, and from random sketches with stated odds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import e as EULER
from math import inf, sqrt
from typing import Any

import numpy as np

from ..errors import FormatError, NonFiniteError, RankError, ToleranceError
from ..execute.scaling import at_one
from ..formats import Format
from ..formats.structure import as_sides
from .ranks import Matricizations, check_tol

__all__ = ["PivotedRank", "SketchedRank", "rank_by_qr", "sketched_rank"]

Array = Any
LOUD = 10.0
"""α of Lemma 4.1 of Halko, Martinsson & Tropp: s products bound a norm but for a probability of α^−s."""


@dataclass(frozen=True, slots=True, eq=False)
class PivotedRank:
    """A rank from QR with column pivoting, A·P = Q·R, and what it rests on.

    rank: diagonal entries of R above tol · |r₁₁|. gap: |r_rank| / |r_{rank+1}|, infinite where nothing is left.
    lower, upper: singular values above tol · σ₁ are at least and at most so many. diagonal: |r_kk|, falling.
    shape: of the matricization.
    """

    rank: int
    lower: int
    upper: int
    tol: float
    gap: float
    diagonal: Array
    shape: tuple[int, int]

    def __repr__(self) -> str:
        bounds = f"rank={self.rank}, lower={self.lower}, upper={self.upper}"
        return f"PivotedRank({bounds}, tol={self.tol:.3g}, gap={self.gap:.3g})"


@dataclass(frozen=True, slots=True, eq=False)
class SketchedRank:
    """What a random sketch tells of the number of singular values above tol · σ₁.

    rank: singular values of the sketch above tol times its largest, an estimate. lower: at least so many, certain where
    the norm is (for an array), else but for `norm_failure`. upper: at most so many but for a probability of `failure`;
    None where the sketch is too small to tell. singular_values: of the sketch. shape: of the matrix.
    """

    rank: int
    lower: int
    upper: int | None
    tol: float
    failure: float
    norm_failure: float
    singular_values: Array
    shape: tuple[int, int]

    def __repr__(self) -> str:
        bounds = f"rank={self.rank}, lower={self.lower}, upper={self.upper}"
        return f"SketchedRank({bounds}, tol={self.tol:.3g}, failure={self.failure:.3g})"


def rank_by_qr(
    x: Any, rows: int | Sequence[int], cols: Sequence[int] | None = None, tol: float | None = None
) -> PivotedRank:
    """Rank of a matricization by QR with column pivoting: a few times faster than singular values.

        A·P = Q·R,   |r₁₁| ≥ |r₂₂| ≥ …,   ‖R₂₂‖_F ≤ √(n−k) · |r_{k+1,k+1}|,   σ_k(A) ≥ 1 / ‖R₁₁⁻¹‖_F

    for the leading k × k triangle R₁₁ and what is left, R₂₂. x, rows, cols, tol: as for `matricization_rank`; of a
    format the small matrix is factorized. The count of diagonal entries is nearly always the numerical rank, but it
    may be too large: Kahan's matrix has a singular value below every |r_kk| by a factor that grows as 2^k. The
    inequalities above give `lower` and `upper`, which hold up to rounding errors.

    Raises as `matricization_rank` does.
    Source: Golub & Van Loan 2013, §5.4.2 and §5.5.7; Businger & Golub 1965; Quintana-Ortí, Sun & Bischof 1998.

    >>> import numpy as np, tnalgebra as tna
    >>> found = tna.expressivity.rank_by_qr(tna.CPTensor.random((5, 6, 7), 3, seed=0).to_dense(), [0])
    >>> found.rank, found.lower, found.upper
    (3, 3, 3)
    """
    from scipy.linalg import qr

    cuts = Matricizations(x, tol)
    rows, cols = as_sides(rows, cols, cuts.ndim)
    small = cuts.matrix(rows, cols)
    matrix = small.array if small.array.shape[0] >= small.array.shape[1] else small.array.T
    (triangle,) = qr(matrix, mode="r", pivoting=True, check_finite=False)[:1]
    triangle = triangle[: matrix.shape[1]]
    diagonal = np.abs(np.diagonal(triangle))
    limit = cuts.default_tol(small, float(diagonal[0])) if cuts.tol is None else cuts.tol
    rank = int(np.count_nonzero(diagonal > limit * diagonal[0]))
    following = diagonal[rank] if rank < len(diagonal) else 0.0
    gap = float(diagonal[rank - 1] / following) if rank and following else inf
    rest = np.sqrt(np.arange(len(diagonal), 0, -1)) * diagonal  # ‖R₂₂‖ at most, where the k-th column begins it
    upper = int(np.count_nonzero(rest > limit * diagonal[0]))
    lower = _certain(triangle, rank, limit)
    return PivotedRank(rank, lower, max(upper, lower), limit, gap, diagonal, cuts.sides(rows))


def _certain(triangle: Array, rank: int, tol: float) -> int:
    """The largest k up to the rank for which 1 / ‖R₁₁⁻¹‖_F is above tol · ‖R‖_F; leading blocks of an inverse nest."""
    from scipy.linalg import solve_triangular

    if not rank:
        return 0
    inverse = solve_triangular(triangle[:rank, :rank], np.eye(rank, dtype=triangle.dtype), check_finite=False)
    columns = np.cumsum((np.abs(inverse) ** 2).sum(axis=0))
    return int(np.count_nonzero(tol * np.linalg.norm(triangle) * np.sqrt(columns) < 1))


def sketched_rank(
    x: Any,
    rows: int | Sequence[int] = 0,
    cols: Sequence[int] | None = None,
    *,
    size: int,
    seed: Any = 0,
    tol: float = 1e-8,
    failure: float = 1e-6,
) -> SketchedRank:
    """Rank of a matricization, or of anything that multiplies, from a sketch S = Ω₁·A·Ω₂ of `size` rows and columns.

        σ_j(S) / (‖Ω₁‖·‖Ω₂‖) ≤ σ_j(A) ≤ σ_j(S) · ‖G₁†‖ · ‖G₂†‖

    Ω₁, Ω₂ have normal entries, and G₁, G₂ are independent normal matrices of j × size: Ω₂ seen from the j leading
    singular vectors of A, and Ω₁ from those of A·Ω₂. The left side is certain. The right side holds with ‖G†‖ ≤ t but
    for a probability of at most (e·√size / ((p+1)·t))^(p+1) for real numbers and p = size − j ≥ 4, or
    j · P(χ² ≤ j/t²) with p + 1 degrees of freedom (2p + 2 and 2j/t² for complex numbers): the least of these is taken,
    for all j and both sketches at once within `failure`. So no more than `upper` singular values are above tol · σ₁,
    but for that probability; and all of them are counted as soon as `size` is ten or so above the rank and the
    singular values fall below tol by some powers of ten.

    x: an array or a format, or a linear operator with `shape`, `dtype` and `@` (then no rows and cols). size: of the
    sketch; it costs `size` products. tol: relative to σ₁; far above the rounding errors, as the bounds lose factors.

    Raises `RankError` for a size below 1, `ToleranceError`, and as `matricization_rank` does.
    Source: Halko, Martinsson & Tropp 2011, Proposition 10.4 and Lemma 4.1; Chen & Dongarra 2005.

    >>> import numpy as np, tnalgebra as tna
    >>> x = tna.CPTensor.random((12, 13, 14), 5, seed=0).to_dense()
    >>> tna.expressivity.sketched_rank(x, [0, 1], size=20)
    SketchedRank(rank=5, lower=5, upper=5, tol=1e-08, failure=1e-06)
    """
    if size < 1:
        raise RankError(f"a sketch needs a size of at least 1; got {size}")
    if not 0 < failure < 1:
        raise ToleranceError(f"failure is a probability between 0 and 1; got {failure!r}")
    rng = np.random.default_rng(seed)
    matrix, shape, norm = _operator(x, rows, cols)
    dtype = np.result_type(getattr(matrix, "dtype", None), np.float64)
    tol = max(check_tol(tol) or 0.0, max(matrix.shape) * float(np.finfo(dtype).eps))  # below, a sketch has no digits
    size = min(size, *matrix.shape)
    right, left = (_normal(rng, (n, size), dtype) for n in (matrix.shape[1], matrix.shape[0]))
    products = np.asarray(matrix @ right)
    if not np.isfinite(products).all():
        raise NonFiniteError("a rank needs finite numbers; products with the operator are not")
    norm_failure = 0.0
    if norm is None:
        norm_failure = LOUD**-size
        norm = LOUD * sqrt(2 / np.pi) * float(np.linalg.norm(products, axis=0).max())
    values = np.linalg.svd(left.conj().T @ products, compute_uv=False)
    spread = float(np.linalg.norm(left, 2) * np.linalg.norm(right, 2))
    lower = int(np.count_nonzero(values > tol * norm * spread)) if values[0] else 0
    least = float(values[0]) / spread  # σ₁ at least
    odds, is_complex = failure / (2 * size), dtype.kind == "c"
    fits = [s * _inverse(j, size, odds, is_complex) ** 2 <= tol * least for j, s in enumerate(values, 1)]
    upper = fits.index(True) if any(fits) else min(matrix.shape) if size == min(matrix.shape) else None
    rank = int(np.count_nonzero(values > tol * values[0]))
    return SketchedRank(rank, lower, upper, tol, failure, norm_failure, values, shape)


def _operator(x: Any, rows: Any, cols: Any) -> tuple[Any, tuple[int, int], float | None]:
    """Something that multiplies, the shape of the matrix, and its norm where that is known."""
    if isinstance(x, Format | list | tuple) or hasattr(x, "__array__"):
        cuts = Matricizations(x)
        rows, cols = as_sides(rows, cols, cuts.ndim)
        matrix, _ = at_one(cuts.matrix(rows, cols).array)
        return matrix, cuts.sides(rows), float(np.linalg.norm(matrix))
    shape: tuple[int, ...] = tuple(getattr(x, "shape", ()))
    if len(shape) != 2 or 0 in shape or not hasattr(x, "__matmul__"):
        raise FormatError(
            f"a sketch needs an array, a format, or an operator with two sizes of at least 1 and `@`; got "
            f"{type(x).__name__} of shape {shape}"
        )
    return x, (int(shape[0]), int(shape[1])), None


def _normal(rng: Any, shape: tuple[int, int], dtype: Any) -> Array:
    """Normal entries of variance 1."""
    draw = rng.standard_normal(shape)
    return (draw + 1j * rng.standard_normal(shape)) / sqrt(2) if dtype.kind == "c" else draw


def _inverse(j: int, size: int, failure: float, is_complex: bool) -> float:
    """A t with ‖G†‖ ≤ t but for a probability of `failure`, for a normal matrix G of j × size.

    ‖G†‖² ≤ Σ 1/dist², where dist² is that of a row to the others' span: χ² with p + 1 degrees of freedom, if real.
    """
    from scipy.special import gammaincinv

    p = size - j
    square = gammaincinv(p + 1, failure / j) if is_complex else 2 * gammaincinv((p + 1) / 2, failure / j)
    t: float = sqrt(j / square) if square > 0 else inf
    if is_complex or p < 4:
        return t
    return min(t, EULER * sqrt(size) / (p + 1) * float(failure ** (-1 / (p + 1))))
