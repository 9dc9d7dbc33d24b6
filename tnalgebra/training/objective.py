"""Loss and gradient of a network on a batch, by one vector of all parameters."""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from ..errors import AxisMismatchError, NonFiniteError
from ..execute import Expression, value_and_grad
from ..execute.expression import evaluate, leaf_names
from ..execute.gradient import ValueAndGrad
from ..execute.namespace import as_array, namespace_of
from ..execute.run import Program
from ..graph import Leaf
from ..networks import Network, RecurrentNetwork
from .loss import loss_graph

__all__ = ["Batch", "Objective", "concatenated", "prepared"]

Array = Any
Batch = Mapping[str, Array]
"""Arrays by name: X, target, row_weight, and mask where sequences are padded."""


def concatenated(arrays: Any) -> Array:
    """Arrays of any shape as one vector."""
    found = list(arrays)
    return namespace_of(found).concatenate([array.reshape(-1) for array in found])


class Objective:
    """The loss of a network as a function of one vector; value and gradient are one planned contraction."""

    def __init__(self, network: Network, loss: str, *, masked: bool = False, compiled: bool = False) -> None:
        self.network, self.loss, self.masked, self.compiled = network, loss, masked, compiled
        self.shapes = {name: tuple(part.shape) for name, part in network.parameters().items()}
        self._constants = network.constants()
        self._calls: dict[int, ValueAndGrad] = {}
        self._used: dict[int, tuple[str, ...]] = {}
        self._programs: dict[Any, tuple[Program, dict[str, Array]]] = {}
        self._kept: list[tuple[Array, dict[str, Array]]] = []

    def vector(self, network: Network) -> Array:
        """The parameters of a network as one vector, in its dtype."""
        return concatenated(network.parameters().values()).astype(self.network.dtype)

    def parts(self, vector: Array) -> dict[str, Array]:
        """The parameters by name, as views of the vector."""
        found, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + prod(shape)
            found[name] = vector[start:stop].reshape(shape)
            start = stop
        return found

    def at(self, vector: Array) -> Network:
        """The network with these parameters."""
        return self.network.replace(**self.parts(vector))

    def copied(self, vector: Array) -> Array:
        """The parameters for somebody who keeps them."""
        return vector.copy()

    def __call__(self, vector: Array, batch: Batch, out: Array = None) -> tuple[Array, Array]:
        """The loss of the batch, and its gradient as a vector, which is written to `out` where that is given."""
        parts = self._views(vector)
        key = (vector.dtype, *((name, array.shape, array.dtype) for name, array in batch.items()))
        if key not in self._programs:
            self._programs[key] = self._program(parts, batch)
        program, leaves = self._programs[key]
        out = namespace_of([vector]).empty_like(vector) if out is None else out
        slopes, used = self._views(out), self._used[int(batch["X"].shape[1])]
        given = [parts[name] if name in parts else batch.get(name, leaves[name]) for name in leaves]
        value = program.into(given, [slopes[name] for name in used])
        if len(used) < len(slopes):
            for name in slopes.keys() - used:
                slopes[name][...] = 0
        return value, out

    def _views(self, vector: Array) -> dict[str, Array]:
        """`parts`, kept for the last two vectors: those that are written over come again, and views take time."""
        for kept, parts in self._kept:
            if kept is vector:
                return parts
        self._kept = [(vector, self.parts(vector)), *self._kept[:1]]
        return self._kept[0][1]

    def _program(self, parts: Mapping[str, Array], batch: Batch) -> tuple[Program, dict[str, Array]]:
        """The program for batches of these shapes, and its leaves: those that are no parameters and not in a batch."""
        steps = int(batch["X"].shape[1])
        call = self._call(steps)
        program, given = call.program(**{name: parts[name] for name in self._used[steps]}, **batch)
        return program, {name: None if name in parts or name in batch else array for name, array in given.items()}

    def _call(self, steps: int) -> ValueAndGrad:
        if steps not in self._calls:
            node = loss_graph(self.network.graph(steps, masked=self.masked), self.loss)
            used = tuple(name for name in self.shapes if name in leaf_names(node))
            call = value_and_grad(Expression(node, self._constants), used)
            self._calls[steps], self._used[steps] = call.compiled() if self.compiled else call, used
        return self._calls[steps]

    def flops(self, batch: Batch) -> int:
        """Operations of loss and gradient for a batch of these shapes."""
        steps = int(batch["X"].shape[1])
        call = self._call(steps)
        shapes: dict[str, Any] = {**{name: self.shapes[name] for name in self._used[steps]}, **batch}
        return call.plan(**shapes).flops

    def scores(self, vector: Array, data: Batch) -> Array:
        """Scores of all rows, some at a time; the data may have a mask where training has none."""
        given = {name: data[name] for name in ("X", "mask") if name in data}
        return self.at(vector).scores(given, masked="mask" in data)

    def value(self, scores: Array, data: Batch) -> float:
        """The loss of given scores."""
        arrays = {"scores": scores, "target": data["target"], "row_weight": data["row_weight"]}
        return float(evaluate(loss_graph(Leaf("scores", ("b", "y")), self.loss), arrays))

    def accuracy(self, scores: Array, data: Batch) -> float | None:
        """Share of rows whose largest score (or sign) is that of the target; None for numbers."""
        if self.loss == "squared":
            return None
        xp, target = namespace_of([scores]), data["target"]
        if self.loss == "binary":
            return float(xp.mean((scores > 0) == (target > 0.5)))
        return float(xp.mean(xp.argmax(scores, 1) == xp.argmax(target, 1)))


def prepared(
    network: Network, x: Any, target: Array, weight: Any, lengths: Any, *, where: str = "X"
) -> dict[str, Array]:
    """Everything that batches are cut from, where the network lives; refuses NaN and numbers of rows that differ."""
    like = next(iter(network.parameters().values()))
    xp = namespace_of([like])
    x = network.check(xp.asarray(as_array(x)))
    if lengths is not None and isinstance(network, RecurrentNetwork):
        data = dict(network.padded(x, lengths))
    elif lengths is not None:
        raise AxisMismatchError("lengths need a RecurrentNetwork with equal cores")
    else:
        data = {"X": x}
    rows = int(x.shape[0])
    sizes = {"target": len(target), **({"sample_weight": len(weight)} if np.ndim(weight) else {})}
    for name, size in sizes.items():
        if size != rows:
            raise AxisMismatchError(f"{where} has {rows} rows on axis 0, but {name} has {size}")
    if not bool(xp.all(xp.isfinite(data["X"]))):
        bad = int(xp.sum(~xp.isfinite(data["X"])))
        raise NonFiniteError(f"{where} has {bad} entries that are NaN or infinite; fill or drop them first")
    weights = np.ones(rows) if weight is None else np.asarray(weight, dtype=float)
    if weights.shape != (rows,):
        raise AxisMismatchError(f"sample_weight must have shape ({rows},); got {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise NonFiniteError("sample_weight must be finite, not negative, and not all 0")
    weights = weights / weights.max()  # whose sum may be beyond the range
    weights = weights / weights.mean()
    return {**data, "target": xp.asarray(target), "row_weight": xp.asarray(weights.astype(target.dtype))}
