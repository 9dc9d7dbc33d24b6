"""The canonical polyadic format: a weighted sum of ξ-products of one vector a mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from ..algebra import Operator, operator
from ..canvas import Diagram
from ..errors import FormatError
from ..execute.namespace import namespace_of
from ..execute.scaling import columns_at_one
from ..graph import Labels, Node
from .base import Array, Format
from .characters import comb_text
from .graphs import carried, cp_graph, numbered
from .orthogonal import cp_columns, cp_norm, cp_weights, evened, spread
from .parts import check_rank, check_shape, frozen, normal, one_home, sealed
from .picture import cp_diagram
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
        parts = one_home([*factors, weights])
        object.__setattr__(self, "factors", parts[:-1])
        object.__setattr__(self, "weights", parts[-1])
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
        names = (*numbered("factor", len(self.factors)), "weights")
        return dict(zip(names, (*self.factors, self.weights), strict=True))

    def _carriers(self) -> tuple[tuple[str, int], ...]:
        return carried("factor", len(self.factors), 0)

    def _graph(self, carriers: Sequence[Node], labels: Sequence[Labels], output: Labels) -> Node:
        return cp_graph(self.xi, tuple(carriers), tuple(labels), output)

    def _rebuild(self, parts: Mapping[str, Array]) -> Self:
        *factors, weights = sealed([*(parts[name] for name, _ in self._carriers()), parts["weights"]])
        return type(self)(tuple(factors), weights, self.xi)

    def _bonds(self, name: str) -> tuple[int, ...]:
        return (0,) if name == "weights" else (1,)

    def _scaled(self, factor: Any) -> Self:
        return type(self)(self.factors, self.weights * factor, self.xi)

    def _scaled_norm(self) -> tuple[float, int]:
        return cp_norm(self.factors, self.weights, namespace_of(self.factors))

    def _without(self, rows: Mapping[int, Array], exponent: int) -> Self:
        xp, weights = namespace_of(self.factors), self.weights
        exponents = xp.zeros(len(weights), int)
        for row in rows.values():
            (weights,), moved = columns_at_one((weights * row)[None], xp)
            exponents = exponents + moved
        weights, total = cp_weights(weights, exponents, xp)
        rest = tuple(factor for mode, factor in enumerate(self.factors) if mode not in rows)
        return type(self)(rest, weights, self.xi)._evened(exponent + total)

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
        factors, size, exponents = self._units()
        weights, total = cp_weights(size, exponents, namespace_of(self.factors))
        weights, *factors = spread([weights.astype(self.dtype), *factors], total, 0)
        return type(self)(sealed(factors), weights)

    def _units(self) -> tuple[list[Array], Array, Array]:
        """Factors with columns of norm one, and the sizes of the terms as numbers from ½ to 1 and exponents of 2."""
        xp = namespace_of(self.factors)
        factors, weights, found = cp_columns(self.factors, self.weights, xp)
        size, exponents = abs(weights), found.sum(axis=0)
        factors[0] = factors[0] * xp.where(size > 0, weights / xp.where(size > 0, size, 1), 1)
        for mode, factor in enumerate(factors):
            norms = xp.linalg.norm(factor, axis=0)
            factors[mode] = factor / xp.where(norms > 0, norms, 1)
            size, shift = xp.frexp(size * norms)
            exponents = exponents + shift
        return factors, size, xp.where(size > 0, exponents, 0)

    def _evened(self, exponent: int = 0) -> Self:
        xp = namespace_of(self.factors)
        factors, weights, exponents = cp_columns(self.factors, self.weights, xp)
        is_safe = int(abs(exponents).sum(axis=0).max()) < np.finfo(self.weights.real.dtype).maxexp // 2
        is_even = int((exponents[:-1].max(axis=0) - exponents[:-1].min(axis=0)).max()) <= 2
        if not exponent and (is_safe or (is_even and bool(weights.all()))):  # 0 · ∞ would be no number
            return self
        weights, total = cp_weights(weights, exponents.sum(axis=0), xp)
        parts = evened([*factors, weights], exponent + total)
        return type(self)(sealed(parts[:-1]), parts[-1]) if parts else type(self)(sealed(factors), weights)

    def _blocks(self) -> dict[str, Array]:
        return self.parameters()  # a block of columns keeps their scales

    @property
    def _scale(self) -> str:
        return "weights"

    def sort(self) -> Self:
        """The same tensor with its terms in falling order of their size: |λ| times the norms of the columns.

        >>> import numpy as np, tnalgebra as tna
        >>> tna.CPTensor([np.ones((2, 3))], weights=[1.0, 3.0, -2.0]).sort().weights
        array([ 3., -2.,  1.])
        """
        xp = namespace_of(self.factors)
        _, size, exponents = self._units()
        order = xp.lexsort(xp.stack([-size, -xp.where(size > 0, exponents, -(10**9))]))
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

        (mine, size, power), (theirs, other_size, other_power) = (t.to_device("cpu")._units() for t in (self, other))
        left, right = size[:, None], other_size[None, :]
        with np.errstate(over="ignore", under="ignore"):
            ratio = np.ldexp(left / np.where(right > 0, right, 1), np.clip(power[:, None] - other_power, -4000, 4000))
        ratio = np.where((left > 0) & (right > 0), ratio, np.where((left > 0) | (right > 0), 0, 1))
        score = np.where(ratio > 1, 1 / np.where(ratio > 0, ratio, 1), ratio)  # 1 − |λ − μ| / max(λ, μ)
        for a, b in zip(mine, theirs, strict=True):
            score = score * abs(a.conj().T @ b)
        rows, columns = linear_sum_assignment(-score)
        return float(score[rows, columns].sum()) / max(self.rank, other.rank)

    def diagram(self) -> Diagram:
        """The picture of the network as a value: a star."""
        return cp_diagram(repr(self), self.show(), self.shape, self.rank, self.xi.name)

    def show(self) -> str:
        """Draw the network with characters: one factor a mode, all on one rank.

        >>> import tnalgebra as tna
        >>> print(tna.CPTensor.random((2, 3, 5), rank=4, seed=0).show())
          2   3   5
          │   │   │
          ●   ●   ●
          └───┴───┴── 4, weighted
        """
        return comb_text(self.shape, self.rank, "weighted")
