"""A binary operator as data: two scalar expressions, a unit and the laws that a planner may use."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import AlgebraError
from .scalar import cast, compiled, is_integral, number, temporaries

__all__ = ["REDUCTIONS", "Operator"]

Array = Any
SAMPLES = (-2.5, -1.0, -0.375, 0.0, 0.5, 1.0, 1.75, 3.0)
REDUCTIONS = {
    "sum": np.add,
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "any": np.logical_or,
    "all": np.logical_and,
    "logsumexp": np.logaddexp,
}
"""What `Operator.reduction` may name, and the function of two numbers that each folds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A commutative monoid ξ on numbers, to stand for the product (or the sum) of a contraction.

        ξ(x, y) = value,    ∂ξ/∂x = partial(x, y, t)  with t = ξ(x, y)

    value, partial: scalar expressions in x, y (and t); ξ is commutative, so one partial is enough.
    unit: u with ξ(x, y, u) = ξ(x, y); it is strict if ξ(x, u) = x as well.
    distributes_over: names of ⊕ with ξ(a, b ⊕ c) = ξ(a, b) ⊕ ξ(a, c) for all numbers: only then may a
    reduction by ⊕ move inside ξ. `distributes_over_nonnegative`: the same where no number is negative.
    repeat: ξ(x, …, x) of n equal arguments, an expression in x and n; it makes Σ-like rewrites exact.
    share: ∂⊕/∂x for one term x of many: an expression in x, in t = ⊕ of all terms, in n, how many terms satisfy the
        condition `tie` in x and t, and in p = ⊕ of the terms that do not.
    generator: (g, g⁻¹), expressions in x with ξ(x, y) = g⁻¹(g(x) + g(y)) where g neither overflows nor vanishes.
    is_translative: whether ξ(x + c, y + c) = ξ(x, y) + c; with a generator g that is then an exponential.
    breakpoint: b(y), an expression in y, where ξ(x, y) is linear in x for x < b and for x > b: sums over it then
        become tables of slopes and intercepts.
    reduction: the array function that folds an axis, one of `REDUCTIONS`; a tree of pairs is used without it.
    samples: numbers of the domain, on which `register_operator` checks every law declared here.

    >>> import tnalgebra as tna
    >>> tna.operator("hypot").apply(3.0, 4.0)
    np.float64(5.0)
    """

    name: str
    value: str
    unit: float
    partial: str | None = None
    unit_is_strict: bool = True
    distributes_over: frozenset[str] = frozenset()
    distributes_over_nonnegative: frozenset[str] = frozenset()
    repeat: str | None = None
    share: str | None = None
    tie: str | None = None
    generator: tuple[str, str] | None = None
    is_translative: bool = False
    breakpoint: str | None = None
    reduction: str | None = None
    is_complex: bool = False
    samples: tuple[float, ...] = SAMPLES

    def __hash__(self) -> int:
        return hash((self.name, self.value))

    def __str__(self) -> str:
        return self.name

    @property
    def is_floating(self) -> bool:
        """Whether ξ of integers is a fraction: integer operands are then taken as float64."""
        return bool(self.apply(np.empty(0, np.int64), np.empty(0, np.int64)).dtype.kind == "f")

    @property
    def keeps_sign(self) -> bool:
        """Whether ξ of numbers that are not negative is not negative either, on samples."""
        x = np.array([x for x in (*SAMPLES, *self.samples) if x >= 0])
        with np.errstate(all="ignore"):
            return bool((self.apply(x[:, None], x) >= 0).all())

    @property
    def temporaries(self) -> int:
        """How many arrays ξ holds at once beside its buffer."""
        return temporaries(self.value, ("x", "y"))

    def function(self, xp: ModuleType) -> Callable[[Array, Array], Array]:
        """Return ξ as a function of two broadcastable arrays of the namespace `xp`."""
        return compiled(self.value, ("x", "y"), xp)

    def apply(self, x: Array, y: Array) -> Array:
        """ξ(x, y) elementwise, with broadcasting, on NumPy arrays or numbers."""
        return self.function(np)(x, y)

    def partials(self, x: Array, y: Array) -> tuple[Array, Array]:
        """(∂ξ/∂x, ∂ξ/∂y) elementwise; a tie is split equally, a kink at 0 or −∞ has derivative 0."""
        if self.partial is None:
            raise AlgebraError(f"operator {self.name!r} declares no partial; give Operator(partial=…)")
        partial = compiled(self.partial, ("x", "y", "t"), np)
        with np.errstate(all="ignore"):  # `where` evaluates the branch that it does not take
            t = self.apply(x, y)
            slopes = partial(x, y, t), partial(y, x, t)
        dx, dy = (np.broadcast_to(np.asarray(p, np.result_type(t, p)), np.shape(t)) for p in slopes)
        return dx, dy

    def times(self, x: Array, count: int, xp: ModuleType) -> Array:
        """ξ(x, …, x) of `count` equal arguments, in the dtype of x; needs `repeat`.

        Integers take the way over int64, so that a count which their dtype cannot hold wraps as the fold would.
        """
        assert self.repeat is not None
        wide = cast(x, xp.int64, xp) if is_integral(x.dtype, xp) else x
        n = number(count, wide.dtype, wide, xp)
        return cast(compiled(self.repeat, ("x", "n"), xp)(wide, n), x.dtype, xp)
