"""The tensor-train format: a chain of cores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from ..algebra import Operator, operator
from ..canvas import Diagram
from ..errors import FormatError
from ..execute.namespace import are_plain, namespace_of
from ..graph import Labels, Leaf, Node
from .base import Array, Format
from .characters import chain_text
from .gather import tt_entries
from .graphs import carried, in_turn, numbered, tt_graph, tt_leaves
from .later import later
from .levels import tt_leveled
from .network import Part, chain, embed, met, renamed, without
from .orthogonal import spread, tt_center, tt_norm
from .parts import check_rank, check_shape, frozen, normal, one_home, sealed, share
from .picture import tt_diagram
from .structure import as_mode, require_multiply
from .truncation import FitReport, TruncationReport

__all__ = ["TTTensor"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TTTensor(Format):
    """W[i₁, …, i_d] = Σ over r₁ … r_{d−1} of ξ(G¹[1, i₁, r₁], G²[r₁, i₂, r₂], …, G^d[r_{d−1}, i_d, 1]).

    Source: GTM, eq. 7.

    cores: G^t of shape (R_{t−1}, n_t, R_t), one a mode, with R_0 = R_d = 1.
    For ξ = multiply an entry is a product of matrices; for a ξ that does not distribute, all sums stay outside.

    Raises `FormatError` where a core has not three axes or the ranks do not chain.

    >>> import numpy as np, tnalgebra as tna
    >>> tna.TTTensor([np.ones((1, 2, 3)), np.ones((3, 5, 1))])[0, 0]
    np.float64(3.0)
    """

    cores: tuple[Array, ...]
    xi: Operator = field(default=operator("multiply"))
    truncation: TruncationReport | None = field(default=None, kw_only=True)
    fit: FitReport | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Freeze the cores and check that their ranks chain."""
        cores = tuple(frozen(core, f"core {mode}", ("R", "n", "R")) for mode, core in enumerate(self.cores))
        if not cores:
            raise FormatError("a tensor train needs at least one core")
        rank = 1
        for mode, core in enumerate(cores):
            left, size, right = core.shape
            if left != rank:
                before = f"core {mode - 1} ends with rank {rank}" if mode else "the first rank is 1"
                raise FormatError(
                    f"core {mode} has shape {tuple(core.shape)} and starts with rank {left}, but {before}"
                )
            if not (left and size and right):
                raise FormatError(f"core {mode} has shape {tuple(core.shape)}: sizes and ranks must be at least 1")
            rank = right
        if rank != 1:
            raise FormatError(f"core {len(cores) - 1} ends with rank {rank}, but the last rank is 1")
        object.__setattr__(self, "cores", one_home(cores))
        object.__setattr__(self, "xi", operator(self.xi))

    @classmethod
    def random(
        cls,
        shape: Sequence[int],
        rank: int | Sequence[int],
        *,
        seed: Any = None,
        dtype: Any = "float64",
        xi: str | Operator = "multiply",
    ) -> Self:
        """Draw normal cores; for ξ = multiply so that an entry has mean 0 and variance 1.

        rank: one number for all d − 1 inner bonds, or one a bond. It is taken as it is, even above what is needed.

        >>> import tnalgebra as tna
        >>> tna.TTTensor.random((2, 3, 5), rank=4, seed=0).ranks
        (1, 4, 4, 1)
        """
        sizes = check_shape(shape)
        ranks = (1, *check_rank(rank, len(sizes) - 1, "inner bonds"), 1)
        variance = share(ranks, len(sizes)) if operator(xi).name == "multiply" else 1.0
        shapes = [(ranks[mode], size, ranks[mode + 1]) for mode, size in enumerate(sizes)]
        return cls(tuple(normal(shapes, variance, seed, dtype)), operator(xi))

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of every mode."""
        return tuple(core.shape[1] for core in self.cores)

    @property
    def ranks(self) -> tuple[int, ...]:
        """R_0 = 1, R_1, …, R_d = 1."""
        return (1, *(core.shape[2] for core in self.cores))

    @property
    def ndim(self) -> int:
        """Number of modes."""
        return len(self.cores)

    def parameters(self) -> dict[str, Array]:
        """``core0``, ``core1``, … and so on."""
        return dict(zip(numbered("core", len(self.cores)), self.cores, strict=True))

    def _carriers(self) -> tuple[tuple[str, int], ...]:
        return carried("core", len(self.cores), 1)

    def _leaves(self) -> Sequence[Leaf]:
        return tt_leaves(len(self.cores))

    def _graph(self, carriers: Sequence[Node], labels: Sequence[Labels], output: Labels) -> Node:
        return tt_graph(self.xi, tuple(carriers), tuple(labels), output)

    @property
    def _scale(self) -> str:
        return f"core{self.ndim - 1}"

    def _rebuild(self, parts: Mapping[str, Array]) -> Self:
        return type(self)(sealed(parts[name] for name, _ in self._carriers()), self.xi)

    def _bonds(self, name: str) -> tuple[int, ...]:
        return (0,) * (name != "core0") + (2,) * (name != self._scale)

    def _batch_path(self) -> Any:
        """From the left: a row vector a point, never a product of two matrices."""
        return ((0, 1), *((0, k) for k in range(self.ndim - 2, 0, -1))) if self.ndim > 1 else ((0,),)

    def _inner_path(self, other: Any) -> Any:
        return in_turn if isinstance(other, TTTensor) else "auto"

    @property
    def _is_plain(self) -> bool:
        return self.xi.name == "multiply" and are_plain(self.cores)

    def _entries(self, points: Array) -> Array:
        return tt_entries(self.cores, points) if self._is_plain else Format._entries(self, points)

    def _check_structure(self, other: Any, sign: str) -> None:
        Format._check_structure(self, other, sign)
        require_multiply(self.xi, "the sum of trains", "CP and HT tensors add by blocks for every ξ")

    def _scaled(self, factor: Any) -> Self:
        require_multiply(self.xi, "the multiple of a train", "the weights of a CP and the root of an HT tensor scale")
        return type(self)((*self.cores[:-1], self.cores[-1] * factor), self.xi)

    def _leveled(self) -> Self:
        return type(self)(sealed(tt_leveled(self.cores, namespace_of(self.cores))), self.xi)

    def _scaled_norm(self) -> tuple[float, int]:
        return tt_norm(self.cores, namespace_of(self.cores))

    def network(self) -> list[Part]:
        """The cores as parts of a network, modes by number; the bonds of size 1 at the ends are left out."""
        parts = []
        for mode, core in enumerate(self._eased().cores):
            ends = (0,) * (mode == 0) + (2,) * (mode == self.ndim - 1)
            labels = tuple(label for axis, label in enumerate((f"r{mode}", mode, f"r{mode + 1}")) if axis not in ends)
            parts.append(Part(core.reshape(tuple(n for axis, n in enumerate(core.shape) if axis not in ends)), labels))
        return parts

    @classmethod
    def from_network(cls, parts: Sequence[Part], ndim: int, exponent: int = 0) -> Self:
        """The train that a tree-shaped network with the modes 0, …, d−1 is, exactly: a rank is what crosses a bond."""
        arrays, own = embed(parts, chain(ndim))
        found = cls(sealed(arrays[mode].transpose(0, 2, 1) for mode in range(ndim)))
        return found._evened(exponent + own) if exponent + own else found

    def _without(self, rows: Mapping[int, Array], exponent: int) -> Self:
        return self.from_network(without(self.network(), rows), self.ndim - len(rows), exponent)

    def _permuted(self, order: Sequence[int]) -> Self:
        require_multiply(self.xi, "the permutation of a train", "CP and HT tensors permute for every ξ")
        return self.from_network(renamed(self.network(), order), self.ndim)

    def _diagonal(self, first: int, second: int) -> Self:
        return self.from_network(met(self.network(), first, second), self.ndim - 1)

    def _outer(self, other: Self) -> Self:
        return type(self)(self.cores + other.cores, self.xi)

    def orthogonalize(self, center: int | None = None) -> Self:
        """The same tensor with isometries for cores on both sides of `center`, whose norm is then that of the whole.

        center: the mode of the core, the last if not given.
        Raises `IndexRangeError` for a mode that is not there, `AlgebraError` for ξ other than multiply.

        >>> import tnalgebra as tna
        >>> t = tna.TTTensor.random((2, 3, 5), rank=4, seed=0).orthogonalize(1)
        >>> t.ranks
        (1, 2, 4, 1)
        """
        require_multiply(self.xi, "orthogonalize", "there is no gauge freedom for other ξ")
        center = as_mode(-1 if center is None else center, self.ndim)
        cores, exponent = tt_center(self.cores, center, namespace_of(self.cores))
        return type(self)(sealed(spread(cores, exponent, center)), self.xi)

    def reshape(self, shape: int | Sequence[int], *, eps: float | None = None) -> Self:
        """The train of the reshaped tensor, as `np.reshape` does it, rounded to eps (to rounding errors if not given).

        For ξ = multiply. Raises `AxisMismatchError` for another number of entries.

        >>> import tnalgebra as tna
        >>> tna.TTTensor.random((4, 6, 5), rank=2, seed=0).reshape((8, 3, 5))
        TTTensor(shape=(8, 3, 5), ranks=(1, 4, 2, 1), dtype=float64)
        """
        require_multiply(self.xi, "reshape", "to_dense() and np.reshape give it for other ξ")
        found: Self = later("reshape", type(self))(self, shape, eps)
        return found

    def quantize(self, base: int = 2, *, eps: float | None = None) -> Self:
        """The quantized train (QTT): each mode of size base^m becomes m modes of size base, the first the slowest.

        `reshape` takes it back. For ξ = multiply. Raises `FormatError` with the mode that is no power of base.
        Source: Khoromskij 2011.

        >>> import numpy as np, tnalgebra as tna
        >>> line = tna.TTTensor([np.sin(np.arange(1024.0))[None, :, None]])
        >>> line.quantize().ranks
        (1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1)
        """
        require_multiply(self.xi, "quantize", "to_dense() gives the entries for other ξ")
        found: Self = later("quantize", type(self))(self, base, eps)
        return found

    def diagram(self) -> Diagram:
        """The picture of the network as a value: a chain."""
        return tt_diagram(repr(self), self.show(), self.shape, self.ranks, self.xi.name)

    def show(self) -> str:
        """Draw the network with characters: modes above, ranks between the cores.

        >>> import tnalgebra as tna
        >>> print(tna.TTTensor.random((2, 3, 5), rank=4, seed=0).show())
        2   3   5
        │   │   │
        ●─4─●─4─●
        """
        return chain_text(self.shape, self.ranks[1:-1])
