"""Score networks as scikit-learn estimators."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..errors import AxisMismatchError, DataError, TrainingError
from ..networks import Network
from .fit import fit
from .history import History
from .optimizer import Adam, Optimizer
from .resumed import Resumed
from .schedule import CosineDecay
from .steps import drawn_network, moments, on_raw_inputs, on_scaled_inputs, steps_of

__all__ = ["TensorNetworkClassifier", "TensorNetworkRegressor"]

Array = Any
SEEDS = 2**31 - 1
FLOATS = [np.float64, np.float32]


class _TensorNetwork(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share: the network, its inputs and its training."""

    _loss: str

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
        epochs: int = 50,
        batch_size: int = 32,
        learning_rate: float = 0.01,
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
        """What `network_` is called with, (n, T, N): patches of images, standardised columns of feature vectors."""
        check_is_fitted(self)
        return self._inputs(self._checked(X))

    def _inputs(self, X: Array) -> Array:
        steps = steps_of(X, self.patch_size, self.stride, self.order)
        return (steps - self.mean_) / self.scale_ if X.ndim == 2 else steps

    def _scores(self, X: Any) -> Array:
        check_is_fitted(self)
        return self.network_(self._inputs(self._checked(X)))

    def _checked(self, X: Any) -> Array:
        """X of new rows, of the shape that was fitted."""
        X = validate_data(self, X, dtype=FLOATS, allow_nd=True, reset=False)
        return self._same_shape(X)

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

    def _is_first(self, goes_on: bool) -> bool:
        return not (goes_on and hasattr(self, "network_"))

    def _begin(self, X: Array, weight: Any, outputs: int) -> None:
        """Draw the network, and measure the inputs that it is to see with mean 0 and variance 1."""
        self._random = check_random_state(self.random_state)
        steps = steps_of(X, self.patch_size, self.stride, self.order)
        # The columns of feature vectors are different quantities; steps of a sequence are the same ones again.
        axes = (0,) if X.ndim == 2 else (0, 1)
        self.mean_, self.scale_ = moments(steps, weight, axes, is_kept=not self.standardize)
        network = drawn_network(self, steps.shape[1:], outputs, int(self._random.randint(SEEDS)), steps.dtype)
        self.network_ = network if X.ndim == 2 else on_raw_inputs(network, self.mean_, self.scale_)
        self.history_, self._optimizer = History(), None

    def _train(self, X: Array, target: Array, weight: Any, optimizer: Optimizer, **options: Any) -> History:
        """Train on standardised inputs: steps of one size then suit all parameters."""
        steps = (steps_of(X, self.patch_size, self.stride, self.order) - self.mean_) / self.scale_
        is_folded = X.ndim != 2
        start: Network = on_scaled_inputs(self.network_, self.mean_, self.scale_) if is_folded else self.network_
        result = fit(
            start, steps, target, loss=self._loss, optimizer=optimizer, batch_size=self.batch_size,
            sample_weight=weight, dropout=self.dropout, weight_decay=self.weight_decay, clip=self.clip,
            seed=int(self._random.randint(SEEDS)), progress=bool(self.verbose), **options,
        )  # fmt: skip
        self.network_ = on_raw_inputs(result.network, self.mean_, self.scale_) if is_folded else result.network
        return result.history

    def _train_whole(self, X: Array, target: Array, weight: Any) -> Self:
        """All epochs; without an optimizer of the user's the learning rate falls to 0 in their course."""
        if self.patience is not None and self.validation_fraction is None:
            raise TrainingError("patience needs rows to validate on: validation_fraction=0.1 takes a tenth of them")
        rows = len(X) - round(len(X) * (self.validation_fraction or 0))
        steps = max(1, self.epochs * -(-rows // max(1, self.batch_size)))
        optimizer = self.optimizer or Adam(CosineDecay(self.learning_rate, steps))
        self.history_ = self._train(
            X, target, weight, optimizer,
            epochs=self.epochs, validation=self.validation_fraction, patience=self.patience,
        )  # fmt: skip
        self._optimizer = None
        return self

    def _train_once(self, X: Array, target: Array, weight: Any) -> Self:
        """One epoch, with the moments of the optimizer where the last call left them."""
        optimizer = Resumed(self.optimizer or Adam(self.learning_rate), self._optimizer)
        new, old = self._train(X, target, weight, optimizer, epochs=1).epochs, self.history_.epochs
        self._optimizer, seconds = optimizer.state, old[-1].seconds if old else 0.0
        added = (replace(epoch, epoch=len(old) + 1, seconds=seconds + epoch.seconds) for epoch in new)
        self.history_ = History((*old, *added))
        return self


class TensorNetworkClassifier(ClassifierMixin, _TensorNetwork):  # type: ignore[misc]
    """Classes of feature vectors, sequences or images by a score network, as a scikit-learn estimator.

        p(y | X) = exp l_y(X) / Σ_z exp l_z(X)

    X: feature vectors (n, T), one number a step; sequences (n, T, N); with patch_size images (n, H, W) or (n, H, W, C).
    kind: "cp", "tt" or "ht". rank, xi, features (M), activation, tree (for "ht"), equal_cores (for "tt") and shared:
    of the network. patch_size, stride, order: of `patches`. epochs, batch_size, validation_fraction, patience, dropout,
    weight_decay, clip: of `fit`. learning_rate: of Adam, falling to 0 in the course of `fit`; optimizer: another one.
    standardize: inputs have mean 0 and variance 1 for the network, every column of feature vectors by itself, and every
    number of a step over all steps. warm_start: `fit` goes on from the network that is there. Rows of weight 0 are left
    out. random_state: of the first parameters and the order of the rows.

    Fitted: classes_, network_ (called with `inputs(X)`, which for sequences is X itself), history_, n_iter_, mean_,
    scale_, n_features_in_ (size of axis 1 of X).

    Raises `AxisMismatchError`, `DataError`, `TrainingError`, `UnknownNameError`; scikit-learn's ValueError for NaN.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> TensorNetworkClassifier("cp", epochs=20, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _loss = "cross-entropy"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for all epochs; y: (n,) labels of any kind."""
        is_first = self._is_first(self.warm_start)
        X, y, weight = self._data(X, y, sample_weight, is_first=is_first)
        check_classification_targets(y)
        if is_first:
            self.classes_ = np.unique(y)
            self._begin(X, weight, len(self.classes_))
        return self._train_whole(X, self._codes(y), weight)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch, from where the last call stopped; the first call needs all classes.

        Inputs are standardised as the rows of the first call require.
        """
        is_first = self._is_first(True)
        if is_first and classes is None:
            raise DataError("the first call of partial_fit needs the classes: all labels that will come")
        X, y, weight = self._data(X, y, sample_weight, is_first=is_first)
        check_classification_targets(y)
        known = self.classes_ if classes is None else np.unique(classes)
        if not is_first and not np.array_equal(known, self.classes_):
            raise DataError(f"classes are {known.tolist()}, in the first call they were {self.classes_.tolist()}")
        if is_first:
            self.classes_ = known
            self._codes(y)
            self._begin(X, weight, len(known))
        return self._train_once(X, self._codes(y), weight)

    def _codes(self, y: Array) -> Array:
        new = np.setdiff1d(y, self.classes_)
        if new.size:
            raise DataError(f"y has the labels {new.tolist()}, which are none of the classes {self.classes_.tolist()}")
        return np.searchsorted(self.classes_, y)

    def decision_function(self, X: Any) -> Array:
        """Scores l_y(X) of shape (n, classes); with two classes l_1(X) − l_0(X) of shape (n,)."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities, (n, classes)."""
        scores = self._scores(X)
        scores = scores - scores.max(1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(1, keepdims=True))

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes, (n, classes)."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> Array:
        """The label of the largest score, (n,)."""
        scores = self._scores(X)
        return self.classes_[scores.argmax(1)]


class TensorNetworkRegressor(RegressorMixin, _TensorNetwork):  # type: ignore[misc]
    """Numbers from feature vectors, sequences or images by a score network, as a scikit-learn estimator.

        ŷ = mean + scale · l(X),    the squared error of (y − mean) / scale is minimised

    Parameters, inputs and fitted attributes are those of `TensorNetworkClassifier`, with target_mean_ and target_scale_
    for classes_. y: (n,) or (n, k).
    Raises `AxisMismatchError`, `DataError`, `TrainingError`, `UnknownNameError`; scikit-learn's ValueError for NaN.

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((200, 2))
    >>> TensorNetworkRegressor("cp", epochs=20, random_state=0).fit(X, abs(X[:, 0])).score(X, abs(X[:, 0])) > 0.9
    True
    """

    _loss = "squared"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for all epochs; y: (n,) or (n, k) numbers."""
        return self._train_whole(*self._started(X, y, sample_weight, self._is_first(self.warm_start)))

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch, from where the last call stopped.

        Inputs and y are standardised as the rows of the first call require.
        """
        return self._train_once(*self._started(X, y, sample_weight, self._is_first(True)))

    def _started(self, X: Any, y: Any, sample_weight: Any, is_first: bool) -> tuple[Array, Array, Any]:
        """Rows, standardised targets (n, k) and weights; there is a network then."""
        X, y, weight = self._data(X, y, sample_weight, is_first=is_first, multi_output=True, y_numeric=True)
        numbers = y.reshape(len(y), -1).astype(X.dtype)
        if is_first:
            self._output = y.shape[1:]
            self.target_mean_, self.target_scale_ = moments(numbers, weight, (0,))
            self._begin(X, weight, numbers.shape[1])
        elif y.shape[1:] != self._output:
            raise AxisMismatchError(f"a row of y has shape {y.shape[1:]}; the estimator was fitted on {self._output}")
        return X, (numbers - self.target_mean_) / self.target_scale_, weight

    def predict(self, X: Any) -> Array:
        """Numbers, (n,) or (n, k) as y was."""
        scores = self._scores(X)
        return (self.target_mean_ + self.target_scale_ * scores).reshape(-1, *self._output)
