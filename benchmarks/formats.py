"""Work on CP, TT and HT tensors beside every library that has it, and beside the BLAS and LAPACK calls at its heart."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import tnalgebra as tna
from tnalgebra.decompose.als import sweep

from . import peers
from .harness import ASLEEP, LIMIT, compare
from .peers import Contestant

__all__ = ["cp_fits", "decompositions", "gathered_entries", "inner_products", "roundings"]

Row = dict[str, Any]
Array = np.ndarray
GRIDS = ((6, 16, 1e-6), (8, 8, 1e-6), (6, 16, 1e-12), (8, 8, 1e-12))
"""Order, size of a mode, and tolerance."""
SLACK = 1.05
"""How much farther than our best result a peer of the same rank may be from the tensor."""
NOISE = 5e-12
"""A peer that was asked for 1e-12 may miss it by the rounding errors of its SVDs."""


def decompositions(cases: Sequence[tuple[int, int, float]] = GRIDS) -> Iterator[Row]:
    """TT-SVD and HT-SVD of 1 / (1 + Σx) on a grid: with noise at 1e-6, without at 1e-12."""
    for d, n, eps in cases:
        x = grid(d, n, noise=eps * 1e-4 if eps > 1e-8 else 0.0)
        error, size, limit = partial(_array_error, x), f"{n}^{d}, eps {eps:.0e}", partial(_first_cut, x, eps > 1e-8)
        train = tna.TTTensor.from_dense(x, eps=eps)
        ours = Contestant(partial(tna.TTTensor.from_dense, x, eps=eps), tna.TTTensor.to_dense)
        yield timed("TT-SVD", size, {"tnalgebra": ours} | peers.svd_peers(x, eps, train.ranks), error, eps, limit)
        if n == 16:
            ours = Contestant(partial(tna.HTTensor.from_dense, x, eps=eps), tna.HTTensor.to_dense)
            yield timed("HT-SVD", size, {"tnalgebra": ours} | peers.ht_peers(x, eps), error, eps, limit)


def roundings() -> Iterator[Row]:
    """A sum of two trains that is cut to half its rank, the same where eps cuts nothing, and one that is redundant."""
    a, b = (random_train(50, 10, 50, seed) for seed in (0, 1))
    size = "d = 50, n = 10, rank 100"
    yield rounded("round", f"{size} → 50", a + b, None, 0.0, 50)
    yield rounded("round", f"{size}, eps 1e-10, nothing to cut", a + b, None, 1e-10, None)
    yield rounded("round", f"{size} → 50, eps 1e-10", a + a * 0.5, None, 1e-10, None)
    a, b = (random_train(20, 10, 10, seed) for seed in (2, 3))
    yield rounded("multiply and round", "d = 20, n = 10, rank 10 · 10 → 20", a, b, 0.0, 20)


def rounded(work: str, size: str, a: tna.TTTensor, b: tna.TTTensor | None, eps: float, most: int | None) -> Row:
    """One row; randomized with a seed as well where ranks are prescribed."""
    whole = a if b is None else a * b
    best = whole.distance(whole.round(eps=eps, max_rank=most))
    tolerance = SLACK * best if most else eps * whole.norm()

    def call(seed: int | None) -> tna.TTTensor:
        return (a if b is None else a * b).round(eps=eps, max_rank=most, seed=seed)

    def error(cores: Sequence[Any]) -> float:
        return whole.distance(tna.TTTensor([np.asarray(core) for core in cores]))

    contestants = {"tnalgebra": Contestant(partial(call, None), lambda found: found.cores)}
    if most:
        contestants["tnalgebra, seed"] = Contestant(partial(call, 0), lambda found: found.cores)
    contestants |= peers.rounding_peers(a.cores, (a if b is None else b).cores, work, eps, most)
    return timed(work, size, contestants, error, tolerance, partial(_sweeps, whole.cores))


def inner_products() -> Iterator[Row]:
    """⟨a, b⟩ of two trains."""
    a, b = (random_train(50, 10, 100, seed) for seed in (0, 1))
    error = partial(_number_error, a.inner(b))
    ours = {"tnalgebra": Contestant(partial(a.inner, b), float)}
    contestants = ours | peers.inner_peers(a.cores, b.cores)
    limit = partial(_transfers, a.cores, b.cores)
    yield timed("inner", "d = 50, n = 10, rank 100", contestants, error, 1e-9, limit)


def gathered_entries() -> Iterator[Row]:
    """Entries at random indices."""
    train = random_train(20, 10, 20, 0)
    indices = np.random.default_rng(0).integers(0, 10, (100_000, 20))
    ours = {"tnalgebra": Contestant(partial(train.gather, indices), np.asarray)}
    contestants = ours | peers.gather_peers(train.cores, indices)
    error = partial(_array_error, contestants["NumPy"].call())
    limit = partial(_rows_times_slices, train.cores, len(indices))
    yield timed("gather", "10^5 entries, d = 20, n = 10, rank 20", contestants, error, 1e-9, limit)


def cp_fits() -> Iterator[Row]:
    """Rank 10 on 100³ with a tenth of noise: the fit as a user asks for it, and fifty bare sweeps."""
    rng = np.random.default_rng(0)
    x = np.einsum("ir,jr,kr->ijk", *rng.standard_normal((3, 100, 10)), optimize=True)
    x += 0.1 * rng.standard_normal(x.shape)
    x /= np.linalg.norm(x)
    start = list(rng.random((3, 100, 10)))
    size, error = "rank 10 on 100^3", partial(_array_error, x)

    def sweeps() -> list[Array]:
        factors = [factor.copy() for factor in start]
        for _ in range(50):
            sweep(x, factors)
        return factors

    fit = Contestant(partial(tna.CPTensor.from_dense, x, max_rank=10), tna.CPTensor.to_dense)
    bare = Contestant(sweeps, lambda factors: tna.CPTensor(factors).to_dense())
    for how, ours, tolerance in (("to convergence", fit, 1e-8), ("50 sweeps", bare, None)):
        contestants = {"tnalgebra": ours} | peers.cp_peers(x, start, 50, tolerance)
        limit = partial(_products, x, start, 50 if how == "50 sweeps" else 1)
        most = SLACK * error(ours.arrays(ours.call()))
        yield timed("CP-ALS", f"{size}, {how}", contestants, error, most, limit)


def timed(
    case: str,
    size: str,
    contestants: dict[str, Contestant],
    error: Callable[[Any], float],
    tolerance: float,
    limit: Callable[[], Any],
) -> Row:
    """Time those whose result is within the tolerance; of the others, the row keeps the error."""
    errors = {name: error(one.arrays(one.call())) for name, one in contestants.items()}
    assert errors["tnalgebra"] <= tolerance, f"{case}, {size}: error {errors['tnalgebra']:.1e} above {tolerance:.1e}"
    calls = {name: one.call for name, one in contestants.items() if errors[name] <= max(tolerance, NOISE)}
    failed = {name: value for name, value in errors.items() if name not in calls}
    row = {"case": case, "size": size, "failed": failed, "tolerance": tolerance}
    return row | compare(calls | {LIMIT: limit}, pause=ASLEEP)


def grid(d: int, n: int, noise: float) -> Array:
    """1 / (1 + x_1 + … + x_d) on [0, 1]^d, with normal noise."""
    axes = np.meshgrid(*[np.linspace(0, 1, n)] * d, indexing="ij", sparse=True)
    x = 1 / (1 + sum(axes, start=np.zeros(())))
    return x + noise * np.random.default_rng(0).standard_normal(x.shape)


def random_train(d: int, n: int, rank: int, seed: int) -> tna.TTTensor:
    """Normal cores, scaled so that the entries stay near one."""
    rng, bonds = np.random.default_rng(seed), (1, *(rank,) * (d - 1), 1)
    return tna.TTTensor([rng.standard_normal((r, n, s)) / np.sqrt(r) for r, s in pairwise(bonds)])


def _array_error(x: Array, found: Array) -> float:
    return float(np.linalg.norm(np.reshape(found, x.shape) - x) / np.linalg.norm(x))


def _number_error(truth: float, found: float) -> float:
    return abs(found - truth) / abs(truth)


def _first_cut(x: Array, is_gram: bool) -> None:
    """The first reduction of the array alone: a Gram matrix, or a triangular factor, and one product with a basis."""
    wide = x.reshape(x.shape[0], -1)
    if is_gram:
        np.linalg.eigh(wide @ wide.T)
    else:
        np.linalg.svd(np.linalg.qr(wide.T, mode="r"))
    np.eye(x.shape[0])[:6] @ wide


def _sweeps(cores: Sequence[Array]) -> None:
    """A sweep of Gram matrices and their eigendecompositions, and a sweep of products that halve the ranks."""
    for core in cores[1:-1]:
        tall, wide = core.reshape(-1, core.shape[2]), core.reshape(core.shape[0], -1)
        square = tall[: core.shape[2]]
        wide.T @ square[: len(wide)]
        np.linalg.eigh(tall.T @ tall)
        tall @ square[:, ::2]
        square[::2] @ wide


def _transfers(a: Sequence[Array], b: Sequence[Array]) -> None:
    for one, two in zip(a[1:-1], b[1:-1], strict=True):
        half = one[:, 0, :] @ two.reshape(len(two), -1)
        one.reshape(-1, one.shape[2]).T @ half.reshape(-1, two.shape[2])


def _rows_times_slices(cores: Sequence[Array], count: int) -> None:
    row = np.ones((count, cores[1].shape[0]))
    for core in cores[1:-1]:
        row @ core[:, 0]


def _products(x: Array, factors: Sequence[Array], sweeps: int) -> None:
    """The two products with the array that three modes share."""
    wide, pairs = x.reshape(-1, x.shape[-1]), np.einsum("ir,jr->ijr", *factors[:2]).reshape(-1, 10)
    for _ in range(sweeps):
        wide @ factors[2]
        pairs.T @ wide
