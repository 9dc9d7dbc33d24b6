"""What the scikit-learn estimators share: the network, its inputs and its training."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..errors import AxisMismatchError, TrainingError
from .fit import fit
from .history import History
from .optimizer import Adam, Optimizer, OptimizerState
from .resumed import Resumed
from .schedule import CosineDecay, Warmup
from .steps import drawn_network, moments, steps_of

__all__ = ["Learner", "undone_on_error"]

Array = Any
SEEDS = 2**31 - 1
FLOATS = [np.float64, np.float32]
WARMUP, EPSILON = 0.1, 1e-6
"""Share of the steps in which the learning rate climbs; and Adam's ε, at which it does not magnify rounding errors."""


class Learner(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share: the network, its inputs and its training."""

    _loss: str
    _optimizer: OptimizerState | None

    def __init__(
        self,
        kind: str = "tt",
        *,
        rank: Any = 8,
        xi: Any = "rectifier",
        features: int = 16,
        activation: str = "relu",
        patch_size: Any = None,
        stride: Any = None,
        order: str = "rows",
        tree: Any = None,
        equal_cores: bool = False,
        shared: bool = True,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 0.005,
        optimizer: Optimizer | None = None,
        validation_fraction: float | None = None,
        patience: int | None = None,
        dropout: float = 0.0,
        weight_decay: float = 0.0,
        clip: float | None = 1.0,
        standardize: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.kind, self.rank, self.xi, self.features, self.activation = kind, rank, xi, features, activation
        self.patch_size, self.stride, self.order = patch_size, stride, order
        self.tree, self.equal_cores, self.shared = tree, equal_cores, shared
        self.epochs, self.batch_size, self.learning_rate, self.optimizer = epochs, batch_size, learning_rate, optimizer
        self.validation_fraction, self.patience = validation_fraction, patience
        self.dropout, self.weight_decay, self.clip = dropout, weight_decay, clip
        self.standardize, self.warm_start = standardize, warm_start
        self.random_state, self.verbose = random_state, verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @property
    def n_iter_(self) -> int:
        """Epochs that were run, those of `partial_fit` included."""
        return len(self.history_.epochs)

    def inputs(self, X: Any) -> Array:
        """What `network_` is called with, (n, T, N): steps, of images their patches, with mean 0 and variance 1."""
        check_is_fitted(self)
        return self._inputs(self._checked(X))

    def _inputs(self, X: Array) -> Array:
        return (steps_of(X, self.patch_size, self.stride, self.order) - self.mean_) / self.scale_

    def _scores(self, X: Any) -> Array:
        check_is_fitted(self)
        return self.network_(self._inputs(self._checked(X)))

    def _checked(self, X: Any) -> Array:
        """X of new rows, of the shape that was fitted."""
        return self._same_shape(validate_data(self, X, dtype=FLOATS, allow_nd=True, reset=False))

    def _same_shape(self, X: Array) -> Array:
        if X.shape[1:] != self._shape:
            raise AxisMismatchError(f"a row of X has shape {X.shape[1:]}; the estimator was fitted on {self._shape}")
        return X

    def _data(self, X: Any, y: Any, sample_weight: Any, *, is_first: bool, **options: Any) -> tuple[Array, Array, Any]:
        """X, y and weights as arrays; rows of weight 0 are left out."""
        X, y = validate_data(self, X, y, dtype=FLOATS, allow_nd=True, reset=is_first, **options)
        if is_first:
            self._shape = X.shape[1:]
        self._same_shape(X)
        if sample_weight is None:
            return X, y, None
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        rows = weight != 0
        if (weight < 0).any() or not rows.any():
            raise TrainingError("sample_weight must not be negative, and not 0 for every row")
        return X[rows], y[rows], weight[rows]

    def _begin(self, X: Array, weight: Any, outputs: int) -> None:
        """Draw the network, and measure the inputs that it is to see with mean 0 and variance 1."""
        self._random = check_random_state(self.random_state)
        steps = steps_of(X, self.patch_size, self.stride, self.order)
        # The columns of feature vectors are different quantities; steps of a sequence are the same ones again.
        axes = (0,) if X.ndim == 2 else (0, 1)
        self.mean_, self.scale_ = moments(steps, weight, axes, is_kept=not self.standardize)
        self.network_ = drawn_network(self, steps.shape[1:], outputs, int(self._random.randint(SEEDS)), steps.dtype)
        self.history_, self._optimizer = History(), None

    def _train(self, X: Array, target: Array, weight: Any, optimizer: Optimizer, **options: Any) -> History:
        """Train on standardised inputs: steps of one size then suit all parameters."""
        result = fit(
            self.network_, self._inputs(X), target, loss=self._loss, optimizer=optimizer, batch_size=self.batch_size,
            sample_weight=weight, dropout=self.dropout, weight_decay=self.weight_decay, clip=self.clip,
            seed=int(self._random.randint(SEEDS)), progress=bool(self.verbose), **options,
        )  # fmt: skip
        self.network_ = result.network
        return result.history

    def _train_whole(self, X: Array, target: Array, weight: Any) -> Self:
        """All epochs; without an optimizer of the user's the learning rate climbs first, and falls to 0 at the end."""
        if self.patience is not None and self.validation_fraction is None:
            raise TrainingError("patience needs rows to validate on: validation_fraction=0.1 takes a tenth of them")
        rows = len(X) - round(len(X) * (self.validation_fraction or 0))
        steps = max(1, self.epochs * -(-rows // max(1, self.batch_size)))
        schedule = Warmup(
            CosineDecay(self.learning_rate, steps + 1), max(1, int(WARMUP * steps))
        )  # 0 would be after the last
        optimizer = self.optimizer or Adam(schedule, eps=EPSILON)
        limits = {"epochs": self.epochs, "validation": self.validation_fraction, "patience": self.patience}
        self.history_, self._optimizer = self._train(X, target, weight, optimizer, **limits), None
        return self

    def _train_once(self, X: Array, target: Array, weight: Any) -> Self:
        """One epoch, with the moments of the optimizer where the last call left them."""
        optimizer = Resumed(self.optimizer or Adam(self.learning_rate, eps=EPSILON), self._optimizer)
        new, old = self._train(X, target, weight, optimizer, epochs=1).epochs, self.history_.epochs
        self._optimizer, seconds = optimizer.state, old[-1].seconds if old else 0.0
        added = (replace(epoch, epoch=len(old) + 1, seconds=seconds + epoch.seconds) for epoch in new)
        self.history_ = History((*old, *added))
        return self


def undone_on_error(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method after which the object is as it was before, its random numbers too, should it fail."""

    @wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        before = dict(vars(self))
        drawn = before["_random"].get_state() if "_random" in before else None
        try:
            return method(self, *args, **options)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            if drawn is not None:
                self._random.set_state(drawn)
            raise

    return call
