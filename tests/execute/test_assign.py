"""Assignments in place: array functions and compiled passes against loops, whatever the size and the sharing."""

from math import sqrt

import numpy as np
import pytest

import tnalgebra.execute.assign as assign
from tests.execute.fake_cupy import CuPyArray
from tnalgebra.execute.assign import Assignments, assigner, compiled_assigner

MOVED = Assignments(
    ("g", "x", "m"), ("a", "b"), (("m", "a * m + b * g"), ("g", "x - sqrt(abs(m) + 1) * maximum(g, m)"))
)


def loop(arrays, numbers):
    g, x, m = (array.copy() for array in arrays)
    a, b = numbers
    for i in range(len(g)):
        m[i] = a * m[i] + b * g[i]
        g[i] = x[i] - sqrt(abs(m[i]) + 1) * max(g[i], m[i])
    return g, x, m


def drawn(size, dtype):
    rng = np.random.default_rng(size)
    return [rng.standard_normal(size).astype(dtype) for _ in MOVED.arrays]


@pytest.mark.parametrize("make", [assigner, compiled_assigner])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 7, 1023, 2053])
def test_lines_see_what_those_before_them_wrote(make, dtype, size):
    arrays = drawn(size, dtype)
    truth = loop(arrays, (0.75, 0.25))
    assert make(MOVED)(arrays, (0.75, 0.25)) is None
    for found, expected in zip(arrays, truth, strict=True):
        np.testing.assert_allclose(found, expected, rtol=20 * np.finfo(dtype).eps, atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("make", [assigner, compiled_assigner])
def test_bits_do_not_depend_on_how_the_work_is_shared_out(make, monkeypatch):
    whole, parts, shared = (drawn(1009, "float32") for _ in range(3))
    make(MOVED)(whole, (0.75, 0.25))
    monkeypatch.setattr(assign, "BLOCK", 37)
    make(MOVED)(parts, (0.75, 0.25))
    monkeypatch.setattr(assign, "_threads", lambda size: 3)
    make(MOVED)(shared, (0.75, 0.25))
    np.testing.assert_array_equal(parts, whole)
    np.testing.assert_array_equal(shared, whole)


def test_other_dtypes_are_left_to_array_functions():
    half = drawn(11, "float16")
    truth = loop([array.astype(float) for array in half], (0.75, 0.25))
    compiled_assigner(MOVED)(half, (0.75, 0.25))
    np.testing.assert_allclose(np.array(half, float), truth, rtol=0.01, atol=0.01)
    assert {array.dtype for array in half} == {np.dtype("float16")}


def test_without_numba_array_functions_assign(monkeypatch):
    monkeypatch.setattr(assign, "numba_or_none", lambda: None)
    compiled_assigner.cache_clear()
    arrays, truth = drawn(11, "float64"), drawn(11, "float64")
    compiled_assigner(MOVED)(arrays, (0.75, 0.25))
    assigner(MOVED)(truth, (0.75, 0.25))
    np.testing.assert_array_equal(arrays, truth)
    compiled_assigner.cache_clear()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 7, 1023])
def test_a_device_gives_the_same_bits(device, dtype, size):
    arrays, truth = drawn(size, dtype), drawn(size, dtype)
    there = [device.there(array) for array in arrays]
    compiled_assigner(MOVED)(there, (0.75, 0.25))
    assigner(MOVED)(truth, (0.75, 0.25))
    for found, expected in zip(there, truth, strict=True):
        np.testing.assert_array_equal(device.back(found), expected)
        assert found.dtype == dtype


def test_a_device_takes_one_launch(use, host, watched):
    use(host)
    there = [CuPyArray(array) for array in drawn(1023, "float32")]
    compiled_assigner(MOVED)(there, (0.75, 0.25))
    assert watched == ["kernel"]


@pytest.mark.parametrize("change", [lambda array: np.repeat(array, 2)[::2], lambda array: array.astype("float16")])
def test_a_device_leaves_other_vectors_to_array_functions(use, watched, change):
    use(fail)
    arrays = [change(array) for array in drawn(11, "float32")]
    truth = loop(arrays, (0.75, 0.25))
    there = [CuPyArray(array) for array in arrays]
    compiled_assigner(MOVED)(there, (0.75, 0.25))
    assert len(watched) > 1
    for found, expected in zip(there, truth, strict=True):
        np.testing.assert_allclose(found.get(), expected, rtol=0.01, atol=0.01)


def fail(text):
    raise RuntimeError("nvrtc: error: no such thing")


def test_where_nothing_compiles_a_device_tells_it_once_and_uses_array_functions(use):
    use(fail)
    there = [CuPyArray(array) for array in drawn(11, "float64")]
    truth = loop(loop(drawn(11, "float64"), (0.75, 0.25)), (0.75, 0.25))
    match = "a CUDA kernel does not compile, CuPy's functions are used: nvrtc: error: no such thing"
    with pytest.warns(RuntimeWarning, match=match):
        compiled_assigner(MOVED)(there, (0.75, 0.25))
    compiled_assigner(MOVED)(there, (0.75, 0.25))  # a second warning would be an error
    for found, expected in zip(there, truth, strict=True):
        np.testing.assert_allclose(found.get(), expected, rtol=1e-13)


@pytest.mark.parametrize("make", [assigner, compiled_assigner])
@pytest.mark.parametrize("size", [1, 2053])
def test_a_line_may_only_copy(make, size, monkeypatch):
    monkeypatch.setattr(assign, "BLOCK", 37)
    x, y = np.zeros(size), np.arange(float(size))
    make(Assignments(("x", "y"), ("a",), (("x", "y"), ("y", "a"))))((x, y), (3.0,))
    assert x.tolist() == [*range(size)]
    assert set(y) == {3.0}


@pytest.mark.parametrize("make", [assigner, compiled_assigner])
def test_vectors_of_other_sizes_are_not_gone_beyond(make):
    room = np.zeros(2000)
    with pytest.raises(ValueError, match="could not be broadcast together"):
        make(MOVED)((np.ones(1020), room[:1000], room[:1000]), (0.75, 0.25))
    assert not room[1000:].any()
