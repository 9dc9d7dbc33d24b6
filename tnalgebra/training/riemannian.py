"""Gradient descent on the manifold of trains: recurrent networks with ξ = multiply, moved as one weight tensor."""

from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from ..decompose import TangentSpace, TangentVector
from ..errors import FormatError
from ..execute import Expression, value_and_grad
from ..execute.namespace import namespace_of
from ..formats import CPTensor, TTTensor
from ..formats.structure import require_multiply
from ..graph import Leaf
from ..networks import Network, RecurrentNetwork, network_from_weights, weight_tensor
from ..networks.features import features_of
from .checkpoint import Checkpoint, TrainingState
from .fit import as_callbacks, as_checkpoint, as_seed, datasets
from .loss import loss_graph
from .objective import Batch, Objective
from .optimizer import SGD, OptimizerState, Schedule, rate
from .trainer import Callback, Config, FitResult, Training

__all__ = ["fit_riemannian"]

Array = Any
CURVATURE = {"cross-entropy": 0.5, "squared": 2.0, "binary": 0.25}
"""The largest second derivative of the loss of a row by its scores."""


def fit_riemannian(
    network: RecurrentNetwork,
    X: Any,
    y: Any,
    *,
    loss: str = "cross-entropy",
    learning_rate: Schedule = 0.5,
    momentum: float = 0.0,
    epochs: int = 10,
    batch_size: int = 32,
    sample_weight: Any = None,
    validation: float | tuple[Any, Any] | None = None,
    patience: int | None = None,
    weight_decay: float = 0.0,
    seed: int | np.random.Generator = 0,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | Path | Checkpoint | None = None,
    progress: bool = False,
) -> FitResult:
    """Train the weight tensor W of a recurrent network by descent on the trains of its ranks; ξ = multiply.

        G = P_W Σ_b f(x_b⁽¹⁾) ⊗ … ⊗ f(x_b⁽ᵀ⁾) ⊗ ∂loss/∂l(X_b),
        W ← R(W − α t G),    t = ‖G‖² / (c Σ_b w_b ‖⟨G, f(x_b⁽¹⁾) ⊗ … ⊗ f(x_b⁽ᵀ⁾)⟩‖²)

    P_W projects onto the tangent space at W, R rounds to the ranks of W. The sum is a CP tensor of as many terms as the
    batch has rows and is never formed; a step needs batch · rank · features numbers beside W. The feature map is held
    fixed. c bounds the curvature of the loss, so that the loss of the batch falls along G for every α in (0, 2),
    whatever the scale of features and weights; α = 1 is the minimum of the bound.
    learning_rate: α, or a function of the step. momentum: share of the last step that is transported and added.
    weight_decay: W shrinks by α times this in every step. The other arguments are those of `fit`.
    The result has the ranks of the network, but for those that its weight tensor does not need; inputs C are absorbed.
    Source: Steinlechner 2016; Novikov, Trofimov & Oseledets 2017 (exponential machines).

    Raises `AlgebraError` for another ξ; `FormatError` for another network, equal cores or weights of every class;
    `AxisMismatchError`, `NonFiniteError`, `DataError`, `TrainingError` (where the loss diverges `DivergenceError`).

    >>> import numpy as np, tnalgebra as tna
    >>> net = tna.RecurrentNetwork.random(steps=2, inputs=1, features=8, rank=4, classes=2, seed=0)
    >>> X = np.random.default_rng(0).standard_normal((64, 2, 1))
    >>> result = tna.training.fit_riemannian(net, X, (X[:, 0, 0] > X[:, 1, 0]).astype(int))
    >>> result.history.epochs[-1].accuracy > 0.9, result.network.ranks
    (True, (1, 4, 2))
    """
    if not isinstance(network, RecurrentNetwork):
        raise FormatError(
            f"fit_riemannian moves on trains and needs a RecurrentNetwork; got {type(network).__name__}: fit trains it"
        )
    require_multiply(network.xi, "fit_riemannian", "fit trains networks for every ξ")
    if len(network.cores[0].shape) == 4:
        raise FormatError("every class has a weight tensor of its own; fit trains such a network")
    start = weight_tensor(network)
    config = Config(
        optimizer=SGD(learning_rate, momentum), epochs=epochs, batch_size=batch_size, patience=patience, dropout=0.0,
        weight_decay=weight_decay, clip=None, seed=as_seed(seed),
    )  # fmt: skip
    data, held = datasets(network, X, y, loss, sample_weight, validation, config.seed)
    kept = as_checkpoint(checkpoint)
    return _Descent(_Weights(start, network, loss), config, data, held, kept, as_callbacks(callbacks)).run(progress)


class _Weights(Objective):
    """The loss as a function of the weight tensor, a train."""

    def __init__(self, start: TTTensor, network: RecurrentNetwork, loss: str) -> None:
        super().__init__(network, loss)
        self.start = start
        self._by_scores = value_and_grad(Expression(loss_graph(Leaf("scores", ("b", "y")), loss), {}), ("scores",))

    def copied(self, vector: TTTensor) -> TTTensor:
        """The train itself: nothing is written over."""
        return vector

    def at(self, vector: TTTensor) -> Network:
        """The network of a weight tensor."""
        found: Network = network_from_weights(vector, self.network.feature_map)
        return found

    def gradient(self, space: TangentSpace, features: Array, batch: Batch) -> tuple[Array, TangentVector]:
        """The loss of a batch, and its gradient by W in the tangent space."""
        scores = _scores(space.point, features)
        given = {name: batch[name] for name in ("target", "row_weight")}
        value, by = self._by_scores(scores=scores, **given)
        steps = [features[:, t, :].T for t in range(features.shape[1])]
        return value, space.project(CPTensor((*steps, by["scores"].T)))

    def bound(self, vector: TangentVector, features: Array, batch: Batch) -> float:
        """A bound on the second derivative of the loss of a batch along a tangent vector."""
        moved = _scores(vector.to_tt(), features)
        return CURVATURE[self.loss] * float((batch["row_weight"][:, None] * moved**2).sum())


class _Descent(Training):
    """The training whose parameters are a train."""

    objective: _Weights

    method = "fit_riemannian"

    def _begin(self, start: Array) -> TrainingState:
        weights = _plain(self.objective.start)
        return TrainingState(weights, OptimizerState(0, ()), weights, self.xp.zeros(2, dtype=self.xp.float64))

    def _step(self, batch: dict[str, Array]) -> None:
        """One gradient, one step along the tangent space, and the way back to the manifold."""
        state, optimizer, xp = self.state, self.config.optimizer, self.xp
        assert isinstance(optimizer, SGD)
        features = features_of(self.objective.network.feature_map, batch["X"])
        space = TangentSpace(state.parameters)
        loss, gradient = self.objective.gradient(space, features, batch)
        square = float(gradient.inner(gradient))
        bound = self.objective.bound(gradient, features, batch)
        if not np.isfinite(float(loss) + square + bound):
            self._diverged(float(loss), sqrt(square) if square >= 0 else square)
        number = state.optimizer.step + 1
        alpha = rate(optimizer.learning_rate, number)
        step = gradient * (-alpha * square / bound if bound else 0.0)
        if state.optimizer.moments:
            step = step + optimizer.momentum * space.project(state.optimizer.moments[0])
        moments = (_plain(step.to_tt()),) if optimizer.momentum else ()
        point = space.retract(step)
        state.parameters = _plain(point * (1 - alpha * self.config.weight_decay) if self.config.weight_decay else point)
        state.optimizer = OptimizerState(number, moments)
        state.totals = state.totals + xp.asarray([float(loss), sqrt(square)])


def _plain(train: TTTensor) -> TTTensor:
    """The train with its cores laid out as a file has them, on which sums come out the same."""
    xp = namespace_of(train.cores)
    return TTTensor(tuple([xp.ascontiguousarray(core) for core in train.cores]))


def _scores(weights: TTTensor, features: Array) -> Array:
    """⟨W, f(x⁽¹⁾) ⊗ … ⊗ f(x⁽ᵀ⁾)⟩ for every class, of features (batch, T, M), from the first step to the last."""
    *cores, last = weights.cores
    state = namespace_of([features]).ones_like(features[:, 0, :1])
    for t, core in enumerate(cores):
        tile = state[:, :, None] * features[:, t, None, :]
        state = tile.reshape(len(tile), -1) @ core.reshape(-1, core.shape[2])
    return state @ last[:, :, 0]
