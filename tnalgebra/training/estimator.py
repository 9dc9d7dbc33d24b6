"""Score networks as scikit-learn estimators."""

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets

from ..errors import AxisMismatchError, DataError
from .learner import Learner, undone_on_error
from .steps import moments

__all__ = ["TensorNetworkClassifier", "TensorNetworkRegressor"]

Array = Any


class TensorNetworkClassifier(ClassifierMixin, Learner):  # type: ignore[misc]
    """Classes of feature vectors, sequences or images by a score network, as a scikit-learn estimator.

        p(y | X) = exp l_y(X) / Σ_z exp l_z(X)

    X: feature vectors (n, T), one number a step; sequences (n, T, N); with patch_size images (n, H, W) or (n, H, W, C).
    kind: "cp", "tt" or "ht". rank, xi, features (M), activation, tree (for "ht"), equal_cores (for "tt") and shared:
    of the network. patch_size, stride, order: of `patches`. epochs, batch_size, validation_fraction, patience, dropout,
    weight_decay, clip: of `fit`. learning_rate: of Adam; in `fit` it climbs for a tenth of the steps and then falls to
    0. optimizer: another one, used as it is.
    standardize: inputs have mean 0 and variance 1 for the network, every column of feature vectors by itself, and every
    number of a step over all steps. warm_start: `fit` goes on from the network that is there. Rows of weight 0 are left
    out. random_state: of the first parameters and the order of the rows.

    Fitted: classes_, network_ (called with `inputs(X)`), history_, n_iter_, mean_,
    scale_, n_features_in_ (size of axis 1 of X).

    Raises `AxisMismatchError`, `DataError`, `TrainingError`, `UnknownNameError`; scikit-learn's ValueError for NaN.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = TensorNetworkClassifier("ht", epochs=20, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    _loss = "cross-entropy"

    @undone_on_error
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for all epochs; y: (n,) labels of any kind."""
        is_first = not (self.warm_start and hasattr(self, "network_"))
        X, y, weight = self._data(X, y, sample_weight, is_first=is_first)
        check_classification_targets(y)
        if is_first:
            self.classes_ = np.unique(y)
            self._begin(X, weight, len(self.classes_))
        return self._train_whole(X, self._codes(y), weight)

    @undone_on_error
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch, from where the last call stopped; the first call needs all classes.

        Inputs are standardised as the rows of the first call require.
        """
        is_first = not hasattr(self, "network_")
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


class TensorNetworkRegressor(RegressorMixin, Learner):  # type: ignore[misc]
    """Numbers from feature vectors, sequences or images by a score network, as a scikit-learn estimator.

        ŷ = mean + scale · l(X),    the squared error of (y − mean) / scale is minimised

    Parameters, inputs and fitted attributes are those of `TensorNetworkClassifier`, with target_mean_ and target_scale_
    for classes_. y: (n,) or (n, k).
    Raises `AxisMismatchError`, `DataError`, `TrainingError`, `UnknownNameError`; scikit-learn's ValueError for NaN.

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((200, 2))
    >>> model = TensorNetworkRegressor("ht", epochs=20, random_state=0).fit(X, abs(X[:, 0]))
    >>> bool(model.score(X, abs(X[:, 0])) > 0.8)
    True
    """

    _loss = "squared"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @undone_on_error
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for all epochs; y: (n,) or (n, k) numbers."""
        return self._train_whole(*self._started(X, y, sample_weight, goes_on=self.warm_start))

    @undone_on_error
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch, from where the last call stopped.

        Inputs and y are standardised as the rows of the first call require.
        """
        return self._train_once(*self._started(X, y, sample_weight, goes_on=True))

    def _started(self, X: Any, y: Any, sample_weight: Any, *, goes_on: bool) -> tuple[Array, Array, Any]:
        """Rows, standardised targets (n, k) and weights; there is a network then."""
        is_first = not (goes_on and hasattr(self, "network_"))
        X, y, weight = self._data(X, y, sample_weight, is_first=is_first, multi_output=True, y_numeric=True)
        numbers = y.reshape(len(y), -1).astype(np.float64)  # small differences of large numbers are digits too
        if is_first:
            self._output = y.shape[1:]
            self.target_mean_, self.target_scale_ = moments(numbers, weight, (0,))
            self._begin(X, weight, numbers.shape[1])
        elif y.shape[1:] != self._output:
            raise AxisMismatchError(f"a row of y has shape {y.shape[1:]}; the estimator was fitted on {self._output}")
        return X, ((numbers - self.target_mean_) / self.target_scale_).astype(X.dtype), weight

    def predict(self, X: Any) -> Array:
        """Numbers in float64, (n,) or (n, k) as y was."""
        scores = self._scores(X)
        return (self.target_mean_ + self.target_scale_ * scores).reshape(-1, *self._output)
