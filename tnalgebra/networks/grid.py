"""Grid tensors: the scores of a network on every sequence of given templates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any
from warnings import warn

import numpy as np

from ..algebra import Operator, operator
from ..errors import (
    AlgebraError,
    AxisMismatchError,
    ConditionWarning,
    EquationError,
    FormatError,
    MemoryLimitError,
    NonFiniteError,
)
from ..execute import Expression, contract
from ..execute.expression import evaluate
from ..execute.memory import MemoryLimit, as_bytes
from ..execute.namespace import as_array, concatenate, namespace_of, to_device
from ..formats import Format
from ..formats.graphs import numbered
from ..formats.indexing import checked_points, checked_rows
from ..graph import Labels, Leaf
from .features import features_of
from .network import Network
from .recurrent import RecurrentNetwork
from .weights import weight_tensor

__all__ = ["GridTensor", "grid_tensor"]

Array = Any
CONDITION = 1e8
"""Condition number of F from which half of the digits are lost in what depends on its inverse."""
BLOCK = "64MiB"
"""Size of a block where no limit is given."""
ROWS = 1 << 18
"""So many samples are scored at a time."""
MOST_AXES = 64
"""Of a NumPy array."""
WHOLE = "50%"
"""Size of an array that is made without being asked whether it fits."""


def grid_tensor(network: Network, templates: Any, *, steps: int | None = None, memory_limit: MemoryLimit = None) -> Any:
    """The scores of a network on every sequence of templates: an array, for ξ = multiply a format   (GTM 25).

        Γ[i₁, …, i_T, y] = l_y(x⁽ⁱ¹⁾, …, x⁽ⁱᵀ⁾)

    templates: (M, N), so that there are T modes of size M, and the classes last. steps: T, where the network takes any
    number. memory_limit: of the array and what it takes to compute it; without one the array may take half of the
    memory.
    Raises `MemoryLimitError` with the size where the array would not fit, `AxisMismatchError`, `NonFiniteError`,
    `DTypeError` for complex templates; warns with `ConditionWarning` where their features are nearly dependent.
    `networks.GridTensor` computes parts of it.

    >>> import numpy as np, tnalgebra as tna
    >>> net = tna.RecurrentNetwork.random(steps=3, inputs=2, features=4, rank=5, classes=7, xi="rectifier", seed=0)
    >>> tna.grid_tensor(net, np.eye(2)).shape
    (2, 2, 2, 7)
    """
    grid = GridTensor(network, templates, steps)
    return grid.to_format() if network.xi.name == "multiply" else grid.to_dense(memory_limit)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GridTensor:
    """The scores of a network on every sequence of M templates, not yet computed   (GTM 25).

        Γ[i₁, …, i_T, y] = l_y(x⁽ⁱ¹⁾, …, x⁽ⁱᵀ⁾),    F[m, :] = f(x⁽ᵐ⁾)

    It is the graph of the network with F in the place of the features and a label of its own for every step, so that
    what depends on few of the steps is computed once for all others (GTM Prop. 4.1).
    templates: (M, N). steps: T, where the network takes any number. features: F, (M, n_features).
    Raises `AxisMismatchError` for templates of another size, `NonFiniteError`, `DTypeError` for complex ones; warns
    with `ConditionWarning` where F is nearly singular.

    >>> import numpy as np, tnalgebra as tna
    >>> net = tna.RecurrentNetwork.random(steps=3, inputs=2, features=4, rank=5, classes=7, xi="rectifier", seed=0)
    >>> tna.networks.GridTensor(net, np.eye(2)).shape
    (2, 2, 2, 7)
    """

    network: Network
    templates: Array
    steps: int | None = None
    features: Array = field(init=False)

    def __post_init__(self) -> None:
        """Compute F and look at its condition."""
        network, templates = self.network, as_array(self.templates)
        if not isinstance(network, Network):
            raise FormatError(f"a grid tensor needs a network; got {type(network).__name__}")
        if len(templates.shape) != 2 or templates.shape[1] != network.n_inputs or templates.shape[0] == 0:
            raise AxisMismatchError(
                f"templates must have shape (M, {network.n_inputs}), one template a row; got {tuple(templates.shape)}"
            )
        if self.steps is not None and (not isinstance(self.steps, int | np.integer) or self.steps < 1):
            raise EquationError(f"steps must be an integer of 1 or more; got {self.steps!r}")
        given = None if self.steps is None else int(self.steps)
        steps = network.steps or given
        if steps is None or given not in (None, steps):
            raise EquationError(
                "the network takes any number of steps; say how many: steps=…"
                if steps is None
                else f"the network has {steps} steps; got steps={self.steps}"
            )
        rows = network._real(templates, "the template matrix")
        features = features_of(network.feature_map, rows[None, :, :])[0, ...]
        for name, value in (("templates", templates), ("steps", steps), ("features", features)):
            object.__setattr__(self, name, value)
        if (found := self.condition) > CONDITION:
            warn(
                f"the features of the {features.shape[0]} templates have condition number {found:.1e}: some templates "
                "are nearly combinations of others, and what needs the inverse of F fails; choose other templates",
                ConditionWarning,
                stacklevel=4,
            )

    @property
    def condition(self) -> float:
        """The largest singular value of F by its smallest, infinite if that is 0.

        It says how independent the templates are where there are no more of them than features.
        """
        features = np.asarray(to_device(self.features, "cpu"), float)
        if not np.isfinite(features).all():
            raise NonFiniteError("the templates have features that are NaN or infinite")
        values = np.linalg.svd(features, compute_uv=False)
        return float(values[0] / values[-1]) if values[-1] > 0 else float("inf")

    @property
    def shape(self) -> tuple[int, ...]:
        """(M, …, M, classes)."""
        assert self.steps is not None
        return (*(int(self.features.shape[0]),) * self.steps, self.network.classes)

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return prod(self.shape) * int(np.dtype(self.features.dtype).itemsize)

    def to_format(self) -> Any:
        """The CP, TT or HT tensor that it is for ξ = multiply: every feature mode times F. Raises `AlgebraError`."""
        network, steps = self.network, len(self.shape) - 1
        if network.xi.name != "multiply":
            raise AlgebraError(f"a grid tensor of ξ = {network.xi} is in no format: to_dense and blocks compute it")
        if isinstance(network, RecurrentNetwork) and network.steps is None:
            network = network.unrolled(steps)
        return weight_tensor(network, self.features)

    def to_dense(self, memory_limit: MemoryLimit = None) -> Array:
        """All of it. Raises `MemoryLimitError` with its size where it does not fit."""
        limit = as_bytes(memory_limit or WHOLE) or 0
        if self.nbytes > limit:
            raise MemoryLimitError(
                f"the grid tensor of shape {_shown(self.shape)} takes {self.nbytes:.3g} bytes, more than {limit}: "
                "GridTensor.blocks goes through it in parts, and expressivity.sampled_rank bounds its rank from below"
            )
        return self._scores([self.features] * (len(self.shape) - 1), memory_limit=memory_limit)

    def blocks(self, memory_limit: MemoryLimit = BLOCK) -> Iterator[tuple[tuple[slice, ...], Array]]:
        """Blocks of whole trailing modes, each with its place: ``dense[place] = block`` puts them together.

        memory_limit: of one block, not of what it takes to compute it; the classes of one sequence are never parted.
        Raises `FormatError` from 64 steps on, as no array has so many axes.
        """
        if len(self.shape) > MOST_AXES:
            raise FormatError(f"no array has the {len(self.shape)} axes of {_shown(self.shape)}; gather has entries")
        size, steps, limit = self.shape[0], len(self.shape) - 1, as_bytes(memory_limit) or 0
        inside = self.nbytes
        cut = 0
        while cut < steps and inside > limit:
            cut, inside = cut + 1, inside // size
        chunk = max(1, min(size, limit // max(1, inside)))
        ranges = [range(0, size, chunk if mode == cut - 1 else 1) for mode in range(cut)]
        for starts in product(*ranges):
            place = tuple(
                slice(start, min(start + span.step, size)) for start, span in zip(starts, ranges, strict=True)
            )
            features = [self.features[part, :] for part in place] + [self.features] * (steps - cut)
            labels = ["one" if len(f) == 1 else f"i{t}" for t, f in enumerate(features)]
            block = self._scores(features, labels)
            shape = (*(len(f) for f in features), self.shape[-1])
            yield (*place, *[slice(None)] * (steps - cut + 1)), block.reshape(shape)

    def reduce(self, reduce: str | Operator = "add", memory_limit: MemoryLimit = BLOCK) -> Any:
        """⊕ over all entries, block by block: "add" for the sum, "maximum", "logaddexp", "hypot" for the norm."""
        op = operator(reduce)
        parts = (contract("a->", block.reshape(-1), reduce=op) for _, block in self.blocks(memory_limit))
        total = next(parts)
        for part in parts:
            total = op.function(namespace_of([part]))(total, part)
        return total

    def gather(self, indices: Any) -> Array:
        """Scores (B, classes) of the sequences of templates with these indices, (B, T)."""
        points = checked_points(indices, self.shape[:-1])
        return self._sampled([points[:, mode] for mode in range(points.shape[1])], ["b"] * points.shape[1])

    def submatrix(self, rows: Sequence[int], row_indices: Any, column_indices: Any) -> Array:
        """Entries (B, C, classes) of a matricization, without the others.

        rows: the modes of its rows. row_indices: (B, len(rows)). column_indices: (C, T − len(rows)), for the other
        modes in order. What depends on the rows or the columns alone is computed once for each.
        """
        modes, size = range(len(self.shape) - 1), self.shape[0]
        rows = checked_rows(rows, len(modes))
        columns = [mode for mode in modes if mode not in rows]
        r = checked_points(row_indices, (size,) * len(rows))
        c = checked_points(column_indices, (size,) * len(columns))
        indices = [r[:, rows.index(mode)] if mode in rows else c[:, columns.index(mode)] for mode in modes]
        found = self._sampled(indices, ["row" if mode in rows else "column" for mode in modes])
        return found if 0 in rows else namespace_of([found]).permute_dims(found, (1, 0, 2))

    def _sampled(self, indices: Sequence[Array], labels: Sequence[str]) -> Array:
        """Scores where steps of one label go together, some samples of the first label at a time."""
        tensor = self.to_format() if self.network.xi.name == "multiply" else None
        xp = namespace_of([self.features])
        if tensor is None:
            carriers = [(self.features, 0)] * len(indices)
        else:
            parts = tensor.parameters()
            carriers = [(parts[name], axis) for name, axis in tensor._carriers()[:-1]]
        taken = [
            xp.take(part, xp.asarray(index), axis=axis) for (part, axis), index in zip(carriers, indices, strict=True)
        ]
        sizes = dict(zip(labels, map(len, indices), strict=True))
        others = [size for label, size in sizes.items() if label != labels[0]]
        count, chunk = sizes[labels[0]], max(1, ROWS // max([1, *others]))
        found = []
        for start in range(0, max(1, count), chunk):
            cut = slice(start, min(start + chunk, count))
            own = [
                part[(*[slice(None)] * axis, cut, ...)] if label == labels[0] else part
                for part, (_, axis), label in zip(taken, carriers, labels, strict=True)
            ]
            found.append(self._scores(own, labels) if tensor is None else _products(tensor, own, labels))
        return found[0] if len(found) == 1 else concatenate(found, 0, xp)

    def expression(self) -> Expression:
        """The scores as an expression in the parts of the network and in F of every step, all of them bound."""
        leaves = _leaves(numbered("i", len(self.shape) - 1))
        features = {leaf.name: self.features for leaf in leaves}
        return Expression(self.network.grid_graph(leaves), {**self.network._parts(), **features})

    def _scores(
        self, features: Sequence[Array], labels: Sequence[str] | None = None, memory_limit: MemoryLimit = None
    ) -> Array:
        leaves = _leaves(tuple(labels) if labels else numbered("i", len(features)))
        arrays = {**self.network._parts(), **{leaf.name: f for leaf, f in zip(leaves, features, strict=True)}}
        return evaluate(self.network.grid_graph(leaves), arrays, memory_limit=memory_limit)

    def __repr__(self) -> str:
        return f"GridTensor(shape={_shown(self.shape)}, condition={self.condition:.3g}, network={self.network!r})"


@lru_cache(maxsize=256)
def _leaves(labels: Labels) -> tuple[Leaf, ...]:
    """F of every step, for rows of these labels."""
    return tuple(Leaf(f"F{t}", (label, "m")) for t, label in enumerate(labels))


def _products(tensor: Format, carriers: Sequence[Array], labels: Sequence[str]) -> Array:
    """Entries of a format whose last mode stays, with samples in the place of the others."""
    modes = (*((label,) for label in labels), ("y",))
    node = tensor._graph(tensor._leaves(), modes, (*dict.fromkeys(labels), "y"))
    names = [name for name, _ in tensor._carriers()]
    return evaluate(node, {**tensor.parameters(), **dict(zip(names, carriers, strict=False))})


def _shown(shape: Sequence[int]) -> str:
    """A shape in which many modes are alike."""
    size, *_, classes = shape
    return f"({size},)·{len(shape) - 1} + ({classes},)" if len(shape) > 9 else str(tuple(shape))
