"""The entries of a matricization as colours."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..canvas import check_path, finish, new_figure
from ..errors import FormatError, PictureError
from ..execute.namespace import as_array, to_device
from ..expressivity.ranks import listed
from ..formats import Format
from ..formats.structure import as_sides

__all__ = ["matricization"]

MOST = 1 << 24
"""Entries that a heat map shows."""


def matricization(
    x: Any, rows: int | Sequence[int], cols: Sequence[int] | None = None, path: Any = None, *, axes: Any = None
) -> Any:
    """Heat map of the matrix whose rows run over some modes and whose columns over the others. Returns the axes.

    x: an array or a format. Of complex entries the absolute value is drawn; what is not finite is hatched, and counted
    below. Entries of both signs have zero in white. axes: where to draw, in a figure of its own if not given.
    Raises `FormatError` where rows and cols do not share the modes out, `PictureError` above 16 million entries.

    >>> import numpy as np, tnalgebra as tna
    >>> tna.plot.matricization(np.arange(24.0).reshape(2, 3, 4), [0, 1]).get_title()
    'rows 0 1, columns 2: 6 × 4'
    """
    check_path(path)
    shape = tuple(x.shape) if hasattr(x, "shape") else np.shape(x)
    left, right = as_sides(rows, cols, len(shape))
    if 0 in shape:
        raise FormatError(f"there is nothing to draw of an array of shape {shape}: no mode may have size 0")
    if prod(shape) > MOST:
        raise PictureError(f"the matricization has {prod(shape)} entries, and a picture at most {MOST}: take a slice")
    array = np.asarray(to_device(x.to_dense() if isinstance(x, Format) else as_array(x), "cpu"))
    matrix = array.transpose([*left, *right]).reshape(prod(shape[mode] for mode in left), -1)
    if axes is None:
        axes = new_figure(5.2, 4.2).subplots()
    _draw(axes, matrix)
    sides = f"rows {listed(left, len(shape)) or 'none'}, columns {listed(right, len(shape)) or 'none'}"
    axes.set_title(f"{sides}: {matrix.shape[0]} × {matrix.shape[1]}", fontsize="medium")
    finish(axes.figure, path, f"matricization with {sides}", f"{matrix.shape[0]} × {matrix.shape[1]} entries")
    return axes


def _draw(axes: Any, matrix: Any) -> None:
    is_complex = matrix.dtype.kind == "c"
    values = np.abs(matrix) if is_complex else matrix.astype(float)
    missing = ~np.isfinite(values)
    values = np.ma.masked_array(values, missing)
    low, high = (float(values.min()), float(values.max())) if values.count() else (0.0, 1.0)
    top = max(abs(low), abs(high))
    limits = {"cmap": "RdBu_r", "vmin": -top, "vmax": top} if low < 0 < high else {"cmap": "viridis"}
    axes.patch.set(hatch="////", facecolor="#dddddd", edgecolor="#777777")  # seen through what is not finite
    image = axes.imshow(values, aspect="auto", interpolation="nearest", **limits)
    axes.figure.colorbar(image, ax=axes, label="absolute value" if is_complex else "entry")
    axes.locator_params(integer=True)
    note = f"; hatched: {missing.sum()} not finite" if missing.any() else ""
    axes.set(xlabel=f"column{note}", ylabel="row")
