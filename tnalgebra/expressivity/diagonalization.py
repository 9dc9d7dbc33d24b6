"""Exact CP decompositions by simultaneous diagonalization: linear algebra in place of a fit, where it applies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from ..decompose.als import residual
from ..decompose.dense import prepare
from ..decompose.factor import svd
from ..errors import FormatError, RankError, ToleranceError
from ..formats import CPTensor
from ..formats.orthogonal import spread
from ..formats.parts import check_rank, sealed
from .groups import Groups, check_groups, neighbours
from .ranks import dense_of

__all__ = ["Diagonalized", "simultaneous_diagonalization"]

Array = Any
TRIES = 4
"""Pairs of combinations of slices, of which the best is taken."""
DISTINCT = 1e-7
"""Sine between two columns below which they count as parallel, and eigenvalues as equal."""


@dataclass(frozen=True, slots=True, eq=False)
class Diagonalized:
    """A CP decomposition with its evidence.

    tensor: the decomposition. residual: ‖x − tensor‖ / ‖x‖, from the difference itself. groups: the modes that stood
    for A, B and C. condition: of the factors A and B, the larger one; finite, so they have full column rank.
    separation: least sine between two columns of C; positive, so C has a k-rank of at least 2. With both, the
    decomposition is the only one of this rank, but for the order and scales of the terms.
    """

    tensor: CPTensor
    residual: float
    groups: Groups
    condition: float
    separation: float

    def __repr__(self) -> str:
        return (
            f"Diagonalized(rank={self.tensor.rank}, residual={self.residual:.1g}, groups={self.groups}, "
            f"condition={self.condition:.3g}, separation={self.separation:.3g})"
        )


def simultaneous_diagonalization(
    x: Any, rank: int, groups: Sequence[int | Sequence[int]] | None = None, *, tol: float = 1e-8, seed: Any = 0
) -> Diagonalized:
    """Exact CP decomposition of a tensor whose factors of two modes have full column rank, by eigenvectors.

        X_k = A · diag(C[k, :]) · Bᵀ,   (Σ α_k X_k) · (Σ β_k X_k)⁺ = A · diag(Cα / Cβ) · A⁺

    The slices X_k of a tensor Σ_r a_r ⊗ b_r ⊗ c_r share their eigenvectors: the columns of A. Then A⁺·X has the rows
    b_r ⊗ c_r, which are of rank one. It needs A and B of full column rank, so that their modes have the rank R of the
    tensor, and no two parallel columns in C (k-rank ≥ 2); the decomposition is then unique. These are checked.

    x: an array or a format (it is made dense) of order three or more. rank: R. groups: the modes of A, B and C; if not
    given, all ways to share the modes out among three are tried in which A and B are large enough (neighbours only,
    beyond 6 modes). tol: the largest relative residual that is called exact. seed: of the combinations α, β.

    Raises `RankError` with the reason where there is no such decomposition: a mode whose rank is not R, parallel
    columns, complex eigenvalues of real data (then there is none over the reals with these groups, but
    ``x.astype(complex)`` may have one), or a residual above tol; `FormatError`, `ToleranceError`, `NonFiniteError`.
    Source: Leurgans, Ross & Abel 1993; Harshman 1970, who credits Jennrich; Kruskal 1977 for uniqueness.

    >>> import tnalgebra as tna
    >>> x = tna.CPTensor.random((5, 6, 3), 4, seed=0)
    >>> found = tna.expressivity.simultaneous_diagonalization(x.to_dense(), 4)
    >>> found.residual < 1e-10, round(found.tensor.factor_match_score(x), 6)
    (True, 1.0)
    """
    if not 0 < tol < 1:
        raise ToleranceError(f"tol is a relative residual and must be in (0, 1); got {tol!r}")
    (rank,) = check_rank(rank, 1, "rank of a CP tensor")
    given = dense_of(x)
    dense = prepare(given.astype(np.result_type(given.dtype, np.float64), copy=False))
    if dense.array.ndim < 3:
        raise FormatError(
            f"simultaneous diagonalization needs three modes; got {dense.array.ndim}: from_dense is exact for fewer"
        )
    if not dense.norm:
        raise RankError(f"the zero tensor has rank 0, and no decomposition of rank {rank} that is unique")
    array, reasons, best = dense.array / dense.norm, list[str](), None
    for choice in _groupings(array.shape, rank) if groups is None else [check_groups(groups, array.ndim)]:
        try:
            found = _diagonalized(array, rank, choice, np.random.default_rng(seed))
        except RankError as error:
            reasons.append(str(error))
            continue
        best = found if best is None or found.residual < best.residual else best
        if best.residual <= tol:
            weights, *factors = spread([best.tensor.weights * dense.norm, *best.tensor.factors], dense.exponent, 0)
            tensor = CPTensor(sealed(factors), weights)
            return Diagonalized(tensor, best.residual, best.groups, best.condition, best.separation)
    if best is not None:
        reasons.insert(0, f"the best residual is {best.residual:.1g}, above tol = {tol:g}")
    if not reasons:
        reasons = [f"no two of three groups of its modes have sizes of {rank} or more"]
    raise RankError(f"no CP decomposition of rank {rank} by simultaneous diagonalization: {reasons[0]}")


def _groupings(shape: tuple[int, ...], rank: int) -> Iterator[Groups]:
    """Three groups of modes, of which the first two have sizes of at least the rank; a small C last."""
    ndim, found = len(shape), set[Groups]()
    if ndim <= 6:
        for sizes in combinations(range(1, ndim), 2):
            for a in combinations(range(ndim), sizes[0]):
                rest = [mode for mode in range(ndim) if mode not in a]
                for b in combinations(rest, sizes[1] - sizes[0]):
                    c = tuple(mode for mode in rest if mode not in b)
                    found |= {(min(a, b), max(a, b), c)}
    else:
        for a, b, c in neighbours(ndim):
            found |= {(a, b, c), (a, c, b), (b, c, a)}

    def size(group: tuple[int, ...]) -> int:
        return prod(shape[mode] for mode in group)

    usable = [g for g in found if min(size(g[0]), size(g[1])) >= rank and (size(g[2]) > 1 or rank == 1)]
    yield from sorted(usable, key=lambda g: (size(g[2]), g))


def _diagonalized(array: Array, rank: int, groups: Groups, rng: Any) -> Diagonalized:
    """The decomposition for one grouping, of an array of norm one. Raises `RankError` with the reason."""
    sizes = [prod(array.shape[mode] for mode in group) for group in groups]
    cube = array.transpose([mode for group in groups for mode in group]).reshape(sizes)
    left, right = (_basis(np.moveaxis(cube, axis, 0).reshape(sizes[axis], -1), rank, groups[axis]) for axis in (0, 1))
    core = np.einsum("ia,ijk,jb->abk", left.conj(), cube, right.conj(), optimize=True)
    directions = _basis(np.moveaxis(core, 2, 0).reshape(sizes[2], -1), None, groups[2])
    slices = np.tensordot(core, directions.conj(), axes=1)
    vectors = _eigenvectors(slices, rng)
    a = left @ vectors
    inner = np.linalg.solve(vectors, slices.reshape(rank, -1)).reshape(rank, rank, -1)
    terms = [svd(matrix, np) for matrix in inner]
    b = right @ np.stack([u[:, 0] * s[0] for u, s, _ in terms], axis=1)
    c = directions @ np.stack([vh[0] for _, _, vh in terms], axis=1)
    separation = _separation(c)
    if separation < DISTINCT:
        raise RankError(f"two columns of the factor of the modes {groups[2]} are parallel, so its k-rank is below 2")
    factors: list[Any] = [None] * array.ndim
    for group, factor in zip(groups, (a, b, c), strict=True):
        for mode, part in zip(group, _split(factor, [array.shape[mode] for mode in group]), strict=True):
            factors[mode] = part
    condition = max(float(np.linalg.cond(factor / np.linalg.norm(factor, axis=0))) for factor in (a, b))
    return Diagonalized(CPTensor(sealed(factors)), residual(array, factors), groups, condition, separation)


def _basis(matrix: Array, rank: int | None, modes: tuple[int, ...]) -> Array:
    """Leading left singular vectors; there must be `rank` of them, and no more that matter."""
    u, s, _ = svd(matrix, np)
    noise = max(matrix.shape) * float(np.finfo(s.dtype).eps) * s[0]
    if rank is None:
        return u[:, : max(1, int(np.count_nonzero(s > noise)))]
    count = int(np.count_nonzero(s > noise))
    if count < rank:
        raise RankError(f"the modes {modes} have rank {count}, so their factor has not full column rank")
    return u[:, :rank]  # what lies beyond is in the residual


def _eigenvectors(slices: Array, rng: Any) -> Array:
    """Common eigenvectors of the slices, from the pair of combinations whose eigenvalues are furthest apart."""
    rank, count = len(slices), slices.shape[2]
    best, most, is_complex = None, -1.0, False
    for _ in range(TRIES):
        first, second = (slices @ rng.standard_normal(count) for _ in range(2))
        if np.linalg.cond(second) > 1 / np.finfo(float).eps:
            continue
        values, vectors = np.linalg.eig(np.linalg.solve(second.T, first.T).T)
        if not np.iscomplexobj(slices) and np.iscomplexobj(values):
            pairs = np.abs(values.imag) > 1e-9 * np.abs(values).max()
            is_complex = is_complex or bool(pairs.any())
            continue
        apart = _separation(np.stack([values, np.ones_like(values)])) if rank > 1 else 1.0
        if apart > most:
            best, most = vectors, apart
    if best is None and is_complex:
        raise RankError(
            "its slices have complex eigenvalues, so over the reals there is none with these groups; "
            "x.astype(complex) may have one"
        )
    if best is None or most < DISTINCT:
        raise RankError(
            "its slices have eigenvalues that coincide: two columns of C are parallel (k-rank below 2), or its rank is "
            f"above {rank}"
        )
    return best


def _separation(factor: Array) -> float:
    """Least sine between two columns."""
    norms = np.linalg.norm(factor, axis=0)
    units = factor / np.where(norms > 0, norms, 1)
    if units.shape[1] < 2:
        return 1.0
    sines = [
        float(np.linalg.norm(units[:, j] - units[:, i] * np.vdot(units[:, i], units[:, j])))
        for i, j in combinations(range(units.shape[1]), 2)
    ]
    return min(sines)


def _split(factor: Array, sizes: Sequence[int]) -> Iterator[Array]:
    """One factor a mode: each column is taken as of rank one; how far it is not is part of the residual."""
    rest = factor
    for place, size in enumerate(sizes[:-1]):
        wide = prod(sizes[place + 1 :])
        pieces = [svd(column.reshape(size, wide), np) for column in rest.T]
        yield np.stack([u[:, 0] for u, _, _ in pieces], axis=1)
        rest = np.stack([s[0] * vh[0] for _, s, vh in pieces], axis=1)
    yield rest
