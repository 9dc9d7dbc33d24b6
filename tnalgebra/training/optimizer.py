"""Optimizers as frozen configurations with two pure functions, `init` and `update`, on one vector of parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import TrainingError
from ..execute.assign import Assignments, assigner, compiled_assigner
from ..execute.namespace import namespace_of

__all__ = ["SGD", "Adam", "Optimizer", "OptimizerState", "Schedule", "Update", "in_place", "rate"]

Array = Any
Schedule = float | Callable[[int], float]
"""A learning rate, or a function from the number of the step, 1 for the first, to one."""
ADAM = Assignments(
    ("g", "x", "m", "v"),
    ("a", "b", "b_", "c", "c_", "k", "e"),
    (
        ("m", "b * m + b_ * g"),
        ("v", "c * v + c_ * (g * g)"),
        ("x", "x - a * (m / (sqrt(k * v) + e))"),
    ),
)
DESCENT = Assignments(("g", "x"), ("a", "b"), (("x", "x - a * g"),))
MOMENTUM = Assignments(("g", "x", "w"), ("a", "b"), (("w", "b * w + g"), ("x", "x - a * w")))
NESTEROV = Assignments(("g", "x", "w"), ("a", "b"), (("w", "b * w + g"), ("x", "x - a * (g + b * w)")))


@dataclass(frozen=True, slots=True)
class OptimizerState:
    """Steps done, and running means in the shape of the parameters."""

    step: int
    moments: tuple[Array, ...]


Update = Callable[[Array, OptimizerState, Array], tuple[Array, OptimizerState]]
"""A function of gradient, state and parameters to parameters and state after one step."""


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


def in_place(optimizer: Optimizer, *, is_compiled: bool) -> Update:
    """The update for a caller who writes over the gradient, and to whom parameters and moments belong."""
    owner = next((kind for kind in type(optimizer).__mro__ if "update" in vars(kind)), object)
    if "in_place" in vars(owner):  # and not of a class whose update another has replaced
        return optimizer.in_place(is_compiled=is_compiled)  # type: ignore[attr-defined, no-any-return]
    return lambda gradient, *rest: optimizer.update(gradient.copy(), *rest)  # whose state may keep it


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


class Assigning:
    """An optimizer whose step is a list of assignments to the parameters x and to moments, by the gradient g."""

    __slots__ = ()

    @property
    def assignments(self) -> Assignments:
        """The step of every entry."""
        raise NotImplementedError

    def numbers(self, step: int) -> tuple[float, ...]:
        """The numbers in it, for a step."""
        raise NotImplementedError

    def update(self, gradient: Array, state: OptimizerState, parameters: Array) -> tuple[Array, OptimizerState]:
        """Parameters and state after one step; the arguments stay as they are."""
        xp, shape = namespace_of([parameters]), parameters.shape
        given = (gradient, parameters, *state.moments)
        dtype = xp.result_type(*given, xp.float16)  # of integers a step is a fraction
        gradient, parameters, *moments = (xp.array(array, dtype=dtype).reshape(-1) for array in given)
        new, after = self.in_place()(gradient, OptimizerState(state.step, tuple(moments)), parameters)
        return new.reshape(shape), OptimizerState(after.step, tuple(part.reshape(shape) for part in after.moments))

    def in_place(self, *, is_compiled: bool = False) -> Update:
        """`update` for vectors that belong to the caller: parameters and moments are written over."""
        run = (compiled_assigner if is_compiled else assigner)(self.assignments)

        def moved(gradient: Array, state: OptimizerState, parameters: Array) -> tuple[Array, OptimizerState]:
            step = state.step + 1
            run((gradient, parameters, *state.moments), self.numbers(step))
            return parameters, OptimizerState(step, state.moments)

        return moved


@dataclass(frozen=True, slots=True)
class Adam(Assigning):
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

    @property
    def assignments(self) -> Assignments:
        """The step of every entry."""
        return ADAM

    def numbers(self, step: int) -> tuple[float, ...]:
        """The numbers in it, for a step."""
        b, c = self.beta1, self.beta2
        return rate(self.learning_rate, step) / (1 - b**step), b, 1 - b, c, 1 - c, 1 / (1 - c**step), self.eps


@dataclass(frozen=True, slots=True)
class SGD(Assigning):
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

    @property
    def assignments(self) -> Assignments:
        """The step of every entry."""
        return (NESTEROV if self.nesterov else MOMENTUM) if self.momentum else DESCENT

    def numbers(self, step: int) -> tuple[float, ...]:
        """The numbers in it, for a step."""
        return rate(self.learning_rate, step), self.momentum
