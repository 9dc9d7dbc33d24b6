"""Grid tensors of recurrent networks: in NumPy by chunks, PyTorch, JAX, and opt_einsum for products."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import opt_einsum

import tnalgebra as tna
from tnalgebra.networks import GridTensor

from .harness import check, compare

__all__ = ["grid_tensors"]

Array = Any
Row = dict[str, Any]
XI = ("rectifier", "logaddexp", "hypot", "multiply")
SIZES = {f"10 templates, 6 steps, rank {rank}": (6, 10, 10, rank) for rank in (1, 2, 4, 8)}
LARGE = {"8 templates, 8 steps, rank 8": (8, 8, 8, 8)}
CHUNK = 1 << 19


def grid_tensors() -> Iterator[Row]:
    """All scores of a network with N(0, 1) parameters, in float64; every contestant is checked against NumPy's."""
    for case, sizes in {**SIZES, **LARGE}.items():
        for xi in XI if case in SIZES else ("rectifier", "multiply"):
            net, parts = _network(sizes, xi)
            truth = _numpy(parts, xi)()
            contestants = {"tnalgebra": _ours(net, sizes[1]), "NumPy in chunks": _numpy(parts, xi)}
            makers = {"PyTorch": _torch, "PyTorch compiled": _torch_compiled, "JAX": _jax}
            contestants |= {
                name: make(parts, xi) for name, make in makers.items() if find_spec(make.__name__.split("_")[1])
            }
            if xi == "multiply":
                contestants["opt_einsum"] = _einsum(parts)
            check(contestants, truth, 1e-9)
            yield {"case": case, "how": xi, "dtype": "float64", **compare(contestants)}
    for rank in (1, 8):
        yield _ranks(rank)


def _ranks(rank: int) -> Row:
    """Five networks: the grid tensor, and the rank of its odd/even matricization; and those SVDs alone."""
    nets = [_network((6, 10, 10, rank), "rectifier", seed)[0] for seed in range(5)]
    matrices = [_odd_even(GridTensor(net, np.eye(10)).to_dense()[..., 0]) for net in nets]
    contestants = {
        "tnalgebra": lambda: [tna.shallow_width_lower_bound(net, templates=np.eye(10)).rank for net in nets],
        "the SVDs alone": lambda: [np.linalg.svd(matrix, compute_uv=False) for matrix in matrices],
    }
    return {
        "case": f"five odd/even ranks, rank {rank}", "how": "rectifier", "dtype": "float64", **compare(contestants),
    }  # fmt: skip


def _odd_even(grid: Array) -> Array:
    modes = range(grid.ndim)
    rows = grid.shape[0] ** len(modes[::2])
    return grid.transpose([*modes[::2], *modes[1::2]]).reshape(rows, -1)


def _network(sizes: tuple[int, int, int, int], xi: str, seed: int = 0) -> tuple[Any, list[tuple[Array, Array]]]:
    """A network with the identity for its features, and its parts: C⁽ᵗ⁾ᵀ and G⁽ᵗ⁾ for every step."""
    steps, count, width, rank = sizes
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((steps, width, count))
    ranks = [1, *[rank] * (steps - 1), 1]
    cores = [rng.standard_normal((ranks[t], width, ranks[t + 1])) for t in range(steps)]
    net = tna.RecurrentNetwork(tna.FeatureMap.identity(count), inputs, cores, xi)
    return net, [(c.T.copy(), core) for c, core in zip(inputs, cores, strict=True)]


def _ours(net: Any, count: int) -> Callable[[], Array]:
    templates = np.eye(count)
    return lambda: GridTensor(net, templates).to_dense()[..., 0]


def _xi(np_like: Any, xi: str) -> Callable[[Array, Array], Array]:
    functions = {"logaddexp": np_like.logaddexp, "hypot": np_like.hypot, "multiply": lambda a, h: a * h}
    if xi == "rectifier":
        return lambda a, h: np_like.maximum(np_like.maximum(a, h), np_like.zeros_like(a[..., :1]))
    return functions[xi]


def _first(np_like: Any, xi: str, a: Array) -> Array:
    """ξ(a, u)."""
    if xi == "rectifier":
        return np_like.maximum(a, np_like.zeros_like(a))
    return np_like.abs(a) if xi == "hypot" else a


def _numpy(parts: list[tuple[Array, Array]], xi: str) -> Callable[[], Array]:
    function = _xi(np, xi)

    def grid() -> Array:
        (a, core), *rest = parts
        state = _first(np, xi, a) @ core[0]
        for a, core in rest:
            rank, width, right = core.shape
            matrix = core.transpose(1, 0, 2).reshape(-1, right)
            out, rows = np.empty((len(state), len(a), right)), max(1, CHUNK // (len(a) * width * rank))
            for start in range(0, len(state), rows):
                tile = function(a[None, :, :, None], state[start : start + rows, None, None, :])
                out[start : start + rows] = (tile.reshape(-1, width * rank) @ matrix).reshape(-1, len(a), right)
            state = out.reshape(-1, right)
        return state.reshape((len(parts[0][0]),) * len(parts))

    return grid


def _layers(xi: str, np_like: Any) -> Callable[[Array, Array, Array], Array]:
    function = _xi(np_like, xi)

    def layer(a: Array, state: Array, matrix: Array) -> Array:
        tile = function(a[None, :, :, None], state[:, None, None, :])
        return tile.reshape(-1, matrix.shape[0]) @ matrix

    return layer


def _torch(parts: list[tuple[Array, Array]], xi: str, compiled: bool = False) -> Callable[[], Array]:
    import torch

    layer = _layers(xi, torch)
    layer = torch.compile(layer, dynamic=False) if compiled else layer
    tensors = [(torch.from_numpy(a), torch.from_numpy(core)) for a, core in parts]

    @torch.inference_mode()
    def grid() -> Array:
        (a, core), *rest = tensors
        state = _first(torch, xi, a) @ core[0]
        for a, core in rest:
            matrix = core.permute(1, 0, 2).reshape(-1, core.shape[2])
            pieces = [state] if compiled else state.split(1 << 15)
            state = torch.cat([layer(a, piece, matrix) for piece in pieces])
        return state.reshape((len(tensors[0][0]),) * len(tensors)).numpy()

    return grid


def _torch_compiled(parts: list[tuple[Array, Array]], xi: str) -> Callable[[], Array]:
    return _torch(parts, xi, compiled=True)


def _jax(parts: list[tuple[Array, Array]], xi: str) -> Callable[[], Array]:
    import jax

    jax.config.update("jax_enable_x64", True)
    layer = _layers(xi, jax.numpy)

    @jax.jit
    def grid(arrays: list[tuple[Array, Array]]) -> Array:
        (a, core), *rest = arrays
        state = _first(jax.numpy, xi, a) @ core[0]
        for a, core in rest:
            matrix = core.transpose(1, 0, 2).reshape(-1, core.shape[2])
            if len(state) > 1 << 17:
                pieces = state.reshape(-1, 1 << 14, state.shape[1])
                state = jax.lax.map(lambda piece, a=a, m=matrix: layer(a, piece, m), pieces).reshape(-1, core.shape[2])
            else:
                state = layer(a, state, matrix)
        return state.reshape((len(arrays[0][0]),) * len(arrays))

    arrays = jax.device_put(parts)
    return lambda: grid(arrays).block_until_ready()


def _einsum(parts: list[tuple[Array, Array]]) -> Callable[[], Array]:
    terms, operands, letters = [], [], "abcdefgh"
    for t, (a, core) in enumerate(parts):
        terms += [
            f"{letters[t].upper()}{chr(ord('i') + t)}",
            f"{chr(ord('q') + t)}{chr(ord('i') + t)}{chr(ord('r') + t)}",
        ]
        operands += [a, core]
    end = chr(ord("q") + len(parts))
    equation = f"{','.join(terms)}->{letters[: len(parts)].upper()}q{end}"
    planned = opt_einsum.contract_expression(equation, *(operand.shape for operand in operands))
    return lambda: planned(*operands)[..., 0, 0]
