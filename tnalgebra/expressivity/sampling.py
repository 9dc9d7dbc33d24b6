"""Lower bounds on the rank of a matricization that is too large to be formed: ranks of some of its rows and columns."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..errors import FormatError, NonFiniteError
from ..execute.namespace import to_device
from ..formats import Format
from ..formats.indexing import checked_rows
from ..networks import GridTensor
from .grids import as_grid
from .ranks import RankEstimate, check_tol, dense_of, estimate

__all__ = ["sampled_rank"]

Array = Any


def sampled_rank(
    x: Any, rows: Sequence[int] | None = None, *, samples: int = 500, tol: float | None = None, seed: Any = 0
) -> RankEstimate:
    """Rank of randomly drawn rows and columns of a matricization: the matricization has that rank or a higher one.

        rank A ≥ rank A[I, J]

    x: a `GridTensor`, a format or an array. rows: modes of the rows, every other mode if not given; the others, and
    the classes of a grid tensor, are columns. samples: so many different rows and columns, all where there are fewer.
    tol: relative to the largest singular value, max(shape) · ε if not given. A network is evaluated in float64.
    Nothing of the size of the tensor is formed, so 20 steps of 10 templates take samples² evaluations.
    Raises `FormatError` for rows that are none or all of the modes, `NonFiniteError`.

    >>> import tnalgebra as tna
    >>> train = tna.TTTensor.random((3,) * 40, 2, seed=0)
    >>> tna.expressivity.sampled_rank(train, samples=20, seed=0).rank
    20
    """
    shape = x.shape[:-1] if isinstance(x, GridTensor) else tuple(np.shape(x)) if not isinstance(x, Format) else x.shape
    rows = checked_rows(rows, len(shape))
    columns = [mode for mode in range(len(shape)) if mode not in rows]
    tol = check_tol(tol)
    if not isinstance(samples, int | np.integer) or samples < 1:
        raise FormatError(f"samples is a number of rows and columns, 1 or more; got {samples!r}")
    rng = np.random.default_rng(seed)
    r, c = (_drawn([shape[mode] for mode in modes], samples, rng) for modes in (rows, columns))
    matrix = _submatrix(x, rows, columns, r, c)
    if not np.isfinite(matrix).all():
        raise NonFiniteError(
            f"{np.count_nonzero(~np.isfinite(matrix))} of {matrix.size} sampled numbers are not finite"
        )
    return estimate(matrix, tol, float(np.finfo(matrix.dtype).eps))


def _drawn(sizes: Sequence[int], count: int, rng: np.random.Generator) -> Array:
    """Different multi-indices: all of them where there are no more than count."""
    total = prod(sizes)
    if total <= count:
        return _digits(np.arange(total), sizes)
    if total < 1 << 62:
        found = rng.choice(total, count, replace=False) if total < 64 * count else _distinct(total, count, rng)
        return _digits(found, sizes)
    return np.stack([rng.integers(0, size, count) for size in sizes], axis=1)


def _digits(numbers: Array, sizes: Sequence[int]) -> Array:
    """Multi-indices of numbers in C order; of any number of modes, where NumPy has no more than 64."""
    found = np.empty((len(numbers), len(sizes)), int)
    for mode in reversed(range(len(sizes))):
        numbers, found[:, mode] = np.divmod(numbers, sizes[mode])
    return found


def _distinct(total: int, count: int, rng: np.random.Generator) -> Array:
    found = np.unique(rng.integers(0, total, count + count // 8 + 8))
    return rng.permutation(found)[:count]


def _submatrix(x: Any, rows: Sequence[int], columns: Sequence[int], r: Array, c: Array) -> Array:
    if isinstance(x, GridTensor):
        grid = as_grid(x)
        assert grid is not None
        return np.asarray(to_device(grid.submatrix(rows, r, c), "cpu")).reshape(len(r), -1)
    points = np.empty((len(r), len(c), len(rows) + len(columns)), int)
    points[..., list(rows)], points[..., list(columns)] = r[:, None], c[None]
    flat = points.reshape(-1, points.shape[2])
    if isinstance(x, Format):
        return np.asarray(to_device(x.gather(flat), "cpu")).reshape(len(r), len(c))
    return dense_of(x)[tuple(flat.T)].reshape(len(r), len(c))
