"""Functions of compiled loops against NumPy's in a wider number: to a unit in the last place, at every edge."""

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.execute.kernels import compiled, jit

pytest.importorskip("numba")
pytestmark = pytest.mark.usefixtures("by_steps")
EDGES = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e-40, -1e-9, 5e-324, -87.5, -104.0, -745.0, 88.8, 710.0, 3e38)
RANGES = {
    "exp": [(-87, 88), (-700, 709), (-1e-3, 1e-3)],
    "log": [(1e-30, 1e30), (0.5, 2), (1 - 1e-3, 1 + 1e-3)],
    "log1p": [(-0.99, 2), (0, 1e-6), (0, 1e20)],
}


def mapped(function, dtype, *arrays):
    """The function as a compiled loop has it."""
    names = [f"x{i}" for i in range(len(arrays))]
    entries = ", ".join(f"{name}[i]" for name in names)
    text = (
        f"def kernel({', '.join(names)}, o):\n    for i in range(x0.shape[0]):\n        o[i] = {function}({entries})\n"
    )
    out = np.empty_like(arrays[0])
    jit.jitted(text, dtype)(*arrays, out)
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", RANGES)
def test_errors_are_a_unit_in_the_last_place(function, dtype, rng):
    if np.finfo(np.longdouble).eps >= np.finfo(dtype).eps:
        pytest.skip("no wider number here to compare with")
    for low, high in RANGES[function]:
        if dtype == "float32" and high > 700:
            continue
        x = rng.uniform(low, high, 20_000).astype(dtype)
        found, exact = mapped(function, dtype, x), getattr(np, function)(x.astype(np.longdouble))
        assert np.max(np.abs(found - exact) / np.spacing(np.abs(exact).astype(dtype))) < 1.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", RANGES)
def test_edges_are_those_of_numpy(function, dtype):
    with np.errstate(all="ignore"):
        x = np.array(EDGES).astype(dtype)
        expected = getattr(np, function)(x)
    smallest = np.finfo(dtype).smallest_subnormal
    np.testing.assert_allclose(mapped(function, dtype, x), expected, rtol=np.finfo(dtype).eps, atol=smallest)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", ["logaddexp", "hypot"])
def test_functions_of_two_numbers(function, dtype, rng):
    with np.errstate(all="ignore"):
        values = np.array([*EDGES, *rng.standard_normal(9), 1e30, -1e30, 1e-30]).astype(dtype)
        x, y = (grid.ravel().copy() for grid in np.meshgrid(values, values))
        expected = getattr(np, function)(x, y)
    atol = np.finfo(dtype).eps if function == "logaddexp" else 0  # of the numbers whose difference it may be
    np.testing.assert_allclose(mapped(function, dtype, x, y), expected, rtol=4 * np.finfo(dtype).eps, atol=atol)


@pytest.mark.parametrize("xi", ["rectifier", "logaddexp", "hypot"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiles_of_a_weighted_step(xi, dtype, rng):
    """In one tile and in many, of operands in C's order and not."""
    tile = tna.contract("bi,bj->bij", tna.leaf("A", "bi"), tna.leaf("H", "bj"), xi=xi)
    unit = tna.contract("bij,ijk->bk", tile, tna.leaf("G", "ijk"))
    fast = tna.compile(unit)
    for batch, left, right, outputs in ((7, 5, 3, 2), (301, 37, 41, 3)):
        shapes = {"A": (batch, left), "H": (batch, right), "G": (left, right, outputs)}
        given = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
        expected = unit.evaluate(**given)
        given["H"] = np.asfortranarray(given["H"])
        given["A"] = np.repeat(given["A"], 2, axis=1)[:, ::2]
        assert relative_error(fast(**given), expected) < (1e-13 if dtype == "float64" else 1e-5)


def test_threads_share_a_long_loop(rng, monkeypatch):
    monkeypatch.setattr(compiled, "thread_count", lambda: 3)
    monkeypatch.setattr(compiled, "MUCH", 1)
    tna.plan_cache.clear()
    unit = tna.contract("bi,bj->bij", tna.leaf("A", "bi"), tna.leaf("H", "bj"), xi="logaddexp")
    a, h = rng.standard_normal((17, 5)), rng.standard_normal((17, 3))
    np.testing.assert_allclose(tna.compile(unit)(A=a, H=h), np.logaddexp(a[:, :, None], h[:, None]), rtol=1e-14)
    tna.plan_cache.clear()
