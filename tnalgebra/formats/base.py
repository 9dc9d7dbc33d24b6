"""What every format can do by substituting into the modes of its graph."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Self

import numpy as np

from ..errors import AlgebraError, AxisMismatchError, FormatError, IndexRangeError
from ..execute import Expression
from ..execute.expression import evaluate
from ..execute.memory import MemoryLimit
from ..execute.namespace import as_array, device_of, namespace_of, to_device
from ..graph import Labels, Leaf, Node
from .arithmetic import Arithmetic, require_multiply
from .tree import DimensionTree, as_tree
from .truncation import TruncationReport

__all__ = ["Format", "implements"]

Array = Any
CHUNK_BYTES = 1 << 26
"""What one batch of gathered entries may take."""

_LATER: dict[tuple[str, type], Callable[..., Any]] = {}


def implements(method: str, kind: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the function behind a method such as ``kind.from_dense``: decompositions live in a later layer."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _LATER[method, kind] = function
        return function

    return register


class Format(Arithmetic):
    """A tensor given by small arrays on an einsum graph; immutable.

    A subclass gives `shape`, `ranks`, `parameters()` and `_graph`: the graph with other nodes in place of the parts
    that carry a mode. All else is substitution: one-hot rows give entries, vectors give scores, nothing the tensor.
    """

    __slots__ = ()
    truncation: TruncationReport | None

    @property
    @abstractmethod
    def ranks(self) -> tuple[int, ...]:
        """Sizes of the bonds."""

    @abstractmethod
    def _carriers(self) -> tuple[tuple[str, int], ...]:
        """For each mode: the name of the part that carries it, and its axis there."""

    @abstractmethod
    def _graph(self, carriers: Sequence[Node], labels: Sequence[Labels], output: Labels) -> Node:
        """The graph with `carriers[t]` in place of mode t's part and `labels[t]` in place of the mode."""

    @abstractmethod
    def _take(self, mode: int, piece: slice) -> Self:
        """Keep a slice of one mode."""

    @abstractmethod
    def _drop(self, mode: int) -> Self:
        """Remove a mode of size 1; for ξ = multiply."""

    @property
    def ndim(self) -> int:
        """Number of modes."""
        return len(self.shape)

    @property
    def max_rank(self) -> int:
        """The largest rank."""
        return max(self.ranks)

    @property
    def dtype(self) -> Any:
        """Common dtype of the parts."""
        arrays = list(self.parameters().values())
        return namespace_of(arrays).result_type(*arrays)

    @property
    def device(self) -> str:
        """``"cpu"`` or ``"cuda:0"``."""
        return device_of(next(iter(self.parameters().values())))

    @property
    def n_params(self) -> int:
        """Number of stored numbers."""
        return sum(prod(array.shape) for array in self.parameters().values())

    @property
    def compression(self) -> float:
        """Entries of the dense tensor for each stored number."""
        return prod(self.shape) / self.n_params

    def __repr__(self) -> str:
        xi = "" if self.xi.name == "multiply" else f", xi={self.xi.name!r}"
        return f"{type(self).__name__}(shape={self.shape}, ranks={self.ranks}, dtype={self.dtype}{xi})"

    @classmethod
    def from_dense(cls, array: Any, *, eps: float | None = None, max_rank: Any = None, **options: Any) -> Self:
        """Decompose a dense array; `eps` is the relative Frobenius error of the whole result.

        See `tnalgebra.decompose` for the method of each format and its options. The result's `truncation` says what
        was requested, what is guaranteed and what each bond lost.
        Raises `NonFiniteError`, `ToleranceError`, `RankError`, `DTypeError`.
        """
        result: Self = _LATER["from_dense", cls](array, eps=eps, max_rank=max_rank, **options)
        return result

    def round(self, *, eps: float | None = None, max_rank: Any = None) -> Self:
        """A tensor of smaller ranks with ‖X − X̃‖ ≤ eps·‖X‖, without densifying; for ξ = multiply, TT and HT.

        eps: relative Frobenius error of the whole; None keeps all but rounding errors. max_rank: as in `from_dense`.
        The result's `truncation` says what was requested, what is guaranteed and what each bond lost.
        Raises `AlgebraError` for other ξ, `ToleranceError`, `RankError`.
        """
        require_multiply(self.xi, "round", "a sum of few terms of small rank keeps ranks small by itself")
        result: Self = self._later("round", eps=eps, max_rank=max_rank)
        return result

    def to_cp(self) -> Any:
        """The same tensor as a `CPTensor`: a train is the sum over its paths, so its ranks multiply, for every ξ."""
        return self._later("to_cp")

    def to_tt(self) -> Any:
        """The same tensor as a `TTTensor`: a CP tensor of rank R has inner ranks R. For ξ = multiply."""
        return self._later("to_tt")

    def to_ht(self, tree: DimensionTree | None = None) -> Any:
        """The same tensor as an `HTTensor` on any tree, balanced if not given.

        A CP tensor of rank R has rank R at every node, for every ξ. For a train (ξ = multiply) a node's rank is the
        product of the bonds that leave its modes: r² for modes in a row. `round` finds smaller ranks if there are any.
        """
        return self._later("to_ht", as_tree(tree, self.ndim))

    def _later(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call what `implements` registered for this format."""
        if (method, type(self)) not in _LATER:
            raise FormatError(f"{type(self).__name__} has no {method}; from_dense(t.to_dense(), …) decomposes it anew")
        return _LATER[method, type(self)](self, *arguments, **options)

    def expression(self) -> Expression:
        """The graph of the tensor, its parts bound: a valid operand of `contract`."""
        modes = tuple((f"i{mode}",) for mode in range(self.ndim))
        node = self._graph(self._leaves(), modes, tuple(label for (label,) in modes))
        return Expression(node, self.parameters())

    def to_dense(self, memory_limit: MemoryLimit = None) -> Array:
        """Every entry, as one array."""
        expression = self.expression()
        return evaluate(expression.node, expression.bound, memory_limit=memory_limit)

    full = to_dense

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """NumPy's view of the tensor, unless the dense array would be larger than 64 MiB by accident."""
        size = prod(self.shape) * np.dtype(self.dtype).itemsize
        if size > CHUNK_BYTES:
            raise FormatError(f"this would form a dense array of {size} bytes; call to_dense() if that is meant")
        return np.asarray(self.to_dense(), dtype=dtype)

    def _leaves(self) -> list[Node]:
        return [Leaf(name, tuple(map(str, range(self.parameters()[name].ndim)))) for name, _ in self._carriers()]

    def evaluate(self, vectors: Sequence[Any]) -> Array:
        """Put one vector into every mode: W(x₁, …, x_d), a number for each row of a batch.

        vectors: one array a mode, (B, n_t) for a batch or (n_t,) alone. Returns (B,), or a number.
        For ξ = multiply this is ⟨W, x₁ ⊗ … ⊗ x_d⟩; for other ξ it is the score of a network with
        these features (GTM, eq. 21–23), and one-hot vectors give entries for every ξ.
        """
        arrays = [as_array(vector) for vector in vectors]
        self._check_vectors(arrays)
        if arrays[0].ndim == 1:
            return self.evaluate([array[None, :] for array in arrays])[0]
        parts, chunk = self.parameters(), self._chunk()
        xp = namespace_of([*parts.values(), *arrays])
        pieces = []
        for start in range(0, len(arrays[0]), chunk):
            rows = []
            for (name, axis), array in zip(self._carriers(), arrays, strict=True):
                weighed = xp.tensordot(array[start : start + chunk, :], parts[name], axes=((1,), (axis,)))
                rows.append(xp.moveaxis(weighed, 0, axis))
            pieces.append(self._batched(rows))
        return xp.concat(pieces) if pieces else xp.empty(0, dtype=self.dtype)

    def _check_vectors(self, arrays: Sequence[Array]) -> None:
        if len(arrays) != self.ndim:
            raise FormatError(f"evaluate needs one vector (or batch) a mode: {self.ndim}; got {len(arrays)}")
        for mode, (array, size) in enumerate(zip(arrays, self.shape, strict=True)):
            expected = (*arrays[0].shape[:-1], size)
            if array.ndim not in (1, 2) or tuple(array.shape) != expected:
                raise AxisMismatchError(
                    f"vectors of mode {mode} have shape {tuple(array.shape)}, but {expected} is needed: "
                    f"mode {mode} has size {size}"
                )

    def gather(self, indices: Any) -> Array:
        """Entries at many multi-indices at once, never densifying.

        indices: (B, d) integers, negative ones count from the end. Returns (B,).
        Raises `IndexRangeError` with the mode, the index and the size.
        """
        points = np.asarray(indices)
        if points.ndim != 2 or points.shape[1] != self.ndim or points.dtype.kind not in "iu":
            raise FormatError(
                f"indices must be integers of shape (B, {self.ndim}); got {points.dtype} of shape {points.shape}"
            )
        sizes = np.array(self.shape)
        outside = (points < -sizes) | (points >= sizes)
        if outside.any():
            row, mode = np.argwhere(outside)[0]
            raise IndexRangeError(f"index {points[row, mode]} is outside mode {mode} of size {self.shape[mode]}")
        points = np.where(points < 0, points + sizes, points)
        parts, chunk = self.parameters(), self._chunk()
        xp = namespace_of(list(parts.values()))
        pieces = []
        for start in range(0, len(points), chunk):
            at = xp.asarray(points[start : start + chunk])
            rows = [xp.take(parts[name], at[:, t], axis=axis) for t, (name, axis) in enumerate(self._carriers())]
            pieces.append(self._batched(rows))
        return xp.concat(pieces) if pieces else xp.empty(0, dtype=self.dtype)

    def _chunk(self) -> int:
        """Points whose rows of all carriers take `CHUNK_BYTES`."""
        parts = self.parameters()
        width: int = sum(prod(parts[name].shape) // parts[name].shape[axis] for name, axis in self._carriers())
        return max(1, CHUNK_BYTES // (width * 16))

    def _batched(self, rows: Sequence[Array]) -> Array:
        """Value of the graph for a batch: `rows[t]` is mode t's carrier with the batch in place of the mode."""
        names = [name for name, _ in self._carriers()]
        carriers = [Leaf(name, tuple(map(str, range(row.ndim)))) for name, row in zip(names, rows, strict=True)]
        node = self._graph(carriers, (("b",),) * self.ndim, ("b",))
        arrays = {**self.parameters(), **dict(zip(names, rows, strict=True))}
        return evaluate(node, arrays, optimize=self._batch_path())

    def _batch_path(self) -> Any:
        return "auto"

    def __getitem__(self, key: Any) -> Any:
        """An entry for d integers; otherwise the format of the slice, integers dropping their modes."""
        keys = self._expand(key)
        if all(isinstance(item, int) for item in keys):
            return self.gather([keys])[0]
        if self.xi.name != "multiply" and any(isinstance(item, int) for item in keys):
            raise AlgebraError(
                f"an integer index drops a mode, which is defined for ξ = multiply, not {self.xi}; "
                "slices such as t[2:3] keep the mode, and d integers give an entry"
            )
        result = self
        for mode, item in enumerate(keys):
            piece = slice(item, item + 1 or None) if isinstance(item, int) else item
            if len(range(*piece.indices(self.shape[mode]))) == 0:
                raise IndexRangeError(f"slice {item} of mode {mode} is empty; mode {mode} has size {self.shape[mode]}")
            result = result if piece == slice(None) else result._take(mode, piece)
        for mode in reversed(range(self.ndim)):
            result = result._drop(mode) if isinstance(keys[mode], int) else result
        return result

    def _expand(self, key: Any) -> list[int | slice]:
        keys = list(key) if isinstance(key, tuple) else [key]
        dots = [position for position, item in enumerate(keys) if item is Ellipsis]
        if len(dots) > 1 or len(keys) - len(dots) > self.ndim:
            raise IndexRangeError(f"{len(keys)} indices for a tensor with {self.ndim} modes")
        at = dots[0] if dots else len(keys)
        keys[at : at + 1] = [slice(None)] * (self.ndim - len(keys) + len(dots))
        for mode, item in enumerate(keys):
            if isinstance(item, slice):
                continue
            if isinstance(item, bool) or not hasattr(item, "__index__"):
                raise FormatError(
                    f"index {item!r} of mode {mode} must be an integer, a slice or …; gather takes arrays of indices"
                )
            keys[mode] = index = int(item.__index__())
            if not -self.shape[mode] <= index < self.shape[mode]:
                raise IndexRangeError(f"index {index} is outside mode {mode} of size {self.shape[mode]}")
        return keys

    def __iter__(self) -> Any:
        raise FormatError("a format is not a sequence; use to_dense(), or index it")

    def to_device(self, device: str) -> Self:
        """Copy the parts to ``"cuda"`` or back to ``"cpu"``."""
        return self._rebuild({name: to_device(array, device) for name, array in self.parameters().items()})

    @abstractmethod
    def show(self) -> str:
        """Draw the network with characters."""
