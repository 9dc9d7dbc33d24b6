"""Learning rates as functions of the step."""

from dataclasses import dataclass
from math import cos, pi

from ..errors import TrainingError

__all__ = ["CosineDecay", "ExponentialDecay", "Warmup"]


@dataclass(frozen=True, slots=True)
class ExponentialDecay:
    """α_t = start · decay^(t / every): one more factor every so many steps.

    >>> ExponentialDecay(0.1, decay=0.5, every=10)(10)
    0.05
    """

    start: float
    decay: float
    every: int = 1

    def __post_init__(self) -> None:
        """Refuse rates that are not positive."""
        if not (self.start > 0 and 0 < self.decay <= 1 and self.every > 0):
            raise TrainingError(f"a decay needs start > 0, 0 < decay ≤ 1 and every > 0; got {self}")

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        return float(self.start * self.decay ** (step / self.every))


@dataclass(frozen=True, slots=True)
class CosineDecay:
    """α_t = end + (start − end) · (1 + cos(π t / steps)) / 2, and end from then on   (Loshchilov & Hutter 2017).

    >>> round(CosineDecay(0.1, steps=10)(5), 6)
    0.05
    """

    start: float
    steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        """Refuse rates that are not positive."""
        if not (self.start > 0 and self.steps > 0 and self.end >= 0):
            raise TrainingError(f"a decay needs start > 0, steps > 0 and end ≥ 0; got {self}")

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        return self.end + (self.start - self.end) * (1 + cos(pi * min(1.0, step / self.steps))) / 2


@dataclass(frozen=True, slots=True)
class Warmup:
    """A schedule that first climbs to its rate in equal steps.

    >>> Warmup(CosineDecay(0.1, steps=1000), steps=4)(2) < 0.06
    True
    """

    schedule: "float | ExponentialDecay | CosineDecay"
    steps: int

    def __post_init__(self) -> None:
        """Refuse a climb of no steps."""
        if self.steps < 1:
            raise TrainingError(f"a warm-up needs 1 step or more; got {self.steps}")

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        goal = self.schedule(step) if callable(self.schedule) else self.schedule
        return goal * min(1.0, step / self.steps)
