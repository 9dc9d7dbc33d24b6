"""Shallow networks that are trained to have a given grid tensor."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..execute import Expression
from ..execute.expression import evaluate
from ..graph import Leaf
from ..networks import GridTensor, ShallowNetwork

__all__ = ["FittedShallow", "fit_shallow"]

Array = Any
STEPS = 500


@dataclass(frozen=True, slots=True)
class FittedShallow:
    """A trained network, and the relative Frobenius error of its grid tensor."""

    network: ShallowNetwork
    error: float

    @property
    def width(self) -> int:
        """Of the network."""
        return self.network.ranks[0]


def fit_shallow(grid: GridTensor, values: Array, width: int, *, steps: int = STEPS, seed: Any = 0) -> FittedShallow:
    """Train a shallow network of some width to have these scores on all sequences of the templates of a grid.

        min over v, λ of ‖Γ(v, λ) − values‖²,    by L-BFGS from a random network

    values: the array of `grid`. steps: iterations at most. The network has the ξ and the feature map of the grid's.
    Source: Byrd, Lu, Nocedal & Zhu 1995 (SciPy's L-BFGS-B).

    >>> import numpy as np, tnalgebra as tna
    >>> net = tna.theory.pairwise_similarity(2, 2)
    >>> grid = tna.networks.GridTensor(net, np.eye(2))
    >>> tna.expressivity.fit_shallow(grid, grid.to_dense(), 2).error < 1e-3
    True
    """
    from scipy.optimize import minimize

    order = len(grid.shape) - 1
    start = ShallowNetwork.random(
        steps=order, inputs=grid.network.n_inputs, features=grid.network.n_features, rank=width,
        classes=grid.network.classes, xi=grid.network.xi, seed=seed,
    )  # fmt: skip
    start = ShallowNetwork(grid.network.feature_map, start.factors, start.weights, grid.network.xi)
    size, shape = float(np.linalg.norm(values.reshape(-1))) or 1.0, start.factors.shape
    leaves = [Leaf(f"F{t}", (f"i{t}", "m")) for t in range(order)]
    node = start._grid(leaves)
    given = dict.fromkeys((leaf.name for leaf in leaves), grid.features)
    slopes = Expression(node).gradients(("factors", "weights"), seed="cotangent")

    def parts(vector: Array) -> dict[str, Array]:
        factors, weights = np.split(vector, [start.factors.size])
        return {"factors": factors.reshape(shape), "weights": weights.reshape(start.weights.shape)}

    def loss(vector: Array) -> tuple[float, Array]:
        arrays = {**given, **parts(vector)}
        difference = (evaluate(node, arrays) - values) / size
        arrays["cotangent"] = 2 * difference / size
        gradient = [np.asarray(evaluate(slopes[name].node, arrays)).reshape(-1) for name in ("factors", "weights")]
        return float(np.sum(difference**2)), np.concatenate(gradient)

    first = np.concatenate([start.factors.reshape(-1), start.weights.reshape(-1) * size / np.sqrt(values.size)])
    found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": steps, "maxfun": 2 * steps})
    return FittedShallow(
        ShallowNetwork(grid.network.feature_map, xi=grid.network.xi, **parts(found.x)), float(np.sqrt(found.fun))
    )
