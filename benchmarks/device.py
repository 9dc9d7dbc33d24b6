"""Measurements on a GPU: `python -m benchmarks --device cuda`. Every call waits until the device is done."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

import tnalgebra as tna
from tnalgebra.execute.namespace import to_device

from . import chunked, networks
from .cases import TINY, UNITS, XI, operands, random_matrix
from .harness import check, compare, relative_error

__all__ = ["SUITES", "described", "missing_peers"]

Array = Any
Row = dict[str, Any]
SIZE = 4096
ROWS = 16
"""Rows of a result that are checked."""
LANES = {"80": 64}
"""Float32 instructions of a multiprocessor in a cycle, where they are not 128, by compute capability."""
TOLERANCE = 1e-3
UNROLLED = 16
"""Steps of a network that PyTorch's compiler, which unrolls them, takes at most; more take it minutes."""
BUDGET = 2.0
"""Seconds of an attempt after which seven rounds are enough: time on a GPU is dear."""


class Contestant(NamedTuple):
    """A call that waits for the device, and what brings its result to the host."""

    call: Callable[[], Any]
    host: Callable[[Any], Array]


def described() -> dict[str, Any]:
    """The device, and the versions of what drives it. Raises `DeviceError` where there is none."""
    to_device(np.zeros(1), "cuda")
    import cupy

    device = cupy.cuda.Device()
    name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"]
    return {
        "device": name.decode() if isinstance(name, bytes) else str(name),
        "compute capability": device.compute_capability,
        "cupy": cupy.__version__,
        "cuda": cupy.cuda.runtime.runtimeGetVersion(),
        "driver": cupy.cuda.runtime.driverGetVersion(),
    }


def missing_peers() -> list[str]:
    """Peers that are not installed, and so are left out."""
    return [name for name in ("torch", "jax") if not find_spec(name)]


def _rate() -> float:
    """Float32 instructions a second, at the highest clock."""
    import cupy

    device = cupy.cuda.Device()
    lanes = LANES.get(device.compute_capability, 128)
    return float(device.attributes["MultiProcessorCount"] * lanes * device.attributes["ClockRate"] * 1e3)


def generalized_matrices() -> Iterator[Row]:
    """out[ik] = ⊕_j ξ(A[ij], B[jk]). Share: of the chip's rate, were ξ and ⊕ one instruction each."""
    arrays = [random_matrix(SIZE, SIZE, "float32", seed) for seed in (0, 1)]
    a, b = (array.astype("float64") for array in arrays)
    there = [to_device(array, "cuda") for array in arrays]
    for xi, reduce in XI:
        if (xi, reduce) == ("add", "add"):
            continue  # its sums come apart
        plan = tna.contract_path("ij,jk->ik", *arrays, xi=xi, reduce=reduce)
        ours = _ours(partial(tna.contract, "ij,jk->ik", *there, xi=xi, reduce=reduce))
        contestants = {"tnalgebra": ours, "cuBLAS, multiply and add": _ours(lambda: there[0] @ there[1])}
        peers = _peers(
            lambda x, y, lib, xi=xi, reduce=reduce: _fold(reduce, _xi(xi, x[:, :, None], y, lib), lib), arrays
        )
        truth = chunked.matrices(a[:ROWS], b, xi, reduce)
        row = _compared({**contestants, **peers}, truth, unchecked="cuBLAS, multiply and add")
        share = plan.flops / row["seconds"]["tnalgebra"] / _rate()
        yield {"case": f"{xi} over {reduce}", "n": SIZE, "dtype": "float32", "share": share, **row}


def bilinear_units() -> Iterator[Row]:
    """out[bk] = Σ_ij ξ(a[bi], h[bj]) G[ijk]."""
    a, h, g = tna.leaf("a", "bi"), tna.leaf("h", "bj"), tna.leaf("G", "ijk")
    for batch, left, right, outputs in UNITS:
        x, y = random_matrix(batch, left, "float32", 0), random_matrix(batch, right, "float32", 1)
        weight = random_matrix(left * right, outputs, "float32", 2).reshape(left, right, outputs)
        there = dict(zip("ahG", (to_device(array, "cuda") for array in (x, y, weight)), strict=True))
        for xi in ("rectifier", "logaddexp", "hypot"):
            unit = tna.contract("bij,ijk->bk", tna.contract("bi,bj->bij", a, h, xi=xi), g)

            def peer(x: Array, y: Array, w: Array, lib: Any, xi: str = xi) -> Array:
                return lib.einsum("bij,ijk->bk", _xi(xi, x[:, :, None], y[:, None, :], lib), w)

            contestants = {"tnalgebra": _ours(partial(unit.evaluate, **there)), **_peers(peer, [x, y, weight])}
            wide = [array.astype("float64") for array in (x[:ROWS], y[:ROWS], weight)]
            row = _compared(contestants, chunked.unit(*wide, xi))
            yield {"case": xi, "size": f"{batch} × {left} × {right} × {outputs}", "dtype": "float32", **row}


def small_plans() -> Iterator[Row]:
    """Planned contractions of a few entries, as one CUDA graph: what is measured is the cost of launches."""
    for case, (equation, sizes) in TINY.items():
        arrays = operands(equation, sizes, "float32")
        there = [to_device(array, "cuda") for array in arrays]
        plan = tna.contract_expression(equation, *(array.shape for array in arrays))
        contestants = {
            "tnalgebra": _ours(partial(tna.compile(plan), *there)),
            "launched one by one": _ours(partial(plan, *there)),
            **_peers(lambda *terms, lib, equation=equation: lib.einsum(equation, *terms), arrays),
        }
        truth = np.einsum(equation, *(array.astype("float64") for array in arrays))
        yield {"case": case, "dtype": "float32", **_compared(contestants, truth)}


def training_steps() -> Iterator[Row]:
    """Loss, gradient and Adam of one batch of a recurrent network; every call brings the loss to the host."""
    for name, (steps, inputs, features, width, rank, classes, batch) in networks.SIZES.items():
        for xi in ("multiply", "rectifier", "logaddexp"):
            sizes = {"steps": steps, "inputs": inputs, "features": features, "width": width, "rank": rank}
            net = tna.RecurrentNetwork.random(**sizes, classes=classes, xi=xi, seed=0, dtype="float32")
            rng = np.random.default_rng(0)
            x = rng.standard_normal((batch, steps, inputs)).astype("float32")
            y = rng.integers(0, classes, batch)
            ours = {"tnalgebra": True, "launched one by one": False}
            there = net.to_device("cuda")
            steps_of = {name: networks.our_step(there, x, y, compiled=how) for name, how in ours.items()}
            if find_spec("torch"):
                steps_of["PyTorch"] = networks.torch_step(net, x, y, device="cuda")
                if steps <= UNROLLED:
                    steps_of["PyTorch compiled"] = networks.torch_step(net, x, y, device="cuda", compiled=True)
            if find_spec("jax"):
                steps_of["JAX"] = _exact(networks.jax_step(net, x, y))
            networks.check_losses({**steps_of, "NumPy by hand": networks.numpy_step(net, x, y)}, f"{name}, {xi}")
            if find_spec("jax"):
                steps_of["JAX, matrix products in TF32"] = networks.jax_step(net, x, y)
            times = compare({name: _lost(step) for name, step in steps_of.items()}, budget=BUDGET)
            yield {"case": f"recurrent, {name}", "how": xi, "dtype": "float32", **times}


def _exact(call: Callable[[], Any]) -> Callable[[], Any]:
    """JAX rounds the operands of matrix products to 11 bits, unless it is told not to."""
    import jax

    def exact() -> Any:
        with jax.default_matmul_precision("float32"):
            return call()

    return exact


def _lost(step: Callable[[], Any]) -> Callable[[], float]:
    return lambda: float(step())


def _ours(call: Callable[[], Any]) -> Contestant:
    import cupy

    def waiting() -> Array:
        out = call()
        cupy.cuda.get_current_stream().synchronize()
        return out

    return Contestant(waiting, lambda out: out.get())


def _peers(function: Callable[..., Array], arrays: list[Array]) -> dict[str, Contestant]:
    """The function compiled by PyTorch and by JAX, where they are installed for CUDA."""
    makers = {"PyTorch compiled": ("torch", _torch), "JAX": ("jax", _jax)}
    return {name: make(function, arrays) for name, (library, make) in makers.items() if find_spec(library)}


def _torch(function: Callable[..., Array], arrays: list[Array]) -> Contestant:
    import torch

    compiled = torch.compile(partial(function, lib=torch))
    there = [torch.from_numpy(array).cuda() for array in arrays]

    def waiting() -> Array:
        out = compiled(*there)
        torch.cuda.synchronize()
        return out

    return Contestant(waiting, lambda out: out.cpu().numpy())


def _jax(function: Callable[..., Array], arrays: list[Array]) -> Contestant:
    import jax
    import jax.numpy as jnp

    names = ("maximum", "hypot", "logaddexp", "einsum", "sum")
    library = SimpleNamespace(
        amax=jnp.max, amin=jnp.min, logsumexp=jax.nn.logsumexp, **{name: getattr(jnp, name) for name in names}
    )
    compiled = jax.jit(partial(function, lib=library))
    there = [jax.device_put(array) for array in arrays]
    return Contestant(_exact(lambda: compiled(*there).block_until_ready()), np.asarray)


def _xi(xi: str, x: Array, y: Array, lib: Any) -> Array:
    if xi == "add":
        return x + y
    if xi == "rectifier":
        return lib.maximum(x, y).clip(min=0)
    return getattr(lib, xi)(x, y)


def _fold(reduce: str, terms: Array, lib: Any) -> Array:
    folds = {"add": lib.sum, "maximum": lib.amax, "minimum": lib.amin, "logaddexp": lib.logsumexp}
    return folds[reduce](terms, 1)


def _compared(contestants: dict[str, Contestant], truth: Array, unchecked: str = "") -> Row:
    """Check the first rows of each result, then time those that are right; what is wrong with a peer is kept."""
    check({"tnalgebra": partial(_first_rows, contestants["tnalgebra"])}, truth, TOLERANCE)
    wrong = {name: _wrong(one, truth) for name, one in contestants.items() if name not in ("tnalgebra", unchecked)}
    failed = {name: what for name, what in wrong.items() if what}
    times = compare({name: one.call for name, one in contestants.items() if name not in failed}, budget=BUDGET)
    return times | ({"failed": failed} if failed else {})


def _wrong(contestant: Contestant, truth: Array) -> float | str:
    """The error of a result that is off, or the name of what was raised instead of one; nothing where it is right."""
    try:
        found = _first_rows(contestant)
    except Exception as error:  # out of memory, or a compiler that gives up: every library has errors of its own
        return type(error).__name__
    error = relative_error(found, truth)
    return 0.0 if error <= TOLERANCE else error


def _first_rows(contestant: Contestant) -> Array:
    found = contestant.host(contestant.call())
    return found[:ROWS] if found.ndim else found


SUITES = {
    "generalized matrix products": generalized_matrices,
    "training steps": training_steps,
    "bilinear units": bilinear_units,
    "small plans": small_plans,
}
