"""CP tensors of arrays and of other formats: exact for matrices, fitted by least squares beyond."""

import warnings
from collections.abc import Iterator
from math import isfinite, prod, sqrt
from typing import Any

import numpy as np

from ..errors import ConvergenceWarning, NonFiniteError, RankError
from ..execute.namespace import to_device
from ..execute.scaling import rescaled
from ..formats import CPTensor, Format, HTTensor, TruncationReport, TTTensor
from ..formats.later import implements
from ..formats.orthogonal import shares, spread
from ..formats.parts import check_eps, check_rank, sealed
from ..formats.truncation import FitReport
from .basis import exact_basis
from .cp_search import Search
from .dense import Dense, prepare

__all__ = ["at_norm_one", "cp_fit", "cp_from_dense", "cp_round", "problems"]

Array = Any


@implements("from_dense", CPTensor)
def cp_from_dense(
    array: Any,
    *,
    eps: float | None = None,
    max_rank: int | None = None,
    seed: Any = 0,
    restarts: int = 2,
    sweeps: int = 500,
) -> CPTensor:
    """CP tensor of a dense array: of rank `max_rank`, or of the least rank found that meets `eps`.

    Up to two modes the SVD is exact. Beyond, the CP rank is NP-hard and a best fit may not exist: each rank is tried
    by least squares from `restarts` starts (alternating, then Gauss-Newton on small cores), from the largest
    matricization rank at eps upwards, and the trivial decomposition of rank Πn / max n ends the search. Where neither
    reaches eps within `max_rank`, the best fit is returned with a `ConvergenceWarning`. The result's `truncation` says
    what was reached, its `fit` how.
    eps: relative Frobenius error of the whole. seed: of the random starts; a core of at most 4096 entries gets
    twice as many. sweeps: of each run.
    Source: Kolda & Bader 2009, §3.4; Tomasi & Bro 2006.

    >>> import numpy as np, tnalgebra as tna
    >>> x = tna.CPTensor.random((3, 5, 7), rank=2, seed=1).to_dense()
    >>> tna.CPTensor.from_dense(x, eps=1e-6).rank
    2
    """
    dense, (eps, cap) = prepare(array), _checked(eps, max_rank, "from_dense")
    if not dense.norm:
        return _zero(dense.array.shape, dense.array.dtype, eps, dense.xp)
    if dense.array.ndim <= 2:
        return _by_svd(dense, eps, cap)
    x = to_device(dense.array, "cpu") / dense.norm
    factors, fit = Search(x.astype(np.result_type(x, np.float64)), eps or 0.0, seed, restarts, sweeps).run(cap)
    _warn(len(factors[0].T), fit, eps)
    return _assembled(factors, dense.norm, dense.exponent, fit, eps, dense.array)


def _checked(eps: float | None, max_rank: int | None, what: str) -> tuple[float | None, int | None]:
    if eps is None and max_rank is None:
        raise RankError(f"{what} of a CP tensor needs eps, max_rank, or both: its rank cannot be read off")
    return check_eps(eps), None if max_rank is None else check_rank(max_rank, 1, "rank of a CP tensor")[0]


@implements("fit_cp", CPTensor, TTTensor, HTTensor)
def cp_fit(
    tensor: Format,
    *,
    eps: float | None = None,
    max_rank: int | None = None,
    seed: Any = 0,
    restarts: int = 2,
    sweeps: int = 500,
) -> CPTensor:
    """CP tensor fitted to another format without its entries; arguments and reports as for `from_dense`.

    Where the Tucker core of the tensor is small the fit runs on that, else on the cores of the format themselves.
    A rank at which the tensor is exact by construction (`to_cp`) is not tried.

    >>> import tnalgebra as tna
    >>> tna.CPTensor.random((6, 7, 8, 9), rank=3, seed=0).to_tt().fit_cp(eps=1e-6).rank
    3
    """
    eps, cap = _checked(eps, max_rank, "fit_cp")
    x, mantissa, exponent = at_norm_one(tensor.to_device("cpu"))
    if not isfinite(mantissa):
        raise NonFiniteError("a tensor with NaN or infinite parts has no fit")
    if not mantissa:
        return _zero(tensor.shape, tensor.dtype, eps, np)
    factors, fit = Search(x, eps or 0.0, seed, restarts, sweeps).run(cap)
    _warn(len(factors[0].T), fit, eps)
    return _assembled(factors, mantissa, exponent, fit, eps, next(iter(tensor.parameters().values())))


def at_norm_one(tensor: Format) -> tuple[Any, float, int]:
    """The tensor over its norm, which is mantissa · 2^exponent, in double precision; as it is where that is no number.

    An exponent beyond one number is shared by all parts.
    """
    parts = tensor.parameters()
    wide = {name: part.astype(np.result_type(part, np.float64)) for name, part in parts.items()}
    tensor = tensor._rebuild(wide)
    mantissa, exponent = tensor._multiply_norm()
    if not mantissa or not isfinite(mantissa):
        return tensor, mantissa, exponent
    parts, own = tensor._eased().parameters(), shares(exponent, len(wide))
    scaled = [rescaled(part, -share) for part, share in zip(parts.values(), own, strict=True)]
    return tensor._rebuild(dict(zip(parts, scaled, strict=True)))._scaled(1 / mantissa), mantissa, exponent


@implements("round", CPTensor)
def cp_round(tensor: CPTensor, *, eps: float | None = None, max_rank: int | None = None, seed: Any = None) -> CPTensor:
    """CP tensor of smaller rank, fitted in factored form; with eps alone the tensor itself where no fit meets it.

    There is no SVD of a CP tensor: the result is the best fit that was found, its `truncation` says what was measured.
    seed: of the random starts.

    >>> import tnalgebra as tna
    >>> t = tna.CPTensor.random((5, 6, 7), rank=2, seed=0)
    >>> (t + t).round(eps=1e-8).rank
    2
    """
    most = tensor.rank if max_rank is None else check_rank(max_rank, 1, "rank of a CP tensor")[0]
    eps = float(np.finfo(tensor.dtype).eps) ** 0.5 if eps is None and max_rank is None else check_eps(eps)
    if not isfinite(tensor._multiply_norm()[0]):
        raise NonFiniteError("a tensor with NaN or infinite parts cannot be rounded")
    is_capped = most < tensor.rank
    if is_capped or (eps is not None and tensor.rank > 1):
        with warnings.catch_warnings():
            if not is_capped:
                warnings.simplefilter("ignore", ConvergenceWarning)  # the tensor itself is returned where fits fail
            seed = 0 if seed is None else seed
            found: CPTensor = cp_fit(tensor, eps=eps, max_rank=min(most, tensor.rank - 1), seed=seed)
        if is_capped or (found.truncation is not None and found.truncation.is_reached):
            return found
    report = TruncationReport(requested=eps, bound=0.0)
    return CPTensor(tensor.factors, tensor.weights, truncation=report)


def _warn(rank: int, fit: FitReport, eps: float | None) -> None:
    for problem in problems(rank, fit, eps):
        warnings.warn(problem, ConvergenceWarning, stacklevel=5)


def problems(
    rank: int, fit: FitReport, eps: float | None, limit: str = "max_rank, restarts or sweeps"
) -> Iterator[str]:
    """What a warning says of a fit; limit: what to raise where it does not reach eps."""
    if fit.is_degenerate and (eps is None or fit.error > eps):
        yield (
            f"terms of the CP fit of rank {rank} grow against one another, so no best fit of this rank may exist "
            "(border rank); a larger rank does not have to"
        )
    if eps is not None and fit.error > eps:
        yield (f"CP of rank {rank} reached a relative error of {fit.error:.3g}, not eps = {eps:.3g}; raise {limit}")


def _zero(shape: tuple[int, ...], dtype: Any, eps: float | None, xp: Any) -> CPTensor:
    zeros = (xp.zeros((size, 1), dtype) for size in shape)
    return CPTensor(sealed(zeros), truncation=TruncationReport(requested=eps, bound=0.0))


def _by_svd(dense: Dense, eps: float | None, cap: int | None) -> CPTensor:
    """One mode is its own factor; two modes are a matrix."""
    x = dense.array
    threshold = (dense.rounding if eps is None else eps) * dense.norm
    matrix = x.reshape(len(x), -1)
    left, discarded = exact_basis(matrix, threshold**2, cap, dense.xp)
    right = left.T.conj() @ matrix
    factors = [left, right.T] if x.ndim == 2 else [left * right[0, 0]]
    report = TruncationReport(requested=eps, bound=sqrt(discarded) / dense.norm)
    weights, *factors = spread([dense.xp.ones(factors[0].shape[1], dtype=x.dtype), *factors], dense.exponent, 0)
    return CPTensor(sealed(factors), weights, truncation=report)


def _assembled(
    factors: list[Array], norm: float, exponent: int, fit: FitReport, eps: float | None, like: Array
) -> CPTensor:
    """Unit columns, weights sorted by size, in the dtype and on the device of an array."""
    norms = [np.linalg.norm(factor, axis=0) for factor in factors]
    weights = prod(norms) * norm
    order = np.argsort(-weights, kind="stable")
    units = [(factor / np.where(size > 0, size, 1))[:, order] for factor, size in zip(factors, norms, strict=True)]
    parts = [np.asarray(part, dtype=like.dtype) for part in (weights[order], *units)]
    scaled, *units = spread(parts, exponent, 0)
    report = TruncationReport(requested=eps, bound=fit.error)
    found = CPTensor(sealed(units), scaled, truncation=report, fit=fit)
    return found if isinstance(like, np.ndarray) else found.to_device(f"cuda:{like.device.id}")
