"""What every score network has: a feature map, parameters by name, and a graph from inputs to scores."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..algebra import Operator, Pointwise, operator
from ..algebra.derivative import substituted
from ..algebra.scalar import cast, is_complex, parse
from ..canvas import Diagrammed
from ..errors import AxisMismatchError, DTypeError, EquationError
from ..execute import Expression
from ..execute.cache import Cache
from ..execute.expression import evaluate
from ..execute.namespace import as_array, concatenate, namespace_of, to_device
from ..graph import Contract, Labels, Leaf, Node
from .features import INPUT, FeatureMap, FixedMap, constants_like
from .initialise import LONG

__all__ = ["Network", "product", "with_unit"]

Array = Any
PROBES = 256
"""So many random inputs say how large the scores of a new network are."""
ROWS = 4096
"""So many rows are scored at a time: scores of a large set need no memory for its hidden states."""
graphs: Cache[Node] = Cache()
"""Graphs by the structure of their network."""


def product(inputs: Sequence[str | Labels], output: str | Labels, *children: Node) -> Contract:
    """Σ of products; of labels in a text each has one character."""
    terms = tuple(map(tuple, inputs))
    return Contract(operator("multiply"), operator("add"), terms, children, tuple(output))


def with_unit(xi: Operator, node: Node) -> Node:
    """ξ(x, u) of every entry: the node itself where the unit is strict, else max(x, 0), |x|, …."""
    if xi.unit_is_strict:
        return node
    tree = substituted(parse(xi.value, ("x", "y")), {"x": "x0", "y": xi.unit})
    return Contract(Pointwise(tree, ("x0",)), operator("add"), (node.output,), (node,), node.output)


class Network(Diagrammed):
    """Class scores of sequences: a contraction of features with the parts of a format.

    A subclass says which parts there are and how they are contracted; everything else is written here once.
    """

    __slots__ = ()
    feature_map: FeatureMap | FixedMap
    xi: Operator

    @property
    @abstractmethod
    def steps(self) -> int | None:
        """T, the steps of an input; None where any number is taken."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of scores."""

    @property
    @abstractmethod
    def ranks(self) -> tuple[int, ...]:
        """Widths: of the format that the network evaluates."""

    @abstractmethod
    def _parts(self) -> dict[str, Array]:
        """Arrays by name, the feature map's aside."""

    @abstractmethod
    def _with_parts(self, feature_map: FeatureMap | FixedMap, parts: Mapping[str, Array]) -> Self:
        """The same network with other arrays."""

    @abstractmethod
    def _graph(self, features: Node, steps: int, mask: Node | None) -> Node:
        """Scores (b, y) from features (b, t, m)."""

    @abstractmethod
    def _grid(self, features: Sequence[Node]) -> Node:
        """Scores (…, y) from the features of every step, (label, m) each; steps of one label go together."""

    @abstractmethod
    def show(self) -> str:
        """Draw the network with characters."""

    @property
    @abstractmethod
    def _last(self) -> str:
        """The name of the part that the scores are linear in, after all the others."""

    def _structure(self) -> tuple[Hashable, ...]:
        """What the graph depends on, the feature map aside: no numbers but sizes."""
        return type(self), self.xi, tuple([tuple(part.shape) for part in self._parts().values()])

    def _settled(self, seed: Any) -> Self:
        """The network with its last part scaled so that scores of normal inputs have mean square 1."""
        x = np.random.default_rng(seed).standard_normal((PROBES, self.steps or LONG, self.n_inputs))
        with np.errstate(all="ignore"):
            size = float(np.sqrt(np.mean(self(x).astype(float) ** 2)))
        if not (np.isfinite(size) and size > 0):
            return self
        own = self._parts()
        parts = {**own, self._last: own[self._last] / np.asarray(size, self.dtype)}
        return self._with_parts(self.feature_map, parts)

    @property
    def n_inputs(self) -> int:
        """N, the numbers of one step."""
        return self.feature_map.n_inputs

    @property
    def n_features(self) -> int:
        """M, the features of one step."""
        return self.feature_map.n_features

    @property
    def dtype(self) -> Any:
        """Common dtype of the parameters."""
        dtypes = {array.dtype: array for array in self.parameters().values()}
        if len(dtypes) == 1:
            return next(iter(dtypes))
        return namespace_of(list(dtypes.values())).result_type(*dtypes.values())

    @property
    def n_params(self) -> int:
        """How many numbers are trained."""
        return sum(prod(array.shape) for array in self.parameters().values())

    def _leaves(self) -> dict[str, Leaf]:
        return {name: Leaf(name, tuple(map(str, range(len(part.shape))))) for name, part in self._parts().items()}

    def parameters(self) -> dict[str, Array]:
        """Trained arrays by name."""
        return {**self.feature_map.parameters(), **self._parts()}

    def constants(self) -> dict[str, Array]:
        """Arrays by name that the graph needs and that are not trained, where the parameters live."""
        return constants_like(self.feature_map, next(iter(self._parts().values())))

    def replace(self, **arrays: Array) -> Self:
        """The same network with other arrays for some parameters.

        Raises `EquationError` for a name that is no parameter, `AxisMismatchError` for another shape.
        """
        own = self.parameters()
        for name in arrays:
            if name not in own:
                raise EquationError(f"{name!r} is no parameter; the network has {', '.join(own)}")
        arrays = {name: as_array(array) for name, array in arrays.items()}
        for name, array in arrays.items():
            if tuple(np.shape(array)) != tuple(own[name].shape):
                raise AxisMismatchError(
                    f"parameter {name!r} has shape {tuple(own[name].shape)}; got {tuple(np.shape(array))}"
                )
        both = {**own, **arrays}
        return self._with_parts(self.feature_map.replaced(both), {name: both[name] for name in self._parts()})

    def to_device(self, device: str) -> Self:
        """The network with its arrays on ``"cpu"`` or ``"cuda"``."""
        moved = {name: to_device(array, device) for name, array in self.parameters().items()}
        return self._with_parts(self.feature_map.replaced(moved), {name: moved[name] for name in self._parts()})

    def graph(self, steps: int | None = None, *, masked: bool = False) -> Node:
        """Scores (b, y) as a graph in the leaf X[b, t, n], the parameters and constants by name.

        steps: T, where the network takes any. masked: a leaf mask[b, t] says which steps are there.
        """
        mask = Leaf("mask", ("b", "t")) if masked else None
        count = self.steps if self.steps is not None else steps
        if self.steps is not None and (masked or steps not in (None, self.steps)):
            raise EquationError(f"the network has {self.steps} steps, neither more nor less; equal cores take any")
        if count is None:
            raise EquationError("the network takes any number of steps; say how many: steps=…")
        features = self.feature_map.graph(INPUT)
        return graphs.get((*self._structure(), features, count, masked), lambda: self._graph(features, count, mask))

    def grid_graph(self, features: Sequence[Node]) -> Node:
        """Scores (…, y) as a graph in the features of every step, (label, m) each; steps of one label go together."""
        return graphs.get((*self._structure(), *features), lambda: self._grid(features))

    def expression(self, batch: Array | None = None, *, steps: int | None = None) -> Expression:
        """Scores (batch, classes) as an expression: parameters bound, and X too where a batch is given.

        Free is the leaf ``X`` of shape (batch, T, N) where none is given; steps says T where the network takes any.
        """
        arrays = {**self.parameters(), **self.constants()}
        if batch is not None:
            arrays["X"] = self.check(batch)
            steps = arrays["X"].shape[1]
        return Expression(self.graph(steps), arrays)

    def check(self, x: Any) -> Array:
        """Inputs as an array of shape (batch, T, N) in the dtype of the network.

        Raises `AxisMismatchError` that names the axis and both sizes, `DTypeError` for complex numbers.
        """
        x = as_array(x)
        steps, inputs = self.steps, self.n_inputs
        if len(x.shape) != 3:
            raise AxisMismatchError(
                f"X must have shape (batch, {steps or 'T'}, {inputs}); got {len(x.shape)} axes: {tuple(x.shape)}"
            )
        for axis, name, size in ((1, "T", steps), (2, "N", inputs)):
            if size is not None and x.shape[axis] != size:
                raise AxisMismatchError(
                    f"X must have shape (batch, {steps or 'T'}, {inputs}): axis {axis} ({name}) is {x.shape[axis]}, "
                    f"the network needs {size}"
                )
        return self._real(x, "X")

    def _real(self, x: Array, name: str) -> Array:
        """The array in the dtype of the network; raises `DTypeError` for complex numbers."""
        xp = namespace_of([x])
        if is_complex(x.dtype, xp):
            raise DTypeError(f"{name} has dtype {x.dtype}; a network needs real numbers")
        return cast(x, self.dtype, xp)

    def __call__(self, x: Array) -> Array:
        """Scores (batch, classes) of inputs (batch, T, N)."""
        return self.scores({"X": self.check(x)})

    def scores(self, given: Mapping[str, Array], *, masked: bool = False) -> Array:
        """Scores (batch, classes) of checked arrays by the names of the graph's leaves, some rows at a time.

        given: ``X``, and ``mask`` where the steps are masked.
        """
        x = given["X"]
        node, own = self.graph(x.shape[1], masked=masked), {**self.parameters(), **self.constants()}
        starts = range(0, max(1, x.shape[0]), ROWS)
        ends = [min(start + ROWS, int(x.shape[0])) for start in starts]
        cuts = [{name: a[i:j, ...] for name, a in given.items()} for i, j in zip(starts, ends, strict=True)]
        parts = [evaluate(node, {**own, **cut}) for cut in cuts]
        return parts[0] if len(parts) == 1 else concatenate(parts, 0, namespace_of(parts))

    def __reduce__(self) -> Any:
        """Copies and pickles are made by the constructor, which freezes the arrays."""
        return type(self), tuple(getattr(self, name) for name in self.__dataclass_fields__)  # type: ignore[attr-defined]

    def save(self, path: str | Path) -> None:
        """Write the network to a file, whole or not at all; `tna.load` reads it. Raises `DataError`."""
        from .storage import save_network

        save_network(self, path)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(steps={self.steps or 'any'}, inputs={self.n_inputs}, features={self.n_features}, "
            f"ranks={self.ranks}, classes={self.classes}, xi={self.xi}, dtype={self.dtype}, {self.n_params} parameters)"
        )
