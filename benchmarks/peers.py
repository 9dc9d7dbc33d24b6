"""The same work on CP, TT and HT tensors in other libraries: each call with what turns its result into NumPy arrays.

Libraries are imported where they are called: none of them is needed for the other suites.
"""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "Contestant",
    "cp_peers",
    "gather_peers",
    "ht_peers",
    "inner_peers",
    "rounding_peers",
    "small_peers",
    "svd_peers",
]

Array = np.ndarray
Cores = Sequence[Array]


class Contestant(NamedTuple):
    """One library's way to do the work."""

    call: Callable[[], Any]
    arrays: Callable[[Any], Any]


def svd_peers(x: Array, eps: float, ranks: tuple[int, ...]) -> dict[str, Contestant]:
    """TT-SVD of an array, by Gram matrices where eps allows them.

    TensorLy takes ranks in place of a tolerance, and gets those of the reference.
    """
    import quimb.tensor as qtn
    import teneva
    import tensap
    import tntorch
    import torch
    import torchtt
    from tensorly.decomposition import tensor_train

    d, norm, tensor, full = x.ndim, np.linalg.norm(x), torch.from_numpy(x), tensap.FullTensor(x)
    cut = eps**2 / (d - 1)
    train = partial(qtn.MatrixProductState.from_dense, x.reshape(-1), dims=list(x.shape), method="svd")
    dense = tntorch.Tensor(tensor)
    eig = partial(tntorch.round_tt, dense, eps=eps, algorithm="eig")
    grams = {"tntorch eig": Contestant(eig, lambda found: _dense(found.cores))} if eps > 1e-8 else {}
    return grams | {
        "teneva": Contestant(lambda: teneva.svd(x, eps * norm / np.sqrt(d - 1)), _dense),
        "TensorLy": Contestant(lambda: tensor_train(x, list(ranks)), lambda found: _dense(found.factors)),
        "tntorch": Contestant(lambda: tntorch.round_tt(dense, eps=eps), lambda found: _dense(found.cores)),
        "torchTT": Contestant(lambda: torchtt.TT(tensor, eps=eps), lambda found: _dense(found.cores)),
        "quimb": Contestant(lambda: train(cutoff=cut, cutoff_mode="rsum2"), lambda found: found.to_dense()),
        "tensap": Contestant(
            lambda: tensap.Truncator(tolerance=eps).ttsvd(full), lambda found: found.full().numpy().reshape(x.shape)
        ),
    }


def ht_peers(x: Array, eps: float) -> dict[str, Contestant]:
    """HT-SVD of an array on a balanced tree."""
    import tensap

    full, tree = tensap.FullTensor(x), tensap.DimensionTree.balanced(x.ndim)
    call = partial(tensap.Truncator(tolerance=eps).hsvd, full, tree)
    return {"tensap": Contestant(call, lambda found: found.full().numpy().reshape(x.shape))}


def rounding_peers(a: Cores, b: Cores, work: str, eps: float, most: int | None) -> dict[str, Contestant]:
    """Round the train `a` (work "round") or the Hadamard product of two trains (work "multiply and round")."""
    import quimb.tensor as qtn
    import teneva
    import tntorch
    import torchtt

    is_product = work == "multiply and round"
    cap = most or 10**6
    eig, svd = (partial(tntorch.round_tt, eps=eps, rmax=cap, algorithm=name) for name in ("eig", "svd"))
    x, y = (tntorch.Tensor(list(_torch(cores))) for cores in (a, b))
    u, v = (torchtt.TT(_torch(cores)) for cores in (a, b))
    p, q = list(a), list(b)
    made = {
        "teneva": Contestant(lambda: teneva.truncate(teneva.mul(p, q) if is_product else p, eps, cap), list),
        "tntorch": Contestant(lambda: svd(x * y if is_product else x), lambda found: found.cores),
        "tntorch eig": Contestant(lambda: eig(x * y if is_product else x), lambda found: found.cores),
        "torchTT": Contestant(lambda: (u * v if is_product else u).round(eps, cap), lambda found: found.cores),
    }
    if not is_product:
        state = qtn.MatrixProductState(_quimb(a), shape="lrp")
        options = {"max_bond": most, "cutoff": eps**2 / (len(a) - 1), "cutoff_mode": "rsum2"}
        made["quimb"] = Contestant(lambda: _compressed(state, options), _from_quimb)
    return made


def inner_peers(a: Cores, b: Cores) -> dict[str, Contestant]:
    """⟨a, b⟩. teneva's needs minutes at these ranks and is left out."""
    import quimb.tensor as qtn
    import tntorch
    import torchtt

    x, y = (tntorch.Tensor(list(_torch(cores))) for cores in (a, b))
    u, v = (torchtt.TT(_torch(cores)) for cores in (a, b))
    p, q = (qtn.MatrixProductState(_quimb(cores), shape="lrp") for cores in (a, b))
    return {
        "NumPy": Contestant(lambda: _inner(a, b), float),
        "tntorch": Contestant(lambda: tntorch.dot(x, y), float),
        "torchTT": Contestant(lambda: torchtt.dot(u, v), float),
        "quimb": Contestant(lambda: p.H @ q, float),
    } | ({"JAX": Contestant(_jax_inner(a, b), float)} if find_spec("jax") else {})


def small_peers(a: Cores, b: Cores, indices: Array) -> dict[str, dict[str, Contestant]]:
    """Inner product, norm, sum, entries and rounding of small trains, by what is done."""
    import teneva
    import tntorch
    import torch
    import torchtt

    x, y = (tntorch.Tensor(list(_torch(cores))) for cores in (a, b))
    u, v = (torchtt.TT(_torch(cores)) for cores in (a, b))
    p, q, points = list(a), list(b), torch.from_numpy(indices)
    columns = tuple(torch.from_numpy(np.ascontiguousarray(column)) for column in indices.T)
    return {
        "inner": {
            "NumPy": Contestant(lambda: _inner(p, q), np.asarray),
            "teneva": Contestant(lambda: teneva.mul_scalar(p, q), np.asarray),
            "tntorch": Contestant(lambda: tntorch.dot(x, y), np.asarray),
            "torchTT": Contestant(lambda: torchtt.dot(u, v), np.asarray),
        },
        "norm": {
            "teneva": Contestant(lambda: teneva.norm(p), np.asarray),
            "tntorch": Contestant(lambda: tntorch.norm(x), np.asarray),
            "torchTT": Contestant(u.norm, np.asarray),
        },
        "sum": {
            "teneva": Contestant(lambda: teneva.add(p, q), _dense),
            "tntorch": Contestant(lambda: x + y, lambda found: _dense(found.cores)),
            "torchTT": Contestant(lambda: u + v, lambda found: _dense(found.cores)),
        },
        "entries": {
            "NumPy": Contestant(lambda: _entries(p, indices), np.asarray),
            "teneva": Contestant(lambda: teneva.get_many(p, indices), np.asarray),
            "tntorch": Contestant(lambda: x[columns], lambda found: np.asarray(found.torch())),
            "torchTT": Contestant(lambda: u.apply_mask(points), np.asarray),
        },
        "round": {
            "teneva": Contestant(lambda: teneva.truncate(p, 1e-10), _dense),
            "tntorch": Contestant(lambda: tntorch.round_tt(x, eps=1e-10), lambda found: _dense(found.cores)),
            "torchTT": Contestant(lambda: u.round(1e-10), lambda found: _dense(found.cores)),
        },
    }


def gather_peers(cores: Cores, indices: Array) -> dict[str, Contestant]:
    """Entries at many indices."""
    import teneva
    import tntorch
    import torch
    import torchtt

    x, u, points = tntorch.Tensor(list(_torch(cores))), torchtt.TT(_torch(cores)), torch.from_numpy(indices)
    columns = tuple(torch.from_numpy(np.ascontiguousarray(column)) for column in indices.T)
    c = list(cores)
    return {
        "NumPy": Contestant(lambda: _entries(c, indices), np.asarray),
        "teneva": Contestant(lambda: teneva.get_many(c, indices), np.asarray),
        "tntorch": Contestant(lambda: x[columns], lambda found: np.asarray(found.torch())),
        "torchTT": Contestant(lambda: u.apply_mask(points), np.asarray),
    }


def cp_peers(x: Array, factors: Cores, sweeps: int, tolerance: float | None) -> dict[str, Contestant]:
    """Alternating least squares from the same start, all sweeps where there is no tolerance.

    tntorch takes no start and makes its own.
    """
    import tntorch
    import torch
    from tensorly.cp_tensor import CPTensor
    from tensorly.decomposition import parafac

    rank, tensor = factors[0].shape[1], torch.from_numpy(x)

    def from_start() -> Any:
        start = CPTensor((None, [factor.copy() for factor in factors]))
        return parafac(x, rank, n_iter_max=sweeps, init=start, tol=tolerance)

    return {
        "TensorLy": Contestant(
            from_start,
            lambda found: _cp_dense([found.factors[0] * found.weights, *found.factors[1:]]),
        ),
        "tntorch": Contestant(
            lambda: tntorch.Tensor(
                tensor, ranks_cp=rank, max_iter=sweeps, tol=-1.0 if tolerance is None else tolerance
            ),
            lambda found: _cp_dense([np.asarray(core) for core in found.cores]),
        ),
    }


def _entries(cores: Cores, indices: Array) -> Array:
    """The product of one slice of each core a point, as einsum writes it."""
    row = cores[0][0, indices[:, 0]]
    for k, core in enumerate(cores[1:], 1):
        row = np.einsum("nr,rns->ns", row, core[:, indices[:, k]])
    return row[:, 0]


def _inner(a: Cores, b: Cores) -> Any:
    """Transfer matrices from the left, two products of matrices a mode; of NumPy's arrays, or JAX's."""
    found = a[0][:, 0, :1] * 0 + 1
    for one, two in zip(a, b, strict=True):
        half = (found @ two.reshape(len(two), -1)).reshape(-1, two.shape[2])
        found = one.reshape(-1, one.shape[2]).T @ half
    return found[0, 0]


def _jax_inner(a: Cores, b: Cores) -> Callable[[], Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    compiled, pair = jax.jit(_inner), jax.device_put((list(a), list(b)))
    return lambda: compiled(*pair).block_until_ready()


def _dense(cores: Sequence[Any]) -> Array:
    found = np.asarray(cores[0])
    for core in cores[1:]:
        found = np.tensordot(found, np.asarray(core), 1)
    return found[0, ..., 0]


def _cp_dense(factors: Cores) -> Array:
    return np.einsum("ir,jr,kr->ijk", *factors, optimize=True)


def _torch(cores: Cores) -> list[Any]:
    import torch

    return [torch.from_numpy(np.ascontiguousarray(core)) for core in cores]


def _quimb(cores: Cores) -> list[Array]:
    """Left bond, right bond, mode; without bonds of size one at the ends."""
    return [cores[0][0].T, *(core.transpose(0, 2, 1) for core in cores[1:-1]), cores[-1][:, :, 0]]


def _from_quimb(state: Any) -> list[Array]:
    state = state.copy()
    state.permute_arrays("lpr")
    first, *inner, last = state.arrays
    return [first[None], *inner, last[..., None]]


def _compressed(state: Any, options: dict[str, Any]) -> Any:
    copy = state.copy()
    copy.compress(**options)
    return copy
