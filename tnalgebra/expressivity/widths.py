"""How wide a shallow network must be, and how wide it may be, to score as another network on all its templates."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any
from warnings import warn

import numpy as np

from ..algebra import Operator, operator
from ..errors import AlgebraError, ConditionWarning, FormatError
from ..execute.memory import MemoryLimit
from ..formats import Format
from ..formats.indexing import checked_rows
from ..networks import GridTensor, Network, ShallowNetwork
from .bounds import cp_bounds
from .fitted import FittedShallow, fit_shallow
from .grids import as_grid, value_of
from .ranks import RankEstimate, matricization_rank
from .sampling import sampled_rank

__all__ = ["WidthBound", "WidthBounds", "shallow_width_bounds", "shallow_width_lower_bound"]

Array = Any
REFUSED = (
    "with ξ = {xi} the matricization of a single term may have nearly full rank (14 of 25 with logaddexp and 16 with "
    "hypot, for 5 templates and 4 steps), so that its rank says nothing of the width"
)
INDEPENDENT = 1e8
"""Condition number of F up to which values on the templates determine a vector v with F v = values."""


@dataclass(frozen=True, slots=True)
class WidthBound:
    """A lower bound on the width of shallow networks, and what it rests on.

    width: the least integer that is not below `value`. estimate: of the rank of the matricization, or of a part of it.
    constant: c_ξ, the most that a single term adds to that rank. given: the dtype of the network, which is evaluated in
    float64.
    """

    estimate: RankEstimate
    constant: float
    xi: str
    rows: tuple[int, ...]
    given: str = "float64"

    @property
    def rank(self) -> int:
        """Of the matricization."""
        return self.estimate.rank

    @property
    def value(self) -> float:
        """Rank / c_ξ."""
        return self.rank / self.constant

    @property
    def width(self) -> int:
        """The bound."""
        return ceil(self.value)

    def __str__(self) -> str:
        rows = " ".join(map(str, self.rows))
        wide = "" if self.given == "float64" else f"; a {self.given} network, evaluated in float64"
        return (
            f"{self.width} (rank {self.rank} of the matricization with rows {rows}, by c = {self.constant:g} for "
            f"ξ = {self.xi}{wide})"
        )


@dataclass(frozen=True, slots=True)
class WidthBounds:
    """Both sides: lower ≤ width of the narrowest shallow network with this grid tensor ≤ upper.

    upper: None where no construction is known. fitted: a trained network that has the grid tensor to the error it
    states, None where none was asked for or reached it.
    """

    lower: WidthBound
    upper: int | None
    upper_by: str
    fitted: FittedShallow | None = None

    @property
    def gap(self) -> float:
        """The expressivity gap: the upper bound by the lower one."""
        return float("inf") if self.upper is None else self.upper / max(1, self.lower.width)

    def __str__(self) -> str:
        most = "no bound is known" if self.upper is None else f"{self.upper}"
        lines = [f"at least  {self.lower}", f"at most   {most} ({self.upper_by})", f"gap       {self.gap:.3g}"]
        if self.fitted is not None:
            lines.append(f"trained   width {self.fitted.width} has it to a relative error of {self.fitted.error:.2g}")
        return "\n".join(lines)


def shallow_width_lower_bound(
    x: Any,
    xi: str | Operator | None = None,
    *,
    templates: Any = None,
    steps: int | None = None,
    rows: Sequence[int] | None = None,
    samples: int | None = None,
    tol: float | None = None,
    seed: Any = 0,
    memory_limit: MemoryLimit = None,
) -> WidthBound:
    """Least width of a shallow network whose grid tensor is this one.

        width ≥ rank Γ^(odd, even) / c_ξ,    c = 1 (multiply), 2 (add), T·M/2 (rectifier, maximum, minimum)

    x: a network with its templates, a `GridTensor`, or an array or format of T modes with its ξ. Networks and their
    grids are evaluated in float64 whatever their dtype. With several classes the width is that of a network which
    shares its factors among them. steps: T, where the network takes any number.
    rows: modes of the rows, every other one if not given (T must be even then); c is the smaller number of templates
    of rows and columns. samples: draw so many rows and columns, where the grid tensor is too large to be formed: a
    lower bound still. tol: of the rank.
    Raises `AlgebraError` for ξ without a bound (logaddexp, hypot, operators of one's own) with the reason,
    `FormatError` for an odd T, `MemoryLimitError` with the size of a grid tensor that does not fit.
    Source: GTM Lemma 4.10; Cohen & Shashua 2016. A term takes T·M/2 values on the rows at most, and rows of equal value
    are equal.

    >>> import numpy as np, tnalgebra as tna
    >>> print(tna.shallow_width_lower_bound(tna.theory.exponential_separation(6, 5, 4), templates=np.eye(6)))
    3 (rank 26 of the matricization with rows 0 2, by c = 12 for ξ = rectifier)
    """
    grid = as_grid(x, templates, steps)
    if grid is not None:
        if xi is not None and operator(xi) != grid.network.xi:
            raise FormatError(f"the network has ξ = {grid.network.xi}; got xi={operator(xi).name!r}: leave it out")
        xi, shape = grid.network.xi, grid.shape[:-1]
    elif xi is None:
        raise FormatError("the grid tensor of which network? Give its ξ: xi=…")
    else:
        shape = x.shape if isinstance(x, Format) else np.shape(x)
    xi = operator(xi)
    rows = checked_rows(rows, len(shape))
    constant = _constant(xi, shape, rows)
    if samples is not None:
        found = sampled_rank(x if grid is None else grid, rows, samples=samples, tol=tol, seed=seed)
    else:
        value = x if grid is None else value_of(grid, memory_limit)
        found = matricization_rank(value, rows, tol=tol)
    return WidthBound(found, constant, xi.name, tuple(rows), _dtype_of(x))


def _dtype_of(x: Any) -> str:
    network = x.network if isinstance(x, GridTensor) else x
    return str(network.dtype) if isinstance(network, Network) else "float64"


def shallow_width_bounds(
    network: Any,
    templates: Any = None,
    *,
    steps: int | None = None,
    error: float | None = None,
    tol: float | None = None,
    seed: Any = 0,
    memory_limit: MemoryLimit = None,
) -> WidthBounds:
    """How wide a shallow network must be, and how wide it may be, to have the grid tensor of a network.

    lower: `shallow_width_lower_bound`. upper: of constructions, the narrowest: the network itself if it is shallow;
    for the rectifier and maximum one term for every entry that differs from the most frequent one, and one (GTM
    Theorem 4.7, `theory.universal_network`); for multiply an upper bound on the CP rank; for add one term a class.
    They need templates with independent features. Ranks are numerical: where numbers cancel inside of the network, tol
    must be larger, and a `ConditionWarning` says so if the bounds contradict one another.
    error: train shallow networks of growing width until one has the grid tensor to this relative error, which says more
    than a construction but is no bound.
    Raises as `shallow_width_lower_bound` does.

    >>> import numpy as np, tnalgebra as tna
    >>> print(tna.shallow_width_bounds(tna.theory.exponential_separation(3, 3, 4), np.eye(3)))
    at least  2 (rank 9 of the matricization with rows 0 2, by c = 6 for ξ = rectifier)
    at most   10 (9 entries differ from the most frequent one)
    gap       5
    """
    grid = as_grid(network, templates, steps)
    if grid is None:
        raise FormatError(f"the widths of shallow networks are compared with a network; got {type(network).__name__}")
    rows = checked_rows(None, len(grid.shape) - 1)
    constant = _constant(grid.network.xi, grid.shape[:-1], rows)
    value = value_of(grid, memory_limit)
    rank = matricization_rank(value, rows, tol=tol)
    lower = WidthBound(rank, constant, grid.network.xi.name, tuple(rows), _dtype_of(network))
    upper, by = _narrowest(grid, value, tol, seed)
    if upper is not None and lower.width > upper:
        warn(
            f"the rank {rank.rank} counts rounding errors, as {upper} terms are enough ({by}): give a tol above "
            f"{rank.tol:.1e}",
            ConditionWarning,
            stacklevel=2,
        )
    fitted = None
    if error is not None:
        dense = value.to_dense() if isinstance(value, Format) else value
        fitted = _trained(grid, dense, max(1, lower.width), upper, error, seed)
    return WidthBounds(lower, upper, by, fitted)


def _constant(xi: Operator, shape: Sequence[int], rows: Sequence[int]) -> float:
    """c_ξ: the largest rank that the matricization of a single term can have."""
    if xi.name == "multiply":
        return 1.0
    if xi.name == "add":
        return 2.0
    if xi.name in ("rectifier", "maximum", "minimum"):
        inside = sum(shape[mode] for mode in rows)
        return float(min(inside, sum(shape) - inside))
    raise AlgebraError(f"no lower bound on the width is known: {REFUSED.format(xi=xi)}")


def _narrowest(grid: GridTensor, value: Any, tol: float | None, seed: Any) -> tuple[int | None, str]:
    """The least width of the constructions that there are, and which it is."""
    network, count = grid.network, grid.features.shape[0]
    found = list[tuple[int, str]]()
    if isinstance(network, ShallowNetwork) and len(network.factors.shape) == 3:
        found.append((network.ranks[0], "the network itself"))
    if count > grid.features.shape[1] or grid.condition > INDEPENDENT:
        why = f"the features of the {count} templates are dependent, and constructions need them independent"
        return min(found, default=(None, why))
    match network.xi.name:
        case "multiply":
            bounds = cp_bounds(value, tol, seed=seed)
            found.append((bounds.upper, bounds.upper_by))
        case "add":
            found.append((network.classes, "a sum of functions of one step each is one term for every class"))
        case "rectifier" | "maximum":
            _, often = np.unique(value.reshape(-1, value.shape[-1]), axis=0, return_counts=True)
            others = int(often.sum() - often.max())
            found.append((others + 1, f"{others} entries differ from the most frequent one"))
    return min(found, default=(None, f"no construction is known for ξ = {network.xi}"))


def _trained(
    grid: GridTensor, dense: Array, width: int, upper: int | None, error: float, seed: Any
) -> FittedShallow | None:
    """The first of the widths lower, 2 · lower, … below the upper bound at which training reaches the error."""
    while upper is None or width < upper:
        fitted = fit_shallow(grid, dense, width, seed=seed)
        if fitted.error <= error:
            return fitted
        if upper is None and width * dense.ndim > dense.size:
            return None
        width *= 2
    return None
