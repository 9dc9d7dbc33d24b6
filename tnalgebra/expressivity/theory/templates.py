"""Templates: the matrix F whose rows are what the steps of a grid tensor see."""

from typing import Any

import numpy as np

from ...errors import ConstructionError, DTypeError, FormatError, NonFiniteError, UnknownNameError
from ...execute.namespace import as_array, to_device
from ...networks import FeatureMap

__all__ = ["check_kind", "check_size", "feature_map_of", "pairs_of", "realised", "templates_of"]

Array = Any
KINDS = {
    "shallow": "shallow",
    "recurrent": "recurrent",
    "hierarchical": "hierarchical",
    "cp": "shallow",
    "tt": "recurrent",
    "ht": "hierarchical",
}


def check_kind(kind: str) -> str:
    """``shallow``, ``recurrent`` or ``hierarchical``; the names of their formats, cp, tt and ht, are taken too."""
    if kind not in KINDS:
        raise UnknownNameError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    return KINDS[kind]


def check_size(least: int = 1, **sizes: Any) -> None:
    """Refuse what is no integer, or is less than it must be."""
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < least:
            raise FormatError(f"{name} must be an integer of at least {least}; got {size!r}")


def pairs_of(**sizes: Any) -> int:
    """Half of an even number of modes or steps."""
    check_size(**sizes)
    ((name, size),) = sizes.items()
    if size % 2:
        raise ConstructionError(f"the construction takes modes in pairs, so {name} must be even; got {size}")
    return int(size // 2)


def templates_of(F: Any, size: int | None = None) -> Array:
    """F as a real, finite, well-conditioned square NumPy matrix; size: M where it is known.

    Raises `ConstructionError` with the condition number where a solution would lose more than half of its digits.
    """
    matrix = np.asarray(to_device(as_array(F), "cpu"))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or 0 in matrix.shape:
        raise FormatError(f"F must be square, (M, M): one template a row, as many as features; got {matrix.shape}")
    if size is not None and len(matrix) != size:
        raise FormatError(f"F is {len(matrix)} × {len(matrix)}, but M = {size} templates are needed")
    if matrix.dtype.kind not in "biuf":
        raise DTypeError(f"F must be real; got {matrix.dtype}")
    matrix = matrix.astype(np.float32 if matrix.dtype in (np.float16, np.float32) else np.float64)
    if not np.isfinite(matrix).all():
        raise NonFiniteError(f"F must be finite; {np.count_nonzero(~np.isfinite(matrix))} of {matrix.size} are not")
    condition, limit = float(np.linalg.cond(matrix.astype(float))), float(np.finfo(matrix.dtype).eps) ** -0.5
    if not condition <= limit:
        raise ConstructionError(
            f"F must be invertible; its condition number is {condition:.2g}, and above {limit:.2g} less than half of "
            f"the digits of {matrix.dtype} are right: take other templates"
        )
    return matrix


def realised(F: Array, values: Array) -> Array:
    """V with F V = values, of shape (M, K), in the dtype of F."""
    return np.linalg.solve(F.astype(float), values).astype(F.dtype)


def feature_map_of(F: Array) -> FeatureMap:
    """f(x) = x, in the dtype of F: then F has the templates as rows."""
    return FeatureMap.identity(len(F), dtype=F.dtype)
