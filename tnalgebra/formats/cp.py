"""The canonical polyadic format: a weighted sum of ξ-products of one vector a mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Self

import numpy as np

from ..algebra import Operator, operator
from ..errors import FormatError
from ..execute.namespace import namespace_of
from ..execute.scaling import normalised
from ..graph import Contract, Labels, Leaf, Node
from ..plan.step import union
from .base import Array, Format
from .orthogonal import cp_norm, spread
from .parts import check_rank, check_shape, frozen, normal, one_home, sealed
from .structure import require_multiply
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

    def normalize(self) -> Self:
        """The same tensor with columns of norm one; the weights carry the norms, and are not negative where real.

        For ξ = multiply. A column of zeros stays, with weight 0.

        >>> import numpy as np, tnalgebra as tna
        >>> tna.CPTensor([np.full((4, 1), 2.0), np.full((1, 1), -3.0)]).normalize().weights
        array([12.])
        """
        require_multiply(self.xi, "normalize", "sort() orders the terms for every ξ")
        xp, factors = namespace_of(self.factors), []
        weights, total = normalised(self.weights)
        for factor in self.factors:
            scaled, exponent = normalised(factor)
            norms = xp.linalg.norm(scaled, axis=0)
            weights, shift = normalised(weights * norms)
            factors.append(scaled / xp.where(norms > 0, norms, 1))
            total += exponent + shift
        size = abs(weights)
        factors[0] = factors[0] * xp.where(size > 0, weights / xp.where(size > 0, size, 1), 1)
        size, *factors = spread([size.astype(self.dtype), *factors], total, 0)
        return type(self)(sealed(factors), size)

    def sort(self) -> Self:
        """The same tensor with its terms in falling order of their size: |λ| times the norms of the columns.

        >>> import numpy as np, tnalgebra as tna
        >>> tna.CPTensor([np.ones((2, 3))], weights=[1.0, 3.0, -2.0]).sort().weights
        array([ 3., -2.,  1.])
        """
        xp = namespace_of(self.factors)
        size = prod((xp.linalg.norm(factor, axis=0) for factor in self.factors), start=abs(self.weights))
        order = xp.argsort(-size)
        return type(self)(sealed(factor[:, order] for factor in self.factors), self.weights[order], self.xi)

    def factor_match_score(self, other: Self) -> float:
        """How well the terms of two CP tensors agree, between 0 and 1, whatever their order, signs and scales.

            max over pairings of (1/R) Σ_r (1 − |λ_r − μ_r| / max(λ_r, μ_r)) · Π_t |⟨a_r^t, b_r^t⟩|

        with unit columns a, b and the weights λ, μ that carry their norms. R is the larger rank: terms without a
        partner count as 0. Source: Acar, Dunlavy & Kolda 2011, §4.

        >>> import tnalgebra as tna
        >>> t = tna.CPTensor.random((3, 4, 5), rank=2, seed=0)
        >>> round(t.factor_match_score(t * 1), 12)
        1.0
        """
        self._check_same_kind(other, "factor_match_score")
        self._check_alike(other, "factor_match_score")
        from scipy.optimize import linear_sum_assignment

        mine, theirs = (tensor.normalize().to_device("cpu") for tensor in (self, other))
        left, right = mine.weights.real[:, None], theirs.weights.real
        largest = np.maximum(left, right)
        score = 1 - abs(left - right) / np.where(largest > 0, largest, 1)
        for a, b in zip(mine.factors, theirs.factors, strict=True):
            score = score * abs(a.conj().T @ b)
        rows, columns = linear_sum_assignment(-score)
        return float(score[rows, columns].sum()) / max(mine.rank, theirs.rank)

    def draw(self, path: Any = None) -> Any:
        """Draw the network with Matplotlib; save as PNG, SVG or PDF if a path is given. Returns the figure."""
        from .picture import draw_cp

        return draw_cp(self.shape, self.rank, path)

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
