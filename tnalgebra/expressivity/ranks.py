"""Numerical ranks of matricizations, in float64, with the tolerance and the gap that they rest on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, prod
from typing import Any

import numpy as np

from ..canvas import Drawable, check_path, finish, new_figure
from ..decompose.dense import prepare
from ..errors import FormatError, MemoryLimitError, NonFiniteError, ToleranceError
from ..execute.memory import as_bytes
from ..execute.namespace import as_array, to_device
from ..execute.scaling import exponent_of, rescaled
from ..formats import Format
from ..formats.structure import as_sides
from ..networks import GridTensor, Network
from .picture import draw_spectra
from .structured import NetworkMatrices, SmallMatrix

__all__ = ["Matricizations", "RankEstimate", "check_tol", "dense_of", "estimate", "listed", "matricization_rank"]

Array = Any
LARGE = 1 << 22
"""Entries up to which a format is made dense for what needs entries."""


@dataclass(frozen=True, slots=True, eq=False)
class RankEstimate(Drawable):
    """A numerical rank and what it rests on.

    rank: singular values above tol · σ₁. tol: relative. gap: σ_rank / σ_{rank+1}, infinite where nothing is left;
    a gap near 1 says that the rank depends on the tolerance. singular_values: in float64, all that the structure does
    not make zero. shape: of the matricization.
    """

    rank: int
    tol: float
    gap: float
    singular_values: Array
    shape: tuple[int, int]

    @property
    def possible(self) -> int:
        """The largest rank that a matrix of this shape can have."""
        return min(self.shape)

    def draw(self, path: Any = None) -> Any:
        """Draw the singular values, and where they are cut; save if a path is given. Returns the axes.

        Raises `PictureError` where Matplotlib is missing, or a path ends otherwise than in .png, .svg or .pdf.
        """
        check_path(path)
        axes = new_figure(5.2, 3.6).subplots()
        draw_spectra(axes, {"": self}, {"": self.rank}, {"": f"tol {self.tol:.1e}"})
        finish(axes.figure, path, "singular values", repr(self))
        return axes

    def __repr__(self) -> str:
        return f"RankEstimate(rank={self.rank}, tol={self.tol:.3g}, gap={self.gap:.3g})"


def matricization_rank(
    x: Any, rows: int | Sequence[int], cols: Sequence[int] | None = None, tol: float | None = None
) -> RankEstimate:
    """Rank of the matrix whose rows run over some modes and whose columns over the others.

    x: an array or a format. rows, cols: mode numbers; cols are all others if not given.
    tol: relative to the largest singular value; by default max(matrix shape) · ε of the dtype of x.
    Singular values are computed in float64 (complex128) whatever the dtype.

    A format (ξ = multiply) is not made dense where that takes longer: QR on its parts leaves a small matrix with the
    same singular values. Modes in a row of a train and nodes of a tree take a number of operations that is polynomial
    in the ranks, also for 64 modes; row sets that alternate with the columns take as much as their rank. The default
    tol is then the larger side of that small matrix times ε, or the rounding errors that were carried there, whichever
    is more.

    Raises `FormatError` where rows and cols do not share the modes out, `NonFiniteError`, `ToleranceError`;
    `MemoryLimitError` where neither the entries nor the arrays of the structured way fit half of the memory.
    Source: ERNN, Lemma 1, for what it says of the CP rank; Oseledets 2011 and Grasedyck 2010 for trains and trees.

    >>> import numpy as np, tnalgebra as tna
    >>> tna.matricization_rank(np.eye(3), [0])
    RankEstimate(rank=3, tol=6.66e-16, gap=inf)
    >>> tna.matricization_rank(tna.TTTensor.random((4,) * 64, 3, seed=0), range(20, 40)).rank
    9
    """
    return Matricizations(x, tol).rank(rows, cols)


def check_tol(tol: float | None) -> float | None:
    """Return a relative tolerance in [0, 1), or None."""
    if tol is not None and not 0 <= tol < 1:
        raise ToleranceError(f"tol is relative to the largest singular value and must be in [0, 1); got {tol!r}")
    return tol


class Matricizations:
    """Ranks of one tensor's matricizations, each computed once: of its entries, or of the parts of a format."""

    def __init__(self, x: Any, tol: float | None = None) -> None:
        self.tol = check_tol(tol)
        self._x, self._dense, self._network = x, None, None
        if isinstance(x, Format) and x.xi.name == "multiply":
            self._network, self.shape, dtype = NetworkMatrices(x), x.shape, x.dtype
        else:
            array = dense_of(x)
            self._dense, self.shape, dtype = _at_one_scale(array), array.shape, array.dtype
        self.eps = float(np.finfo(dtype).eps)
        self._found: dict[frozenset[int], RankEstimate] = {}

    @property
    def array(self) -> Array:
        """The entries, in double precision and at a scale where squares neither overflow nor vanish.

        Raises `MemoryLimitError` for a format that is too large.
        """
        if self._dense is None:
            self._dense = _at_one_scale(dense_of(self._x))
        return self._dense

    @property
    def source(self) -> Any:
        """What was given: an array or a format."""
        return self._x

    @property
    def is_large(self) -> bool:
        """Whether there are more entries than should be formed where parts are given."""
        return self._network is not None and prod(self.shape) > LARGE

    @property
    def ndim(self) -> int:
        """Number of modes."""
        return len(self.shape)

    def cost(self, rows: Sequence[int]) -> int:
        """Multiplications that the singular values take, about."""
        dense = self._dense_cost(rows)
        return dense if self._network is None else min(dense, self._network.work(rows)[0])

    def _dense_cost(self, rows: Sequence[int]) -> int:
        m, n = self.sides(rows)
        return 4 * m * n * min(m, n)

    def sides(self, rows: Sequence[int]) -> tuple[int, int]:
        """Rows and columns of the matrix."""
        m = prod(self.shape[mode] for mode in rows)
        return m, prod(self.shape) // m

    def rank(self, rows: int | Sequence[int], cols: Sequence[int] | None = None) -> RankEstimate:
        """Rank for these rows; a transposed matricization is the same."""
        rows, cols = as_sides(rows, cols, self.ndim)
        key = frozenset(rows if 0 in rows else cols)
        if key not in self._found:
            self._found[key] = self._estimate(rows, self.matrix(rows, cols))
        return self._found[key]

    def widest(self, candidates: Iterable[Sequence[int]]) -> tuple[tuple[int, ...], int]:
        """The first of these rows with the largest rank, and that rank; no singular values where none can be larger."""
        chosen, most = tuple[int, ...](), -1
        for rows, cols in (as_sides(rows, None, self.ndim) for rows in candidates):
            key = frozenset(rows if 0 in rows else cols)
            if key not in self._found:
                small = self.matrix(rows, cols) if min(self.sides(rows)) > most else None
                if small is None or min(small.array.shape) <= most:
                    continue
                self._found[key] = self._estimate(rows, small)
            if self._found[key].rank > most:
                chosen, most = tuple(rows), self._found[key].rank
        return chosen, most

    def matrix(self, rows: list[int], cols: list[int]) -> SmallMatrix:
        """The matricization, or a smaller matrix with the same singular values; of two ways the cheaper one."""
        if self._network is not None:
            (work, peak), limit, item = self._network.work(rows), as_bytes("50%") or 0, 16
            is_small = item * prod(self.shape) <= limit
            if item * peak <= limit and (work <= self._dense_cost(rows) or not is_small):
                return self._network.matrix(rows)
            if not is_small:
                raise MemoryLimitError(
                    f"the matricization with rows {rows} takes up to {item * min(peak, prod(self.shape))} bytes, more "
                    "than half of the memory, as its rank may be as large as that: take rows that are in a row in a "
                    "train or a node of the tree, to_ht(tree) with such a node, or smaller ranks by round(eps=…)"
                )
        m, _ = self.sides(rows)
        return SmallMatrix(self.array.transpose([*rows, *cols]).reshape(m, -1))

    def _estimate(self, rows: list[int], small: SmallMatrix) -> RankEstimate:
        values = np.linalg.svd(small.array, compute_uv=False)
        tol = self.tol if self.tol is not None else self.default_tol(small, float(values[0]))
        return _counted(values, tol, small.exponent, self.sides(rows))

    def default_tol(self, small: SmallMatrix, largest: float) -> float:
        """Below it, relative to the largest singular value, are rounding errors."""
        return max(small.extent * self.eps, min(small.noise / largest, 1.0) if largest else 0.0)


def listed(modes: Sequence[int], ndim: int) -> str:
    """Mode numbers; of more than 12 modes, neighbours as 0…5.

    >>> listed([0, 2, 3], 4), listed([0, 2, 3, *range(5, 16)], 16)
    ('0 2 3', '0 2 3 5…15')
    """
    starts = [i for i, mode in enumerate(modes) if not i or mode != modes[i - 1] + 1]
    runs = [modes[start:stop] for start, stop in pairwise([*starts, len(modes)])]
    short = [[f"{run[0]}…{run[-1]}"] if ndim > 12 and len(run) > 2 else map(str, run) for run in runs]
    return " ".join(word for run in short for word in run)


def estimate(matrix: Array, tol: float | None, eps: float) -> RankEstimate:
    """Rank of a matrix; tol is its larger side times eps if not given."""
    tol = max(matrix.shape) * eps if tol is None else tol
    return _counted(np.linalg.svd(matrix, compute_uv=False), tol, 0, matrix.shape)


def _counted(values: Array, tol: float, exponent: int, shape: tuple[int, int]) -> RankEstimate:
    rank = int(np.count_nonzero(values > tol * values[0]))
    following = values[rank] if rank < len(values) else 0.0
    gap = float(values[rank - 1] / following) if rank and following else inf
    return RankEstimate(rank, tol, gap, _scaled(values, exponent), shape)


def _scaled(values: Array, exponent: int) -> Array:
    """Singular values of the tensor itself, if they are numbers that have squares; else up to a power of two."""
    return rescaled(values, exponent) if abs((exponent_of(values) or 0) + exponent) < 500 else values


def _at_one_scale(array: Array) -> Array:
    # ranks do not depend on the scale, and at this one squares neither overflow nor vanish
    return prepare(array.astype(np.result_type(array.dtype, np.float64), copy=False)).array


def dense_of(x: Any) -> Array:
    """The dense NumPy array of a tensor in floating point; finite, with one mode at least.

    A format that would not fit half of the memory raises `MemoryLimitError`, a network `FormatError`.
    """
    if isinstance(x, Network | GridTensor):
        raise FormatError(
            f"ranks are those of tensors; got a {type(x).__name__}: grid_tensor(network, templates) is the tensor of "
            "its scores, an array or a format"
        )
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
