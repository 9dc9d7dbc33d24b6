"""Calls on tensors and networks so small that only what surrounds the arithmetic is seen."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

import tnalgebra as tna

from . import peers
from .harness import check, compare
from .peers import Contestant

__all__ = ["small_calls"]

Array = np.ndarray
Row = dict[str, Any]
SHAPE, RANK = (4, 5, 6, 3, 4), 3
POINTS = np.array([[0, 1, 2, 1, 3], [1, 2, 3, 0, 0], [3, 4, 5, 2, 1]])
STEPS, INPUTS, FEATURES, WIDTH, CLASSES = 4, 3, 5, 4, 2


def small_calls() -> Iterator[Row]:
    """Trains of rank 3, the scores of one input, and a value with its gradient."""
    a, b = (tna.TTTensor.random(SHAPE, RANK, seed=seed) for seed in (0, 1))
    dense = [tensor.to_dense() for tensor in (a, b)]
    number, whole = np.asarray, tna.TTTensor.to_dense
    ours = {
        "inner": Contestant(partial(a.inner, b), number),
        "norm": Contestant(a.norm, number),
        "sum": Contestant(partial(a.__add__, b), whole),
        "entries": Contestant(partial(a.gather, POINTS), number),
        "round": Contestant(partial(a.round, eps=1e-10), whole),
    }
    truths = {
        "inner": np.vdot(*dense),
        "norm": np.linalg.norm(dense[0]),
        "sum": sum(dense),
        "entries": dense[0][tuple(POINTS.T)],
        "round": dense[0],
    }
    others = peers.small_peers(a.cores, b.cores, POINTS)
    for case, one in ours.items():
        yield _row(case, {"tnalgebra": one} | others[case], truths[case])
    yield _row("scores of one input", _scores(), None)
    yield _row("value and gradient", _gradients(), None)


def _row(case: str, contestants: dict[str, Contestant], truth: Any) -> Row:
    calls = {name: partial(_found, one) for name, one in contestants.items()}
    check(calls, calls["NumPy"]() if truth is None else truth, 1e-9)
    return {"case": case, "dtype": "float64", **compare({name: one.call for name, one in contestants.items()})}


def _found(one: Contestant) -> Any:
    return one.arrays(one.call())


def _scores() -> dict[str, Contestant]:
    """A recurrent network with ξ = rectifier on a batch of one."""
    net = tna.RecurrentNetwork.random(
        steps=STEPS, inputs=INPUTS, features=FEATURES, rank=WIDTH, classes=CLASSES, xi="rectifier", seed=0
    )
    x = np.random.default_rng(0).standard_normal((1, STEPS, INPUTS))
    weight, bias, first, *cores = net.feature_map.weight, net.feature_map.bias, *net.cores

    def by_hand() -> Array:
        features = np.maximum(x @ weight.T + bias, 0)
        state = np.maximum(features[:, 0] @ net.inputs[0].T, 0) @ first[0]
        for t, core in enumerate(cores, 1):
            signal = features[:, t] @ net.inputs[t].T
            tile = np.maximum(np.maximum(state[:, :, None], signal[:, None, :]), 0)
            state = tile.reshape(1, -1) @ core.reshape(-1, core.shape[2])
        return state

    return {"tnalgebra": Contestant(partial(net, x), np.asarray), "NumPy": Contestant(by_hand, np.asarray)}


def _gradients() -> dict[str, Contestant]:
    """Σ A[ij] B[jk] C[ki] and its derivative by A."""
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(shape) for shape in ((3, 4), (4, 5), (5, 3)))
    expression = tna.contract("ij,jk,ki->", tna.leaf("A", "ij"), tna.leaf("B", "jk"), tna.leaf("C", "ki"))
    call = tna.value_and_grad(expression, "A")

    def by_hand() -> tuple[Any, Array]:
        slope = (b @ c).T
        return np.vdot(a, slope), slope

    made = {
        "tnalgebra": Contestant(lambda: call(A=a, B=b, C=c), lambda found: found[1]["A"]),
        "NumPy": Contestant(by_hand, lambda found: found[1]),
    }
    return made | ({"JAX": Contestant(_jax(a, b, c), lambda found: found[1])} if find_spec("jax") else {})


def _jax(a: Array, b: Array, c: Array) -> Callable[[], Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    compiled = jax.jit(jax.value_and_grad(lambda a, b, c: jax.numpy.einsum("ij,jk,ki->", a, b, c)))
    arrays = jax.device_put((a, b, c))
    return lambda: jax.block_until_ready(compiled(*arrays))
