"""An optimizer that goes on from where another training left it."""

from typing import Any

from ..execute.namespace import namespace_of
from .optimizer import Optimizer, OptimizerState, Schedule, Update, in_place

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
        if self.state is None:
            return self.optimizer.init(parameters)
        xp = namespace_of([parameters])
        return OptimizerState(self.state.step, tuple(map(xp.array, self.state.moments)))

    def update(self, gradient: Array, state: OptimizerState, parameters: Array) -> tuple[Array, OptimizerState]:
        """Parameters and state after one step."""
        return self._kept(self.optimizer.update)(gradient, state, parameters)

    def in_place(self, *, is_compiled: bool) -> Update:
        """The same, where parameters and moments may be written over."""
        return self._kept(in_place(self.optimizer, is_compiled=is_compiled))

    def _kept(self, update: Update) -> Update:
        def kept(gradient: Array, state: OptimizerState, parameters: Array) -> tuple[Array, OptimizerState]:
            new, self.state = update(gradient, state, parameters)
            return new, self.state

        return kept
