"""The picture of a rank report; Matplotlib is imported when it is drawn."""

from math import prod
from typing import Any

import numpy as np

__all__ = ["draw_report"]

COLOURS = {"TT": "#0072b2", "HT balanced": "#d55e00", "HT linear": "#e69f00", "CP": "#009e73"}
"""Okabe and Ito's palette: told apart by colour-blind readers."""
MODES = 8
"""Modes up to which a legend names every curve."""


def draw_report(report: Any, path: Any = None) -> Any:
    """Left: singular values of every cut, relative to the largest. Right: parameters at equal error."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _singular_values(left, report)
    _parameters(right, report)
    figure.suptitle(f"{' × '.join(map(str, report.shape))} tensor", wrap=True)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _singular_values(axes: Any, report: Any) -> None:
    cuts = {f"TT {bond}": estimate for bond, estimate in report.tt.items()}
    inner = list(report.multilinear.items())[1:-1]  # the first and the last mode are cuts of the train
    if len(report.shape) <= MODES:
        cuts |= {f"mode {mode}": estimate for mode, estimate in inner}
    for name, estimate in cuts.items():
        values = np.asarray(estimate.singular_values)
        relative = values / (values[0] or 1.0)
        keep = relative > np.finfo(float).eps / 10  # below, rounding is drawn as if it were data
        style = "-" if name.startswith("TT") else ":"
        axes.semilogy(np.arange(1, len(values) + 1)[keep], relative[keep], style, marker=".", markersize=3, label=name)
    axes.set(xlabel="index", ylabel="singular value / largest", title="Matricizations")
    axes.grid(alpha=0.3)
    if 0 < len(cuts) <= 2 * MODES:
        axes.legend(fontsize="small")


def _parameters(axes: Any, report: Any) -> None:
    found = [compressed for compressed in report.compressed if compressed.tensor is not None]
    names = [compressed.name for compressed in found]
    sizes = [compressed.tensor.n_params for compressed in found]
    bars = axes.barh(names, sizes, color=[COLOURS[name] for name in names])
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
