"""The canonical polyadic format: a weighted sum of ξ-products of one vector a mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Self

from ..algebra import Operator, operator
from ..errors import FormatError
from ..execute.namespace import namespace_of
from ..graph import Contract, Labels, Leaf, Node
from ..plan.step import union
from .base import Array, Format
from .orthogonal import cp_norm
from .parts import check_rank, check_shape, frozen, normal, one_home, sealed
from .truncation import FitReport, TruncationReport

__all__ = ["CPTensor"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CPTensor(Format):
    """W[i₁, …, i_d] = Σ_r λ_r · ξ(V¹[i₁, r], …, V^d[i_d, r])   (GTM, eq. 5 and 14).

    factors: V^t of shape (n_t, R), one a mode. weights: λ of shape (R,), ones if not given; it
    multiplies, whatever ξ is. fit: how an ALS fit went, if one made the tensor.

    Raises `FormatError` where a factor is not a matrix or the ranks differ.

    >>> import numpy as np, tnalgebra as tna
    >>> tna.CPTensor([np.ones((2, 1)), np.ones((3, 1))]).to_dense().shape
    (2, 3)
    """

    factors: tuple[Array, ...]
    weights: Array = None
    xi: Operator = field(default=operator("multiply"))
    truncation: TruncationReport | None = field(default=None, kw_only=True)
    fit: FitReport | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Freeze the parts and check that they fit."""
        factors = tuple(frozen(factor, f"factor {mode}", ("n", "R")) for mode, factor in enumerate(self.factors))
        if not factors:
            raise FormatError("a CP tensor needs at least one factor")
        rank = factors[0].shape[1]
        for mode, factor in enumerate(factors):
            if 0 in factor.shape:
                raise FormatError(f"factor {mode} has shape {tuple(factor.shape)}: sizes and ranks must be at least 1")
            if factor.shape[1] != rank:
                raise FormatError(f"factor {mode} has rank {factor.shape[1]}, but factor 0 has rank {rank}")
        weights = self.weights
        if weights is None:
            weights = namespace_of(factors).ones_like(factors[0][0, :])
        weights = frozen(weights, "weights", ("R",))
        if weights.shape[0] != rank:
            raise FormatError(f"weights have {weights.shape[0]} entries, but the factors have rank {rank}")
        one_home([*factors, weights])
        object.__setattr__(self, "factors", factors)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "xi", operator(self.xi))

    @classmethod
    def random(
        cls,
        shape: Sequence[int],
        rank: int,
        *,
        seed: Any = None,
        dtype: Any = "float64",
        xi: str | Operator = "multiply",
    ) -> Self:
        """Draw normal factors; for ξ = multiply so that an entry has mean 0 and variance 1.

        >>> import tnalgebra as tna
        >>> tna.CPTensor.random((2, 3, 5), rank=4, seed=0)
        CPTensor(shape=(2, 3, 5), ranks=(4,), dtype=float64)
        """
        sizes, (rank,) = check_shape(shape), check_rank(rank, 1, "rank of a CP tensor")
        variance = rank ** (-1 / len(sizes)) if operator(xi).name == "multiply" else 1.0
        return cls(tuple(normal([(size, rank) for size in sizes], variance, seed, dtype)), xi=operator(xi))

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of every mode."""
        return tuple(factor.shape[0] for factor in self.factors)

    @property
    def ranks(self) -> tuple[int, ...]:
        """The number of terms."""
        return (self.factors[0].shape[1],)

    @property
    def rank(self) -> int:
        """The number of terms."""
        return self.ranks[0]

    def parameters(self) -> dict[str, Array]:
        """``factor0``, …, and ``weights``."""
        return {f"factor{mode}": factor for mode, factor in enumerate(self.factors)} | {"weights": self.weights}

    def _carriers(self) -> tuple[tuple[str, int], ...]:
        return tuple((f"factor{mode}", 0) for mode in range(self.ndim))

    def _graph(self, carriers: Sequence[Node], labels: Sequence[Labels], output: Labels) -> Node:
        inputs = tuple((*label, "r") for label in labels)
        multiply, add, weights = operator("multiply"), operator("add"), Leaf("weights", ("r",))
        if self.xi == multiply:
            return Contract(multiply, add, (("r",), *inputs), (weights, *carriers), output)
        terms = union(*inputs)
        inner = Contract(self.xi, add, inputs, tuple(carriers), terms)
        return Contract(multiply, add, (("r",), terms), (weights, inner), output)

    def _rebuild(self, parts: Mapping[str, Array]) -> Self:
        *factors, weights = sealed([*(parts[name] for name, _ in self._carriers()), parts["weights"]])
        return type(self)(tuple(factors), weights, self.xi)

    def _bonds(self, name: str) -> tuple[int, ...]:
        return (0,) if name == "weights" else (1,)

    def _scaled(self, factor: Any) -> Self:
        return type(self)(self.factors, self.weights * factor, self.xi)

    def _scaled_norm(self) -> tuple[float, int]:
        return cp_norm(self.factors, self.weights, namespace_of(self.factors))

    def _without(self, rows: Mapping[int, Array]) -> Self:
        rest = tuple(factor for mode, factor in enumerate(self.factors) if mode not in rows)
        return type(self)(rest, prod(rows.values(), start=self.weights), self.xi)

    def _permuted(self, order: Sequence[int]) -> Self:
        return type(self)(tuple(self.factors[mode] for mode in order), self.weights, self.xi)

    def _diagonal(self, first: int, second: int) -> Self:
        factors = list(self.factors)
        factors[first] = factors[first] * factors[second]
        del factors[second]
        return type(self)(tuple(factors), self.weights, self.xi)

    def _outer(self, other: Self) -> Self:
        """Each term with each term."""
        xp, mine, theirs = namespace_of(self.factors), self.rank, other.rank
        left = [xp.repeat(factor, theirs, axis=1) for factor in self.factors]
        right = [xp.tile(factor, (1, mine)) for factor in other.factors]
        weights = (self.weights[:, None] * other.weights).reshape(-1)
        return type(self)((*left, *right), weights, self.xi)

    def show(self) -> str:
        """Draw the network with characters: one factor a mode, all on one rank.

        >>> import tnalgebra as tna
        >>> print(tna.CPTensor.random((2, 3, 5), rank=4, seed=0).show())
          2   3   5
          │   │   │
          ●   ●   ●
          └───┴───┴── 4, weighted
        """
        width = max(len(str(size)) for size in self.shape) + 3
        sizes = "".join(f"{size:>{width}}" for size in self.shape)[width - 3 :]
        bars, dots = ("".join(f"{mark:>{width}}" for _ in self.shape)[width - 3 :] for mark in "│●")
        corner = " " * 2 + "└" + "".join("─" * (width - 1) + "┴" for _ in self.shape[1:]) + f"── {self.rank}, weighted"
        return "\n".join([sizes, bars, dots, corner])
