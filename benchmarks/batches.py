"""A thousand small networks at once: their scores, and a step of gradient descent for each."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

import tnalgebra as tna
from tnalgebra.training.loss import encoded, loss_graph

from .harness import check, compare
from .networks import jax_loss, jax_scores
from .peers import Contestant

__all__ = ["batches_of_networks"]

Array = Any
Row = dict[str, Any]
Parts = dict[str, Array]
Work = dict[str, Contestant]
MEMBERS, BATCH, RATE = 1000, 8, 0.1
SIZES = {"steps": 4, "inputs": 2, "features": 4, "rank": 3, "classes": 2}
KINDS = {"recurrent": tna.RecurrentNetwork, "shallow": tna.ShallowNetwork}
TYPES = (("multiply", "float64"), ("rectifier", "float64"), ("logaddexp", "float64"), ("rectifier", "float32"))
TOLERANCE = {"float64": 1e-9, "float32": 1e-3}


def batches_of_networks() -> Iterator[Row]:
    """Networks of equal sizes and other seeds, on the same inputs, as one program and one by one."""
    rng = np.random.default_rng(0)
    for (xi, dtype), (kind, network) in ((types, kind) for types in TYPES for kind in KINDS.items()):
        nets = [network.random(**SIZES, xi=xi, seed=seed, dtype=dtype) for seed in range(MEMBERS)]
        x = rng.standard_normal((BATCH, SIZES["steps"], SIZES["inputs"])).astype(dtype)
        y = rng.integers(SIZES["classes"], size=BATCH)
        for case, work in (("scores", _scores(nets, x)), ("gradient step", _steps(nets, x, y))):
            results = {name: partial(_found, one) for name, one in work.items()}
            check(results, results["one by one"](), TOLERANCE[dtype])
            times = compare({name: one.call for name, one in work.items()})
            yield {"case": f"{case}, {kind}", "how": xi, "dtype": dtype, **times}


def _found(one: Contestant) -> Any:
    return one.arrays(one.call())


def _scores(nets: Sequence[Any], x: Array) -> Work:
    """(members, batch, classes)."""
    many = tna.stacked(nets)
    single = tna.compile(tna.Expression(nets[0].graph()))
    own = [net.parameters() for net in nets]
    return {
        "tnalgebra": Contestant(partial(tna.compile(many), X=x), np.asarray),
        "not compiled": Contestant(partial(many.evaluate, X=x), np.asarray),
        "one by one": Contestant(lambda: [single(X=x, **parts) for parts in own], np.asarray),
    } | _jax(partial(jax_scores, xi=nets[0].xi.name), own, (x,), np.asarray)


def _steps(nets: Sequence[Any], x: Array, y: Array) -> Work:
    """The parameters after a step, (members, parameters)."""
    own = [net.parameters() for net in nets]
    one = tna.value_and_grad(tna.Expression(loss_graph(nets[0].graph(), "cross-entropy")), list(own[0]))
    data = {"X": x, "target": encoded(y, nets[0].classes, "cross-entropy", x.dtype)}
    data["row_weight"] = np.full(len(x), 1 / len(x), x.dtype)
    plain, fast, single = tna.batched(one, list(own[0])), tna.compile(tna.batched(one, list(own[0]))), tna.compile(one)
    parts = _stacked(own)
    work = {
        "tnalgebra": Contestant(partial(_moved, fast, parts, data), _flat),
        "not compiled": Contestant(partial(_moved, plain, parts, data), _flat),
        "one by one": Contestant(
            lambda: [_moved(single, each, data) for each in own], lambda moved: _flat(_stacked(moved))
        ),
    }

    def step(parts: Parts, x: Array, y: Array) -> Parts:
        import jax

        slopes = jax.grad(partial(jax_loss, xi=nets[0].xi.name))(parts, x, y)
        return {name: part - RATE * slopes[name] for name, part in parts.items()}

    return work | _jax(step, own, (x, y), _flat)


def _moved(call: Callable[..., Any], parts: Parts, data: Parts) -> Parts:
    _, slopes = call(**parts, **data)
    rate = data["X"].dtype.type(RATE)
    return {name: part - rate * slopes[name] for name, part in parts.items()}


def _stacked(parts: Sequence[Parts]) -> Parts:
    return {name: np.stack([each[name] for each in parts]) for name in parts[0]}


def _flat(parts: Parts) -> Array:
    return np.concatenate([np.asarray(parts[name]).reshape(len(parts[name]), -1) for name in sorted(parts)], axis=1)


def _jax(function: Callable[..., Any], own: Sequence[Parts], data: tuple[Array, ...], arrays: Any) -> Work:
    """A function of the parameters of one network, for all."""
    if not find_spec("jax"):
        return {}
    import jax

    jax.config.update("jax_enable_x64", True)
    compiled = jax.jit(jax.vmap(function, in_axes=(0, *(None for _ in data))))
    held = jax.device_put((_stacked(own), *data))
    return {"JAX": Contestant(lambda: jax.block_until_ready(compiled(*held)), arrays)}
