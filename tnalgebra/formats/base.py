"""What every format can do by substituting into the modes of its graph."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from math import prod
from typing import Any, Self

import numpy as np

from ..canvas import Diagrammed
from ..errors import FormatError, IndexRangeError
from ..execute.expression import evaluate
from ..execute.memory import MemoryLimit
from ..execute.namespace import device_of, namespace_of, to_device
from ..execute.scaling import as_float
from .arithmetic import Arithmetic
from .blocks import block_sum
from .indexing import CHUNK_BYTES
from .later import later
from .modes import Modes
from .network import chain, embedded_size, on_tree
from .orthogonal import scaled_norm
from .structure import as_index, require_multiply
from .tree import DimensionTree, as_tree
from .truncation import FitReport, TruncationReport

__all__ = ["Format"]

Array = Any


class Format(Arithmetic, Modes, Diagrammed):
    """A tensor given by small arrays on an einsum graph; immutable.

    All that formats do is substitution: one-hot rows give entries, vectors give scores, nothing the tensor.
    """

    __slots__ = ()
    truncation: TruncationReport | None
    fit: FitReport | None

    @property
    def max_rank(self) -> int:
        """The largest rank."""
        return max(self.ranks)

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
        try:
            return prod(self.shape) / self.n_params
        except OverflowError:
            return float("inf")

    def __repr__(self) -> str:
        xi = "" if self.xi.name == "multiply" else f", xi={self.xi.name!r}"
        return f"{type(self).__name__}(shape={self.shape}, ranks={self.ranks}, dtype={self.dtype}{xi})"

    @classmethod
    def ones(cls, shape: Sequence[int], *, dtype: Any = "float64", **options: Any) -> Self:
        """The tensor whose entries are all 1, of rank one, for ξ = multiply. Options: the tree of an HT tensor.

        >>> import tnalgebra as tna
        >>> tna.TTTensor.ones((2, 3)).to_dense()
        array([[1., 1., 1.],
               [1., 1., 1.]])
        """
        parts = cls.random(shape, 1, seed=0, dtype=dtype, **options)  # type: ignore[attr-defined]
        require_multiply(parts.xi, "ones", "ξ of ones and their sums are other numbers")
        found: Self = parts._rebuild({name: np.ones_like(part) for name, part in parts.parameters().items()})
        return found

    @classmethod
    def from_dense(cls, array: Any, *, eps: float | None = None, max_rank: Any = None, **options: Any) -> Self:
        """Decompose a dense array; `eps` is the relative Frobenius error of the whole result.

        See `tnalgebra.decompose` for the method of each format and its options. The result's `truncation` says what
        was requested, what is guaranteed and what each bond lost.
        Raises `NonFiniteError`, `ToleranceError`, `RankError`, `DTypeError`.
        """
        result: Self = later("from_dense", cls)(array, eps=eps, max_rank=max_rank, **options)
        return result

    @classmethod
    def from_function(
        cls,
        f: Callable[[Any], Any],
        shape: Sequence[int],
        *,
        eps: float | None = None,
        max_rank: int | None = None,
        max_calls: int | None = None,
        **options: Any,
    ) -> Self:
        """Interpolate a function of multi-indices by cross approximation, from few of its values.

        f: takes integers of shape (B, d), returns B numbers; asked once for each point. eps: relative error, estimated
        on fresh random points. max_rank: a cap. max_calls: points that f may be asked for. Options: initial points,
        seed, sweeps, and for HT the tree. The result's `fit` has the estimated error and the number of calls.
        Raises `RankError` without eps and max_rank, `BudgetError` where max_calls does not cover one sweep;
        `FormatError` for what f returns, `NonFiniteError` with the point; warns with `ConvergenceWarning` where eps is
        not reached.
        """
        result: Self = later("from_function", cls)(f, shape, eps=eps, max_rank=max_rank, max_calls=max_calls, **options)
        return result

    @classmethod
    def from_samples(
        cls, indices: Any, values: Any, shape: Sequence[int], *, max_rank: int, eps: float | None = None, **options: Any
    ) -> Self:
        """Complete a tensor from scattered entries, by alternating least squares with ranks that grow.

        indices: (B, d) integers. values: (B,). max_rank: a cap. eps: relative error on a tenth of the entries, which
        is held out to judge the fit. Options: seed, sweeps, and for HT the tree. The result's `fit` says how it went.
        Raises `FormatError`, `IndexRangeError`, `NonFiniteError`; warns with `ConvergenceWarning` where eps is not
        reached.
        """
        result: Self = later("from_samples", cls)(indices, values, shape, max_rank=max_rank, eps=eps, **options)
        return result

    def __getitem__(self, key: Any) -> Any:
        """An entry for d integers; else the format of the slice: integers drop modes, None puts in one of size 1."""
        keys = list(key) if isinstance(key, tuple) else [key]
        if not any(item is None for item in keys):
            return Modes.__getitem__(self, key)
        plain = [item for item in keys if item is not None]
        found = Modes.__getitem__(self, tuple(plain))
        if not isinstance(found, Format):
            raise IndexRangeError("None needs a mode that stays; d integers give a number")
        if Ellipsis not in plain:
            keys.append(Ellipsis)
        kept, count = [item for item in keys if item is None or as_index(item) is None], keys.count(None)
        at = kept.index(Ellipsis)
        kept[at : at + 1] = [slice(None)] * (found.ndim + count + 1 - len(kept))
        unit = type(self).ones((1,) * count, dtype=self.dtype).to_device(self.device)
        old, new = iter(range(found.ndim)), iter(range(found.ndim, found.ndim + count))
        return found.outer(unit).permute([next(new if item is None else old) for item in kept])

    def round(self, *, eps: float | None = None, max_rank: Any = None, seed: Any = None) -> Self:
        """A tensor of smaller ranks with ‖X − X̃‖ ≤ eps·‖X‖, without densifying; for ξ = multiply.

        eps: relative Frobenius error of the whole; None keeps all but rounding errors (the root of them for CP, whose
        fits compare squares). max_rank: as in `from_dense`.
        seed: random sketches, which pay for ranks far above those that are kept; eps is verified, and holds as well.
        The result's `truncation` says what was requested, what is guaranteed and what each bond lost.
        Raises `AlgebraError` for other ξ, `ToleranceError`, `RankError`.
        """
        require_multiply(self.xi, "round", "a sum of few terms of small rank keeps ranks small by itself")
        result: Self = later("round", type(self))(self, eps=eps, max_rank=max_rank, seed=seed)
        return result

    def fit_cp(self, *, eps: float | None = None, max_rank: int | None = None, **options: Any) -> Any:
        """A `CPTensor` fitted to this tensor by least squares, without its entries; for ξ = multiply.

        eps or max_rank or both, and the options of `CPTensor.from_dense`: seed, restarts, sweeps. The CP rank is
        NP-hard, so the result is the best that was found: its `truncation` and `fit` say how good that is.
        Raises `AlgebraError` for other ξ, `RankError`, `ToleranceError`; warns with `ConvergenceWarning`.
        """
        require_multiply(self.xi, "fit_cp", "to_cp() is exact for trains of every ξ")
        return later("fit_cp", type(self))(self, eps=eps, max_rank=max_rank, **options)

    def orthogonalize(self, center: Any = None) -> Self:
        """The same tensor with isometries around a center; TT and HT tensors have it, as their bonds have a gauge."""
        raise FormatError(
            f"a {type(self).__name__} has no bond on which a basis could change: normalize() gives unit columns, and "
            "to_tt() or to_ht() a tensor that can be orthogonalized"
        )

    def to_cp(self) -> Any:
        """The same tensor as a `CPTensor`: a train is the sum over its paths, so its ranks multiply, for every ξ."""
        return later("to_cp", type(self))(self)

    def to_tt(self) -> Any:
        """The same tensor as a `TTTensor`: a CP tensor of rank R has inner ranks R. For ξ = multiply."""
        return later("to_tt", type(self))(self)

    def to_ht(self, tree: DimensionTree | None = None) -> Any:
        """The same tensor as an `HTTensor` on any tree, balanced if not given.

        A CP tensor of rank R has rank R at every node, for every ξ. For a train (ξ = multiply) a node's rank is the
        product of the bonds that leave its modes: r² for modes in a row. `round` finds smaller ranks if there are any.
        """
        return later("to_ht", type(self))(self, as_tree(tree, self.ndim))

    def distance(self, other: Any) -> float:
        """‖self − other‖, through orthogonalization: a distance of 1e-12 of the norm is found with its digits.

        other: any format of the same shape. The two are written in one format, exactly; where that would take more
        numbers than they have entries, these are compared. For ξ = multiply.

        >>> import tnalgebra as tna
        >>> t = tna.TTTensor.random((2, 3, 5), rank=2, seed=0)
        >>> f"{t.distance(t * (1 + 1e-12)) / t.norm():.1e}"
        '1.0e-12'
        """
        require_multiply(self.xi, "distance", "to_dense() gives it for other ξ")
        pair = self._in_one_format(other)
        if pair is None:
            difference = self.to_dense() - other.to_dense()
            return as_float(*scaled_norm(difference, 0, namespace_of([difference])))
        left, right = pair
        return block_sum([left, right._scaled(-1)]).norm()

    def _in_one_format(self, other: Any) -> tuple["Format", "Format"] | None:
        """Both tensors in one format, exactly, in as few numbers as may be; None where there are fewer entries."""
        if not isinstance(other, Format):
            raise FormatError(f"distance needs a format; got {type(other).__name__}: from_dense makes one of an array")
        require_multiply(other.xi, "distance", "to_dense() gives it for other ξ")
        self._check_sizes(other, "distance")
        if type(self) is type(other) and getattr(self, "tree", None) == getattr(other, "tree", None):
            return self, other
        pair, trees = (self, other), [tensor.tree for tensor in (self, other) if hasattr(tensor, "tree")]
        options: list[tuple[Any, ...]] = [("to_tt",), *(("to_ht", tree) for tree in trees)]
        networks = [t.network() if hasattr(t, "network") else later("to_tt", type(t))(t).network() for t in pair]
        layouts = [chain(self.ndim), *map(on_tree, trees)]
        sizes = [sum(embedded_size(network, layout) for network in networks) for layout in layouts]
        if min(sizes) > 2 * prod(self.shape):
            return None
        method, *tree = options[sizes.index(min(sizes))]
        left, right = (later(method, type(tensor))(tensor, *tree) for tensor in pair)
        return left, right

    def to_dense(self, memory_limit: MemoryLimit = None) -> Array:
        """Every entry, as one array."""
        expression = (self._evened() if self.xi.name == "multiply" else self).expression()
        return evaluate(expression.node, expression.bound, memory_limit=memory_limit)

    full = to_dense

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """NumPy's view of the tensor, unless the dense array would be larger than 64 MiB by accident."""
        size = prod(self.shape) * np.dtype(self.dtype).itemsize
        if size > CHUNK_BYTES:
            raise FormatError(f"this would form a dense array of {size} bytes; call to_dense() if that is meant")
        if copy is False:
            raise ValueError("a format has no array to share: its entries are computed; leave out copy=False")
        return np.asarray(self.to_dense(), dtype=dtype)

    def __reduce__(self) -> Any:
        """Pickle and copy by the constructor, which makes the parts read-only."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return partial(type(self), **values), ()

    def to_device(self, device: str) -> Self:
        """Copy the parts to ``"cuda"`` or back to ``"cpu"``."""
        return self._rebuild({name: to_device(array, device) for name, array in self.parameters().items()})

    def save(self, path: Any) -> None:
        """Write the tensor to a file, which `tna.load` reads; see the guide for its layout.

        A file of that name is replaced when the new one is complete, not before. Raises `DataError`.
        """
        later("save", Format)(self, path)

    @abstractmethod
    def show(self) -> str:
        """Draw the network with characters."""
