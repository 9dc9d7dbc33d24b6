"""The picture of lower bounds on the width of shallow networks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..canvas import SERIES, new_figure
from ..plot.distribution import draw_distributions
from .paper import FORMULAS

__all__ = ["draw"]


def draw(
    ranks: Sequence[int], records: Sequence[dict[str, Any]], values: dict[tuple[str, str, int, int], list[float]]
) -> Any:
    """Histograms of the first variant as in GTM's Figure 5, its distribution functions, and the means of all."""
    figure = new_figure(15, 3.8)
    bars, steps, means = figure.subplots(1, 3)
    first = next(iter(values))[:3]
    draw_distributions(bars, steps, {f"R = {rank}": values[*first, rank] for rank in ranks})
    bars.set_title("As in GTM, Figure 5")
    _means(means, ranks, records)
    return figure


def _means(axes: Any, ranks: Sequence[int], records: Sequence[dict[str, Any]]) -> None:
    """Means with their intervals, side by side for every way to draw networks, and the papers'."""
    variants = list(dict.fromkeys((record["xi"], record["start"], record["L"]) for record in records))
    for i, variant in enumerate(variants):
        own = [record for record in records if (record["xi"], record["start"], record["L"]) == variant]
        y = np.array([record["mean"] for record in own])
        ends = np.abs(np.array([record["interval"] for record in own]).T - y)
        x = np.arange(len(ranks)) + 0.12 * (i - (len(variants) - 1) / 2)
        label = f"{FORMULAS.get(variant[0], variant[0])}, {variant[1]}, L = {variant[2]}"
        axes.errorbar(x, y, ends, fmt="o", markersize=4, capsize=2, color=SERIES[i % len(SERIES)], label=label)
    for name, marker in (("GTM", "_"), ("independent", "x")):
        shown = {record["R"]: record[name][0] for record in records if record[name] is not None}
        if shown:
            places = [list(ranks).index(rank) for rank in shown]
            label = "GTM" if name == "GTM" else "independent, L = 10"
            axes.plot(places, shown.values(), marker, color="black", markersize=18 if marker == "_" else 6, label=label)
    axes.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
    axes.set(xlabel="rank R", ylabel="mean lower bound", title="Means, 95 %", yscale="log")
    axes.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.02, 1.0))
