"""Optimizers as frozen configurations with two pure functions, `init` and `update`, on one vector of parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import TrainingError
from ..execute.namespace import namespace_of
from ..execute.threads import in_threads, thread_count

__all__ = ["SGD", "Adam", "Optimizer", "OptimizerState", "Schedule"]

Array = Any
Schedule = float | Callable[[int], float]
"""A learning rate, or a function from the number of the step, 1 for the first, to one."""
BLOCK = 1 << 16
"""Parameters that are moved together."""
MUCH = 1 << 20
"""Parameters that are worth threads."""


@dataclass(frozen=True, slots=True)
class OptimizerState:
    """Steps done, and running means in the shape of the parameters."""

    step: int
    moments: tuple[Array, ...]


class Optimizer(Protocol):
    """What `fit` needs of an optimizer."""

    @property
    def learning_rate(self) -> Schedule:
        """A number, or a function of the step."""
        ...

    def init(self, parameters: Array) -> OptimizerState:
        """The state before the first step."""
        ...

    def update(self, gradient: Array, state: OptimizerState, parameters: Array) -> tuple[Array, OptimizerState]:
        """Parameters and state after one step; the arguments stay as they are."""
        ...


def rate(schedule: Schedule, step: int) -> float:
    """The learning rate of a step."""
    return float(schedule(step)) if callable(schedule) else float(schedule)


def _check(optimizer: Any, **bounds: tuple[float, float]) -> None:
    if not callable(optimizer.learning_rate) and not optimizer.learning_rate > 0:
        raise TrainingError(f"learning_rate must be positive or a schedule; got {optimizer.learning_rate!r}")
    for name, (low, high) in bounds.items():
        value = getattr(optimizer, name)
        if not low <= value < high:
            raise TrainingError(f"{name} must be in [{low}, {high}); got {value!r}")


def _in_blocks(function: Callable[..., tuple[Array, ...]], arrays: Sequence[Array]) -> tuple[Array, ...]:
    """The values of an entrywise function; of long NumPy arrays part by part, so that what it makes stays cached."""
    size = arrays[0].size
    if size <= BLOCK or not all(type(array) is np.ndarray and array.ndim == 1 for array in arrays):
        return function(*arrays)
    found = tuple(np.empty(size, part.dtype) for part in function(*(array[:1] for array in arrays)))

    def share(blocks: slice) -> None:
        for number in range(blocks.start, blocks.stop):
            part = slice(number * BLOCK, (number + 1) * BLOCK)
            for out, value in zip(found, function(*(array[part] for array in arrays)), strict=True):
                out[part] = value

    in_threads(share, -(-size // BLOCK), thread_count() if size >= MUCH else 1)
    return found


@dataclass(frozen=True, slots=True)
class Adam:
    """Adaptive moments   (Kingma & Ba 2015, algorithm 1).

        m ← β₁ m + (1 − β₁) g,    v ← β₂ v + (1 − β₂) g²
        θ ← θ − α · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)

    learning_rate: α, or a function from t = 1, 2, … to it. Raises `TrainingError` for numbers outside their range.

    >>> import numpy as np, tnalgebra as tna
    >>> adam, theta = tna.Adam(learning_rate=0.1), np.array([1.0])
    >>> theta, state = adam.update(np.array([5.0]), adam.init(theta), theta)
    >>> print(theta.round(6), state.step)
    [0.9] 1
    """

    learning_rate: Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        """Refuse what would not converge or divide by 0."""
        _check(self, beta1=(0, 1), beta2=(0, 1))
        if not self.eps > 0:
            raise TrainingError(f"eps must be positive; got {self.eps!r}")

    def init(self, parameters: Array) -> OptimizerState:
        """No step done, and both moments 0."""
        xp = namespace_of([parameters])
        return OptimizerState(0, (xp.zeros_like(parameters), xp.zeros_like(parameters)))

    def update(self, gradient: Array, state: OptimizerState, parameters: Array) -> tuple[Array, OptimizerState]:
        """Parameters and state after one step."""
        xp, step = namespace_of([parameters]), state.step + 1
        scale = rate(self.learning_rate, step) / (1 - self.beta1**step)

        def moved(g: Array, theta: Array, m: Array, v: Array) -> tuple[Array, ...]:
            m, v = self.beta1 * m, self.beta2 * v
            m += (1 - self.beta1) * g
            v += (1 - self.beta2) * (g * g)
            slope = v * (1 / (1 - self.beta2**step))
            xp.sqrt(slope, out=slope)
            slope += self.eps
            xp.divide(m, slope, out=slope)
            slope *= scale
            return theta - slope, m, v

        parameters, *moments = _in_blocks(moved, (gradient, parameters, *state.moments))
        return parameters, OptimizerState(step, tuple(moments))


@dataclass(frozen=True, slots=True)
class SGD:
    """Gradient descent with momentum   (Sutskever et al. 2013).

        w ← μ w + g,    θ ← θ − α w    (with Nesterov's momentum θ ← θ − α (g + μ w))

    Raises `TrainingError` for numbers outside their range.

    >>> import numpy as np, tnalgebra as tna
    >>> sgd, theta = tna.SGD(learning_rate=0.1), np.array([1.0])
    >>> print(sgd.update(np.array([5.0]), sgd.init(theta), theta)[0])
    [0.5]
    """

    learning_rate: Schedule = 1e-2
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        """Refuse what would not converge."""
        _check(self, momentum=(0, 1))

    def init(self, parameters: Array) -> OptimizerState:
        """No step done; with momentum a velocity of 0."""
        zeros = namespace_of([parameters]).zeros_like
        return OptimizerState(0, (zeros(parameters),) if self.momentum else ())

    def update(self, gradient: Array, state: OptimizerState, parameters: Array) -> tuple[Array, OptimizerState]:
        """Parameters and state after one step."""
        step, alpha = state.step + 1, rate(self.learning_rate, state.step + 1)
        if not self.momentum:
            return parameters - alpha * gradient, OptimizerState(step, ())
        velocity = self.momentum * state.moments[0] + gradient
        slope = gradient + self.momentum * velocity if self.nesterov else velocity
        return parameters - alpha * slope, OptimizerState(step, (velocity,))
