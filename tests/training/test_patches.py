"""Patches against patches cut by hand, and the three walks through a grid."""

from itertools import pairwise

import numpy as np
import pytest

from tnalgebra.errors import AxisMismatchError, DataError, UnknownNameError
from tnalgebra.training import patches
from tnalgebra.training.patches import ORDERS, walk

SIZES = [(1, 1), (1, 7), (6, 1), (2, 3), (4, 5), (5, 5), (3, 11), (12, 7), (9, 16)]


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize(("size", "stride"), [(2, None), ((3, 2), None), (3, 1), ((2, 4), (1, 3)), (np.int64(4), 2)])
def test_patches_are_cut_as_by_hand(rng, channels, size, stride):
    images = rng.standard_normal((2, 9, 8, *channels))
    h, w = (size, size) if np.ndim(size) == 0 else size
    s, z = (h, w) if stride is None else (stride, stride) if np.ndim(stride) == 0 else stride
    expected = [
        [image[i : i + h, j : j + w].ravel() for i in range(0, 9 - h + 1, s) for j in range(0, 8 - w + 1, z)]
        for image in images
    ]
    np.testing.assert_array_equal(patches(images, size, stride), np.array(expected))


@pytest.mark.parametrize("order", ORDERS)
def test_whole_patches_go_back_to_the_image(rng, order):
    image = rng.standard_normal((1, 6, 8, 2))
    found, back = patches(image, (3, 2), order=order), np.empty((6, 8, 2))
    for patch, (row, column) in zip(found[0], walk(2, 4, order), strict=True):
        back[3 * row : 3 * row + 3, 2 * column : 2 * column + 2] = patch.reshape(3, 2, 2)
    np.testing.assert_array_equal(back, image[0])


def test_the_dtype_stays_and_the_image_is_not_a_view(rng):
    images = rng.standard_normal((2, 4, 4)).astype(np.float32)
    found = patches(images, 4)
    assert found.dtype == np.float32
    assert not np.shares_memory(found, images)
    assert patches(images[:0], 2).shape == (0, 4, 4)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", SIZES)
def test_every_walk_visits_every_cell_once(size, order):
    cells = list(walk(*size, order))
    assert sorted(cells) == [(i, j) for i in range(size[0]) for j in range(size[1])]


def steps(cells):
    return [abs(a - c) + abs(b - d) for (a, b), (c, d) in pairwise(cells)]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (4, 4), (8, 8), (32, 32), (2, 8), (16, 4)])
def test_neighbours_on_a_hilbert_curve_are_adjacent(size):
    assert set(steps(list(walk(*size, "hilbert")))) <= {1}


@pytest.mark.parametrize("size", SIZES)
def test_a_hilbert_curve_takes_at_most_one_diagonal_step(size):
    found = steps(list(walk(*size, "hilbert")))
    assert set(found) <= {1, 2}
    assert found.count(2) <= 1


def test_the_hilbert_curve_of_a_square_fills_one_quarter_after_the_other():
    cells = list(walk(8, 8, "hilbert"))
    quarters = [{(i // 4, j // 4) for i, j in cells[first : first + 16]} for first in range(0, 64, 16)]
    assert quarters == [{(0, 0)}, {(1, 0)}, {(1, 1)}, {(0, 1)}] or quarters == [{(0, 0)}, {(0, 1)}, {(1, 1)}, {(1, 0)}]


def test_a_snake_turns_at_the_end_of_a_row():
    assert list(walk(2, 3, "snake")) == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]


@pytest.mark.parametrize(
    ("shape", "arguments", "error", "text"),
    [
        ((2, 4, 6), (5,), AxisMismatchError, r"a patch of height 5 does not fit images of height 4 \(axis 1\)"),
        ((2, 4, 6), ((2, 7),), AxisMismatchError, r"a patch of width 7 does not fit images of width 6 \(axis 2\)"),
        ((2, 4, 6), (2, 0), DataError, "stride must be a positive integer"),
        ((2, 4, 6), (2, (1, -1)), DataError, r"one for the width; got \(1, -1\)"),
        ((2, 4, 6), (0,), DataError, "size must be a positive integer"),
        ((2, 4, 6), (2.5,), DataError, "size must be a positive integer.*got 2.5"),
        ((2, 4, 6), ((1, 2, 3),), DataError, "size must be"),
        ((2, 4, 6), (2, 2, "spiral"), UnknownNameError, "unknown order 'spiral'; known: rows, snake, hilbert"),
        ((4, 6), (2,), DataError, r"got 2 axes: \(4, 6\)"),
        ((1, 2, 4, 6, 3), (2,), DataError, "got 5 axes"),
    ],
)
def test_what_cannot_be_cut_is_refused(shape, arguments, error, text):
    with pytest.raises(error, match=text):
        patches(np.zeros(shape), *arguments)
