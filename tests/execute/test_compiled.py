"""Compiled kernels against NumPy's, on every pulled-back step that there is."""

import itertools
import string
import sys
import threading

import numpy as np
import pytest

import tnalgebra as tna
from tests.execute.test_gradients import EQUATIONS, ORDERS, SMOOTH, random, scalar
from tnalgebra.execute.kernels import compiled, jit
from tnalgebra.execute.native import native_program

pytest.importorskip("numba")
pytestmark = pytest.mark.usefixtures("by_steps")
PAIRS = tuple(dict.fromkeys([*((xi, "add") for xi in SMOOTH), *(("add", xi) for xi in SMOOTH), *ORDERS]))
"""Every operator in both places: each pair is compiled, which takes a second."""
NUMBERS = (-np.inf, -1.0, -0.0, 0.5, 2.0, np.inf, np.nan)


def both_ways(expression, arrays):
    gradient = tna.value_and_grad(expression)
    with np.errstate(all="ignore"):
        return gradient(**arrays), gradient.compiled()(**arrays)


def assert_same(plain, found, rtol):
    np.testing.assert_allclose(found[0], plain[0], rtol=rtol)
    assert found[0].dtype == plain[0].dtype
    for name in plain[1]:
        assert found[1][name].dtype == plain[1][name].dtype
        scale = np.nanmax(np.abs(np.where(np.isfinite(plain[1][name]), plain[1][name], 0)), initial=1)
        np.testing.assert_allclose(found[1][name], plain[1][name], rtol=rtol, atol=rtol * scale)


FEW = [("rectifier", "add"), ("logaddexp", "add"), ("multiply", "maximum")]


@pytest.mark.parametrize(
    ("equation", "xi", "reduce"),
    [("ij,jk->ik", *pair) for pair in PAIRS]
    + [(equation, *pair) for equation in ("ii,ij->j", "ij->i", "ij,j->ij", "ij,ik->k") for pair in FEW],
)
def test_compiled_gradients_are_the_gradients(equation, xi, reduce):
    expression, _, shapes = scalar(equation, EQUATIONS[equation], xi, reduce)
    arrays = random(shapes)
    assert_same(*both_ways(expression, arrays), 1e-12)


@pytest.mark.parametrize(("xi", "reduce"), [pair for pair in PAIRS if pair[1] in ("add", "maximum")])
def test_narrow_numbers_and_strides(xi, reduce):
    expression, _, shapes = scalar("ij,jk->ik", ((3, 5), (5, 2)), xi, reduce)
    arrays = {name: array.astype("float32") for name, array in random(shapes).items()}
    assert_same(*both_ways(expression, arrays), 1e-5)
    strided = {name: np.repeat(array.T, 2, axis=1)[:, ::2].T for name, array in arrays.items()}
    assert not any(array.flags.c_contiguous for array in strided.values())
    assert_same(both_ways(expression, arrays)[0], tna.value_and_grad(expression).compiled()(**strided), 1e-5)


@pytest.mark.parametrize(("xi", "reduce"), PAIRS)
def test_infinities_and_nan_arrive_as_in_numpy(xi, reduce):
    expression = tna.contract("bi,bi->b", tna.leaf("A", "bi"), tna.leaf("B", "bi"), xi=xi, reduce=reduce)
    expression = tna.contract("b,b->", expression, tna.leaf("W", "b"))
    rows = np.array(list(itertools.product(NUMBERS, repeat=4)))
    for part in np.array_split(rows, 7):
        arrays = {"A": part[:, :2].copy(), "B": part[:, 2:].copy(), "W": np.ones(len(part))}
        plain, found = both_ways(expression, arrays)
        for name in ("A", "B", "W"):
            np.testing.assert_allclose(found[1][name], plain[1][name], rtol=1e-13)


@pytest.mark.parametrize("reduce", ["maximum", "minimum"])
def test_terms_that_tie_are_computed_as_their_maximum_is(reduce, rng, own_registry):
    """Where the slope has a function that no kernel has, the value is not compiled either: it might round otherwise."""
    partial = "0.5 + 0.5 * tanh((x - y) / 2)"
    tna.register_operator(tna.Operator(name="soft", value="logaddexp(x, y)", unit=-np.inf, partial=partial))
    expression, _, shapes = scalar("ij,jk->ik", EQUATIONS["ij,jk->ik"], "soft", reduce)
    arrays = {name: rng.uniform(0, 2, shape) for name, shape in shapes.items()}
    compiled.told_of.cache_clear()
    with pytest.warns(RuntimeWarning, match="no compiled kernel has tanh of operator 'soft': NumPy's functions"):
        found = both_ways(expression, arrays)
    assert_same(*found, rtol=1e-13)
    assert_same(*both_ways(expression, arrays), rtol=1e-13)  # and it is told once


def test_powers_compile(rng, own_registry):
    value, partial = "(x**4 + y**4) ** 0.25", "x**3 / t**3"
    tna.register_operator(tna.Operator(name="p4", value=value, partial=partial, unit=0.0, unit_is_strict=False))
    expression, _, shapes = scalar("ij,jk->ik", EQUATIONS["ij,jk->ik"], "p4", "add")
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    assert_same(*both_ways(expression, arrays), rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_many_numbers_are_taken_in_their_order(dtype):
    x = np.full((4, 512), 10 ** (6 / 7), dtype)
    x[:, ::8] = 1e-6  # their products stay between 1e-6 and 1, those of every eighth do not
    planned = tna.contract_expression("ij,ij->i", x.shape, x.shape, xi="maximum", reduce="multiply")
    np.testing.assert_allclose(tna.compile(planned)(x, x), planned(x, x), rtol=1e-4)


def test_a_network_and_its_siblings():
    unit = tna.contract("bi,bj->bij", tna.leaf("A", "bi"), tna.leaf("H", "bj"), xi="rectifier")
    expression = tna.contract("bk,bk->", tna.contract("bij,ijk->bk", unit, tna.leaf("G", "ijk")), tna.leaf("W", "bk"))
    arrays = random({"A": (7, 5), "H": (7, 3), "G": (5, 3, 2), "W": (7, 2)})
    assert_same(*both_ways(expression, arrays), 1e-12)


def test_two_threads_share_a_program():
    expression, _, shapes = scalar("ij,jk->ik", ((31, 17), (17, 29)), "rectifier")
    gradient = tna.value_and_grad(expression)
    inputs = [random(shapes, seed) for seed in range(2)]
    for call in (gradient, gradient.compiled()):
        truth, found = [call(**arrays) for arrays in inputs], [[], []]

        def work(place, call=call, found=found):
            for _ in range(50):
                found[place].append(call(**inputs[place]))

        threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for right, results in zip(truth, found, strict=True):
            for _, result in results:
                for name in result:
                    np.testing.assert_array_equal(result[name], right[1][name])


def test_without_numba_there_is_one_warning(monkeypatch):
    expression, _, shapes = scalar("ij,jk->ik", ((2, 3), (3, 5)), "maximum")
    arrays = random(shapes)
    monkeypatch.setitem(sys.modules, "numba", None)
    jit.numba_or_none.cache_clear()
    tna.plan_cache.clear()
    try:
        with pytest.warns(RuntimeWarning, match="compiled kernels need Numba; NumPy's are used") as warned:
            found = tna.value_and_grad(expression).compiled()(**arrays)
        assert len(warned) == 1
        np.testing.assert_array_equal(found[1]["A"], tna.value_and_grad(expression)(**arrays)[1]["A"])
    finally:
        jit.numba_or_none.cache_clear()
        tna.plan_cache.clear()


@pytest.mark.parametrize("way", ["at once", "by steps"])
def test_more_loops_than_python_nests_are_left_to_numpy(way, rng, monkeypatch):
    """21 labels of which no two follow each other in both operands."""
    if way == "at once":
        monkeypatch.setattr("tnalgebra.execute.run.native_program", native_program)
    labels = string.ascii_letters[:21]
    equation = f"{labels},{labels[::-1]}->{labels[1:]}"
    x = rng.standard_normal((2,) * 21)
    call = tna.compile(tna.contract_expression(equation, x.shape, x.shape, xi="hypot"))
    with pytest.warns(RuntimeWarning, match="a kernel does not compile, NumPy's is used: too many statically nested"):
        found = call(x, x)
    np.testing.assert_allclose(found, np.hypot(x, x.T).sum(0), rtol=1e-14)
