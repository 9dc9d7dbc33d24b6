"""Arrays side by side: what is copied there and back is the same, in as few copies as the memory allows."""

import sys

import numpy as np
import pytest

from tests.execute.fake_cupy import CuPyArray, Stream
from tnalgebra.execute.slab import Slab


@pytest.fixture
def xp(use):
    use(None)
    return sys.modules["cupy"]


def views(vector, *shapes):
    """Parts of a vector, one after the other."""
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    return [vector[i:j].reshape(shape) for i, j, shape in zip(ends[:-1], ends[1:], shapes, strict=True)]


def there_and_back(arrays, order, xp):
    slab = Slab(arrays, order, xp)
    slab.fill(arrays, Stream.current)
    out = [CuPyArray(np.zeros(array.shape, array.dtype)) for array in arrays]
    slab.pour(out, Stream.current)
    for found in (slab.parts, slab.copies(), out):
        for part, array in zip(found, arrays, strict=True):
            np.testing.assert_array_equal(part.get(), array.get())
            assert part.dtype == array.dtype
    return slab


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_what_goes_in_comes_out(order, dtype, xp, rng):
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((2, 3), (), (5, 1, 7), (0, 3))]
    arrays[0], arrays[2] = arrays[0][:, ::-1], np.asfortranarray(arrays[2])
    slab = there_and_back([CuPyArray(array) for array in arrays], order, xp)
    places = [slab.parts[position].data.ptr for position in order]
    assert places == sorted(places)


def test_numbers_of_several_sizes_lie_where_they_may(xp, rng):
    arrays = [rng.random(3) < 0.5, rng.standard_normal((2, 5)), rng.random(7).astype("float32"), np.array(True)]
    slab = there_and_back([CuPyArray(array) for array in arrays], range(4), xp)
    assert all(part.data.ptr % part.itemsize == 0 for part in slab.parts)


def test_runs_end_where_the_order_or_the_layout_does(xp, watched, rng):
    shapes = ((2, 3), (5,), (), (3, 1, 7), (2, 2))
    parts = views(CuPyArray(rng.standard_normal(37)), *shapes)
    slab = there_and_back(parts, range(5), xp)
    for change, copies in (
        (lambda i, part: part, 1),
        (lambda i, part: part if i != 2 else CuPyArray(part.array.copy()), 3),
        (lambda i, part: CuPyArray(part.array.copy()), 5),
    ):
        arrays = [change(i, part) for i, part in enumerate(parts)]
        watched.clear()
        slab.fill(arrays, Stream.current)
        assert watched == ["copy"] * copies
        for found, array in zip(slab.parts, arrays, strict=True):
            np.testing.assert_array_equal(found.get(), array.get())
    parts[4] = parts[4].transpose()
    watched.clear()
    slab.fill(parts, Stream.current)
    assert sorted(watched) == ["copy", "kernel"]
    np.testing.assert_array_equal(slab.parts[4].get(), parts[4].get())


def test_a_copy_stays_within_one_allocation(xp, watched, rng):
    """What lies side by side by chance is not one piece for the driver."""
    room = bytearray(rng.standard_normal(8).tobytes())
    parts = [CuPyArray(np.frombuffer(room, count=4, offset=offset)) for offset in (0, 32)]
    slab = Slab(parts, range(2), xp)
    watched.clear()
    slab.fill(parts, Stream.current)
    assert watched == ["copy", "copy"]
    np.testing.assert_array_equal(np.concatenate([part.get() for part in slab.parts]), np.frombuffer(room))
