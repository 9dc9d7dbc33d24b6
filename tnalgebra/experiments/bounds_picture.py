"""The picture of lower bounds on the width of shallow networks; Matplotlib is imported when it is drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .paper import FORMULAS

__all__ = ["COLOURS", "draw"]

COLOURS = ("#0072b2", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#56b4e9", "#7f7f7f")
"""Okabe and Ito's palette, told apart by colour-blind readers, and grey."""
BINS = 10


def draw(
    ranks: Sequence[int], records: Sequence[dict[str, Any]], values: dict[tuple[str, str, int, int], list[float]]
) -> Any:
    """Histograms of the first variant as in GTM's Figure 5, its distribution functions, and the means of all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 3.8), layout="constrained")
    bars, steps, means = figure.subplots(1, 3)
    first = next(iter(values))[:3]
    own = {rank: np.sort(values[*first, rank]) for rank in ranks}
    edges = np.linspace(0, max(found[-1] for found in own.values()), BINS + 1)
    for i, (rank, found) in enumerate(own.items()):
        colour, width = COLOURS[i % len(COLOURS)], 0.85 * (edges[1] - edges[0]) / len(ranks)
        shares = np.histogram(found, edges)[0] / len(found)
        places = (edges[:-1] + edges[1:]) / 2 + width * (i - (len(ranks) - 1) / 2)
        bars.bar(places, shares, width, color=colour, label=f"R = {rank}")
        steps.ecdf(found, color=colour, label=f"R = {rank}")
    bars.set(xlabel="lower bound on the shallow width", ylabel="share of the networks", title="As in GTM, Figure 5")
    steps.set(xlabel="lower bound on the shallow width", ylabel="share at or below", title="Distribution functions")
    bars.legend(fontsize="small")
    steps.legend(fontsize="small", loc="lower right")
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
        axes.errorbar(x, y, ends, fmt="o", markersize=4, capsize=2, color=COLOURS[i % len(COLOURS)], label=label)
    for name, marker in (("GTM", "_"), ("independent", "x")):
        shown = {record["R"]: record[name][0] for record in records if record[name] is not None}
        if shown:
            places = [list(ranks).index(rank) for rank in shown]
            label = "GTM" if name == "GTM" else "independent, L = 10"
            axes.plot(places, shown.values(), marker, color="black", markersize=18 if marker == "_" else 6, label=label)
    axes.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
    axes.set(xlabel="rank R", ylabel="mean lower bound", title="Means, 95 %", yscale="log")
    axes.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.02, 1.0))
