"""Losses as graphs: contractions of scores with targets and the weights of the rows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..algebra import Pointwise, operator
from ..algebra.scalar import parse
from ..errors import TrainingError, UnknownNameError
from ..graph import Contract, Labels, Leaf, Node

__all__ = ["LOSSES", "encoded", "loss_graph"]

Array = Any
BY: Labels = ("b", "y")


def _pointwise(text: str, inputs: tuple[Labels, ...], *children: Node) -> Contract:
    """Σ of an expression in x0, x1, … over all labels."""
    names = tuple(f"x{i}" for i in range(len(children)))
    return Contract(Pointwise(parse(text, names), names), operator("add"), inputs, children, ())


def _cross_entropy(scores: Node, target: Node, weight: Node) -> Node:
    """Σ_b w_b Σ_y target[b, y] (ln Σ_z exp s[b, z] − s[b, y]): ⊕ is logaddexp over the classes.

    The difference is taken in every row: one of large scores takes no digits from the others.
    """
    total = Contract(operator("multiply"), operator("logaddexp"), (BY,), (scores,), ("b",))
    inputs = BY, BY, ("b",), ("b",)
    return _pointwise("where(x0 == 0, 0, x0 * (x3 - x1) * x2)", inputs, target, scores, weight, total)


def _squared(scores: Node, target: Node, weight: Node) -> Node:
    """Σ_b w_b Σ_y (s[b, y] − target[b, y])²."""
    return _pointwise("x0 * (x1 - x2) ** 2", (("b",), BY, BY), weight, scores, target)


def _binary(scores: Node, target: Node, weight: Node) -> Node:
    """Σ_b w_b ln(1 + exp(−z s)) with z = 1 for the class and −1 otherwise."""
    return _pointwise("x0 * logaddexp(0, -(x1 * (2 * x2 - 1)))", (("b",), BY, BY), weight, scores, target)


LOSSES: dict[str, Callable[[Node, Node, Node], Node]] = {
    "cross-entropy": _cross_entropy,
    "squared": _squared,
    "binary": _binary,
}


def loss_graph(scores: Node, loss: str) -> Node:
    """The loss of a batch as a graph in the leaves ``target[b, y]`` and ``row_weight[b]``.

    Raises `UnknownNameError` for a loss that there is not.
    """
    if loss not in LOSSES:
        raise UnknownNameError(f"unknown loss {loss!r}; known: {', '.join(LOSSES)}")
    return LOSSES[loss](scores, Leaf("target", BY), Leaf("row_weight", ("b",)))


def encoded(y: Any, classes: int, loss: str, dtype: Any) -> Array:
    """Targets (batch, classes): rows of the identity for labels, numbers as they are for the squared error.

    Raises `TrainingError` that names what is wrong with the labels.
    """
    y = np.asarray(y)
    if loss == "squared":
        numbers = y[:, None] if y.ndim == 1 else y
        if y.dtype.kind not in "biuf" or numbers.ndim != 2 or numbers.shape[1] != classes:
            raise TrainingError(f"y must be numbers of shape (batch, {classes}); got {y.dtype} of shape {y.shape}")
        if not np.isfinite(numbers).all():
            raise TrainingError(f"y has {int((~np.isfinite(numbers)).sum())} entries that are NaN or infinite")
        return numbers.astype(dtype)
    if y.ndim != 1 or y.dtype.kind not in "biu":
        raise TrainingError(
            f"y must be one integer label a row, 0 to {max(classes, 2) - 1}; got {y.dtype} of shape {y.shape}: "
            "scikit-learn's LabelEncoder makes such labels of names, and loss='squared' fits numbers"
        )
    count = 2 if loss == "binary" else classes
    if y.size and (y.min() < 0 or y.max() >= count):
        raise TrainingError(
            f"labels must be from 0 to {count - 1}, as the network has {classes} scores; got {y.min()} to {y.max()}"
        )
    if loss == "binary":
        if classes != 1:
            raise TrainingError(f"loss='binary' needs a network with one score; it has {classes}")
        return y.astype(dtype)[:, None]
    return np.eye(classes, dtype=dtype)[y.astype(int)]
