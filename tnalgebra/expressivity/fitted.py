"""Shallow networks that are trained to have a given grid tensor."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..errors import FormatError
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


def fit_shallow(
    grid: GridTensor, values: Array, width: int, *, starts: int = 4, steps: int = STEPS, seed: Any = 0
) -> FittedShallow:
    """Train a shallow network of some width to have these scores on all sequences of the templates of a grid.

        min over v, λ of ‖Γ(v, λ) − values‖²,    by L-BFGS, from several random networks: the best is kept

    values: the array of `grid`. steps: iterations of each at most. The network has the ξ and the feature map of the
    grid's. Raises `FormatError` for values of another shape. Source: Byrd, Lu, Nocedal & Zhu 1995 (SciPy's L-BFGS-B).

    >>> import numpy as np, tnalgebra as tna
    >>> grid = tna.networks.GridTensor(tna.theory.pairwise_similarity(2, 2), np.eye(2))
    >>> tna.expressivity.fit_shallow(grid, grid.to_dense(), 2).error < 1e-3
    True
    """
    from scipy.optimize import minimize

    if np.shape(values) != grid.shape or min(starts, width, steps) < 1:
        raise FormatError(
            f"values must have shape {grid.shape}, and width, starts and steps be 1 or more; "
            f"got {np.shape(values)} and {width}, {starts}, {steps}"
        )
    rng = np.random.default_rng(seed)
    problem = _Problem(grid, values, width)
    options = {"maxiter": steps, "maxfun": 2 * steps, "ftol": 1e-15, "gtol": 1e-10}
    found = [
        minimize(problem.loss, problem.start(rng), jac=True, method="L-BFGS-B", options=options) for _ in range(starts)
    ]
    best = min(found, key=lambda result: float(result.fun))
    return FittedShallow(problem.network(best.x), float(np.sqrt(best.fun)))


class _Problem:
    """The squared relative error of the grid tensor as a function of one vector: factors, then weights."""

    def __init__(self, grid: GridTensor, values: Array, width: int) -> None:
        self.grid, self.values = grid, values
        self.scale = float(np.linalg.norm(values.reshape(-1))) or 1.0
        self.shapes = (len(grid.shape) - 1, grid.network.n_features, width), (width, grid.network.classes)
        network = self.network(np.ones(prod(self.shapes[0]) + prod(self.shapes[1])))
        leaves = [Leaf(f"F{t}", (f"i{t}", "m")) for t in range(network.steps)]
        self.node = network._grid(leaves)
        self.given = dict.fromkeys((leaf.name for leaf in leaves), grid.features)
        self.slopes = Expression(self.node).gradients(("factors", "weights"), seed="cotangent")

    def start(self, rng: np.random.Generator) -> Array:
        """A random network, whose entries are about as large as those of the grid."""
        network = ShallowNetwork.random(
            steps=self.shapes[0][0], inputs=self.grid.network.n_inputs, features=self.shapes[0][1],
            rank=self.shapes[0][2], classes=self.shapes[1][1], xi=self.grid.network.xi, seed=rng,
        )  # fmt: skip
        weights = network.weights * (self.scale / np.sqrt(self.values.size))
        return np.concatenate([network.factors.reshape(-1), weights.reshape(-1)])

    def parts(self, vector: Array) -> dict[str, Array]:
        """Factors and weights of a vector."""
        factors, weights = np.split(vector, [prod(self.shapes[0])])
        return {"factors": factors.reshape(self.shapes[0]), "weights": weights.reshape(self.shapes[1])}

    def network(self, vector: Array) -> ShallowNetwork:
        """The network of a vector."""
        return ShallowNetwork(self.grid.network.feature_map, **self.parts(vector), xi=self.grid.network.xi)

    def loss(self, vector: Array) -> tuple[float, Array]:
        """The squared error and its gradient."""
        arrays = {**self.given, **self.parts(vector)}
        difference = (evaluate(self.node, arrays) - self.values) / self.scale
        arrays["cotangent"] = 2 * difference / self.scale
        slopes = [np.asarray(evaluate(self.slopes[name].node, arrays)).reshape(-1) for name in ("factors", "weights")]
        return float(np.sum(difference**2)), np.concatenate(slopes)
