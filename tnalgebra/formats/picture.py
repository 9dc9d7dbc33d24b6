"""Pictures of trees and formats in fixed layouts; Matplotlib is imported when one is drawn."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from .tree import DimensionTree, Nested, modes_of

__all__ = ["draw_cp", "draw_ht", "draw_tree", "draw_tt"]

Point = tuple[float, float]
Edge = tuple[Point, Point, str]
NODE, MODE, EDGE = "#0072b2", "#444444", "#777777"
"""Colours: a part, a mode, a bond."""


def draw_tree(tree: DimensionTree, path: Any = None) -> Any:
    """The leaves in a row, each branch above its children."""
    spots, edges = _placed(tree, dict.fromkeys(tree.nodes, ""))
    return _drawn(list(spots.values()), edges, {spots[mode]: str(mode) for mode in range(tree.ndim)}, path)


def _placed(tree: DimensionTree, ranks: Mapping[Nested, Any]) -> tuple[dict[Nested, Point], list[Edge]]:
    spots: dict[Nested, Point] = {mode: (float(place), 0.0) for place, mode in enumerate(modes_of(tree.nested))}
    for branch in tree.inner:
        below = [spots[child] for child in branch]
        spots[branch] = (sum(x for x, _ in below) / len(below), 1 + max(y for _, y in below))
    return spots, [(spots[child], spots[b], str(ranks[child])) for b in tree.inner for child in b]


def draw_cp(sizes: Sequence[int], rank: int, path: Any = None) -> Any:
    """A star: every factor is bonded to the weights."""
    spots = [(float(mode), 0.0) for mode in range(len(sizes))]
    middle = ((len(sizes) - 1) / 2, 1.5)
    edges = [(spot, middle, str(rank)) for spot in spots]
    return _drawn([*spots, middle], edges, _sized(spots, range(len(sizes)), sizes), path)


def draw_tt(sizes: Sequence[int], ranks: Sequence[int], path: Any = None) -> Any:
    """A chain: every core is bonded to the next."""
    spots = [(float(mode), 0.0) for mode in range(len(sizes))]
    edges = [(left, right, str(rank)) for (left, right), rank in zip(pairwise(spots), ranks[1:-1], strict=True)]
    return _drawn(spots, edges, _sized(spots, range(len(sizes)), sizes), path)


def draw_ht(tree: DimensionTree, sizes: Sequence[int], ranks: Mapping[Nested, int], path: Any = None) -> Any:
    """The tree, with the rank of a node on the edge above it."""
    spots, edges = _placed(tree, ranks)
    leaves = modes_of(tree.nested)
    return _drawn(list(spots.values()), edges, _sized([spots[mode] for mode in leaves], leaves, sizes), path)


def _sized(spots: Sequence[Point], modes: Sequence[int], sizes: Sequence[int]) -> dict[Point, str]:
    """Text for the mode below every spot."""
    return {spot: f"$n_{{{mode}}} = {sizes[mode]}$" for spot, mode in zip(spots, modes, strict=True)}


def _drawn(spots: Sequence[Point], edges: Sequence[Edge], modes: Mapping[Point, str], path: Any) -> Any:
    """Dots for parts, lines for bonds with their ranks, and a line down for every mode with its text."""
    from matplotlib.figure import Figure

    left, right = min(x for x, _ in spots), max(x for x, _ in spots)
    height = max(y for _, y in spots)
    figure = Figure(figsize=(1.6 + 0.9 * (right - left), 1.5 + 0.8 * height), layout="constrained")
    axes = figure.subplots()
    for (x0, y0), (x1, y1), text in edges:
        axes.plot([x0, x1], [y0, y1], color=EDGE, linewidth=1.5, zorder=1)
        if text:
            style = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
            axes.text((x0 + x1) / 2, (y0 + y1) / 2, text, ha="center", va="center", fontsize="small", bbox=style)
    for (x, y), text in modes.items():
        axes.plot([x, x], [y, y - 0.4], color=MODE, linewidth=1.5, zorder=1)
        axes.text(x, y - 0.45, text, ha="center", va="top", color=MODE, fontsize="small")
    axes.scatter([x for x, _ in spots], [y for _, y in spots], s=120, color=NODE, zorder=2)
    axes.set_xlim(left - 0.7, right + 0.7)
    axes.set_ylim(-0.9, height + 0.3)
    axes.set_axis_off()
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
