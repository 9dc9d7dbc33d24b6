"""What a lossy operation left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["FitReport", "TruncationReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncationReport:
    """Relative Frobenius errors of a decomposition: what was asked, what is guaranteed, what each bond lost.

    Rounding of the result to its dtype is not among them: 1e-7 or so in single precision.
    requested: the `eps` that was asked for, None if only ranks were.
    bound: no more than this was lost, relative to the norm of the whole (an estimate where the tensor's `fit` has one);
        it exceeds `requested` only if a maximal rank or a limit of a search forced it to.
    discarded: the part of it at each bond; `bound` is the root of the sum of their squares.
    """

    requested: float | None
    bound: float
    discarded: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_reached(self) -> bool:
        """Whether the bound is within what was requested."""
        return self.requested is None or self.bound <= self.requested

    def __str__(self) -> str:
        asked = "no eps requested" if self.requested is None else f"eps {self.requested:.3g} requested"
        lost = ", ".join(f"{bond}: {value:.2g}" for bond, value in self.discarded.items())
        return f"{asked}, {self.bound:.3g} lost at most" + (f" ({lost})" if lost else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """How an iterative fit went.

    error: relative Frobenius error of the result in double precision, from the residual itself; `is_estimate` where it
        was measured on some entries only that the fit had not seen. losses: that error after each sweep.
    is_converged: whether the error stopped falling, or reached its goal, before the sweeps ran out.
    restarts: how many starts were tried at this rank.
    is_degenerate: whether terms grow against one another, the sign of a border rank: then no best fit exists, and the
        error falls for ever while the terms diverge.
    calls: entries that a function was asked for, or that were given.
    """

    error: float
    losses: tuple[float, ...]
    is_converged: bool
    restarts: int = 1
    is_degenerate: bool = False
    is_estimate: bool = False
    calls: int | None = None

    def __str__(self) -> str:
        state = "converged" if self.is_converged else "not converged"
        state = "degenerate (terms grow against one another), not converged" if self.is_degenerate else state
        how = f"{len(self.losses) - 1} sweeps" + (f" of {self.restarts} starts" if self.restarts > 1 else "")
        from_ = "" if self.calls is None else f" and {self.calls} entries"
        return f"{'estimated ' * self.is_estimate}error {self.error:.3g} after {how}{from_}: {state}"
