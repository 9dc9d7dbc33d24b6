"""Whole training steps (loss, gradient, Adam) of score networks, in PyTorch, JAX and by hand in NumPy."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

import tnalgebra as tna
from tnalgebra.execute.namespace import namespace_of
from tnalgebra.training.loss import encoded
from tnalgebra.training.objective import Objective, prepared

from .harness import ASLEEP, compare

__all__ = [
    "SIZES",
    "check_losses",
    "jax_loss",
    "jax_scores",
    "jax_step",
    "numpy_step",
    "our_step",
    "torch_step",
    "training_steps",
]

Array = Any
Row = dict[str, Any]
Parts = dict[str, Array]
SIZES = {  # steps, inputs, features, width, rank, classes, batch
    "moons": (2, 1, 8, 8, 8, 2, 32),
    "mnist": (16, 64, 16, 16, 16, 10, 32),
    "mnist, batch 256": (16, 64, 16, 16, 16, 10, 256),
    "long and wide": (49, 49, 64, 64, 64, 10, 256),
}
RANKS = (64, 512)
RATE, TOLERANCE = 1e-6, 2e-3
WARM = 3


def training_steps() -> Iterator[Row]:
    """A step of `fit` against the same step elsewhere, in float32; the losses of the first steps must agree."""
    for name, sizes in SIZES.items():
        for xi in ("multiply", "rectifier", "logaddexp"):
            steps, inputs, features, width, rank, classes, batch = sizes
            common = {"steps": steps, "inputs": inputs, "features": features, "classes": classes, "xi": xi}
            recurrent = tna.RecurrentNetwork.random(**common, rank=rank, width=width, seed=0, dtype="float32")
            yield _row(f"recurrent, {name}", xi, recurrent, batch)
            for wide in RANKS:
                shallow = tna.ShallowNetwork.random(**common, rank=wide, seed=0, dtype="float32")
                yield _row(f"shallow, {name}, rank {wide}", xi, shallow, batch)


def _row(case: str, xi: str, net: Any, batch: int) -> Row:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, net.steps, net.n_inputs)).astype("float32")
    y = rng.integers(0, net.classes, batch)
    makers = {"tnalgebra": our_step, "NumPy by hand": numpy_step}
    makers |= {name: make for name, library, make in PEERS if find_spec(library)}
    contestants = {name: maker(net, x, y) for name, maker in makers.items()}
    check_losses(contestants, f"{case}, {xi}")
    return {"case": case, "how": xi, "dtype": "float32", **compare(contestants, pause=ASLEEP)}


def check_losses(contestants: Mapping[str, Callable[[], Any]], case: str) -> None:
    """Refuse to time steps whose first losses are not those of the steps by hand."""
    losses = {name: [float(call()) for _ in range(WARM)] for name, call in contestants.items()}
    truth = losses["NumPy by hand"]
    for name, found in losses.items():
        assert np.allclose(found, truth, rtol=TOLERANCE), f"{case}: {name} has losses {found}, not {truth}"


def our_step(net: Any, x: Array, y: Array, *, compiled: bool | None = None) -> Callable[[], Any]:
    is_compiled = find_spec("numba") is not None if compiled is None else compiled
    objective = Objective(net, "cross-entropy", compiled=is_compiled)
    data = prepared(net, x, encoded(y, net.classes, "cross-entropy", net.dtype), None, None)
    data["row_weight"] = data["row_weight"] / np.float32(len(x))
    theta, adam = objective.vector(net), tna.Adam(RATE)
    gradient, update = namespace_of([theta]).empty_like(theta), adam.in_place(is_compiled=is_compiled)
    held = [adam.init(theta)]

    def step() -> Any:
        loss, _ = objective(theta, data, gradient)
        held[0] = update(gradient, held[0], theta)[1]
        return loss

    return step


# --- by hand -----------------------------------------------------------------------------------------------------


def _xi(xi: str, a: Array, h: Array) -> Array:
    if xi == "multiply":
        return a * h
    if xi == "rectifier":
        return np.maximum(np.maximum(a, h), 0)
    return np.logaddexp(a, h)


def _partials(xi: str, a: Array, h: Array, g: Array) -> tuple[Array, Array]:
    if xi == "multiply":
        return g * h, g * a
    if xi == "rectifier":
        return g * ((a >= h) & (a > 0)), g * ((h > a) & (h > 0))
    share = g / (1 + np.exp(h - a))
    return share, g - share


def _softmax(scores: Array, y: Array) -> tuple[float, Array]:
    top = scores.max(1, keepdims=True)
    e = np.exp(scores - top)
    total, rows = e.sum(1, keepdims=True), np.arange(len(y))
    slope = e / total
    slope[rows, y] -= 1
    return float(np.mean(np.log(total[:, 0]) + top[:, 0] - scores[rows, y])), slope / len(y)


def _recurrent_gradient(p: Parts, x: Array, y: Array, xi: str) -> tuple[float, Parts]:
    count, batch = x.shape[1], len(x)
    before = x @ p["feature_weight"].T + p["feature_bias"]
    f = np.maximum(before, 0)
    signals = [f[:, t] @ p["inputs"][t].T for t in range(count)]
    first = np.maximum(signals[0], 0) if xi == "rectifier" else signals[0]
    states = [first @ p["core0"][0]]
    for t in range(1, count):
        core = p[f"core{t}"]
        tile = _xi(xi, signals[t][:, None, :], states[-1][:, :, None])
        states.append(tile.reshape(batch, -1) @ core.reshape(-1, core.shape[-1]))
    loss, slope = _softmax(states[-1], y)
    found: Parts = {"inputs": np.zeros_like(p["inputs"])}
    df = np.zeros_like(f)
    for t in range(count - 1, 0, -1):
        core = p[f"core{t}"]
        a, h = signals[t][:, None, :], states[t - 1][:, :, None]
        found[f"core{t}"] = (_xi(xi, a, h).reshape(batch, -1).T @ slope).reshape(core.shape)
        tile = (slope @ core.reshape(-1, core.shape[-1]).T).reshape(batch, *core.shape[:2])
        da, dh = _partials(xi, a, h, tile)
        da, slope = da.sum(1), dh.sum(2)
        found["inputs"][t], df[:, t] = da.T @ f[:, t], da @ p["inputs"][t]
    found["core0"] = (first.T @ slope)[None]
    da = slope @ p["core0"][0].T
    da = da * (signals[0] > 0) if xi == "rectifier" else da
    found["inputs"][0], df[:, 0] = da.T @ f[:, 0], da @ p["inputs"][0]
    return loss, found | _feature_gradient(df, before, x)


def _shallow_gradient(p: Parts, x: Array, y: Array, xi: str) -> tuple[float, Parts]:
    before = x @ p["feature_weight"].T + p["feature_bias"]
    f = np.maximum(before, 0)
    a = np.matmul(f.transpose(1, 0, 2), p["factors"]).transpose(1, 0, 2)
    if xi == "multiply":
        z = a.prod(1)
    elif xi == "rectifier":
        z = np.maximum(a.max(1), 0)
    else:
        top = a.max(1)
        z = top + np.log(np.exp(a - top[:, None]).sum(1))
    loss, slope = _softmax(z @ p["weights"], y)
    found: Parts = {"weights": z.T @ slope}
    dz = slope @ p["weights"].T
    if xi == "multiply":
        left, right = np.ones_like(a), np.ones_like(a)
        np.cumprod(a[:, :-1], 1, out=left[:, 1:])
        right[:, :-1] = np.cumprod(a[:, :0:-1], 1)[:, ::-1]
        da = dz[:, None] * left * right
    elif xi == "rectifier":
        da = np.where((a == z[:, None]) & (z > 0)[:, None], dz[:, None], 0)
    else:
        da = dz[:, None] * np.exp(a - z[:, None])
    by_step = da.transpose(1, 0, 2)
    found["factors"] = np.matmul(f.transpose(1, 2, 0), by_step)
    df = np.matmul(by_step, p["factors"].transpose(0, 2, 1)).transpose(1, 0, 2)
    return loss, found | _feature_gradient(df, before, x)


def _feature_gradient(df: Array, before: Array, x: Array) -> Parts:
    slope = (df * (before > 0)).reshape(-1, df.shape[-1])
    return {"feature_weight": slope.T @ x.reshape(-1, x.shape[-1]), "feature_bias": slope.sum(0)}


def numpy_step(net: Any, x: Array, y: Array) -> Callable[[], Any]:
    gradient = _recurrent_gradient if isinstance(net, tna.RecurrentNetwork) else _shallow_gradient
    p = {name: np.array(part) for name, part in net.parameters().items()}
    first, second = ({name: np.zeros_like(part) for name, part in p.items()} for _ in range(2))
    done = [0]

    def step() -> float:
        done[0] += 1
        loss, slopes = gradient(p, x, y, net.xi.name)
        for name, g in slopes.items():
            first[name] += 0.1 * (g - first[name])
            second[name] += 0.001 * (g * g - second[name])
            scale = RATE / (1 - 0.9 ** done[0])
            p[name] -= scale * first[name] / (np.sqrt(second[name] / (1 - 0.999 ** done[0])) + 1e-8)
        return loss

    return step


# --- libraries ---------------------------------------------------------------------------------------------------


def _scores(p: Parts, x: Array, xi: str, library: Any) -> Array:
    """Scores with the functions of PyTorch or of JAX, which are named alike here."""
    f = library.relu(x @ p["feature_weight"].T + p["feature_bias"])
    if "factors" in p:
        a = library.einsum("btm,tmr->tbr", f, p["factors"])
        joined = {"multiply": library.prod, "rectifier": library.most, "logaddexp": library.logsumexp}[xi](a)
        return joined @ p["weights"]
    signals = library.einsum("btm,tlm->tbl", f, p["inputs"])
    first = library.relu(signals[0]) if xi == "rectifier" else signals[0]
    state = first @ p["core0"][0]
    for t in range(1, x.shape[1]):
        core = p[f"core{t}"]
        a, h = signals[t][:, None, :], state[:, :, None]
        tile = (
            a * h
            if xi == "multiply"
            else library.relu(library.maximum(a, h))
            if xi == "rectifier"
            else library.logaddexp(a, h)
        )
        state = tile.reshape(len(x), -1) @ core.reshape(-1, core.shape[-1])
    return state


def torch_step(net: Any, x: Array, y: Array, *, device: str = "cpu", compiled: bool = False) -> Callable[[], Any]:
    from types import SimpleNamespace

    import torch

    library = SimpleNamespace(
        relu=torch.relu, einsum=torch.einsum, maximum=torch.maximum, logaddexp=torch.logaddexp,
        prod=lambda a: a.prod(0), most=lambda a: torch.relu(a.amax(0)), logsumexp=lambda a: torch.logsumexp(a, 0),
    )  # fmt: skip
    p = {
        name: torch.tensor(np.array(part), requires_grad=True, device=device) for name, part in net.parameters().items()
    }
    inputs, labels = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
    scores = torch.compile(_scores) if compiled else _scores
    adam = torch.optim.Adam(p.values(), lr=RATE, fused=True)

    def step() -> Any:
        adam.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(scores(p, inputs, net.xi.name, library), labels)
        loss.backward()
        adam.step()
        return loss.detach()

    return step


def jax_scores(p: Parts, x: Array, xi: str) -> Array:
    """The scores of one network."""
    from types import SimpleNamespace

    import jax
    import jax.numpy as jnp

    library = SimpleNamespace(
        relu=jax.nn.relu, einsum=jnp.einsum, maximum=jnp.maximum, logaddexp=jnp.logaddexp,
        prod=lambda a: a.prod(0), most=lambda a: jax.nn.relu(a.max(0)), logsumexp=partial(jax.nn.logsumexp, axis=0),
    )  # fmt: skip
    return _scores(p, x, xi, library)


def jax_loss(p: Parts, x: Array, y: Array, xi: str) -> Array:
    """The mean cross-entropy of one network."""
    import jax
    import jax.numpy as jnp

    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(jax_scores(p, x, xi)), y[:, None], 1))


def jax_step(net: Any, x: Array, y: Array) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    def update(state: Any, x: Array, y: Array) -> Any:
        p, m, v, t = state
        loss, g = jax.value_and_grad(jax_loss)(p, x, y, net.xi.name)
        each, t = jax.tree_util.tree_map, t + 1
        m = each(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = each(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        a, b = 1 - 0.9**t, 1 - 0.999**t
        p = each(lambda p, m, v: p - RATE * (m / a) / (jnp.sqrt(v / b) + 1e-8), p, m, v)
        return (p, m, v, t), loss

    compiled = jax.jit(update, donate_argnums=0)
    p = {name: jnp.asarray(part) for name, part in net.parameters().items()}
    zeros = [{name: jnp.zeros_like(part) for name, part in p.items()} for _ in range(2)]
    held, inputs, labels = [(p, *zeros, jnp.zeros(()))], jax.device_put(x), jax.device_put(y)

    def step() -> Any:
        held[0], loss = compiled(held[0], inputs, labels)
        return loss.block_until_ready()

    return step


PEERS = (("PyTorch", "torch", torch_step), ("JAX", "jax", jax_step))
