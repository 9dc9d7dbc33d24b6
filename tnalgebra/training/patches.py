"""Images as sequences of patches, in an order that walks the grid."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import AxisMismatchError, DataError, UnknownNameError

__all__ = ["ORDERS", "cut", "patches"]

Array = Any
Cell = tuple[int, int]
ORDERS = ("rows", "snake", "hilbert")
"""How the patches of a grid follow one another."""


def patches(images: Any, size: int | Cell, stride: int | Cell | None = None, order: str = "rows") -> Array:
    """Cut images into patches, one a step: (n, H, W) or (n, H, W, C) → (n, T, N).

        T = (1 + (H − h) // s) · (1 + (W − w) // s′),    N = h · w · C

    size: (h, w), or one number for both. stride: (s, s′) from one patch to the next, the size if not given; pixels
    behind the last whole patch are left out. order: "rows", "snake" (every second row backwards) or "hilbert" (a
    Hilbert curve, for grids of any size). The numbers of a patch are its rows, one after the other, channels last.
    Raises `AxisMismatchError` for a patch larger than the image, `DataError` for other axes, sizes or strides,
    `UnknownNameError` for another order.

    >>> import numpy as np
    >>> patches(np.arange(16).reshape(1, 4, 4), 2)[0]
    array([[ 0,  1,  4,  5],
           [ 2,  3,  6,  7],
           [ 8,  9, 12, 13],
           [10, 11, 14, 15]])
    """
    images = np.asarray(images)
    if images.ndim not in (3, 4):
        raise DataError(f"images have shape (n, H, W) or (n, H, W, C); got {images.ndim} axes: {images.shape}")
    shape, step = cut(size, stride, order)
    for axis, name in ((1, "height"), (2, "width")):
        if shape[axis - 1] > images.shape[axis]:
            raise AxisMismatchError(
                f"a patch of {name} {shape[axis - 1]} does not fit images of {name} {images.shape[axis]} "
                f"(axis {axis}): take smaller patches"
            )
    windows = np.lib.stride_tricks.sliding_window_view(images, shape, (1, 2))[:, :: step[0], :: step[1]]
    if images.ndim == 4:
        windows = np.moveaxis(windows, 3, -1)
    rows, columns = zip(*walk(windows.shape[1], windows.shape[2], order), strict=True)
    found = windows[:, list(rows), list(columns)]
    return np.ascontiguousarray(found.reshape(*found.shape[:2], int(np.prod(found.shape[2:]))))


def cut(size: Any, stride: Any, order: str) -> tuple[Cell, Cell]:
    """Height and width of a patch, and the steps to the next ones; raises what `patches` does for those of no image."""
    if order not in ORDERS:
        raise UnknownNameError(f"unknown order {order!r}; known: {', '.join(ORDERS)}")
    shape = _pair(size, "size")
    return shape, shape if stride is None else _pair(stride, "stride")


def _pair(value: Any, name: str) -> Cell:
    """One number for both axes, or one for each."""
    numbers = (value, value) if isinstance(value, int | np.integer) else value
    if (
        not isinstance(numbers, tuple | list)
        or len(numbers) != 2
        or not all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1 for n in numbers)
    ):
        raise DataError(
            f"{name} must be a positive integer, or one for the height and one for the width; got {value!r}"
        )
    return int(numbers[0]), int(numbers[1])


def walk(height: int, width: int, order: str) -> Iterator[Cell]:
    """(row, column) of every cell of a grid, in an order."""
    if order == "hilbert":
        across, down = (0, width), (height, 0)
        yield from _hilbert((0, 0), *((across, down) if width >= height else (down, across)))
        return
    for row in range(height):
        is_back = order == "snake" and row % 2
        yield from ((row, column) for column in (reversed(range(width)) if is_back else range(width)))


def _hilbert(start: Cell, a: Cell, b: Cell) -> Iterator[Cell]:
    """Walk the rectangle that a and b span from a corner, and leave it at the far end of a.

    A long one is cut in two along a; any other goes half of b up, all of a along, and half of b down, as Hilbert's
    curve does on a square. Halves are even where they can be: parts then end beside the next one. No grid takes more
    than one diagonal step.
    """
    (unit_a, length), (unit_b, breadth) = _direction(a), _direction(b)
    if length == 1 or breadth == 1:
        unit, count = (unit_b, breadth) if length == 1 else (unit_a, length)
        yield from (_moved(start, (unit, i)) for i in range(count))
        return
    if 2 * length > 3 * breadth:
        half = _half(length)
        yield from _hilbert(start, _times(unit_a, half), b)
        yield from _hilbert(_moved(start, (unit_a, half)), _times(unit_a, length - half), b)
        return
    up, along = _half(breadth), length // 2
    yield from _hilbert(start, _times(unit_b, up), _times(unit_a, along))
    yield from _hilbert(_moved(start, (unit_b, up)), a, _times(unit_b, breadth - up))
    corner = _moved(start, (unit_a, length - 1), (unit_b, up - 1))
    yield from _hilbert(corner, _times(unit_b, -up), _times(unit_a, along - length))


def _half(length: int) -> int:
    """Half of a length, made even where it is more than one of two."""
    half = length // 2
    return half + 1 if half % 2 and length > 2 else half


def _direction(a: Cell) -> tuple[Cell, int]:
    length = abs(a[0] + a[1])
    return (a[0] // length, a[1] // length), length


def _times(unit: Cell, count: int) -> Cell:
    return unit[0] * count, unit[1] * count


def _moved(cell: Cell, *moves: tuple[Cell, int]) -> Cell:
    for unit, count in moves:
        cell = cell[0] + unit[0] * count, cell[1] + unit[1] * count
    return cell
