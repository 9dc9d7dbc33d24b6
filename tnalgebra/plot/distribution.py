"""Distributions of lower bounds on widths."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..canvas import SERIES, check_path, finish, new_figure
from ..errors import DataError

__all__ = ["draw_distributions", "lower_bounds"]

BINS = 10
STYLES = ("-", "--", "-.", ":")
"""Curves are told apart by these as well as by colour."""


def lower_bounds(samples: Mapping[str, Sequence[float]], path: Any = None) -> tuple[Any, Any]:
    """Histograms and distribution functions of lower bounds on the shallow width. Returns both axes.

    samples: for every set of networks, by the name that the legend has, one bound a network, as
    `shallow_width_lower_bound` gives it. Raises `DataError` for a set that is empty.

    >>> import tnalgebra as tna
    >>> shares, steps = tna.plot.lower_bounds({"R = 1": [1, 1, 1], "R = 2": [2, 3, 4]})
    >>> steps.get_title()
    'Distribution functions'
    """
    check_path(path)
    empty = [name for name, values in samples.items() if not len(values)]
    if empty or not samples:
        raise DataError(f"lower bounds of one network or more are needed in every set; none in {empty or 'all'}")
    figure = new_figure(9.5, 3.8)
    bars, steps = figure.subplots(1, 2)
    draw_distributions(bars, steps, samples)
    about = "; ".join(f"{name}: {len(values)} networks, mean {np.mean(values):.4g}" for name, values in samples.items())
    finish(figure, path, "lower bounds on the shallow width", about)
    return bars, steps


def draw_distributions(bars: Any, steps: Any, samples: Mapping[str, Sequence[float]]) -> None:
    """The share of the networks in every interval of bounds, and at or below every bound."""
    edges = np.linspace(0, max(max(values) for values in samples.values()) or 1, BINS + 1)
    for i, (name, values) in enumerate(samples.items()):
        colour, width = SERIES[i % len(SERIES)], 0.85 * (edges[1] - edges[0]) / len(samples)
        shares = np.histogram(values, edges)[0] / len(values)
        places = (edges[:-1] + edges[1:]) / 2 + width * (i - (len(samples) - 1) / 2)
        bars.bar(places, shares, width, color=colour, label=name)
        steps.ecdf(np.asarray(values, float), color=colour, linestyle=STYLES[i % len(STYLES)], label=name)
    bars.set(xlabel="lower bound on the shallow width", ylabel="share of the networks", title="Histograms")
    steps.set(xlabel="lower bound on the shallow width", ylabel="share at or below", title="Distribution functions")
    bars.legend(fontsize="small")
    steps.legend(fontsize="small", loc="lower right")
