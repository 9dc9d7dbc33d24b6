"""Charts of ranks: singular values with the place where they are cut, and parameters at equal error."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ..canvas import COLOURS, SERIES, check_path, finish, new_figure

__all__ = ["draw_report", "draw_spectra", "shape_text"]

FORMATS = {
    "TT": COLOURS["blue"],
    "HT balanced": COLOURS["red"],
    "HT linear": COLOURS["orange"],
    "CP": COLOURS["green"],
}
MODES = 8
"""Modes up to which a legend names every curve."""
MARKED = 24
"""Singular values of a curve up to which its marks are large."""
MARKERS = "osD^vP*"
"""Curves are told apart by these as well as by colour."""


def draw_spectra(axes: Any, cuts: Mapping[str, Any], kept: Mapping[str, int], notes: Mapping[str, str]) -> None:
    """Singular values of every cut, relative to the largest: full marks where they are kept, open ones behind the cut.

    cuts: estimates with `singular_values`. kept: how many are. notes: what the legend says of a cut beside.
    """
    longest = 1
    for i, (name, estimate) in enumerate(cuts.items()):
        values = np.asarray(estimate.singular_values)
        relative = values / (values[0] or 1.0)
        shown = relative > np.finfo(float).eps / 10  # below, rounding is drawn as if it were data
        index, relative = np.arange(1, len(values) + 1)[shown], relative[shown]
        longest = max(longest, len(index))
        colour, marker, rank = SERIES[i % len(SERIES)], MARKERS[i % len(MARKERS)], kept[name]
        label = f"{name}: " * bool(name) + f"{rank} of {len(values)}" + (f", {notes[name]}" if name in notes else "")
        style: dict[str, Any] = {"color": colour, "marker": marker, "linewidth": 1.2}
        style["markersize"] = 4.5 if len(index) <= MARKED else 2.5
        axes.semilogy(index[:rank], relative[:rank], "-", label=label, **style)
        axes.semilogy(index[rank:], relative[rank:], ":", markerfacecolor="white", **style)
        if 0 < rank < len(index):  # the line is cut here
            ends = relative[rank - 1 : rank + 1]
            axes.semilogy(index[rank - 1 : rank + 1], ends, "--", color=colour, linewidth=0.8)
            axes.semilogy([rank + 0.5], [np.sqrt(ends.prod())], "|", color="black", markersize=11, markeredgewidth=1.6)
    axes.set(xlabel="index", ylabel="singular value / largest", xlim=(0.5, longest + 0.5))
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.3)
    if 0 < len(cuts) <= 2 * MODES:
        axes.legend(fontsize="small")


def draw_report(report: Any, path: Any = None) -> tuple[Any, Any]:
    """Left: singular values of every cut. Right: parameters at equal error. Returns both axes."""
    check_path(path)
    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2)
    cuts = {f"TT {bond}": estimate for bond, estimate in report.tt.items()}
    if len(report.shape) <= MODES:  # the first and the last mode are cuts of the train
        cuts |= {f"mode {mode}": estimate for mode, estimate in list(report.multilinear.items())[1:-1]}
    draw_spectra(left, cuts, {name: estimate.rank for name, estimate in cuts.items()}, {})
    left.set_title("Matricizations")
    _parameters(right, report)
    title = f"{shape_text(report.shape)} tensor"
    figure.suptitle(title, wrap=True)
    finish(figure, path, f"ranks of a {title}", str(report))
    return left, right


def shape_text(shape: Sequence[int]) -> str:
    """Sizes of the modes; many equal ones as a power."""
    return f"{shape[0]}^{len(shape)}" if len(shape) > 12 and len(set(shape)) == 1 else " × ".join(map(str, shape))


def _parameters(axes: Any, report: Any) -> None:
    found = [compressed for compressed in report.compressed if compressed.tensor is not None]
    names = [compressed.name for compressed in found]
    sizes = [compressed.tensor.n_params for compressed in found]
    bars = axes.barh(names, sizes, color=[FORMATS[name] for name in names])
    labels = [f" {c.tensor.n_params} at error {c.error:.2g}" for c in found]
    axes.bar_label(
        bars, labels, fontsize="small", padding=4, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1}
    )
    entries = prod(report.shape)
    label = f"dense: {entries}" if entries < 10**12 else f"dense: {float(entries):.3g}"
    axes.axvline(float(entries), color="black", linestyle="--", linewidth=1, label=label)
    axes.set(xlabel="stored numbers", title=f"Parameters at relative error {report.eps:g}")
    if entries > 1000 * max(sizes, default=entries):  # the bars would not be seen beside it
        axes.set_xscale("log")
        axes.set_xlim(1, float(entries) * 10)
    else:
        axes.set_xlim(0, max(entries, *sizes) * 1.5)
        axes.locator_params(axis="x", nbins=5)
    axes.invert_yaxis()
    axes.legend(fontsize="small", loc="lower right")
