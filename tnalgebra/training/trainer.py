"""Batches, steps and epochs, over one vector of parameters."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil, prod
from time import monotonic
from typing import Any

import numpy as np
import scipy.linalg

from ..errors import DivergenceError, TrainingError
from ..execute.namespace import namespace_of
from ..networks import Network
from ..networks.storage import describe
from .checkpoint import Checkpoint, TrainingState, described, digest
from .history import Epoch, History
from .objective import Batch, Objective
from .optimizer import Optimizer, in_place, rate

__all__ = ["Callback", "Config", "FitResult", "Training"]

Array = Any
Callback = Callable[[Epoch, Network], Any]
GATHERED = 1 << 24
"""Numbers of as many batches as are gathered at once on a device, where it is the launch that takes time."""
SHOWN = 2000
"""Rows of the training data, drawn at random, on which the accuracy of an epoch is measured."""


@dataclass(frozen=True, slots=True)
class FitResult:
    """A trained network, and how it came about."""

    network: Any
    history: History


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How a network is trained; `fit` documents the fields."""

    optimizer: Optimizer
    epochs: int
    batch_size: int
    patience: int | None
    dropout: float
    weight_decay: float
    clip: float | None
    seed: int

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            if name == "patience" and value is None:
                continue
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
                raise TrainingError(f"{name} must be a positive integer; got {value!r}")
            object.__setattr__(self, name, int(value))
        missing = [name for name in ("learning_rate", "init", "update") if not hasattr(self.optimizer, name)]
        if missing or isinstance(self.optimizer, type):
            raise TrainingError(
                f"an optimizer has learning_rate, init and update, as Adam() has; got {self.optimizer!r}, "
                + (f"without {', '.join(missing)}" if missing else "a class: call it")
            )
        if not 0 <= self.dropout < 1:
            raise TrainingError(f"dropout is the share of steps that are left out, in [0, 1); got {self.dropout!r}")
        if not 0 <= self.weight_decay < np.inf or (self.clip is not None and not self.clip > 0):
            raise TrainingError(f"weight_decay must be ≥ 0 and clip > 0; got {self.weight_decay!r} and {self.clip!r}")


class Training:
    """One training in progress."""

    method = "fit"

    def __init__(
        self,
        objective: Objective,
        config: Config,
        data: Batch,
        held: Batch | None,
        checkpoint: Checkpoint | None,
        callbacks: tuple[Callback, ...],
    ) -> None:
        if config.patience is not None and held is None:
            raise TrainingError("patience needs validation data: validation=0.1 takes a tenth of the rows")
        self.objective, self.config, self.data, self.held = objective, config, data, held
        self.checkpoint, self.callbacks = checkpoint, callbacks
        self._update = in_place(config.optimizer, is_compiled=objective.compiled)
        self.rows = int(data["X"].shape[0])
        self.batches = ceil(self.rows / config.batch_size)
        start = objective.vector(objective.network)
        self.xp = namespace_of([start])
        self.state = self._begin(start)
        self._gradient = self.xp.empty_like(start)
        self.began = self.written = monotonic()
        sample = np.random.default_rng((config.seed, 3)).permutation(self.rows)[:SHOWN]
        self.shown = {name: array[self.xp.asarray(np.sort(sample))] for name, array in data.items()}
        if checkpoint is not None:
            checkpoint.check()
            self.settings = self._settings(start)
            self.state = checkpoint.read(self.settings, start) or self.state
            begun = self.state.epoch + (self.state.batch > 0)
            if begun > config.epochs:
                raise TrainingError(
                    f"{str(checkpoint.path)!r} is in epoch {begun} and epochs={config.epochs} are asked for: their "
                    f"number may only grow; give epochs={begun} or more, or another path"
                )
            self.began -= self.state.seconds

    def _begin(self, start: Array) -> TrainingState:
        """The state before the first step."""
        totals = self.xp.zeros(2, dtype=self.xp.float64)
        return TrainingState(start, self.config.optimizer.init(start), start.copy(), totals)

    def _settings(self, start: Array) -> dict[str, Any]:
        """What must be the same for a checkpoint to be continued; the number of epochs may grow."""
        held = self.held or {}
        return {
            "method": self.method,
            "network": str(describe(self.objective.network)),
            "start": digest(start),
            "data": digest(*self.data.values()),
            "validation": digest(*held.values()),
            "loss": self.objective.loss,
            "compiled": self.objective.compiled,
            **{name: described(getattr(self.config, name)) for name in Config.__dataclass_fields__ if name != "epochs"},
        }

    def run(self, progress: bool) -> FitResult:
        """Epochs from where the state stands; the network is the best one where there is patience."""
        with _bar(
            progress, self.config.epochs * self.batches, self.state.epoch * self.batches + self.state.batch
        ) as show:
            is_stopped = False
            while self.state.epoch < self.config.epochs and not self.state.is_done and not is_stopped:
                is_stopped = self._epoch(show)
        chosen = self.state.best if self.config.patience else self.state.parameters
        return FitResult(self.objective.at(chosen), History(self.state.history))

    def _epoch(self, show: Callable[[str], None]) -> bool:
        """All batches of an epoch; True if a callback ends the training."""
        state = self.state
        order = self.xp.asarray(np.random.default_rng((self.config.seed, 0, state.epoch)).permutation(self.rows))
        for batch in self._drawn(order[state.batch * self.config.batch_size :]):
            self._step(batch)
            state.batch += 1
            show("")
            if state.batch < self.batches:
                self._keep()
        is_stopped = self._finish()
        last = state.history[-1]
        accuracy = "" if last.accuracy is None else f", accuracy {last.accuracy:.3f}"
        show(f"epoch {last.epoch}: loss {last.loss:.4f}{accuracy}")
        return is_stopped

    def _drawn(self, order: Array) -> Iterator[dict[str, Array]]:
        """Batches of the rows in this order, their weights divided by the number of rows."""
        size, rows = self.config.batch_size, int(order.shape[0])
        numbers = size * sum(prod(array.shape[1:]) for array in self.data.values())
        many = size if self.xp is np else size * max(1, GATHERED // numbers)
        whole = rows - rows % size
        spans = [(first, min(first + many, whole)) for first in range(0, whole, many)] + [(whole, rows)] * (
            whole < rows
        )
        for first, last in spans:
            found = {name: array[order[first:last]] for name, array in self.data.items()}
            found["row_weight"] = found["row_weight"] / min(size, last - first)
            if last - first <= size:
                yield found
                continue
            for start in range(0, last - first, size):
                yield {name: array[start : start + size] for name, array in found.items()}

    def _step(self, batch: dict[str, Array]) -> None:
        """One gradient, and one update in place; a loss that is not finite ends the training."""
        state, config, xp = self.state, self.config, self.xp
        if config.dropout:
            batch["X"] = batch["X"] * self._dropped(batch["X"])
        loss, gradient = self.objective(state.parameters, batch, self._gradient)
        norm = xp.sqrt(xp.vdot(gradient, gradient))
        if xp is np and config.clip is not None and np.isinf(norm):
            norm = scipy.linalg.norm(gradient.astype(np.float64), check_finite=False)  # squares no number beyond it
        if xp is np and not np.isfinite(loss + norm):
            self._diverged(float(loss), float(norm))
        if config.clip is not None:
            gradient *= xp.minimum(1.0, config.clip / (norm + 1e-30)).astype(gradient.dtype)
        if config.weight_decay:
            alpha = rate(config.optimizer.learning_rate, state.optimizer.step + 1)
            state.parameters = state.parameters * (1 - alpha * config.weight_decay)
        state.parameters, state.optimizer = self._update(gradient, state.optimizer, state.parameters)
        self._add_up(loss, norm)

    def _add_up(self, *measured: Array) -> None:
        """Totals ← totals + what a step has measured; CuPy would take an entry, add to it, and copy it back."""
        for place, number in enumerate(measured):
            if self.xp is np:
                self.state.totals[place] += number
            else:
                total = self.state.totals[place : place + 1]
                self.xp.add(total, number, out=total)

    def _dropped(self, x: Array) -> Array:
        """0 for the steps that are left out, and for the others what keeps the mean."""
        keep = 1 - self.config.dropout
        draws = np.random.default_rng((self.config.seed, 1, self.state.epoch, self.state.batch)).random(x.shape[:2])
        return self.xp.asarray(((draws < keep) / keep).astype(x.dtype))[:, :, None]

    def _diverged(self, loss: float, norm: float) -> None:
        state, last = self.state, self.state.history[-1:]
        before = f", it was {last[0].loss:.4g} in the epoch before" if last else ""
        step = state.optimizer.step + 1
        raise DivergenceError(
            f"the loss is {loss} in step {step} (epoch {state.epoch + 1}, batch {state.batch + 1}), the norm of the "
            f"gradient {norm}{before}: lower learning_rate ({rate(self.config.optimizer.learning_rate, step):.3g}), "
            "clip the gradient (clip=1.0), or scale the inputs to variance 1"
        )

    def _finish(self) -> bool:
        """Measure, remember, and see whether it is enough; True if a callback says so."""
        state, config = self.state, self.config
        loss, norm = (float(total) / self.batches for total in state.totals)
        if not np.isfinite(loss):
            self._diverged(loss, norm)
        scores = self.objective.scores(state.parameters, self.shown)
        accuracy = self.objective.accuracy(scores, self.shown)
        held_loss, held_accuracy = self._validate()
        if not bool(self.xp.isfinite(scores).all()) or not np.isfinite(held_loss or 0.0):
            self._diverged(float("nan") if held_loss is None else held_loss, norm)
        state.seconds = monotonic() - self.began
        step, number = state.optimizer.step, state.epoch + 1
        alpha = rate(config.optimizer.learning_rate, step)
        epoch = Epoch(number, step, loss, accuracy, held_loss, held_accuracy, norm, alpha, round(state.seconds, 3))
        state.history = (*state.history, epoch)
        is_better = held_loss is not None and held_loss < state.best_loss
        if is_better:
            state.best, state.waited = self.objective.copied(state.parameters), 0
            state.best_loss = float(held_loss or 0.0)
        else:
            state.waited += 1
        state.epoch, state.batch, state.totals = number, 0, self.xp.zeros_like(state.totals)
        state.is_done = config.patience is not None and state.waited >= config.patience
        answers = [
            callback(epoch, self.objective.at(self.objective.copied(state.parameters))) for callback in self.callbacks
        ]
        is_stopped = any(isinstance(answer, bool | np.bool_) and bool(answer) for answer in answers)
        self._keep(is_last=state.is_done or is_stopped or number == config.epochs)
        return is_stopped

    def _validate(self) -> tuple[float | None, float | None]:
        if self.held is None:
            return None, None
        scores = self.objective.scores(self.state.parameters, self.held)
        mean = {**self.held, "row_weight": self.held["row_weight"] / self.held["row_weight"].sum()}
        return self.objective.value(scores, mean), self.objective.accuracy(scores, self.held)

    def _keep(self, *, is_last: bool = False) -> None:
        if self.checkpoint is not None and (is_last or self.checkpoint.is_due(self.state, self.written)):
            self.state.seconds = monotonic() - self.began
            self.checkpoint.write(replace(self.state), self.settings)
            self.written = monotonic()


@contextmanager
def _bar(is_shown: bool, total: int, done: int) -> Iterator[Callable[[str], None]]:
    """A progress bar on the error stream, or nothing."""
    if not is_shown:
        yield lambda text: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, completed=done)

        def show(text: str) -> None:
            if text.startswith("epoch"):
                bar.update(task, description=text)
            else:
                bar.advance(task)

        yield show
