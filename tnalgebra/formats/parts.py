"""Checks that formats share: arrays, ranks, tolerances, seeds."""

from collections.abc import Iterable, Sequence
from math import exp, log
from mmap import mmap
from typing import Any

import numpy as np

from ..algebra.scalar import cast
from ..errors import DTypeError, FormatError, RankError, ToleranceError
from ..execute.namespace import as_array, namespace_of

__all__ = [
    "check_eps",
    "check_rank",
    "check_seed",
    "check_shape",
    "frozen",
    "mode_product",
    "normal",
    "one_home",
    "sealed",
    "share",
]

Array = Any


def frozen(array: Any, name: str, axes: Sequence[str]) -> Array:
    """Return the array with the axes that it must have, floating or complex, read-only where it is NumPy's."""
    array = as_array(array)
    if array.ndim != len(axes):
        raise FormatError(f"{name} must have axes ({', '.join(axes)}); got shape {tuple(array.shape)}")
    if not isinstance(array, np.ndarray):
        return array
    if array.dtype.char not in "fdFD" or not array.dtype.isnative:
        array = _for_blas(array, name)
    elif not array.flags.writeable and (array.base is None or is_constant(array.base)):
        return array
    else:
        array = array.copy()  # what the caller does with its array later is no concern of this one
    array.flags.writeable = False
    return array


def is_constant(array: Any) -> bool:
    """Whether nobody can write to the array, nor to one or to a buffer that it is a view of."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    return array is None or (isinstance(array, bytes | mmap) and memoryview(array).readonly)


def _for_blas(array: Array, name: str) -> Array:
    """A copy in a dtype that BLAS has, where one holds all digits."""
    if array.dtype.char in "gG" and array.dtype.itemsize > np.dtype(complex).itemsize // 2:
        raise DTypeError(f"{name} has dtype {array.dtype}; BLAS has float32, float64, complex64 and complex128")
    if array.dtype.kind in "biu" or array.dtype.char == "e":
        return array.astype(np.float32 if array.dtype.char == "e" else np.float64)
    return array.astype(array.dtype.newbyteorder("="))


def sealed(arrays: Iterable[Array]) -> tuple[Array, ...]:
    """Arrays that the library has just made, read-only, so that a format keeps them without a copy."""
    found = tuple(arrays)
    for array in found:
        while isinstance(array, np.ndarray):
            array.setflags(write=False)
            array = array.base  # a result may be a view of what a library function has made
    return found


def one_home(arrays: Sequence[Array]) -> tuple[Array, ...]:
    """The parts in their common dtype; parts of different libraries or devices are refused."""
    xp = namespace_of(arrays)
    if len({array.dtype for array in arrays}) == 1:
        return tuple(arrays)
    dtype = xp.result_type(*arrays)
    return sealed(cast(array, dtype, xp) for array in arrays)


def mode_product(matrix: Array, part: Array) -> Array:
    """Σ_i M[…, i] · part[…, i, r]: in every format a mode is the last axis but one of its part."""
    xp = namespace_of([matrix, part])
    return matrix @ xp.ascontiguousarray(part)  # matmul leaves BLAS for a slow loop where neither axis is dense


def check_shape(shape: Iterable[int]) -> tuple[int, ...]:
    """Mode sizes as a tuple of positive integers."""
    sizes = tuple(shape)
    if not sizes or not all(isinstance(size, int | np.integer) and size > 0 for size in sizes):
        raise FormatError(f"shape must be one positive size a mode; got {sizes}")
    return tuple(map(int, sizes))


def check_rank(rank: Any, count: int, what: str) -> tuple[int, ...]:
    """One positive rank a bond, from one number for all or a sequence."""
    ranks = (rank,) * count if isinstance(rank, int | np.integer) and not isinstance(rank, bool) else rank
    if not isinstance(ranks, Sequence) or not all(isinstance(r, int | np.integer) for r in ranks):
        raise RankError(f"rank must be an integer or a sequence of {count} integers ({what}); got {rank!r}")
    if len(ranks) != count:
        raise RankError(f"rank has {len(ranks)} entries, but there are {count} {what}")
    if any(r < 1 for r in ranks):
        raise RankError(f"a rank must be at least 1; got {rank!r}")
    return tuple(map(int, ranks))


def share(ranks: Sequence[int], count: int) -> float:
    """Variance of the entries of `count` parts whose product, summed over all ranks, has variance 1."""
    return exp(-sum(map(log, ranks)) / count)


def check_eps(eps: float | None) -> float | None:
    """Return a relative error in [0, 1), or None."""
    if eps is None:
        return None
    if not isinstance(eps, int | float | np.number) or not 0 <= eps < 1:
        raise ToleranceError(
            f"eps is the relative Frobenius error of the whole result and must be in [0, 1); got {eps!r}"
        )
    return float(eps)


def check_seed(seed: Any) -> None:
    """Refuse what no random generator is made from."""
    try:
        np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise FormatError(f"seed must be an integer from 0, or a NumPy generator; got {seed!r}") from error


def normal(shapes: Sequence[tuple[int, ...]], variance: float, seed: Any, dtype: Any) -> list[Array]:
    """Draw independent normal entries; complex ones have the variance in total."""
    kind = np.dtype(dtype)
    if kind.kind not in "fc":
        raise DTypeError(f"random tensors need a floating or complex dtype; got {kind}")
    rng = np.random.default_rng(seed)
    if kind.kind == "c":
        draws = [rng.standard_normal((2, *shape)) * np.sqrt(variance / 2) for shape in shapes]
        return [(real + 1j * imag).astype(kind) for real, imag in draws]
    return [(rng.standard_normal(shape) * np.sqrt(variance)).astype(kind) for shape in shapes]
