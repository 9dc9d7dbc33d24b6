"""Checks that networks share."""

from typing import Any

from ..errors import FormatError
from ..execute.namespace import as_array, namespace_of
from .features import FeatureMap, FixedMap

__all__ = ["check_features", "together"]

Array = Any


def together(arrays: Any, name: str) -> Array:
    """One array, or arrays of one shape stacked along a new first axis."""
    if hasattr(arrays, "shape"):
        return arrays
    found = [as_array(array) for array in arrays]
    shapes = {tuple(array.shape) for array in found}
    if len(shapes) != 1:
        raise FormatError(f"{name} must be arrays of one shape, one a step; got shapes {sorted(shapes)}")
    return namespace_of(found).stack(found)


def check_features(feature_map: Any, array: Array, name: str, axis: int) -> None:
    """Refuse a part that is made for another number of features."""
    if not isinstance(feature_map, FeatureMap | FixedMap):
        raise FormatError(f"a network needs a FeatureMap or a FixedMap; got {type(feature_map).__name__}")
    if array.shape[axis] != feature_map.n_features:
        raise FormatError(
            f"{name} has {array.shape[axis]} on axis {axis % len(array.shape)} (M), but the feature map gives "
            f"{feature_map.n_features} features"
        )
