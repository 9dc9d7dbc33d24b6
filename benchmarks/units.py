"""Matrix products and bilinear units of any ξ in JAX, with the same algebra.

PyTorch is left out: its threads and those of NumPy's BLAS wait for one another in one process, for milliseconds.
"""

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


def matrix_peers(a: Array, b: Array, xi: str, reduce: str) -> dict[str, Call]:
    """⊕_j ξ(a[ij], b[jk])."""
    return _jax_matrices(a, b, xi, reduce) if find_spec("jax") else {}


def unit_peers(x: Array, y: Array, weight: Array, xi: str) -> dict[str, Call]:
    """Σ_ij ξ(x[bi], y[bj]) weight[ijk]."""
    if not find_spec("jax"):
        return {}
    import jax

    jax.config.update("jax_enable_x64", True)
    apply = _jax_xi(xi)

    def unit(x: Any, y: Any, w: Any) -> Any:
        return apply(x[:, :, None], y[:, None, :]).reshape(len(x), -1) @ w.reshape(-1, w.shape[-1])

    call, arrays = jax.jit(unit), [jax.numpy.asarray(array) for array in (x, y, weight)]
    return {"JAX": lambda: call(*arrays).block_until_ready()}


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
