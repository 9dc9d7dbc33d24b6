"""Plans as CUDA graphs, and rewrites that a device judges by itself: nothing in a plan waits for the device.

They run on the stand-in for CuPy, whose graphs are computed when they are launched and not before; and on a device.
"""

import sys

import numpy as np
import pytest
from scipy.special import logsumexp

import tnalgebra as tna
from tests.corpus import operands
from tests.execute.cuda_sources import Recorder
from tests.execute.fake_cupy import CuPyArray, Stream
from tests.execute.test_contract import PAIRS, kind_of
from tests.execute.test_gradients import PAIRS as SMOOTH
from tests.execute.test_gradients import random, scalar
from tnalgebra.execute import capture
from tnalgebra.execute.kernels.cuda import Launch, launch_of
from tnalgebra.execute.kernels.cuda_tiles import tilings
from tnalgebra.execute.kernels.cuda_work import work_of
from tnalgebra.training.trainer import Training

EQUATIONS = ("ij,jk->ik", "xi,xj,ijk->xk", "ij,jk,kl->il", "abc,cb->a", "i,i->", "ab,b->ba")


def unit(xi):
    """Σ_b W · Σ_ij ξ(a[bi], h[bj]) G[ijk], and shapes for it."""
    outer = tna.contract("bi,bj->bij", tna.leaf("a", "bi"), tna.leaf("h", "bj"), xi=xi)
    score = tna.contract("bij,ijk->bk", outer, tna.leaf("G", "ijk"))
    shapes = {"a": (5, 13), "h": (5, 17), "G": (13, 17, 3), "W": (5, 3)}
    return tna.contract("bk,bk->", score, tna.leaf("W", "bk")), shapes


# --- graphs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_launch_reads_its_own_operands(device, dtype, rng):
    f = tna.compile(tna.contract_expression("ij,jk,kl->il", (3, 5), (5, 7), (7, 2)))
    kept = []
    for turn in range(3):
        arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((3, 5), (5, 7), (7, 2))]
        arrays[turn] = np.asfortranarray(arrays[turn])
        kept.append((f(*map(device.there, arrays)), np.linalg.multi_dot(arrays)))
    for found, expected in kept:
        assert found.dtype == dtype
        np.testing.assert_allclose(device.back(found), expected, rtol=1e-12 if dtype == "float64" else 1e-4)


@pytest.mark.parametrize("xi", ["multiply", "rectifier", "logaddexp", "hypot"])
def test_a_training_step_is_one_launch(device, xi, rng):
    expression, shapes = unit(xi)
    both, plain = tna.compile(tna.value_and_grad(expression)), tna.value_and_grad(expression)
    for scale in (1.0, 3.0, 1e3):  # the last is beyond the generator of logaddexp
        arrays = random(shapes) | {"a": rng.standard_normal(shapes["a"]) * scale}
        value, slopes = both(**device.all_there(arrays))
        expected, right = plain(**arrays)
        np.testing.assert_allclose(device.back(value), expected, rtol=1e-11)
        for name, slope in slopes.items():
            np.testing.assert_allclose(device.back(slope), right[name], 1e-11, 1e-11 * np.abs(right[name]).max())


def test_a_call_copies_launches_and_copies(use, host, watched, rng):
    use(host)
    f = tna.compile(tna.contract_expression("ij,jk,kl->il", (3, 5), (5, 7), (7, 2), xi="rectifier"))
    arrays = [CuPyArray(rng.standard_normal(shape)) for shape in ((3, 5), (5, 7), (7, 2))]
    first = f(*arrays)
    watched.clear()
    np.testing.assert_array_equal(f(*arrays).get(), first.get())
    assert watched == ["copy"] * 3 + ["launch", "kernel"]  # CuPy's `copy` of what is contiguous is one of bytes


def test_what_lies_together_is_copied_together(use, host, watched, rng):
    """The parts of a vector are one copy, and so are the slopes; a part in another layout is copied entry by entry."""
    use(host)
    expression, shapes = unit("rectifier")
    there, f = random(shapes), tna.compile(tna.value_and_grad(expression))
    ends = np.cumsum([0, *(there[name].size for name in f.wrt)])

    def parts(vector):
        return {name: vector[i:j].reshape(shapes[name]) for name, i, j in zip(f.wrt, ends[:-1], ends[1:], strict=True)}

    out = CuPyArray(np.full(ends[-1], np.nan))
    slopes = list(parts(out).values())
    leaves = parts(CuPyArray(np.concatenate([there[name].ravel() for name in f.wrt])))
    program, leaves = f.program(**dict(reversed(leaves.items())))
    given = list(leaves.values())
    found = program(given)
    watched.clear()
    value = program.into(given, slopes)
    assert watched == ["copy"] * 2 + ["launch"] + ["copy"] * 2
    expected, right = tna.value_and_grad(expression)(**there)
    assert value.item() == pytest.approx(expected, rel=1e-12)
    for name, slope, first in zip(f.wrt, slopes, found[1:], strict=True):
        np.testing.assert_allclose(slope.get(), right[name], 1e-12, 1e-12)
        np.testing.assert_array_equal(slope.get(), first.get())
    given[list(leaves).index("G")] = CuPyArray(np.asfortranarray(there["G"]))
    watched.clear()
    program.into(given, slopes)
    assert sorted(watched) == ["copy"] * 5 + ["kernel", "launch"]
    for slope, first in zip(slopes, found[1:], strict=True):
        np.testing.assert_array_equal(slope.get(), first.get())


def test_a_call_on_another_stream_waits_for_the_last_one(use, host, rng):
    use(host)
    f = tna.compile(tna.contract_expression("ij,jk->ik", (3, 5), (5, 7), xi="rectifier"))
    arrays = [CuPyArray(rng.standard_normal(shape)) for shape in ((3, 5), (5, 7))]
    with Stream() as first:
        f(*arrays)
    with Stream() as second:
        f(*arrays)
    assert second.events == [first]


@pytest.mark.parametrize("equation", EQUATIONS)
def test_no_plan_waits_for_the_device(equation, use):
    """Capturing refuses what waits, and a warning, an error here, would tell of it."""
    recorder = Recorder()
    use(recorder)
    for xi, reduce in PAIRS:
        arrays = operands(equation, np.random.default_rng(0), kind=kind_of(xi, reduce))
        shapes = [array.shape for array in arrays]
        f = tna.compile(tna.contract_expression(equation, *shapes, xi=xi, reduce=reduce))
        with np.errstate(all="ignore"):
            f(*(CuPyArray(array.astype(float)) for array in arrays))
        assert is_captured(f._programs["cupy"]), (xi, reduce)


def is_captured(program):
    (made,) = program._wholes.values()
    return isinstance(made, capture.CapturedProgram)


@pytest.mark.parametrize(("xi", "reduce"), SMOOTH)
def test_no_gradient_waits_for_the_device(xi, reduce, use):
    use(Recorder())
    for sizes in ((3, 7, 5), (23, 29, 31)):
        i, j, k = sizes
        expression, _, shapes = scalar("ij,jk->ik", ((i, j), (j, k)), xi, reduce)
        program, leaves = tna.compile(tna.value_and_grad(expression)).program(
            **{name: CuPyArray(array) for name, array in random(shapes).items()}
        )
        with np.errstate(all="ignore"):
            program(list(leaves.values()))
        assert is_captured(program)


@pytest.mark.filterwarnings("ignore:a CUDA kernel does not compile:RuntimeWarning")
def test_what_cannot_be_captured_is_told_once_and_launched_step_by_step(use, rng):
    def broken(text):
        raise RuntimeError("nvrtc: error: no such thing")

    use(broken)
    f = tna.compile(tna.contract_expression("ij,jk->ik", (3, 5), (5, 7)))
    arrays = [rng.standard_normal(shape) for shape in ((3, 5), (5, 7))]
    match = "a plan is not captured as a CUDA graph, its kernels are launched one by one: calling cuBLAS API during"
    with pytest.warns(RuntimeWarning, match=match):
        f(*map(CuPyArray, arrays))
    assert Stream.graph is None
    for _ in range(2):  # a second warning would be an error
        np.testing.assert_allclose(f(*map(CuPyArray, arrays)).get(), arrays[0] @ arrays[1], rtol=1e-13)


def test_other_numbers_and_large_steps_are_not_captured(use, host, rng, monkeypatch):
    use(host)
    shapes = (3, 5), (5, 7)
    f = tna.compile(tna.contract_expression("ij,jk->ik", *shapes))
    a, b = (rng.standard_normal(shape) + 1j for shape in shapes)
    np.testing.assert_allclose(f(CuPyArray(a), CuPyArray(b)).get(), a @ b, rtol=1e-13)
    assert f._programs["cupy"]._wholes[a.dtype, 0] is None
    assert capture.is_capturable(f.plan)
    assert not capture.is_capturable(tna.contract_path("ij,jk->ik", *shapes, memory_limit="1GB"))
    assert not capture.is_capturable(tna.contract_path("ij,jk->ik", (1024, 1024), (1024, 1024)))


def test_training_captures_its_steps(device, rng, monkeypatch):
    x = rng.standard_normal((32, 2, 1))
    labels = (x[:, 0, 0] > 0).astype(int)
    net = tna.RecurrentNetwork.random(steps=2, inputs=1, features=4, rank=3, classes=2, xi="rectifier", seed=0)
    made, make = [], capture.CapturedProgram
    monkeypatch.setattr(capture, "CapturedProgram", lambda *args: made.append(args) or make(*args))
    there = tna.fit(net.to_device("cuda"), device.there(x), labels, epochs=2, batch_size=10)
    here = tna.fit(net, x, labels, epochs=2, batch_size=10)
    assert len(made) == 2  # batches of ten rows, and the last one
    for found, expected in zip(there.history.epochs, here.history.epochs, strict=True):
        assert found.loss == pytest.approx(expected.loss, rel=1e-11)


def test_a_number_that_is_kept_keeps_no_large_array(use, host):
    use(host)
    expression, shapes = unit("rectifier")
    value, slopes = tna.compile(tna.value_and_grad(expression))(
        **{name: CuPyArray(array) for name, array in random(shapes).items()}
    )
    assert value.data.mem.nbytes == value.nbytes
    assert {slope.data.mem.nbytes for slope in slopes.values()} == {sum(slope.nbytes for slope in slopes.values())}


@pytest.mark.parametrize("steps", [2, 7])
def test_a_step_asks_as_much_of_the_device_whatever_the_number_of_parts(steps, use, host, watched, rng, monkeypatch):
    use(host)
    x, labels = rng.standard_normal((23, steps, 3)), rng.integers(0, 2, 23)
    net = tna.RecurrentNetwork.random(steps=steps, inputs=3, features=5, rank=3, classes=2, xi="rectifier", seed=0)
    step, asked = Training._step, []

    def noted(training, batch):
        watched.clear()
        step(training, batch)
        asked.append(list(watched))

    monkeypatch.setattr(Training, "_step", noted)
    with np.errstate(all="ignore"):
        tna.fit(net.to_device("cuda"), CuPyArray(x), labels, epochs=2, batch_size=5)
    (usual,) = {tuple(step) for step in asked[5:]}
    before, after = usual[: usual.index("launch")], usual[usual.index("launch") + 1 :]
    assert before == ("copy",) * 5  # parameters, X, target, weights, and the seed of the gradient
    assert after == ("copy", "copy", *["kernel"] * 5)  # loss, slopes; the norm, its root, two sums, and the update


# --- rewrites --------------------------------------------------------------------------------------------------------


def semiring(x, y):
    with np.errstate(invalid="ignore"):
        return logsumexp(x[:, :, None] + y, axis=1)


def far_apart(x, y):
    x[3, 5], y[5, 7] = 2000.0, -2000.0
    x[3, 6], y[6, 7] = -3000.0, 1500.0


def mostly_lost(x, y):
    x[:, 0] += 1e4
    y[:2] += [[-1e4], [1e4]]
    x[:, 1] -= 1e4


def rows_of_nothing(x, y):
    x[2], y[:, 3] = -np.inf, -np.inf


def put(value, x, y):
    x[4, 7] = value


HARD = {
    "plain": lambda x, y: None,
    "one entry": far_apart,
    "most entries": mostly_lost,
    "-inf": rows_of_nothing,
    "inf": lambda x, y: put(np.inf, x, y),
    "nan": lambda x, y: put(np.nan, x, y),
}


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("name", HARD)
def test_the_device_judges_the_log_semiring(name, is_compiled, device, rng):
    x, y = rng.standard_normal((31, 29)), rng.standard_normal((29, 23))
    f = tna.contract_expression("ij,jk->ik", x.shape, y.shape, xi="add", reduce="logaddexp")
    f = tna.compile(f) if is_compiled else f
    f(*map(device.there, (x, y)))
    HARD[name](x, y)
    np.testing.assert_allclose(device.back(f(*map(device.there, (x, y)))), semiring(x, y), rtol=1e-13)


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e3])
@pytest.mark.parametrize("xi", ["logaddexp", "hypot"])
def test_the_device_judges_generators(xi, scale, device, rng):
    """All numbers small, and numbers beyond the range of what the generator gives."""
    x, y = rng.standard_normal((31, 29)) * scale, rng.standard_normal((29, 23)) * scale
    x[2, 3] = scale * (1e160 if xi == "hypot" and scale > 1 else 1)
    found = device.back(tna.contract("ij,jk->ik", *map(device.there, (x, y)), xi=xi))
    expected = tna.operator(xi).apply(x[:, :, None], y).sum(1)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_small_logarithms_keep_their_digits(device):
    """Ln(eˣ + eʸ) ≈ eʸ where x is 0 and y far below: its error is ε of itself."""
    x, y = np.zeros((31, 29)), np.full((29, 23), -30.0)
    found = device.back(tna.contract("ij,jk->ik", *map(device.there, (x, y)), xi="logaddexp"))
    np.testing.assert_allclose(found, np.full((31, 23), 29 * np.log1p(np.exp(-30.0))), rtol=1e-13)


@pytest.mark.parametrize("equation", ["ab,bc->ac", "ba,bc->ca", "xab,xbc->axc", "ab,ab->"])
@pytest.mark.parametrize("is_tiled", [False, True])
def test_a_kernel_writes_what_is_wanted_and_nothing_else(equation, is_tiled, device, rng):
    arrays = operands(equation, rng, sizes={"a": 7, "b": 211, "c": 5, "x": 3})
    (step,) = tna.contract_path(equation, *arrays, xi="rectifier", optimize=False).steps
    work = work_of(step)
    tiling = next(tilings(work), None) if is_tiled else None
    there = [device.there(array) for array in arrays]
    launch = Launch(work, step.reduce, sys.modules["cupy"], tiling)
    expected = tna.contract(equation, *arrays, xi="rectifier", optimize=False)
    masks = [np.array(False), np.array(True), *([] if tiling else [rng.random(expected.shape) < 0.5])]
    for mask in masks:
        assert launch.takes(there)
        out = device.there(np.full(expected.shape, -1.0))
        found = device.back(launch.corrected(out, device.there(mask), there))
        np.testing.assert_allclose(found, np.where(mask, expected, -1.0), rtol=1e-13)


def test_without_a_kernel_nothing_is_rewritten(use):
    use(Recorder())
    (step,) = tna.contract_path("ij,jk->ik", (3, 0), (0, 5), xi="logaddexp", optimize=False).steps
    assert launch_of(step, sys.modules["cupy"]) is None
    found = tna.contract("ij,jk->ik", CuPyArray(np.ones((3, 0))), CuPyArray(np.ones((0, 5))), xi="logaddexp")
    np.testing.assert_array_equal(found.get(), np.zeros((3, 5)))
