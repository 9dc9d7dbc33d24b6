"""A dense array made ready: finite, floating, and of a scale at which squares neither overflow nor vanish."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import DTypeError, FormatError, NonFiniteError
from ..execute.namespace import as_array, namespace_of
from ..execute.scaling import largest, rescaled

__all__ = ["Budget", "Dense", "prepare", "truncated_svd"]

Array = Any


@dataclass(frozen=True, slots=True)
class Dense:
    """The array times 2^−exponent, and the norm of that."""

    array: Array
    exponent: int
    norm: float
    xp: ModuleType

    @property
    def rounding(self) -> float:
        """Relative error below which singular values are noise.

        A zero singular value is computed as about one rounding error of the largest, and a matricization has at most
        √N of them: together ε·N^¼; 8 is the margin.
        """
        eps: float = np.finfo(self.array.dtype).eps
        return float(8 * eps * self.array.size**0.25)


def prepare(array: Any, what: str = "from_dense") -> Dense:
    """Check an array and scale it, if it needs it, by a power of two (which loses nothing).

    Raises `NonFiniteError` with the number of NaN and infinite entries, `DTypeError`, `FormatError` for no modes.
    """
    x = as_array(array)
    xp = namespace_of([x])
    if xp.__name__ not in ("numpy", "cupy"):
        raise DTypeError(f"{what} takes NumPy and CuPy arrays; got {type(x).__name__}, convert it first")
    if x.ndim == 0 or 0 in x.shape:
        raise FormatError(f"{what} needs at least one mode, and no mode of size 0; got shape {x.shape}")
    if x.dtype.kind in "biu":
        x = x.astype(np.float64)
    elif x.dtype == np.float16:
        x = x.astype(np.float32)
    bound = largest(x)
    if not np.isfinite(bound):
        bad = int(xp.count_nonzero(~xp.isfinite(x)))
        raise NonFiniteError(f"{what} needs finite numbers; {bad} of {x.size} entries are NaN or infinite")
    limits = np.finfo(x.dtype)
    exponent = 0
    if bound and not limits.tiny**0.25 < bound < limits.max**0.25:
        exponent = int(np.frexp(bound)[1])
        x = rescaled(x, -exponent)
    return Dense(x, exponent, float(xp.linalg.norm(x.reshape(-1))), xp)


class Budget:
    """How much squared error is left, shared equally among the truncations that are still to come."""

    def __init__(self, eps: float | None, dense: Dense, count: int) -> None:
        self.norm, self.left = dense.norm, count
        relative = dense.rounding * np.sqrt(max(count, 1)) if eps is None else eps
        self.total = (relative * dense.norm) ** 2
        self.spent = 0.0
        self.discarded: dict[str, float] = {}

    def threshold(self) -> float:
        """What the next truncation may discard."""
        return float(np.sqrt(max(self.total - self.spent, 0.0) / max(self.left, 1)))

    def spend(self, bond: str, discarded: float) -> None:
        """Record what one truncation discarded."""
        self.spent += discarded**2
        self.left -= 1
        self.discarded[bond] = discarded / self.norm

    @property
    def bound(self) -> float:
        """Relative error of all truncations together: they are orthogonal to one another."""
        return float(np.sqrt(self.spent)) / self.norm


def truncated_svd(matrix: Array, threshold: float, max_rank: int | None, xp: ModuleType) -> tuple[Array, Array, float]:
    """U (m, r) with orthonormal columns, C = Uᴴ·matrix (r, n), and the norm of what is left out.

    r is the least rank that leaves out at most `threshold`, or `max_rank`.
    """
    u, s, vh = _svd(matrix, xp)
    tails = xp.sqrt(xp.cumsum((s**2)[::-1]))[::-1]  # tails[r] is what rank r leaves out
    tails = np.append(np.asarray(tails if xp is np else tails.get()), 0.0)
    rank = max(1, int(np.argmax(tails <= threshold)))
    rank = rank if max_rank is None else min(rank, max_rank)
    return u[:, :rank], s[:rank, None] * vh[:rank], float(tails[rank])


def _svd(matrix: Array, xp: ModuleType) -> tuple[Array, Array, Array]:
    """Divide and conquer; where that does not converge, the slower and safer driver."""
    if xp is not np:
        u, s, vh = xp.linalg.svd(matrix, full_matrices=False)
        return u, s, vh
    from scipy.linalg import LinAlgError, svd

    try:
        u, s, vh = svd(matrix, full_matrices=False, check_finite=False)
    except LinAlgError:
        u, s, vh = svd(matrix, full_matrices=False, check_finite=False, lapack_driver="gesvd")
    return u, s, vh
