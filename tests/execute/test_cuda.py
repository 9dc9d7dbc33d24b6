"""CUDA kernels without a device: nvcc compiles their sources, and the same sources run on the CPU behind a header."""

import itertools
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import operands
from tests.execute.cuda_sources import Host, Recorder, joined, stand_in
from tests.execute.fake_cupy import CuPyArray
from tests.execute.test_contract import BUILTIN, PAIRS, kind_of, truth
from tests.execute.test_gradients import PAIRS as SMOOTH
from tests.execute.test_gradients import random, scalar
from tnalgebra.algebra import registry
from tnalgebra.execute.kernels import cuda, cuda_tiles
from tnalgebra.execute.kernels.cuda_cost import chosen, lanes
from tnalgebra.execute.kernels.cuda_exponential import count_text, most_text
from tnalgebra.execute.kernels.cuda_generator import generator_text, verdict_text
from tnalgebra.execute.kernels.cuda_source import flat
from tnalgebra.execute.kernels.cuda_tiled import tiled
from tnalgebra.execute.kernels.cuda_tiles import TILES, Tile, tilings
from tnalgebra.execute.kernels.cuda_work import work_of

SMALL = Tile(4, 6, 6, 1, 2)
EQUATIONS = (
    "ab,bc->ac", "ab,cb->ca", "xa,ay->xy", "abc,acd->abd", "abcd,bde->aec", "ab,bc,cd->ad", "ab,bc,ac->ac",
    "ab,bc,a,c,b,->ac", "ab,bc,abc->ca", "ab,bc,ca->",
)  # fmt: skip
NUMBERS = (-np.inf, -1.0, -0.0, 0.5, 2.0, np.inf, np.nan)
EITHER = tna.Operator(name="either", value="x + y - x * y", partial="1 - y", unit=0.0)


class Case(NamedTuple):
    """Something to compute on a device, in a way to lay it over threads, and what it is."""

    name: str
    way: Any
    found: Any
    truth: Any
    tolerance: float = 1e-12


def whole(work):
    return None


def nth(number):
    """The tiling of that number, of those with a small tile; a thread an entry where there are fewer."""
    return lambda work: next(itertools.islice(tilings(work), number, None), None)


def sized(tile):
    """The first tiling, with this tile."""
    return lambda work: replace(nth(0)(work), tile=tile)


def contraction(equation, xi, reduce, way, dtype="float64", change=lambda array: array, **sizes):
    arrays = operands(equation, np.random.default_rng(0), kind=kind_of(str(xi), str(reduce)), **sizes)
    arrays = [change(array.astype(dtype)) for array in arrays]
    return Case(
        f"{equation} {xi} {reduce} {dtype}",
        way,
        lambda there: [tna.contract(equation, *map(there, arrays), xi=xi, reduce=reduce, optimize=False)],
        lambda: [truth(equation, [array.astype(float) for array in arrays], xi, reduce)],
        1e-12 if dtype == "float64" else 1e-5,
    )


def unit(xi, way, sizes, dtype="float64"):
    """Σ_ij ξ(a[bi], h[bj]) G[ijk]."""
    b, i, j, k = sizes
    arrays = {name: array.astype(dtype) for name, array in random({"a": (b, i), "h": (b, j), "G": (i, j, k)}).items()}
    outer = tna.contract("bi,bj->bij", tna.leaf("a", "bi"), tna.leaf("h", "bj"), xi=xi)
    expression = tna.contract("bij,ijk->bk", outer, tna.leaf("G", "ijk"))

    def expected():
        wide = {name: array.astype(float) for name, array in arrays.items()}
        outer = tna.operator(xi).apply(wide["a"][:, :, None], wide["h"][:, None, :])
        return [np.einsum("bij,ijk->bk", outer, wide["G"])]

    return Case(
        f"unit {xi} {sizes} {dtype}",
        way,
        lambda there: [expression.evaluate(**{name: there(array) for name, array in arrays.items()})],
        expected,
        1e-12 if dtype == "float64" else 1e-5,
    )


def gradient(xi, reduce, way):
    expression, _, shapes = scalar("ij,jk->ik", ((3, 7), (7, 5)), xi, reduce)
    arrays, both = random(shapes), tna.value_and_grad(expression)

    def values(there):
        value, slopes = both(**{name: there(array) for name, array in arrays.items()})
        return [value, *(slopes[name] for name in "ABW")]

    return Case(f"gradient {xi} {reduce}", way, values, lambda: values(lambda array: array), 1e-11)


def extremes(xi, reduce, way):
    """⊕_b ξ(x[ab], y[bc]) where a row of x has any two of the special numbers, and y the unit of ξ."""
    arrays = np.array(list(itertools.product(NUMBERS, repeat=2))), np.full((2, 1), tna.operator(xi).unit)
    return Case(
        f"extremes {xi} {reduce}",
        way,
        lambda there: [tna.contract("ab,bc->ac", *map(there, arrays), xi=xi, reduce=reduce, optimize=False)],
        lambda: [truth("ab,bc->ac", arrays, xi, reduce)],
    )


def extreme_gradient(xi, reduce):
    """The slopes of ⊕_i ξ(x[bi], y[bi]) in any four special numbers."""
    inner = tna.contract("bi,bi->b", tna.leaf("A", "bi"), tna.leaf("B", "bi"), xi=xi, reduce=reduce)
    both = tna.value_and_grad(tna.contract("b,b->", inner, tna.leaf("W", "b")), ["A", "B"])
    rows = np.array(list(itertools.product(NUMBERS, repeat=4)))
    arrays = {"A": rows[:, :2].copy(), "B": rows[:, 2:].copy(), "W": np.ones(len(rows))}

    def values(there):
        _, slopes = both(**{name: there(array) for name, array in arrays.items()})
        return [slopes["A"], slopes["B"]]

    return Case(f"extreme gradient {xi} {reduce}", whole, values, lambda: values(lambda array: array))


def backwards(array):
    """The same numbers, the first axis last in memory, backwards and with gaps."""
    if not array.ndim:
        return array
    wide = np.full((*array.shape[1:], 2 * len(array)), np.nan, array.dtype)
    view = np.moveaxis(wide[..., ::-2], -1, 0)
    view[...] = array
    return view


def repeated(array):
    """The first entry along the first axis, again and again: a stride of 0."""
    return np.broadcast_to(array[:1], array.shape) if array.ndim else array


def spread(array):
    """Exponentials too far apart for products."""
    return array * (20 if array.dtype == np.float32 else 60)


def spiked(array):
    """The same in some entries, and one that gives nothing."""
    array = array.copy()
    array.flat[::97] = spread(array.flat[::97])
    array.flat[5] = -np.inf
    return array


def ways(equation):
    """In how many ways the labels of a step may be laid over tiles, and one more for a thread an entry."""
    arrays = operands(equation, np.random.default_rng(0))
    (step,) = tna.contract_path(equation, *arrays, xi="rectifier", optimize=False).steps
    return 1 + len({replace(tiling, tile=SMALL) for tiling in tilings(work_of(step))})


PAIRED = [pair for pair in PAIRS if pair not in {("multiply", "add"), ("add", "add")}]  # products, and sums apart
KERNELS = [pair for pair in SMOOTH if pair != ("multiply", "add")]
LONG = {"sizes": {"a": 2, "b": 211, "c": 5, "d": 3}}
CASES = (
    *(contraction(e, "rectifier", "add", nth(n)) for e in EQUATIONS for n in range(ways(e))),
    *(contraction(e, "add", "maximum", way, change=backwards) for e in EQUATIONS for way in (nth(0), whole)),
    *(contraction(e, "hypot", "add", way, change=repeated) for e in EQUATIONS[::3] for way in (nth(0), whole)),
    *(contraction("ab,bc->ac", xi, reduce, nth(0), "float64") for xi, reduce in PAIRED),
    *(contraction("abd,bcd->acd", xi, reduce, whole, "float32") for xi, reduce in PAIRED),
    *(contraction("ab,bc->ac", "either", reduce, way) for reduce in ("add", "either") for way in (nth(0), whole)),
    *(contraction("ab,bc->ac", "add", reduce, way, **LONG) for reduce in BUILTIN[1:7] for way in (nth(1), whole)),
    *(contraction("abd,bcd->adc", "rectifier", "add", way, **LONG) for way in (*map(nth, range(12)), whole)),
    *(contraction(e, "add", "hypot", whole, **LONG) for e in ("ab,ab->", "ab,ab->a", "ba,ba->a", "a,c->ac", "a,c->ca")),
    *(unit(xi, way, (5, 13, 17, 3)) for xi in BUILTIN[1:7] for way in (nth(0), nth(1), whole)),
    *(unit(xi, way, (1, 1, 7, 1), "float32") for xi in ("rectifier", "hypot") for way in (nth(0), whole)),
    *(
        contraction("ab,bc->ac", "logaddexp", "add", way, dtype, change, sizes={"a": 5, "b": 211, "c": 7})
        for dtype in ("float32", "float64")
        for change in (np.array, spread, spiked)
        for way in (nth(0), sized(TILES[1]))
    ),
    *(gradient(xi, reduce, whole if n % 2 else nth(0)) for n, (xi, reduce) in enumerate(KERNELS)),
    *(extremes(xi, "add", whole) for xi in BUILTIN[1:7]),
    *(extremes("add", reduce, nth(0)) for reduce in BUILTIN[1:]),
    *(extreme_gradient(xi, reduce) for xi, reduce in KERNELS if reduce in ("add", "maximum", "logaddexp")),
    *(contraction("ab,bc->ac", "rectifier", "add", sized(tile), **LONG) for tile in TILES),
)


@pytest.fixture(autouse=True, scope="module")
def registered():
    """An operator of a user, for these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_OPERATORS", {**registry._OPERATORS, "either": EITHER})
        yield


@contextmanager
def device(module, way):
    """Arrays of the stand-in, and one way to lay steps over threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", module)
        patch.setattr(cuda, "chosen", way)
        patch.setattr(cuda_tiles, "TILES", (SMALL,))
        tna.plan_cache.clear()  # keys hold the module, and plans what was chosen
        with np.errstate(all="ignore"):
            yield
    tna.plan_cache.clear()


@pytest.fixture(scope="module")
def texts():
    """The kernels of all cases."""
    recorder = Recorder()
    for case in CASES:
        with device(stand_in(recorder), case.way):
            case.found(CuPyArray)
    return recorder.texts


@pytest.fixture(scope="module")
def host(texts, tmp_path_factory):
    """The same, compiled at once."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile CUDA sources for the CPU")
    found = Host(tmp_path_factory.mktemp("kernels"))
    found.compile(texts)
    return found


def assert_close(found, case):
    with np.errstate(all="ignore"):
        expected = case.truth()
    for value, right in zip(found, expected, strict=True):
        scale = np.abs(right[np.isfinite(right)]).max(initial=0)
        np.testing.assert_allclose(value.get(), right, case.tolerance, case.tolerance * scale, err_msg=case.name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_sources_compute_what_the_loops_do(case, host):
    before = host.launches
    with device(stand_in(host), case.way):
        found = case.found(CuPyArray)
    assert host.launches > before
    assert_close(found, case)


# --- what is no kernel's work --------------------------------------------------------------------------------------


def matrices(dtype, there=CuPyArray):
    rng = np.random.default_rng(0)
    return [there(rng.integers(-9, 9, shape).astype(dtype)) for shape in ((3, 5), (5, 7))]


@pytest.mark.parametrize("dtypes", [("int64", "int64"), ("float16", "float16"), ("float32", "float64")], ids=str)
def test_other_numbers_are_left_to_cupy(dtypes, host):
    """Operands of one step meet in their common dtype before they come to a kernel."""
    before = host.launches
    a, b = matrices(dtypes[0])[0], matrices(dtypes[1])[1]
    with device(stand_in(host), whole):
        found = tna.contract("ij,jk->ik", a, b, xi="maximum")
    assert host.launches - before == (dtypes[0] != dtypes[1])
    np.testing.assert_array_equal(found.get(), np.maximum(a.get()[:, :, None], b.get()).sum(1))


def test_complex_numbers_are_left_to_cupy(host):
    before, (a, b) = host.launches, matrices(complex)
    with device(stand_in(host), whole):
        found = tna.contract("ij,jk->ik", a, b, xi="add", reduce="multiply")
    assert host.launches == before
    np.testing.assert_allclose(found.get(), (a.get()[:, :, None] + b.get()).prod(1))


def test_strides_that_are_no_multiple_of_an_entry_are_left_to_cupy(host):
    before, (a, b) = host.launches, matrices("float64")
    records = np.zeros(a.shape, [("flag", "i4"), ("number", "f8")])
    records["number"] = a.get()
    with device(stand_in(host), whole):
        found = tna.contract("ij,jk->ik", CuPyArray(records["number"]), b, xi="maximum")
    assert host.launches == before
    np.testing.assert_array_equal(found.get(), np.maximum(a.get()[:, :, None], b.get()).sum(1))


def test_strides_that_are_too_wide_are_told_and_left_to_cupy(host):
    wide = np.lib.stride_tricks.as_strided(np.ones(1), (3, 5), (2**34, 8))  # nobody reads it
    (step,) = tna.contract_path("ij,jk->ik", (3, 5), (5, 7), xi="maximum").steps
    with device(stand_in(host), whole):
        launch = cuda.launch_of(step, sys.modules["cupy"])
        with pytest.warns(RuntimeWarning, match=r"lie 2³¹ places or more apart, CuPy's functions are used"):
            assert not launch.takes([CuPyArray(wide), matrices("float64")[1]])


def test_truth_values_of_comparisons_stay_truth_values(host):
    before, (a, b) = host.launches, matrices("float64")
    with pytest.MonkeyPatch.context() as patch, device(stand_in(host), whole):
        patch.setitem(registry._OPERATORS, "differ", tna.Operator(name="differ", value="x != y", unit=0.0))
        found = tna.contract("ij,jk->ijk", a, b, xi="differ")
    assert (host.launches, found.dtype) == (before, np.dtype(bool))
    np.testing.assert_array_equal(found.get(), a.get()[:, :, None] != b.get())


def test_nothing_to_sum_is_left_to_cupy(host):
    before = host.launches
    with device(stand_in(host), whole):
        found = tna.contract("ij,jk->ik", CuPyArray(np.ones((2, 0))), CuPyArray(np.ones((0, 3))), xi="maximum")
    assert host.launches == before
    np.testing.assert_array_equal(found.get(), np.zeros((2, 3)))


def test_a_kernel_that_does_not_compile_is_told_once_and_done_without():
    def broken(text):
        raise RuntimeError("nvrtc: error: no such thing")

    a, b = matrices("float64")
    match = r"a CUDA kernel does not compile, CuPy's functions are used: nvrtc: error"
    with device(stand_in(broken), whole), pytest.warns(RuntimeWarning, match=match) as told:
        found = [tna.contract("ij,jk->ik", a, b, xi="maximum") for _ in range(3)]
    assert len(told) == 1
    for value in found:
        np.testing.assert_array_equal(value.get(), np.maximum(a.get()[:, :, None], b.get()).sum(1))


# --- how steps are laid over a device ------------------------------------------------------------------------------


def last(expression, **shapes):
    return work_of(expression.plan(**shapes).steps[-1])


def product_of(size, xi="rectifier", reduce="add"):
    expression = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi=xi, reduce=reduce)
    return last(expression, A=(size, size), B=(size, size))


def unit_of(b, i, j, k, xi="rectifier"):
    outer = tna.contract("bi,bj->bij", tna.leaf("a", "bi"), tna.leaf("h", "bj"), xi=xi)
    return last(tna.contract("bij,ijk->bk", outer, tna.leaf("G", "ijk")), a=(b, i), h=(b, j), G=(i, j, k))


def test_large_products_take_large_tiles():
    assert chosen(product_of(4096)).tile == TILES[0]
    assert chosen(product_of(256)).tile in TILES[1:]


@pytest.mark.parametrize("xi", ["rectifier", "logaddexp", "hypot", "maximum", "minimum"])
def test_xi_of_a_unit_is_computed_once_for_all_outputs(xi):
    work = unit_of(1024, 128, 127, 64, xi)
    tiling = chosen(work)
    places = tiling.places(work)
    assert (tiling.batch, tiling.rows, tiling.columns) == ((), ("b",), ("k",))
    assert [place for place in places if places[place] == "mnk"] == [work.total, work.end]
    assert work.calls.calls[-1][0] == "fma"


def test_what_has_fewer_labels_is_computed_less_often():
    """max(max(x, y), 0) of a product: one of the two is taken where x waits."""
    work = product_of(4096)
    places = chosen(work).places(work)
    heads = [(head, places[place]) for place, (head, _, _) in enumerate(work.calls.calls, work.constants.stop)]
    assert heads == [("maximum", "mk"), ("maximum", "mnk"), ("add", "mnk")]


def test_few_entries_of_many_terms_are_shared_among_threads():
    work = last(tna.contract("i,i->", tna.leaf("A", "i"), tna.leaf("B", "i"), xi="hypot"), A=(10**6,), B=(10**6,))
    assert chosen(work) is None
    count, threads = lanes(work)
    assert 10**4 < count * threads <= 10**6 // 16
    assert lanes(product_of(4096)) == (1, 1)  # where entries are many, a thread has one


# --- compilers and devices -----------------------------------------------------------------------------------------


def steps_of_gradient(xi, reduce):
    """All steps over ξ of a large product, its value and its slopes."""
    expression, _, shapes = scalar("ij,jk->ik", ((1031, 1033), (1033, 1039)), xi, reduce)
    steps = tna.value_and_grad(expression).plan(**shapes).steps
    return [work_of(step) for step in steps if step.kind == "blocked"]


@pytest.mark.parametrize(("xi", "reduce"), SMOOTH)
def test_what_waits_has_room(xi, reduce):
    for work in steps_of_gradient(xi, reduce):
        for tiling in tilings(work):
            assert tiling.fits(work)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_nvcc_compiles_the_sources(architecture, texts, tmp_path):
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc to compile CUDA sources")
    works = [product_of(4096), unit_of(1024, 128, 128, 128), *steps_of_gradient("logaddexp", "hypot")]
    large = [
        tiled(work, tiling, kind, "m") for work in works if (tiling := chosen(work)) for kind in ("float", "double")
    ]
    guarded = [
        tiled(works[0], chosen(works[0]), "float", "n", is_guarded=True),
        flat(works[0], "double", 8, is_guarded=True),
    ]
    generators = [
        generator_text(tna.operator(xi), 2, dtype) for xi in ("logaddexp", "hypot") for dtype in ("float32", "float64")
    ]
    source = tmp_path / "kernels.cu"
    exponentials = [text(dtype) for text in (count_text, most_text) for dtype in ("float32", "float64")]
    more = dict([*large, *guarded, *generators, verdict_text(), *exponentials])
    source.write_text(joined(dict([*texts.items()][::12]) | more), encoding="utf-8")
    command = ["nvcc", "-cubin", *cuda.EXACT, f"-arch={architecture}", source, "-o", source.with_suffix(".cubin")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_device_computes_what_the_loops_do(case):
    cupy = pytest.importorskip("cupy")
    with device(cupy, case.way):
        found = case.found(cupy.asarray)
    assert_close(found, case)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1031, 517, 769), (64, 100003, 3), (4099, 3, 2053)], ids=str)
def test_large_products_on_a_device(sizes, dtype):
    cupy = pytest.importorskip("cupy")
    m, k, n = sizes
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    for xi, reduce in (("rectifier", "add"), ("add", "maximum"), ("hypot", "add"), ("logaddexp", "add")):
        found = tna.contract("ij,jk->ik", cupy.asarray(a), cupy.asarray(b), xi=xi, reduce=reduce).get()
        expected = tna.contract("ij,jk->ik", a.astype(float), b.astype(float), xi=xi, reduce=reduce)
        tolerance = 1e-12 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(found, expected, tolerance, tolerance * np.abs(expected).max())
