"""The ratios of a suite as a picture: a line of dots for every peer, one dot for every row."""

from pathlib import Path
from statistics import median
from typing import Any

from tnalgebra.canvas import COLOURS, finish, new_figure

from .harness import LIMIT

__all__ = ["draw_ratios", "told"]

Row = dict[str, Any]


def peers_of(rows: list[Row]) -> list[str]:
    """Peers in the order in which they appear, the limit last."""
    names = dict.fromkeys(peer for row in rows for peer in row.get("ratio", {}))
    return sorted(names, key=lambda name: name == LIMIT)


def told(rows: list[Row]) -> str:
    """The picture in words."""
    medians = ", ".join(f"{name} {median(_ratios(rows, name)):.2g}" for name in peers_of(rows))
    return f"Our time by that of every peer, a dot a row, on a logarithmic axis. Medians: {medians}."


def draw_ratios(rows: list[Row], title: str, path: Path) -> None:
    """Draw our time by the peer's, to the left of 1 where we are faster; the bar is the median."""
    peers = peers_of(rows)
    figure = new_figure(7.5, 0.9 + 0.32 * len(peers))
    axes = figure.subplots()
    for place, name in enumerate(reversed(peers)):
        ratios = _ratios(rows, name)
        axes.plot(
            ratios, [place] * len(ratios), "o", color=COLOURS["blue"], alpha=0.45, markersize=6, markeredgewidth=0
        )
        axes.plot(median(ratios), place, "|", color="black", markersize=16, markeredgewidth=2)
    axes.axvline(1, color=COLOURS["grey"], linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(peers)), reversed(peers))
    axes.set_ylim(-0.6, len(peers) - 0.4)
    axes.set_xlabel("our time / the peer's (below 1: tnalgebra is faster)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    finish(figure, path, title, told(rows))


def _ratios(rows: list[Row], peer: str) -> list[float]:
    return [row["ratio"][peer] for row in rows if peer in row.get("ratio", {})]
