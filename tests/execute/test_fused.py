"""Products that are made inside a matrix product, and matrix products that are folded where they are made."""

import multiprocessing
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.execute.fuse import fused, grouped
from tnalgebra.execute.kernels import bilinear, crew, fold
from tnalgebra.execute.kernels.evaluator import Evaluator
from tnalgebra.execute.kernels.jit import native
from tnalgebra.execute.kernels.native import HEAD, Machine

pytest.importorskip("numba")
XIS = ("multiply", "rectifier", "logaddexp", "hypot")
UNITS = {  # ξ-product, weight, result: sizes
    ("bi,bj", "ijk", "bk"): {"b": 37, "i": 5, "j": 31, "k": 11},
    ("bi,bj", "ijk", "kb"): {"b": 13, "i": 3, "j": 300, "k": 19},
    ("bi,bj", "bk", "ijk"): {"b": 53, "i": 11, "j": 13, "k": 17},
    ("gbi,gbj", "gijk", "gbk"): {"g": 3, "b": 13, "i": 5, "j": 11, "k": 19},
    ("bci,bj", "ijkl", "bklc"): {"b": 5, "c": 7, "i": 9, "j": 17, "k": 3, "l": 7},
    ("bi,bi", "ki", "bk"): {"b": 37, "i": 531, "k": 300},
    ("ai,aj", "ijk", "ak"): {"a": 3, "i": 11, "j": 13, "k": 307},  # W is read where it is, but for its last columns
    ("bi,j", "ijk", "bk"): {"b": 7, "i": 2, "j": 13, "k": 8},
}


@pytest.fixture(autouse=True)
def _step_by_step(by_steps):
    """Every kernel by itself: the plans of these tests are small."""


def unit(key, xi):
    """The expression, and the shapes of its leaves."""
    product, weight, result = key
    left, right = product.split(",")
    labels = "".join(dict.fromkeys(left + right))
    sizes = UNITS[key]
    a, h, g = tna.leaf("a", left), tna.leaf("h", right), tna.leaf("G", weight)
    made = tna.contract(f"{product}->{labels}", a, h, xi=xi)
    shapes = {n: tuple(sizes[x] for x in term) for n, term in zip("ahG", (left, right, weight), strict=True)}
    return tna.contract(f"{labels},{weight}->{result}", made, g), shapes


def random(shapes, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


def units_of(expression, arrays):
    """The steps of the compiled plan that the kernel takes."""
    steps = fused(expression.plan(**arrays)).steps
    return [step for step in steps if step.kind == "weighted" and bilinear.unit(step)]


@pytest.mark.parametrize(
    ("key", "xi"), [*((key, "rectifier") for key in UNITS), *((next(iter(UNITS)), xi) for xi in XIS)], ids=str
)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("float64", 1e-14)])
def test_units_of_any_labels(key, xi, dtype, tolerance):
    expression, shapes = unit(key, xi)
    arrays = random(shapes, dtype)
    assert len(units_of(expression, arrays)) == (xi != "multiply")  # whose path may take the weight first
    found = tna.compile(expression)(**arrays)
    wide = {name: array.astype("float64") for name, array in arrays.items()}
    assert found.dtype == dtype
    assert relative_error(found, expression.evaluate(**wide)) < tolerance


@pytest.mark.parametrize("xi", ["multiply", "logaddexp"])
def test_arrays_anywhere_in_memory(xi):
    """Turned, reversed, strided, repeated, read-only and misaligned operands and weights."""
    key = ("bi,bj", "ijk", "bk")
    expression, shapes = unit(key, xi)
    call, arrays = tna.compile(expression), random(shapes, "float64")
    truth = expression.evaluate(**arrays)

    def misaligned(array):
        raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
        raw[:] = np.frombuffer(array.tobytes(), np.uint8)
        return raw.view(array.dtype).reshape(array.shape)

    def strided(array):
        wide = np.zeros([2 * size for size in array.shape])
        wide[tuple(slice(None, None, 2) for _ in array.shape)] = array
        return wide[tuple(slice(None, None, 2) for _ in array.shape)]

    def read_only(array):
        array = array.copy()
        array.flags.writeable = False
        return array

    layouts = (np.asfortranarray, lambda x: x[::-1].copy()[::-1], strided, read_only, misaligned)
    for layout in layouts:
        for name in arrays:
            changed = {**arrays, name: layout(arrays[name])}
            assert relative_error(call(**changed), truth) < 1e-14
    repeated = {**arrays, "a": np.broadcast_to(arrays["a"][:1], shapes["a"]), "G": np.broadcast_to(1.0, shapes["G"])}
    assert relative_error(call(**repeated), expression.evaluate(**repeated)) < 1e-14


@pytest.mark.parametrize(
    ("equation", "sizes", "is_unit"),
    [
        ("bi,bj,ijk->bk", (64, 64, 64), True),
        ("bj,bi,ijk->kb", (64, 64, 64), True),
        ("bi,bj,kij->bk", (11, 64, 32), True),
        ("bi,bj,ijk->bk", (64, 64, 10), False),  # of whose vectors most would be empty
        ("bi,bi,ik->bk", (64, 1, 64), False),  # nothing is summed first
        ("bi,ij,jk->bk", (64, 64, 64), False),  # a chain, which would be more work
    ],
)
def test_matrix_products_that_are_weighted_afterwards(equation, sizes, is_unit, rng):
    """Σ y · Σ W · x is Σ W · (x · y) for the kernel, where that is no more work."""
    found = {"b": 37, **dict(zip("ijk", sizes, strict=True))}
    arrays = [rng.standard_normal([found[label] for label in term]) for term in equation.split("->")[0].split(",")]
    planned = tna.contract_expression(equation, *(array.shape for array in arrays))
    kinds = [step.kind for step in fused(planned.plan).steps]
    assert (kinds == ["weighted"]) is is_unit
    assert relative_error(tna.compile(planned)(*arrays), np.einsum(equation, *arrays)) < 1e-13


def test_a_step_that_was_merged_is_not_merged_as_it_was(rng):
    """ξ of two leaves goes into two matrix products, of which the second has a single reader."""
    leaf, shapes = tna.leaf, {"U": (32, 24), "V": (16,), "Y": (37, 32), "Z": (37, 24), "X": (37, 32)}
    tile = tna.contract("js,c->jsc", leaf("U", "js"), leaf("V", "c"), xi="hypot")
    first = tna.contract("rj,jsc,rs->rc", leaf("Y", "rj"), tile, leaf("Z", "rs"))
    node = tna.contract("rc,rsc->rs", first, tna.contract("rj,jsc->rsc", leaf("X", "rj"), tile), xi="hypot")
    arrays = random(shapes, "float64")
    plan = fused(node.plan(**arrays))
    made = set(range(len(plan.inputs)))
    for step in plan.steps:
        assert made >= {*step.inputs}
        made.add(step.output)
    assert relative_error(tna.compile(node)(**arrays), node.evaluate(**arrays)) < 1e-13


@pytest.mark.parametrize("key", UNITS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
def test_operands_that_lie_along_rows(key, dtype, threads, monkeypatch):
    """They are not copied: the kernel makes ξ along the rows; so it is in gradients of weights."""
    monkeypatch.setattr(bilinear, "thread_count", lambda: threads)
    monkeypatch.setattr(bilinear, "SHARE", 1)
    expression, shapes = unit(key, "hypot")
    arrays = random(shapes, dtype)
    (step,) = units_of(expression, arrays)
    found = bilinear.unit(step)
    if step.sizes[found.rows[-1]] < bilinear.ROWS:
        pytest.skip("a row is too short for a kernel that goes along it")
    names = dict(zip(("a", "h"), key[0].split(","), strict=True))
    plan_names = dict(zip(key[2], step.result, strict=True))
    (along,) = (label for label, name in plan_names.items() if name == found.rows[-1])
    turned = {}
    for name, term in names.items():
        order = sorted(range(len(term)), key=lambda axis: term[axis] == along)
        turned[name] = np.ascontiguousarray(arrays[name].transpose(order)).transpose(np.argsort(order))
    strides = [[s // array.itemsize for s in array.strides] for array in turned.values()]
    assert found.is_turned([*strides, [1]])
    wide = {name: array.astype("float64") for name, array in arrays.items()}
    tolerance = 3e-6 if dtype == "float32" else 1e-14
    call = tna.compile(expression)
    for given in ({**arrays, **turned}, arrays, {**arrays, **turned}):
        assert relative_error(call(**given), expression.evaluate(**wide)) < tolerance


@pytest.mark.parametrize("xi", XIS)
def test_what_is_not_finite_stays_where_it_is(xi):
    expression, shapes = unit(("bi,bj", "ijk", "bk"), xi)
    arrays = random(shapes, "float64")
    arrays["a"][3, 1], arrays["h"][5, 30], arrays["h"][6, 2], arrays["G"][4, 30, 10] = np.inf, -np.inf, np.nan, np.inf
    with np.errstate(all="ignore"):
        expected, found = expression.evaluate(**arrays), tna.compile(expression)(**arrays)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("key", [("bi,bj", "ijk", "bk"), ("bi,bj", "bk", "ijk"), ("gbi,gbj", "gijk", "gbk")])
def test_threads_share_rows_or_sums(key, monkeypatch):
    expression, shapes = unit(key, "hypot")
    arrays = random(shapes, "float64")
    truth = expression.evaluate(**arrays)
    monkeypatch.setattr(bilinear, "SHARE", 1)
    monkeypatch.setattr(bilinear, "thread_count", lambda: 3)
    call = tna.compile(expression)
    found = call(**arrays)
    assert relative_error(found, truth) < 1e-14
    for _ in range(20):
        np.testing.assert_array_equal(call(**arrays), found)


def test_other_numbers_go_by_tiles(rng):
    expression, shapes = unit(("bi,bj", "ijk", "bk"), "multiply")
    call = tna.compile(expression)
    for arrays in (
        {name: rng.integers(-9, 9, shape) for name, shape in shapes.items()},
        {name: rng.standard_normal(shape) + 1j * rng.standard_normal(shape) for name, shape in shapes.items()},
        {name: rng.standard_normal(shape).astype(">f8") for name, shape in shapes.items()},
    ):
        assert relative_error(call(**arrays), expression.evaluate(**arrays)) < 1e-14


def test_large_products_of_other_numbers_go_by_blas(rng, monkeypatch):
    """What is a matrix product alone makes no tiles where the kernel does not take its numbers."""
    monkeypatch.setattr(Evaluator, "blockwise", None)
    monkeypatch.setattr(Evaluator, "whole", None)
    planned = tna.contract_expression("ij,jk->ik", (307, 101), (101, 211))
    x, y = (rng.standard_normal(shape) for shape in ((307, 101), (101, 211)))
    for a, b in ((x, y), (x + 1j * y[0, 0], y * 1j), ((x * 9).astype(int), (y * 9).astype(int))):
        found = tna.compile(planned)(a, b)
        assert found.dtype == (a @ b).dtype
        assert relative_error(found, a @ b) < 1e-14


def loss(xi, sizes):
    """Σ out² of two units, one behind the other, with a leaf for each core."""
    a, h = tna.leaf("a", "bi"), tna.leaf("h", "bj")
    first, second = tna.leaf("F", "ijk"), tna.leaf("S", "ikl")
    out = tna.contract("bij,ijk->bk", tna.contract("bi,bj->bij", a, h, xi=xi), first)
    out = tna.contract("bik,ikl->bl", tna.contract("bi,bk->bik", a, out, xi=xi), second)
    shapes = {
        name: tuple(sizes[x] for x in term) for name, term in zip("ahFS", ("bi", "bj", "ijk", "ikl"), strict=True)
    }
    return tna.contract("bl,bl->", out, out), shapes


SIZES = {"b": 29, "i": 11, "j": 13, "k": 9, "l": 17}


@pytest.mark.parametrize("xi", XIS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float64", 1e-13)])
@pytest.mark.parametrize("threads", [1, 3])
def test_gradients_of_units(xi, dtype, tolerance, threads, monkeypatch):
    expression, shapes = loss(xi, SIZES)
    arrays = random(shapes, dtype)
    if threads > 1:
        for module in (bilinear, fold):
            monkeypatch.setattr(module, "SHARE", 1)
            monkeypatch.setattr(module, "thread_count", lambda: threads)
    gradient = tna.value_and_grad(expression)
    program, _ = gradient.compiled().program(**arrays)
    plan = program.plan
    groups = [group for group in grouped(plan.steps, plan.outputs) if group[0].kind == "product" and len(group) > 1]
    assert len(groups) == 2
    value, slopes = tna.compile(gradient)(**arrays)
    wide = {name: array.astype("float64") for name, array in arrays.items()}
    truth, expected = gradient(**wide)
    assert abs(value - truth) < tolerance * abs(truth)
    for name, slope in slopes.items():
        assert slope.dtype == dtype
        assert relative_error(slope, expected[name]) < tolerance


@pytest.mark.parametrize("xi", XIS)
def test_gradients_where_numbers_are_not_finite(xi):
    expression, shapes = loss(xi, SIZES)
    arrays = random(shapes, "float64")
    arrays["h"][2, 5], arrays["a"][7, 3], arrays["h"][7, 4] = -np.inf, 0.0, 0.0
    gradient = tna.value_and_grad(expression)
    with np.errstate(all="ignore"):
        _, expected = gradient(**arrays)
        _, found = tna.compile(gradient)(**arrays)
    for name, slope in found.items():
        np.testing.assert_array_equal(np.isnan(slope), np.isnan(expected[name]))
        size = np.abs(slope[np.isfinite(slope)]).max(initial=0)
        np.testing.assert_allclose(slope, expected[name], rtol=1e-10, atol=1e-10 * size)


def test_gradients_of_other_numbers_go_step_by_step(rng):
    expression, shapes = loss("multiply", SIZES)
    arrays = {name: rng.standard_normal(shape).astype(">f8") for name, shape in shapes.items()}
    value, slopes = tna.compile(tna.value_and_grad(expression))(**arrays)
    truth, expected = tna.value_and_grad(expression)(**arrays)
    assert abs(value - truth) < 1e-13 * abs(truth)
    assert all(relative_error(slope, expected[name]) < 1e-13 for name, slope in slopes.items())


def test_workers_wake_up_again():
    """Tasks for workers that are awake, asleep, and taken by another thread."""
    kernel = native(HEAD + "    b[s[0]] += 1\n", "float64")
    counts, places = np.zeros(4, np.int64), np.arange(4)
    base = counts.__array_interface__["data"][0]
    tasks = [(kernel.address, base, places.__array_interface__["data"][0] + 8 * i) for i in range(4)]
    for pause in (0, 0, 0.05, 0.05):
        crew.run_tasks(tasks)
        time.sleep(pause)
    np.testing.assert_array_equal(counts, 4)

    def many(own):
        at = own.__array_interface__["data"][0]
        for _ in range(200):
            crew.run_tasks([(kernel.address, at, task[2]) for task in tasks])

    held = [np.zeros(4, np.int64) for _ in range(3)]
    threads = [threading.Thread(target=many, args=(own,)) for own in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(held, 200)


def test_workers_end_with_the_interpreter():
    """None runs on in memory that is free again: the process ends by itself, with workers that are awake."""
    text = """
import numpy as np, tnalgebra as tna
from tnalgebra.execute import call, native
from tnalgebra.execute.kernels import crew
call.SHARE, native.MUCH, native.thread_count = 1, 1, lambda: 3
a = np.ones((64, 64))
print(tna.compile(tna.contract_expression("ij,jk->ij", a.shape, a.shape, xi="hypot"))(a, a).shape)
print(len(crew._crew()._bells))
"""
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=300)
    assert (found.returncode, found.stdout, found.stderr) == (0, "(64, 64)\n2\n", "")


def _in_child(queue):
    expression, shapes = unit(("bi,bj", "ijk", "bk"), "rectifier")
    queue.put(tna.compile(expression)(**random(shapes, "float64")))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_workers_of_a_child_are_its_own(monkeypatch):
    monkeypatch.setattr(bilinear, "SHARE", 1)
    monkeypatch.setattr(bilinear, "thread_count", lambda: 2)
    expression, shapes = unit(("bi,bj", "ijk", "bk"), "rectifier")
    truth = tna.compile(expression)(**random(shapes, "float64"))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    np.testing.assert_array_equal(queue.get(timeout=60), truth)
    child.join()


def test_an_operand_that_is_a_number_of_numpys(rng):
    """A product of numbers is no array, and a memory map is one of a subclass: the kernel takes copies of both."""
    s = tna.contract("i,i,->", tna.leaf("u", "i"), tna.leaf("v", "i"), tna.leaf("s", ""))
    e = tna.contract("ij,jk->ik", tna.contract(",ij->ij", s, tna.leaf("A", "ij"), xi="rectifier"), tna.leaf("W", "jk"))
    arrays = {"u": np.ones(3), "v": np.ones(3), "s": np.array(0.5)}
    arrays |= {"A": rng.standard_normal((131, 32)), "W": rng.standard_normal((32, 48))}
    assert len(units_of(e, arrays)) == 1
    assert relative_error(tna.compile(e)(**arrays), np.maximum(1.5, arrays["A"]) @ arrays["W"]) < 1e-14


def test_bound_arrays_of_a_subclass(tmp_path, rng):
    a, b = rng.standard_normal((131, 32)), rng.standard_normal((32, 48))
    np.save(tmp_path / "a.npy", a)
    node = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi="rectifier").node
    bound = tna.Expression(node, {"A": np.load(tmp_path / "a.npy", mmap_mode="r")})
    truth = np.maximum(np.maximum(a[:, :, None], b), 0).sum(1)
    for found in (bound.evaluate(B=b), tna.compile(bound)(B=b)):
        assert relative_error(found, truth) < 1e-14


def test_a_kernel_of_addresses_refuses_what_is_no_array():
    machine = Machine(native(HEAD + "    b[0] = b[0]\n", "float64"))
    with pytest.raises(TypeError, match=r"takes NumPy's own arrays; got .*float64"):
        machine([((np.float64(1.0),), ())])
