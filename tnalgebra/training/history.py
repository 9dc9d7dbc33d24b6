"""What happened in training, epoch by epoch."""

from dataclasses import dataclass, fields
from typing import Any

from ..canvas import COLOURS, Drawable, check_path, finish, new_figure

__all__ = ["Epoch", "History"]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training data.

    loss: mean over the batches. accuracy: after the epoch, on at most 2000 rows of the training data, drawn at random
    once; None for numbers.
    gradient_norm: mean over the batches, before clipping. seconds: since training began, in all runs together.
    """

    epoch: int
    steps: int
    loss: float
    accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    gradient_norm: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class History(Drawable):
    """All epochs; prints as a table.

    >>> print(History((Epoch(1, 10, 0.5, 0.75, None, None, 1.25, 0.001, 2.0),)))
    epoch  loss  accuracy  validation loss  validation accuracy  gradient norm  seconds
        1   0.5      0.75                                                 1.25        2
    """

    epochs: tuple[Epoch, ...] = ()

    @property
    def losses(self) -> tuple[float, ...]:
        """Mean training loss of every epoch."""
        return tuple(epoch.loss for epoch in self.epochs)

    def to_dict(self) -> dict[str, list[Any]]:
        """A list a column, for JSON or a data frame."""
        return {field.name: [getattr(epoch, field.name) for epoch in self.epochs] for field in fields(Epoch)}

    def __str__(self) -> str:
        names = ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "gradient_norm", "seconds")
        table = [[name.replace("_", " ") for name in names]]
        table += [[_cell(getattr(epoch, name)) for name in names] for epoch in self.epochs]
        widths = [max(len(row[i]) for row in table) for i in range(len(names))]
        return "\n".join("  ".join(text.rjust(widths[i]) for i, text in enumerate(row)) for row in table)

    def draw(self, path: Any = None) -> tuple[Any, Any]:
        """Draw loss and accuracy over the epochs; save if a path is given. Returns both axes.

        Raises `PictureError` where Matplotlib is missing, or a path ends otherwise than in .png, .svg or .pdf.
        """
        check_path(path)
        figure = new_figure(8, 3.2)
        loss, accuracy = figure.subplots(1, 2)
        data = self.to_dict()
        for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
            for column, label, style, colour in (
                (name, "training", "o-", "blue"),
                (f"validation_{name}", "validation", "s--", "red"),
            ):
                pairs = [(x, y) for x, y in zip(data["epoch"], data[column], strict=True) if y is not None]
                if pairs:
                    axes.plot(*zip(*pairs, strict=True), style, color=COLOURS[colour], markersize=3.5, label=label)
            axes.set(xlabel="epoch", ylabel=name)
            axes.grid(alpha=0.3)
            if axes.lines:
                axes.legend(fontsize="small")
                axes.locator_params(axis="x", integer=True)
        if loss.lines and min(min(line.get_ydata()) for line in loss.lines) > 0:
            loss.set_yscale("log")
        ends = f", loss {self.losses[0]:.4g} at first and {self.losses[-1]:.4g} at last" if self.epochs else ""
        finish(figure, path, "training history", f"{len(self.epochs)} epochs{ends}")
        return loss, accuracy


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}"
