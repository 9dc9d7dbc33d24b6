"""Matrix products and bilinear units of any ξ elsewhere: the same algebra in PyTorch and JAX, plain and compiled."""

from collections.abc import Callable
from functools import reduce as reduced
from importlib.util import find_spec
from typing import Any

import numpy as np

__all__ = ["matrix_peers", "unit_peers"]

Array = np.ndarray
Call = Callable[[], Any]
GROUP = 8
"""Factors whose logarithm is taken at once, as a careful user would for Σ log(exp a + exp b)."""
ENTRIES = 1 << 24
"""Entries of the broadcast array that PyTorch is given at a time."""


def matrix_peers(a: Array, b: Array, xi: str, reduce: str) -> dict[str, Call]:
    """⊕_j ξ(a[ij], b[jk])."""
    found: dict[str, Call] = {}
    if find_spec("torch"):
        found |= _torch_matrices(a, b, xi, reduce)
    if find_spec("jax"):
        found |= _jax_matrices(a, b, xi, reduce)
    return found


def unit_peers(x: Array, y: Array, weight: Array, xi: str) -> dict[str, Call]:
    """Σ_ij ξ(x[bi], y[bj]) weight[ijk], PyTorch with a buffer that it keeps."""
    found: dict[str, Call] = {}
    if find_spec("torch"):
        found |= _torch_units(x, y, weight, xi)
    if find_spec("jax"):
        import jax

        jax.config.update("jax_enable_x64", True)
        apply = _jax_xi(xi)

        def unit(x: Any, y: Any, w: Any) -> Any:
            return apply(x[:, :, None], y[:, None, :]).reshape(len(x), -1) @ w.reshape(-1, w.shape[-1])

        call, arrays = jax.jit(unit), [jax.numpy.asarray(array) for array in (x, y, weight)]
        found["JAX"] = lambda: call(*arrays).block_until_ready()
    return found


# --- PyTorch -----------------------------------------------------------------------------------------------------


def _torch_matrices(a: Array, b: Array, xi: str, reduce: str) -> dict[str, Call]:
    import torch

    x, y = torch.from_numpy(a), torch.from_numpy(b)
    fold = {"add": torch.sum, "maximum": torch.amax, "minimum": torch.amin, "logaddexp": torch.logsumexp}[reduce]

    def product(x: Any, y: Any) -> Any:
        if (xi, reduce) == ("add", "add"):
            return x.sum(1)[:, None] + y.sum(0)
        if (xi, reduce) == ("add", "logaddexp"):
            top, last = x.amax(1, keepdim=True), y.amax(0, keepdim=True)
            return torch.log(torch.exp(x - top) @ torch.exp(y - last)) + top + last
        if xi == "logaddexp":
            return _factors(torch.exp(x), torch.exp(y), torch.log)
        return fold(_torch_xi(xi)(x[:, :, None], y[None]), 1)

    rows = max(1, ENTRIES // b.size)
    compiled = torch.compile(product, dynamic=False)

    def plain() -> Any:
        with torch.inference_mode():
            return torch.cat([product(part, y) for part in x.split(rows)])

    def fast() -> Any:
        with torch.inference_mode():
            return compiled(x, y)

    return {"PyTorch": plain, "PyTorch compiled": fast}


def _factors(x: Any, y: Any, log: Any) -> Any:
    total = 0.0
    for start in range(0, x.shape[1], GROUP):
        part = x[:, start, None] + y[start]
        for k in range(start + 1, min(start + GROUP, x.shape[1])):
            part = part * (x[:, k, None] + y[k])
        total = total + log(part)
    return total


def _torch_xi(xi: str) -> Callable[[Any, Any], Any]:
    import torch

    return {
        "multiply": torch.mul,
        "add": torch.add,
        "rectifier": lambda x, y: torch.maximum(x, y).clamp_(min=0),
        "logaddexp": torch.logaddexp,
        "hypot": lambda x, y: torch.sqrt(x * x + y * y),
    }[xi]


def _torch_units(x: Array, y: Array, weight: Array, xi: str) -> dict[str, Call]:
    import torch

    a, h, g = (torch.from_numpy(array) for array in (x, y, weight.reshape(-1, weight.shape[-1])))
    left, right = a[:, :, None], h[:, None, :]
    room = torch.empty(len(x), x.shape[1], y.shape[1], dtype=a.dtype)
    flat = room.view(len(x), -1)

    def kept() -> Any:
        with torch.inference_mode():
            if xi == "rectifier":
                torch.maximum(left, right, out=room)
                room.clamp_(min=0)
            elif xi == "hypot":
                torch.add(left * left, right * right, out=room)
                room.sqrt_()
            else:
                {"multiply": torch.mul, "add": torch.add, "logaddexp": torch.logaddexp}[xi](left, right, out=room)
            return flat @ g

    apply = _torch_xi(xi)
    compiled = torch.compile(lambda a, h, g: apply(a[:, :, None], h[:, None]).reshape(len(a), -1) @ g, dynamic=False)

    def fast() -> Any:
        with torch.inference_mode():
            return compiled(a, h, g)

    return {"PyTorch, buffer kept": kept, "PyTorch compiled": fast}


# --- JAX ---------------------------------------------------------------------------------------------------------


def _jax_xi(xi: str) -> Callable[[Any, Any], Any]:
    import jax.numpy as jnp

    return {
        "multiply": jnp.multiply,
        "add": jnp.add,
        "rectifier": lambda x, y: jnp.maximum(jnp.maximum(x, y), 0),
        "logaddexp": jnp.logaddexp,
        "hypot": lambda x, y: jnp.sqrt(x * x + y * y),
    }[xi]


def _jax_matrices(a: Array, b: Array, xi: str, reduce: str) -> dict[str, Call]:
    """A loop over updates of rank one, which compiles best; logarithms of products where they are due."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    unit = {"add": 0.0, "maximum": -np.inf, "minimum": np.inf}

    def product(x: Any, y: Any) -> Any:
        if (xi, reduce) == ("add", "add"):
            return x.sum(1)[:, None] + y.sum(0)
        if (xi, reduce) == ("add", "logaddexp"):
            top, last = x.max(1, keepdims=True), y.max(0, keepdims=True)
            return jnp.log(jnp.exp(x - top) @ jnp.exp(y - last)) + top + last
        size = GROUP if xi == "logaddexp" else 1
        ready = (jnp.exp(x), jnp.exp(y)) if xi == "logaddexp" else (x, y)
        left, right = ready[0].T.reshape(-1, size, len(x)), ready[1].reshape(-1, size, y.shape[1])

        def update(k: Any, total: Any) -> Any:
            if xi == "logaddexp":
                factors = (left[k, q][:, None] + right[k, q] for q in range(GROUP))
                return total + jnp.log(reduced(jnp.multiply, factors))
            value = _jax_xi(xi)(left[k, 0][:, None], right[k, 0])
            return total + value if reduce == "add" else getattr(jnp, reduce)(total, value)

        start = jnp.full((len(x), y.shape[1]), unit[reduce], x.dtype)
        return jax.lax.fori_loop(0, len(left), update, start)

    call, x, y = jax.jit(product), jnp.asarray(a), jnp.asarray(b)
    return {"JAX": lambda: call(x, y).block_until_ready()}
