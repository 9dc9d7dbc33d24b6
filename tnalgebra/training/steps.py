"""Rows of data as sequences of steps, standardised, and networks of a kind for them."""

from typing import Any

import numpy as np

from ..errors import DataError, TrainingError, UnknownNameError
from ..networks import HierarchicalNetwork, Network, RecurrentNetwork, ShallowNetwork
from .patches import cut, patches

__all__ = ["KINDS", "check_cut", "drawn_network", "moments", "steps_of"]

Array = Any
KINDS: dict[str, Any] = {"cp": ShallowNetwork, "tt": RecurrentNetwork, "ht": HierarchicalNetwork}


def steps_of(X: Array, patch_size: Any, stride: Any, order: str) -> Array:
    """(n, T, N) of feature vectors (n, T), sequences (n, T, N), or with a patch size of images."""
    check_cut(patch_size, stride, order)
    if patch_size is not None:
        return patches(X, patch_size, stride, order)
    if X.ndim == 2:
        return X[:, :, None]
    if X.ndim == 3:
        return X
    raise DataError(
        f"X has shape {X.shape}: it must be feature vectors (n, T) or sequences (n, T, N); images need patch_size"
    )


def check_cut(patch_size: Any, stride: Any, order: str) -> None:
    """Raise `DataError` or `UnknownNameError` where no images have such patches, or stride and order are of none."""
    if patch_size is not None:
        cut(patch_size, stride, order)
    elif stride is not None or order != "rows":
        raise DataError(f"stride={stride!r} and order={order!r} are of patches, and there are none: give their size")


def moments(x: Array, weight: Any, axes: tuple[int, ...], *, is_kept: bool = False) -> tuple[Array, Array]:
    """Weighted mean and standard deviation over axes, the first one that of the rows; 1 where nothing varies.

    is_kept: the numbers stay as they are, with mean 0 and deviation 1.
    """
    shape = [size for axis, size in enumerate(x.shape) if axis not in axes]
    if is_kept:
        return np.zeros(shape, x.dtype), np.ones(shape, x.dtype)
    rest = axes[1:]
    exponent = np.frexp(abs(x).max(axes).astype(np.float64))[1] - 1
    unit = np.ldexp(1.0, np.clip(exponent, -1022, 1023))  # squares of larger numbers than this would leave the range
    scaled = x / unit

    def mean(array: Array) -> Array:
        return np.average(array.mean(rest) if rest else array, 0, weight)

    center = mean(scaled)
    deviation = np.sqrt(mean((scaled - center) ** 2))
    # What rounding alone makes of equal numbers is no deviation.
    is_noise = deviation <= 10 * np.finfo(x.dtype).eps * abs(center)
    scale = (deviation * unit).astype(x.dtype)
    return (center * unit).astype(x.dtype), np.where(is_noise | (scale == 0), 1, scale).astype(x.dtype)


def drawn_network(given: Any, shape: tuple[int, int], outputs: int, seed: int, dtype: Any) -> Network:
    """A network with the kind, the sizes and the options of an estimator.

    Raises `UnknownNameError` for another kind, `TrainingError` for an option of another kind.
    """
    if given.kind not in KINDS:
        raise UnknownNameError(f"unknown kind {given.kind!r}; known: {', '.join(KINDS)}")
    if given.equal_cores and given.kind != "tt":
        raise TrainingError(f"equal_cores is for kind='tt'; a network of kind {given.kind!r} has no cores to be equal")
    if given.tree is not None and given.kind != "ht":
        raise TrainingError(f"tree is for kind='ht'; a network of kind {given.kind!r} has none")
    own = {"tree": given.tree} if given.kind == "ht" else {}
    made: Network = KINDS[given.kind].random(
        steps=None if given.equal_cores else shape[0], inputs=shape[1], features=given.features, rank=given.rank,
        classes=outputs, xi=given.xi, activation=given.activation, shared=given.shared, seed=seed, dtype=dtype, **own,
    )  # fmt: skip
    return made
