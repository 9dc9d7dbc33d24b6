"""Networks as the grid tensors that ranks are taken of, in double precision."""

from typing import Any

import numpy as np

from ..algebra.scalar import cast
from ..errors import FormatError
from ..execute.memory import MemoryLimit
from ..execute.namespace import namespace_of, to_device
from ..networks import GridTensor, Network

__all__ = ["as_grid", "in_double", "one_class", "value_of"]

Array = Any


def as_grid(x: Any, templates: Any = None, steps: int | None = None) -> GridTensor | None:
    """The grid tensor of a network on its templates, in float64; None for what is neither network nor grid tensor."""
    if isinstance(x, Network):
        if templates is None:
            raise FormatError("a network has a grid tensor on templates: templates=…, one a row")
        return GridTensor(in_double(x), templates, steps)
    if isinstance(x, GridTensor) and x.features.dtype != np.float64:
        return GridTensor(in_double(x.network), x.templates, x.steps)
    return x if isinstance(x, GridTensor) else None


def in_double(network: Network) -> Network:
    """The network in float64: ranks of single precision are those of its rounding errors."""

    def wide(arrays: dict[str, Array]) -> dict[str, Array]:
        return {name: cast(array, "float64", namespace_of([array])) for name, array in arrays.items()}

    feature_map = network.feature_map.replaced(wide(network.feature_map.parameters()))
    return network._with_parts(feature_map, wide(network._parts()))


def value_of(grid: GridTensor, memory_limit: MemoryLimit = None) -> Any:
    """The grid tensor on the CPU: a format for multiply, an array for the others."""
    if grid.network.xi.name == "multiply":
        return grid.to_format().to_device("cpu")
    return np.asarray(to_device(grid.to_dense(memory_limit), "cpu"))


def one_class(value: Any) -> Any:
    """Without the mode of the classes where there is one class only."""
    return value[(*[slice(None)] * (len(value.shape) - 1), 0)] if value.shape[-1] == 1 else value
