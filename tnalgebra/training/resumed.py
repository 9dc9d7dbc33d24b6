"""An optimizer that goes on from where another training left it."""

from typing import Any

from .optimizer import Optimizer, OptimizerState, Schedule

__all__ = ["Resumed"]

Array = Any


class Resumed:
    """An optimizer with the state of an earlier training, which keeps its last state for the next one."""

    def __init__(self, optimizer: Optimizer, state: OptimizerState | None) -> None:
        self.optimizer, self.state = optimizer, state

    @property
    def learning_rate(self) -> Schedule:
        """That of the optimizer."""
        return self.optimizer.learning_rate

    def init(self, parameters: Array) -> OptimizerState:
        """The state that was left, or a new one."""
        return self.state or self.optimizer.init(parameters)

    def update(self, gradient: Array, state: OptimizerState, parameters: Array) -> tuple[Array, OptimizerState]:
        """Parameters and state after one step."""
        new, self.state = self.optimizer.update(gradient, state, parameters)
        return new, self.state
