"""Templates for grid tensors: drawn, or taken from data."""

from typing import Any

import numpy as np

from ..errors import AxisMismatchError, NonFiniteError
from ..execute.namespace import as_array, to_device
from .features import FeatureMap, FixedMap, features_of

__all__ = ["independent_templates", "kmeans_templates", "random_templates"]

Array = Any


def random_templates(count: int, inputs: int, *, seed: Any = None) -> Array:
    """Templates (count, inputs) with normal entries.

    >>> import tnalgebra as tna
    >>> tna.networks.random_templates(3, 2, seed=0).shape
    (3, 2)
    """
    if min(count, inputs) < 1:
        raise AxisMismatchError(f"templates need a count and inputs of 1 or more; got {count} and {inputs}")
    return np.random.default_rng(seed).standard_normal((count, inputs))


def kmeans_templates(data: Any, count: int, *, seed: Any = None) -> Array:
    """Centres (count, N) of the steps in data, by k-means.

    data: (samples, N), or sequences (samples, T, N). Raises `AxisMismatchError` for fewer different steps than count.

    >>> import numpy as np, tnalgebra as tna
    >>> steps = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> np.sort(tna.networks.kmeans_templates(steps, 2, seed=0), axis=0)
    array([[0.05],
           [5.05]])
    """
    from scipy.cluster.vq import kmeans2

    steps, _ = _steps(data, count)
    centres, _ = kmeans2(steps, count, minit="++", rng=np.random.default_rng(seed), missing="raise")
    return np.asarray(centres)


def independent_templates(data: Any, count: int, feature_map: FeatureMap | FixedMap) -> Array:
    """Steps (count, N) of the data whose features are far from dependent, by QR with pivoting of the features.

    data: (samples, N), or sequences (samples, T, N). Raises `AxisMismatchError` for fewer different steps than count,
    or more templates than features.
    Source: Businger & Golub 1965.

    >>> import numpy as np, tnalgebra as tna
    >>> steps = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> tna.networks.independent_templates(steps, 2, tna.FeatureMap.identity(2))
    array([[1., 0.],
           [0., 1.]])
    """
    from scipy.linalg import qr

    _, steps = _steps(data, count)
    if count > feature_map.n_features:
        raise AxisMismatchError(
            f"the feature map has {feature_map.n_features} features, so no more than that many templates are "
            f"independent; got {count}"
        )
    features = np.asarray(features_of(feature_map, steps[None, :, :])[0])
    *_, order = qr(features.T, mode="economic", pivoting=True)
    return steps[np.sort(order[:count])]


def _steps(data: Any, count: int) -> tuple[Array, Array]:
    """Every step of the data in a row, and every different one."""
    array = np.asarray(to_device(as_array(data), "cpu"), float)
    if array.ndim not in (2, 3):
        raise AxisMismatchError(f"data must have shape (samples, N) or (samples, T, N); got {array.shape}")
    if not np.isfinite(array).all():
        raise NonFiniteError("the data have entries that are NaN or infinite")
    steps = array.reshape(-1, array.shape[-1])
    different = np.unique(steps, axis=0)
    if not isinstance(count, int | np.integer) or not 1 <= count <= len(different):
        raise AxisMismatchError(f"the data have {len(different)} different steps; got a count of {count!r}")
    return steps, different
