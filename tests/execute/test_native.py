"""Plans as one call of machine code against the same plans step by step: values, memory, and what has no such form."""

import threading

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tests.execute.test_compiled import PAIRS
from tests.execute.test_gradients import EQUATIONS, random, scalar
from tnalgebra.execute import call, native, recipe
from tnalgebra.execute.fuse import fused
from tnalgebra.execute.kernels import bilinear, crew, jit
from tnalgebra.training.objective import Objective

pytest.importorskip("numba")
XIS = ("multiply", "rectifier", "logaddexp", "add", "hypot")


def program(plan, dtype="float64"):
    return native.native_program(plan, np.dtype(dtype))


def assert_same(expression, arrays, rtol=1e-13):
    """Value and gradient by one call, and step by step."""
    gradient = tna.value_and_grad(expression)
    plan = gradient.plan(**arrays)
    dtype = next(iter(arrays.values())).dtype
    found = program(plan, dtype)
    assert found is not None
    with np.errstate(all="ignore"):
        value, slopes = gradient(**arrays)
        got = found([*(arrays[name] for name in plan.inputs[:-1]), np.ones((), dtype)])
    for part, expected in zip(got, (value, *slopes.values()), strict=True):
        assert part.dtype == dtype
        np.testing.assert_allclose(part, expected, rtol=rtol, atol=rtol * np.nanmax(np.abs(expected), initial=0))


@pytest.mark.parametrize(("xi", "reduce"), PAIRS)
def test_every_operator(xi, reduce):
    expression, _, shapes = scalar("ij,jk->ik", EQUATIONS["ij,jk->ik"], xi, reduce)
    assert_same(expression, random(shapes))


@pytest.mark.parametrize("equation", [e for e in EQUATIONS if e not in ("ij,jk->ik", "ii,ij->j", "iij->j")])
@pytest.mark.parametrize("xi", ["multiply", "rectifier"])
def test_every_shape(equation, xi):
    expression, _, shapes = scalar(equation, EQUATIONS[equation], xi)
    assert_same(expression, random(shapes))


@pytest.mark.parametrize("kind", [tna.ShallowNetwork, tna.RecurrentNetwork, tna.HierarchicalNetwork])
@pytest.mark.parametrize("xi", XIS)
def test_steps_of_training(kind, xi, rng):
    """The same losses and the same parameters as without, with slices, stacks and sums of cotangents."""
    net = kind.random(steps=4, inputs=3, features=5, classes=3, rank=7, xi=xi, seed=0, dtype="float32")
    x, y = rng.standard_normal((11, 4, 3)).astype("float32"), rng.integers(0, 3, 11)
    options = {"epochs": 2, "batch_size": 11, "seed": 0, "optimizer": tna.SGD(0.01)}
    plain, fast = (tna.fit(net, x, y, compiled=compiled, **options).network for compiled in (False, True))
    for name, part in fast.parameters().items():
        np.testing.assert_allclose(part, plain.parameters()[name], rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("sizes", [(40, 30, 50), (1, 64, 300), (300, 64, 1), (17, 1031, 1)])
@pytest.mark.parametrize(
    "equation", ["ij,jk->ik", "ji,jk->ki", "ij,kj->ik", "bij,bjk->bik", "bij,jkb->ikb", "ijl,ljk->ik"]
)
def test_matrix_products_by_blas_and_by_loops(equation, sizes, rng, monkeypatch):
    given = {**dict(zip("ijk", sizes, strict=True)), "b": 3, "l": 2}
    terms = equation.split("->")[0].split(",")
    arrays = [rng.standard_normal([given[label] for label in term]) for term in terms]
    plan = tna.contract_path(equation, *arrays)
    monkeypatch.setattr(native, "SMALL", 1 << 40)
    for threshold in (1, 1 << 40):
        monkeypatch.setattr("tnalgebra.execute.writer.MATRIX", threshold)
        (found,) = program(plan)(arrays)
        assert found.flags.c_contiguous
        assert relative_error(found, np.einsum(equation, *arrays)) < 1e-13


@pytest.mark.parametrize("equation", ["ii->i", "iij->ji", "ij->ji", "ij->j", "ijk->k", "ii->", "i,->i"])
def test_views_and_sums(equation, rng):
    sizes = {"i": 5, "j": 3, "k": 2}
    arrays = [rng.standard_normal([sizes[label] for label in term]) for term in equation.split("->")[0].split(",")]
    (found,) = program(tna.contract_path(equation, *arrays))(arrays)
    np.testing.assert_allclose(found, np.einsum(equation, *arrays), rtol=1e-14)
    assert not any(np.shares_memory(found, array) for array in arrays)


@pytest.mark.parametrize("reduce", ["add", "maximum", "logaddexp"])
@pytest.mark.parametrize("equation", ["ijk->ik", "ijk->jk", "ijk->k", "kji->jk", "ijk->ji", "ijk->", "lijk->ik"])
def test_what_is_summed_next_to_the_innermost_label(equation, reduce, rng):
    """Several entries at a time and those that are left, along labels that lie together and such that do not."""
    sizes, (term, result) = {"i": 19, "j": 11, "k": 5, "l": 1}, equation.split("->")
    x = rng.standard_normal([sizes[label] for label in term])
    (found,) = program(tna.contract_path(equation, x, reduce=reduce))([x])
    axes = [axis for axis, label in enumerate(term) if label not in result]
    expected = x
    for axis in reversed(axes):
        expected = getattr(np, reduce).reduce(expected, axis=axis)
    left = "".join(label for label in term if label in result)
    np.testing.assert_allclose(found, np.einsum(f"{left}->{result}", expected), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("xi", ["multiply", "add", "maximum"])
def test_several_results_of_which_each_lacks_a_label(xi):
    expression, _, shapes = scalar("ij,jk->ik", ((19, 11), (11, 5)), xi)
    assert_same(expression, random(shapes))


def test_leaves_of_any_layout_and_results_of_ones_own(rng):
    e = tna.compile(tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi="rectifier"))
    a, b = rng.standard_normal((6, 4)), rng.standard_normal((4, 5))
    first = e(A=a, B=b)
    second = e(A=np.asfortranarray(a), B=np.repeat(b, 2, axis=1)[:, ::2])
    np.testing.assert_array_equal(first, second)
    assert not np.shares_memory(first, second)


def test_leaves_and_results_of_a_class_of_their_own(rng):
    class Own(np.ndarray):
        pass

    a, b = rng.standard_normal((6, 4)), rng.standard_normal((4, 5))
    found = program(tna.contract_path("ij,jk->ik", a, b, xi="rectifier"))
    (expected,), out = found([a, b]), np.zeros((6, 5))
    found.into([a.view(Own), b[::-1][::-1]], [out.view(Own)])
    np.testing.assert_array_equal(out, expected)


def test_bytes_in_another_order_and_off_their_places(rng):
    planned = tna.contract_expression("ij,jk->ik", (6, 4), (4, 5), xi="rectifier")
    a, b = rng.standard_normal((6, 4)), rng.standard_normal((4, 5))
    room = np.zeros(a.nbytes + 1, np.uint8)
    off = room[1:].view(np.float64).reshape(a.shape)
    off[...] = a
    for first, second in ((a.astype(">f8"), b.astype(">f8")), (off, b)):
        np.testing.assert_allclose(tna.compile(planned)(first, second), planned(a, b), rtol=1e-14)


def test_infinities_and_nan(rng):
    for xi, reduce in (("add", "minimum"), ("rectifier", "add"), ("logaddexp", "add")):
        a, b = rng.standard_normal((5, 4)), rng.standard_normal((4, 3))
        a[1, 2], a[3], b[0, 0] = np.inf, np.nan, -np.inf
        plan = tna.contract_path("ij,jk->ik", a, b, xi=xi, reduce=reduce)
        with np.errstate(all="ignore"):
            expected = tna.contract("ij,jk->ik", a, b, xi=xi, reduce=reduce)
        np.testing.assert_allclose(program(plan)([a, b])[0], expected, rtol=1e-13)


def test_buffers_are_shared_where_no_one_needs_them(rng):
    """A chain of twenty maps takes two buffers beside its result, and a call that fills what it reads says so."""
    node = tna.leaf("A", "ij")
    for _ in range(20):
        node = tna.contract(
            "ij,ij->ij", node, tna.contract("ij,->ij", tna.leaf("A", "ij"), tna.leaf("c", "")), xi="hypot"
        )
    plan = node.plan(A=(7, 5), c=())
    made = recipe.recipe(plan, 8)
    assert made.room <= 3 * 48
    a, c = rng.standard_normal((7, 5)), np.array(0.5)
    (found,) = program(plan)([a, c][: len(plan.inputs)])
    assert relative_error(found, node.evaluate(A=a, c=c)) < 1e-13
    for made_call in made.calls:
        spots = [made.places.get(row, -1 - row) for row, _ in made_call.arrays]
        assert (spots[-1] in spots[:-1]) == ("o0 = x" in made_call.text)


ALIASES = {  # of a value B of which nothing else is wanted: what reads it, and whether its place can be taken
    "as it is": (lambda b, c: tna.contract("ij,ij->ij", b, c, xi="hypot"), True),
    "turned": (lambda b, c: tna.contract("ij,ij->ji", b, c, xi="hypot"), True),
    "twice": (lambda b, c: tna.contract("ij,ij->ij", b, b, xi="hypot"), False),
    "twice, once turned": (lambda b, c: tna.contract("ij,ji->ij", b, b, xi="hypot"), False),
    "a diagonal": (lambda b, c: tna.contract("ii,i->i", b, tna.contract("ij->i", c), xi="hypot"), True),
    "a slice": (lambda b, c: tna.contract("ij,ij->ij", tna.contract("ij->ji", b), c, xi="hypot"), True),
    "repeated": (lambda b, c: tna.contract("ij,k->ijk", b, tna.contract("ij->j", c), xi="hypot"), False),
    "summed": (lambda b, c: tna.contract("ij,ij->i", b, c, xi="hypot"), False),
    "read before": (lambda b, c: tna.contract("ij,i->ij", b, tna.contract("ij,ij->i", b, c, xi="hypot")), True),
    "read later": (
        lambda b, c: tna.contract("ij,jk->ik", tna.contract("ij,ij->ij", b, c, xi="hypot"), b, xi="rectifier"), False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("threads", [1, 3])
def test_values_in_the_place_of_others(alias, threads, rng, monkeypatch):
    """A step writes over what it reads only where each entry is read before it is written, and never again."""
    monkeypatch.setattr(call, "SHARE", 1)
    build, can_be = ALIASES[alias]
    c = tna.leaf("C", "ij")
    node = build(tna.contract("ik,kj->ij", c, tna.leaf("A", "ij"), xi="rectifier"), c)
    arrays = random({"A": (31, 31), "C": (31, 31)})
    plan = node.plan(**arrays)
    made = recipe.recipe(plan, 8, threads)
    assert any("o0 = x" in made_call.text for made_call in made.calls) is can_be
    (found,) = program(plan)([arrays[name] for name in plan.inputs])
    assert relative_error(found, node.evaluate(**arrays)) < 1e-14


def test_leaves_and_results_are_never_written_over(rng):
    """Values that are wanted are read by later steps, and leaves belong to the caller."""
    a, c = tna.leaf("A", "ij"), tna.leaf("C", "ij")
    b = tna.contract("ij,ij->ij", a, c, xi="hypot")
    loss = tna.contract("ij,ij->", tna.contract("ij,ij->ij", b, c, xi="hypot"), b, xi="logaddexp")
    arrays = random({"A": (17, 13), "C": (17, 13)})
    before = {name: array.copy() for name, array in arrays.items()}
    assert_same(loss, arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (10,), (3, 7)])
@pytest.mark.parametrize("reduce", ["add", "maximum", "minimum"])
def test_threads_share_out_sums(shape, reduce, dtype, rng, three_threads):
    """Where no label of a result can be shared out, parts of the sum have results of their own."""
    kept = "klm"[: len(shape)]
    a, b = tna.leaf("A", f"ij{kept}"), tna.leaf("B", f"i{kept}")
    arrays = random({"A": (131, 5, *shape), "B": (131, *shape)})
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    node = tna.contract(f"ij{kept},i{kept}->{kept}", a, b, xi="hypot", reduce=reduce)
    plan = node.plan(**arrays)
    found = program(plan, dtype)
    spans = [made.span for made in found._made.calls if made.span]
    assert (spans and spans[0].parts == call.SUMS and len(found._made.calls) > 1) or shape == (3, 7)
    tolerance = 1e-14 if dtype == "float64" else 1e-6
    for _ in range(5):
        got = found([arrays[name] for name in plan.inputs])[0]
        assert relative_error(got, node.evaluate(**{n: x.astype("float64") for n, x in arrays.items()})) < tolerance


def test_parts_of_a_sum_take_little_memory():
    """A long result is not had once for each part, not even where nothing else can be shared out."""
    plan = tna.contract_expression("ij,ij->j", (64, 100_000), (64, 100_000), xi="hypot").plan
    alone, shared = (recipe.recipe(plan, 8, threads) for threads in (1, 3))
    assert shared.bytes(8) == alone.bytes(8)


def test_values_are_written_to_arrays_of_any_kind(rng):
    """To where they are wanted at once, if that is C's order and the same dtype, and else by a copy."""
    expression, _, shapes = scalar("ij,jk->ik", ((11, 17), (17, 13)), "rectifier")
    gradient, arrays = tna.value_and_grad(expression), random(shapes)
    plan = gradient.plan(**arrays)
    given, found = [*(arrays[name] for name in plan.inputs[:-1]), np.ones(())], program(plan)
    truth = found(given)
    makers = (
        np.empty, lambda shape: np.empty(shape, "float32"), lambda shape: np.empty(shape[::-1]).T,
        lambda shape: np.empty([2 * size for size in shape])[tuple(slice(None, None, 2) for _ in shape)],
        lambda shape: np.frombuffer(bytearray(8 * int(np.prod(shape)) + 1), offset=1).reshape(shape),
    )  # fmt: skip
    for make in makers:
        outs = [np.asarray(make(part.shape)) for part in truth]
        found.into(given, outs)
        for out, part in zip(outs, truth, strict=True):
            np.testing.assert_array_equal(out, part.astype(out.dtype))
    with pytest.raises(ValueError, match="could not broadcast input array"):
        found.into(given, [np.empty(part.size // 2) for part in truth])


def test_what_has_no_such_form_goes_step_by_step(rng, monkeypatch):
    calls = []
    monkeypatch.setattr(native.NativeProgram, "__call__", lambda self, arrays: calls.append(1))
    tna.plan_cache.clear()
    planned = tna.compile(tna.contract_expression("ij,jk->ik", (3, 4), (4, 5), xi="rectifier"))
    integers = rng.integers(-9, 9, (3, 4)), rng.integers(-9, 9, (4, 5))
    np.testing.assert_array_equal(planned(*integers), tna.contract("ij,jk->ik", *integers, xi="rectifier"))
    empty = tna.compile(tna.contract_expression("ij,jk->ik", (3, 0), (0, 5)))
    assert not empty(np.ones((3, 0)), np.ones((0, 5))).any()
    tight = tna.contract_expression("ij,jk,kl->il", (30, 40), (40, 50), (50, 30), xi="rectifier", memory_limit=10_000)
    arrays = [rng.standard_normal(shape) for shape in ((30, 40), (40, 50), (50, 30))]
    np.testing.assert_allclose(tna.compile(tight)(*arrays), tight(*arrays), rtol=1e-12)
    diagonal = tna.value_and_grad(tna.contract("ii->", tna.leaf("A", "ij")))
    np.testing.assert_array_equal(tna.compile(diagonal)(A=np.ones((3, 3)))[1]["A"], np.eye(3))
    x, y = rng.standard_normal((31, 29)), rng.standard_normal((29, 23))
    semiring = tna.contract_expression("ij,jk->ik", x.shape, y.shape, xi="add", reduce="logaddexp")
    np.testing.assert_array_equal(tna.compile(semiring)(x, y), semiring(x, y))  # a matrix product of exponentials
    assert not calls
    tna.plan_cache.clear()


def test_a_kernel_that_does_not_compile_is_done_without(rng, monkeypatch):
    def broken(*_):
        raise jit.numba_or_none().errors.TypingError("no")

    monkeypatch.setattr(native, "native", broken)
    tna.plan_cache.clear()
    planned = tna.contract_expression("ij,jk->ik", (3, 4), (4, 5), xi="rectifier")
    a, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 5))
    with pytest.warns(RuntimeWarning, match="a kernel does not compile, NumPy's is used: .*no"):
        found = tna.compile(planned)(a, b)
    np.testing.assert_allclose(found, planned(a, b), rtol=1e-14)
    tna.plan_cache.clear()


def test_threads_have_memory_of_their_own(rng):
    expression, _, shapes = scalar("ij,jk->ik", ((11, 17), (17, 13)), "rectifier")
    gradient = tna.compile(tna.value_and_grad(expression))
    inputs = [random(shapes, seed) for seed in range(3)]
    truth, found = [gradient(**arrays) for arrays in inputs], [[] for _ in inputs]

    def work(place):
        for _ in range(200):
            found[place].append(gradient(**inputs[place]))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (value, slopes), results in zip(truth, found, strict=True):
        for got, parts in results:
            assert got == value
            for name, part in parts.items():
                np.testing.assert_array_equal(part, slopes[name])


@pytest.fixture
def three_threads(monkeypatch):
    """Three threads share out whatever they can."""
    monkeypatch.setattr(native, "thread_count", lambda: 3)
    monkeypatch.setattr(native, "MUCH", 1)
    monkeypatch.setattr(call, "SHARE", 1)


def objective_of(xi, dtype):
    """A call for loss and gradient of a shallow network, its arguments, and the same step by step."""
    net = tna.ShallowNetwork.random(steps=3, inputs=5, features=11, classes=2, rank=37, xi=xi, seed=0, dtype=dtype)
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((29, 3, 5)), np.eye(2)[rng.integers(0, 2, 29)]
    batch = {"X": x.astype(dtype), "target": target.astype(dtype), "row_weight": np.full(29, 1 / 29, dtype)}
    fast, plain = (Objective(net, "cross-entropy", compiled=compiled) for compiled in (True, False))
    return fast, plain, (fast.vector(net), batch)


@pytest.mark.parametrize("xi", XIS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 1e-14)])
def test_threads_share_out_the_steps_of_a_shallow_network(xi, dtype, tolerance, monkeypatch, three_threads):
    """They change no bit of what one thread computes, whoever takes which part."""
    fast, plain, given = objective_of(xi, dtype)
    loss, slope = fast(*given)
    expected, truth = plain(*given)
    assert abs(loss - expected) < tolerance * abs(expected)
    assert relative_error(slope, truth) < tolerance
    for count in (3, 2, 1) * 5:
        monkeypatch.setattr(native, "thread_count", lambda count=count: count)
        np.testing.assert_array_equal(fast(*given)[1], slope)


def test_who_cannot_lead_the_threads_works_alone(three_threads):
    fast, _, given = objective_of("rectifier", "float64")
    slope = fast(*given)[1].copy()
    with crew.free_crew().busy:
        assert crew.free_crew() is None
        np.testing.assert_array_equal(fast(*given)[1], slope)
    assert crew.free_crew() is not None


@pytest.mark.parametrize(("length", "step"), [(1, 1), (5, 1), (8, 1), (97, 1), (97, 6), (4, 6)])
def test_parts_cover_the_whole_once(length, step):
    """By two ends among the numbers, or by arrays that move and one length."""
    ends = call.Call("", ((0, 3), (1, 5)), (7, 0, length, 9), call.Span(1, length, step)).parts()
    moved = call.Call("", ((0, 3), (1, 5)), (7, length, 9), call.Span(1, length, step, moves=(2, 0))).parts()
    apart = call.Call("", ((0, 3), (1, 5)), (7, 0, length, 9), call.Span(1, length, step, apart=(0, 4))).parts()
    found = [(part.numbers[1], part.numbers[2]) for part in ends]
    assert [n for first, last in found for n in range(first, last)] == [*range(length)]
    assert all(first % step == 0 for first, _ in found)
    assert {(part.numbers[0], part.numbers[3], part.arrays) for part in ends} == {(7, 9, ((0, 3), (1, 5)))}
    assert [part.numbers for part in moved] == [(7, last - first, 9) for first, last in found]
    assert [part.arrays for part in moved] == [((0, 3 + 2 * first), (1, 5)) for first, _ in found]
    assert [part.numbers for part in apart] == [part.numbers for part in ends]
    assert [part.arrays for part in apart] == [((0, 3), (1, 5 + 4 * i)) for i in range(len(found))]


@pytest.mark.parametrize("rows", [7, 307])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_share_out_rows_or_sums(rows, dtype, monkeypatch, three_threads):
    monkeypatch.setattr(bilinear, "SHARE", 1)
    made = tna.contract("bi,bj->bij", tna.leaf("a", "bi"), tna.leaf("h", "bj"), xi="hypot")
    unit = tna.contract("bij,ijk->kb", made, tna.leaf("G", "ijk"))
    arrays = random({"a": (rows, 11), "h": (rows, 13), "G": (11, 13, 17)})
    found = program(fused(unit.plan(**arrays)), dtype)
    got = found([arrays[name].astype(dtype) for name in "ahG"])[0]
    spans = [made.span.place for made in found._made.calls if made.span and not made.span.moves]
    assert spans == [4 if rows < 11 * 13 else 2]
    assert relative_error(got, unit.evaluate(**arrays)) < (1e-14 if dtype == "float64" else 3e-6)


@pytest.mark.parametrize("equation", ["ijk->j", "jik->ji", "ijk->k", "ij,ijk->k", "ijk,i->kj"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_exponentials(equation, dtype, rng, three_threads):
    """With numbers that are far apart, rows of −∞, +∞, and NaN."""
    sizes = {"i": 13, "j": 7, "k": 11}
    arrays = [
        (100 * rng.standard_normal([sizes[label] for label in term])).astype(dtype)
        for term in equation.split("->")[0].split(",")
    ]
    for spot, value in (((0, 0), np.inf), ((1, 1), np.nan)):
        arrays[0][spot] = value
    arrays[0][2] = arrays[0][:, 2] = -np.inf
    plan = tna.contract_path(equation, *arrays, xi="hypot", reduce="logaddexp")
    with np.errstate(all="ignore"):
        expected = tna.contract(equation, *arrays, xi="hypot", reduce="logaddexp")
    np.testing.assert_allclose(program(plan, dtype)(arrays)[0], expected, rtol=1e-14 if dtype == "float64" else 2e-6)


def test_one_program_after_the_other_has_the_same_memory(rng):
    native._rooms.cache_clear()
    node = tna.contract("ij,ij->ij", tna.leaf("A", "ij"), tna.leaf("A", "ij"), xi="hypot")
    loss = tna.contract("ij,ij->", node, node)
    for size, is_new in ((5, True), (31, True), (7, False), (31, False)):
        before = [room for room, _ in native._rooms()]
        array = rng.standard_normal((size, size))
        (found,) = program(loss.plan(A=array))([array])
        assert abs(found - 2 * (array**2).sum()) < 1e-13 * found
        assert len(native._rooms()) == 1
        assert ([room for room, _ in native._rooms()] != before) is is_new


def square(size):
    """A program of squares, whose values are kept between two steps."""
    node = tna.contract("i,i->i", tna.leaf("A", "i"), tna.leaf("A", "i"), xi="hypot")
    loss = tna.contract("i,i->", node, node)
    return native.native_program(loss.plan(A=(size,), memory_limit="1GiB"), np.dtype("float64"))


def test_nothing_is_kept_of_a_large_call(rng, monkeypatch):
    native._rooms.cache_clear()
    monkeypatch.setattr(native, "ROOM", 1 << 12)
    small, large = square(31), square(5003)
    small([rng.standard_normal(31)])
    (before,) = native._rooms()
    large([rng.standard_normal(5003)])
    assert [*native._rooms()] == [before]
    assert before[1].size <= native.ROOM


def test_of_many_calls_at_once_a_few_leave_their_memory(monkeypatch):
    native._rooms.cache_clear()
    rooms = [native._room(size) for size in range(1, 3 * native.KEPT)]
    assert len({place for place, _ in rooms}) == len(rooms)
    at_once, run = threading.Barrier(2 * native.KEPT), square(31)
    monkeypatch.setattr(run, "_run", lambda *_, run=run._run: (at_once.wait(10), run(*_))[1])
    threads = [threading.Thread(target=run, args=([np.ones(31)],)) for _ in range(2 * native.KEPT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not at_once.broken
    assert len(native._rooms()) == native.KEPT


def test_what_is_too_small_is_given_back_for_what_is_enough():
    native._rooms.cache_clear()
    large, small = native._room(1009), native._room(7)
    native._rooms().extend([large, small])
    assert native._room(31) is large
    assert len(native._rooms()) == 0
