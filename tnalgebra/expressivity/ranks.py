"""Numerical ranks of matricizations, in float64, with the tolerance and the gap that they rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np

from ..decompose.dense import prepare
from ..errors import FormatError, MemoryLimitError, NonFiniteError, ToleranceError
from ..execute.memory import as_bytes
from ..execute.namespace import as_array, to_device
from ..formats import Format

__all__ = ["Matricizations", "RankEstimate", "dense_of", "matricization_rank"]

Array = Any


@dataclass(frozen=True, slots=True, eq=False)
class RankEstimate:
    """A numerical rank and what it rests on.

    rank: singular values above tol · σ₁. tol: relative. gap: σ_rank / σ_{rank+1}, infinite where nothing is left;
    a gap near 1 says that the rank depends on the tolerance. singular_values: all of them, in float64.
    """

    rank: int
    tol: float
    gap: float
    singular_values: Array

    @property
    def possible(self) -> int:
        """The largest rank that a matrix of this shape can have."""
        return len(self.singular_values)

    def __repr__(self) -> str:
        return f"RankEstimate(rank={self.rank}, tol={self.tol:.3g}, gap={self.gap:.3g})"


def matricization_rank(
    x: Any, rows: int | Sequence[int], cols: Sequence[int] | None = None, tol: float | None = None
) -> RankEstimate:
    """Rank of the matrix whose rows run over some modes and whose columns over the others.

    x: an array or a format. rows, cols: mode numbers; cols are all others if not given.
    tol: relative to the largest singular value; by default max(matrix shape) · ε of the dtype of x.
    Singular values are computed in float64 (complex128) whatever the dtype.

    Raises `FormatError` where rows and cols do not share the modes out, `NonFiniteError`, `ToleranceError`.
    Source: ERNN, Lemma 1, for what it says of the CP rank.

    >>> import numpy as np, tnalgebra as tna
    >>> tna.matricization_rank(np.eye(3), [0])
    RankEstimate(rank=3, tol=6.66e-16, gap=inf)
    """
    return Matricizations(x, tol).rank(rows, cols)


class Matricizations:
    """Ranks of one tensor's matricizations, each computed once."""

    def __init__(self, x: Any, tol: float | None = None) -> None:
        if tol is not None and not 0 <= tol < 1:
            raise ToleranceError(f"tol is relative to the largest singular value and must be in [0, 1); got {tol!r}")
        array = dense_of(x)
        self.tol, self.eps = tol, float(np.finfo(array.dtype).eps)
        # ranks do not depend on the scale, and at this one squares neither overflow nor vanish
        self.array = prepare(array.astype(np.result_type(array.dtype, np.float64), copy=False)).array
        self._found: dict[frozenset[int], RankEstimate] = {}

    @property
    def ndim(self) -> int:
        """Number of modes."""
        return int(self.array.ndim)

    def cost(self, rows: Sequence[int]) -> int:
        """Multiplications that the singular values take, about."""
        m = prod(self.array.shape[mode] for mode in rows)
        n = self.array.size // m
        return int(4 * m * n * min(m, n))

    def rank(self, rows: int | Sequence[int], cols: Sequence[int] | None = None) -> RankEstimate:
        """Rank for these rows; a transposed matricization is the same."""
        rows = [rows] if isinstance(rows, int) else list(rows)
        cols = [mode for mode in range(self.ndim) if mode not in rows] if cols is None else list(cols)
        if sorted([*rows, *cols]) != list(range(self.ndim)):
            raise FormatError(f"rows {rows} and cols {cols} must share out the modes 0, …, {self.ndim - 1}, each once")
        key = frozenset(rows if 0 in rows else cols)
        if key not in self._found:
            self._found[key] = self._estimate(rows, cols)
        return self._found[key]

    def _estimate(self, rows: list[int], cols: list[int]) -> RankEstimate:
        from scipy.linalg import svdvals

        m = prod(self.array.shape[mode] for mode in rows)
        matrix = self.array.transpose([*rows, *cols]).reshape(m, -1)
        values = svdvals(matrix, check_finite=False)
        tol = max(matrix.shape) * self.eps if self.tol is None else self.tol
        rank = int(np.count_nonzero(values > tol * values[0]))
        following = values[rank] if rank < len(values) else 0.0
        gap = float(values[rank - 1] / following) if rank and following else inf
        return RankEstimate(rank, tol, gap, values)


def dense_of(x: Any) -> Array:
    """The dense NumPy array of a tensor in floating point; finite, with one mode at least.

    A format that would not fit half of the memory raises `MemoryLimitError`.
    """
    if isinstance(x, Format):
        size, limit = prod(x.shape) * 16, as_bytes("50%") or 0
        if size > limit:
            raise MemoryLimitError(
                f"the dense tensor of shape {x.shape} takes up to {size} bytes, more than half of the memory"
            )
        x = x.to_dense()
    array = to_device(as_array(x), "cpu")
    array = np.asarray(array)
    if array.ndim == 0 or 0 in array.shape:
        raise FormatError(f"a rank needs at least one mode, and no mode of size 0; got shape {array.shape}")
    array = array.astype(np.float64) if array.dtype.kind in "biu" else array
    if not np.isfinite(array).all():
        raise NonFiniteError(
            f"a rank needs finite numbers; {np.count_nonzero(~np.isfinite(array))} of {array.size} are not"
        )
    return array
