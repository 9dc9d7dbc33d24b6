"""Decision boundaries in the plane."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..canvas import COLOURS, SERIES, check_path, finish, new_figure
from ..errors import DataError, NonFiniteError
from ..training import Model

__all__ = ["decision_boundary", "draw_probabilities", "plane", "two_colours"]

Array = Any
MARGIN = 0.15
"""Share of the extent of the points that is shown around them."""
MARKERS = "osD^vP*"
"""Classes are told apart by these as well as by colour."""
TWO = (COLOURS["red"], COLOURS["blue"])
"""The ends of the colours of a probability."""


def decision_boundary(model: Any, X: Any, y: Any, path: Any = None, *, resolution: int = 120, axes: Any = None) -> Any:
    """Where a classifier of points in the plane says which class, with the points. Returns the axes.

    model: an estimator with ``predict_proba``, a `training.Model`, or a function from points (n, 2) to scores
    (n, classes). X: (n, 2). y: (n,) labels: of an estimator with ``classes_`` some of these, else integers that number
    the scores. Of two classes the probability of the second is drawn, with its line at one half, of more the regions.
    resolution: points along each axis. axes: where to draw, in a figure of its own if not given.
    Raises `DataError` for points that are not in the plane, for labels of no class, and for scores of another shape;
    `NonFiniteError` for points with NaN or infinity.

    >>> import numpy as np, tnalgebra as tna
    >>> X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> axes = tna.plot.decision_boundary(lambda points: points, X, [0, 0, 1], resolution=20)
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['0', '1']
    """
    check_path(path)
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 2 or X.shape[1] != 2 or y.shape != X.shape[:1] or not len(X):
        raise DataError(f"points X in the plane are (n, 2), their labels y (n,); got shapes {X.shape} and {y.shape}")
    if X.dtype.kind not in "biuf":
        raise DataError(f"points X in the plane are real numbers; got {X.dtype}")
    if not np.isfinite(X).all():
        raise NonFiniteError(f"X has {np.count_nonzero(~np.isfinite(X))} entries that are NaN or infinite; drop them")
    if resolution < 2:
        raise DataError(f"resolution must be 2 or more; got {resolution}")
    points, extent = plane(X, resolution)
    shares = _probabilities(model, points).reshape(resolution, resolution, -1)
    count = shares.shape[-1]
    place, names = _classes(model, y, count)
    is_two = count == 2
    if axes is None:
        axes = new_figure(4.6, 4).subplots()
    if is_two:
        draw_probabilities(axes, 100 * shares[..., 1], extent)
    else:
        _regions(axes, shares.argmax(-1), extent)
    for i in np.unique(place):
        colour = (TWO if is_two else SERIES)[i % (2 if is_two else len(SERIES))]
        style = {
            "s": 22,
            "color": colour,
            "marker": MARKERS[i % len(MARKERS)],
            "edgecolors": "black",
            "linewidths": 0.5,
        }
        axes.scatter(*X[place == i].T, label=str(names[i]), **style)
    axes.legend(fontsize="small", title="class", title_fontsize="small")
    axes.set(xlabel="x₀", ylabel="x₁")
    finish(axes.figure, path, "decision boundary", f"{count} classes, {len(X)} points")
    return axes


def plane(X: Array, resolution: int) -> tuple[Array, list[float]]:
    """Points (resolution², 2) of a grid over the data and a margin, rows from below; left, right, bottom and top."""
    low, high = X.min(0), X.max(0)
    around = MARGIN * np.where(high > low, high - low, 1.0)
    low, high = low - around, high + around
    x, y = (np.linspace(low[axis], high[axis], resolution) for axis in (0, 1))
    extent = [float(low[0]), float(high[0]), float(low[1]), float(high[1])]
    return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2), extent


def draw_probabilities(axes: Any, percent: Any, extent: list[float]) -> None:
    """Probabilities of the second class, in percent on a grid, rows from below, and their line at one half."""
    percent, view = np.asarray(percent), {"extent": extent, "origin": "lower", "aspect": "auto"}
    axes.imshow(percent, cmap=two_colours(), vmin=0, vmax=100, alpha=0.5, **view)
    if percent.min() < 50 < percent.max():
        axes.contour(percent, levels=[50], colors="black", linewidths=1, extent=extent)


def two_colours() -> Any:
    """From the colour of the first class over white to that of the second."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("two classes", [TWO[0], "white", TWO[1]])


def _regions(axes: Any, labels: Array, extent: list[float]) -> None:
    """One colour a class, and lines where they meet."""
    from matplotlib.colors import ListedColormap

    count = labels.max() + 1
    colours = ListedColormap([SERIES[i % len(SERIES)] for i in range(count)])
    view: dict[str, Any] = {"extent": extent, "origin": "lower"}
    axes.imshow(labels, cmap=colours, vmin=-0.5, vmax=count - 0.5, alpha=0.3, aspect="auto", **view)
    for label in range(count):
        if (labels == label).any() and (labels != label).any():
            axes.contour(labels == label, levels=[0.5], colors="black", linewidths=1, extent=extent)


def _classes(model: Any, y: Array, count: int) -> tuple[Array, Sequence[Any]]:
    """The class of every point as a number of the scores, and the names of all classes."""
    if hasattr(model, "classes_"):
        names = np.asarray(model.classes_).tolist()
        numbers = {name: i for i, name in enumerate(names)}
        if unknown := [label for label in np.unique(y).tolist() if label not in numbers]:
            raise DataError(f"y has the labels {unknown}, which are none of the classes {names} of the model")
        return np.array([numbers[label] for label in y.tolist()]), names
    if y.dtype.kind not in "biu" or y.min() < 0 or y.max() >= count:
        raise DataError(
            f"labels y must be integers from 0 to {count - 1} that number the {count} scores; got "
            f"{np.unique(y).tolist()}: a model with classes_ has labels of any kind"
        )
    return y.astype(int), model.classes if isinstance(model, Model) else range(count)


def _probabilities(model: Any, points: Array) -> Array:
    """Probabilities (n, classes): the estimator's own, or the softmax of scores."""
    if hasattr(model, "predict_proba"):
        shares = np.asarray(model.predict_proba(points))
    else:
        if not (isinstance(model, Model) or callable(model)):
            raise DataError(f"{type(model).__name__} scores no points: it has no predict_proba and cannot be called")
        scores = np.asarray(model.scores(points) if isinstance(model, Model) else model(points))
        shares = np.exp(scores - scores.max(-1, keepdims=True)) if scores.ndim == 2 and scores.size else scores
    if shares.ndim != 2 or shares.shape[0] != len(points) or shares.shape[1] < 2:
        raise DataError(f"scores of {len(points)} points must be ({len(points)}, classes); got shape {shares.shape}")
    return shares / shares.sum(-1, keepdims=True)
