"""What a plan promises: its memory is an upper bound of what is measured, its loops run, its cache forgets."""

import functools
import itertools
import re
import tracemalloc

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import EQUATIONS, operands, relative_error, shapes
from tests.execute.test_contract import BUILTIN, PAIRS, kind_of, truth
from tnalgebra.algebra import known_operators
from tnalgebra.errors import EquationError, MemoryLimitError
from tnalgebra.graph import Contract, Leaf, Map, Sum
from tnalgebra.plan import build, build_plan

MIB = 2**20
SLACK = 512 * 1024  # NumPy's own buffers: 8192 entries an operand of a ufunc; and Python's objects
REAL = tuple(name for name in BUILTIN if not name.startswith("logical"))


def measured(call):
    """Result of a call and the most bytes that were allocated beside what was there before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        return result, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


CASES = (
    ("ab,bc->ac", ((40, 210), (210, 60))), ("ab,bc->", ((40, 210), (210, 60))), ("abc->a", ((30, 31, 137),)),
    ("ab,a->b", ((3, 140000), (3,))), ("ab,cb->ac", ((3, 40000), (5, 40000))), ("a,b->ab", ((900,), (310,))),
    ("ab,bc,cd,da->", ((17, 19), (19, 13), (13, 11), (11, 17))), ("a,b,c,d,e->ab", ((17,), (19,), (13,), (11,), (7,))),
    ("aab,bc->ac", ((80, 80, 41), (41, 41))), ("xab,xbc->xac", ((32, 20, 41), (32, 41, 30))),
    ("abx,cbx->xac", ((11, 41, 40), (17, 41, 40))), ("ab,bc,cd->da", ((32, 20), (20, 17), (17, 31))),
)  # fmt: skip


@pytest.mark.parametrize(
    ("xi", "reduce"),
    [
        ("multiply", "add"), ("multiply", "minimum"), ("rectifier", "add"), ("logaddexp", "logaddexp"),
        ("add", "logaddexp"), ("maximum", "hypot"), ("hypot", "hypot"), ("hypot", "rectifier"),
    ],
)  # fmt: skip
def test_peak_bytes_bound_what_is_allocated(xi, reduce, rng):
    for equation, sizes in CASES:
        arrays = [rng.standard_normal(shape) for shape in sizes]
        plan = tna.contract_path(equation, *arrays, xi=xi, reduce=reduce)
        call = functools.partial(tna.contract, equation, *arrays, xi=xi, reduce=reduce)
        call()  # plans and caches are no part of the measurement
        assert measured(call)[1] <= plan.peak_bytes + SLACK, equation


@pytest.mark.parametrize("dtype", ["float32", "int8", "bool", "complex128"])
def test_peak_bytes_know_the_dtype(dtype, rng):
    for xi, reduce in (
        ("multiply", "add"),
        ("add", "add"),
        *([("logaddexp", "add"), ("rectifier", "hypot")] if dtype != "complex128" else []),
    ):
        arrays = [(5 * rng.standard_normal(shape)).astype(dtype) for shape in ((300, 71), (71, 300))]
        plan = tna.contract_path("ab,bc->ac", *arrays, xi=xi, reduce=reduce, dtype=dtype)
        call = functools.partial(tna.contract, "ab,bc->ac", *arrays, xi=xi, reduce=reduce)
        call()
        converted = 8 * sum(array.size for array in arrays) if np.dtype(dtype).kind in "bi" else 0
        assert measured(call)[1] <= plan.peak_bytes + converted + SLACK, (xi, reduce)


@pytest.mark.parametrize(
    ("equation", "sizes", "xi", "reduce"),
    [
        ("ab,bc->ac", ((700, 700), (700, 700)), "maximum", "add"),
        ("ab,bc->ac", ((700, 300), (300, 701)), "rectifier", "add"),
        ("ar,br,cr->", ((700, 1), (700, 1), (700, 1)), "rectifier", "minimum"),
        ("ab,bc,cd->ad", ((17, 170), (170, 180), (180, 19)), "add", "multiply"),
        ("a,b->", ((14000,), (10000,)), "maximum", "add"),
        ("ab->a", ((3, 4_000_000),), "multiply", "logaddexp"),
    ],
)
def test_a_contraction_takes_its_output_and_little_more(equation, sizes, xi, reduce, rng):
    """The whole broadcast array would take more than a gigabyte (or as much as the operand, for one operand)."""
    arrays = [rng.standard_normal(shape) for shape in sizes]
    found, peak = measured(lambda: tna.contract(equation, *arrays, xi=xi, reduce=reduce))
    plan = tna.contract_path(equation, *arrays, xi=xi, reduce=reduce)
    assert peak <= found.nbytes + 64 * MIB
    assert peak <= plan.peak_bytes + SLACK + MIB  # planned in the same call
    assert plan.peak_bytes <= found.nbytes + 64 * MIB


def test_a_weighted_contraction_takes_its_output_and_little_more(rng):
    unit = tna.contract(
        "ijk,bij->bk",
        tna.leaf("G", "ijk"),
        tna.contract("bi,bj->bij", tna.leaf("a", "bi"), tna.leaf("h", "bj"), xi="maximum"),
    )
    arrays = {
        "a": rng.standard_normal((2000, 260)),
        "h": rng.standard_normal((2000, 260)),
        "G": rng.standard_normal((260, 260, 3)),
    }
    unit.evaluate(**arrays)
    found, peak = measured(lambda: unit.evaluate(**arrays))
    plan = unit.plan(**{name: array.shape for name, array in arrays.items()})
    assert [step.kind for step in plan.steps] == ["weighted"]
    assert peak <= min(plan.peak_bytes + SLACK, found.nbytes + 64 * MIB)


LIMITED = (
    ("ab,bc,cd->ad", ((97, 89), (89, 101), (101, 83)), "multiply", "add"),
    ("ab,ac,ad->bcd", ((37, 31), (37, 29), (37, 23)), "multiply", "add"),
    ("ab,bc->ac", ((97, 211), (211, 101)), "rectifier", "add"),
    ("ab,bc->", ((97, 211), (211, 101)), "hypot", "hypot"),
    ("ab,bc,cd->d", ((13, 11), (11, 17), (17, 7)), "logaddexp", "logaddexp"),
    ("ab,bc,cd->a", ((29, 31), (31, 37), (37, 23)), "add", "logaddexp"),
)


@pytest.mark.parametrize(("equation", "sizes", "xi", "reduce"), LIMITED)
def test_a_memory_limit_holds(equation, sizes, xi, reduce, rng):
    arrays = [rng.standard_normal(shape) for shape in sizes]
    call = functools.partial(tna.contract, equation, *arrays, xi=xi, reduce=reduce)
    plan = tna.contract_path(equation, *arrays, xi=xi, reduce=reduce)
    with pytest.raises(MemoryLimitError, match=r"memory_limit is 8 bytes, but `\S+` needs at least \d+ bytes") as found:
        call(memory_limit=8)
    least = int(re.search(r"at least (\d+)", str(found.value))[1])
    expected = call()
    for limit in (plan.peak_bytes, (plan.peak_bytes + 3 * least) // 4, least + (plan.peak_bytes - least) // 16):
        sliced = tna.contract_path(equation, *arrays, xi=xi, reduce=reduce, memory_limit=limit)
        assert sliced.peak_bytes <= limit
        call(memory_limit=limit)
        result, peak = measured(lambda limit=limit: call(memory_limit=limit))
        assert peak <= limit + SLACK
        assert relative_error(result, expected) < 1e-12
    assert tna.contract_path(equation, *arrays, xi=xi, reduce=reduce, memory_limit=least).peak_bytes <= least
    with pytest.raises(MemoryLimitError, match=f"needs at least {least} bytes"):
        tna.contract_path(equation, *arrays, xi=xi, reduce=reduce, memory_limit=least - 1)


def test_a_memory_limit_counts_operands_in_another_dtype(rng):
    """Integers of which logarithms are taken, and floats beside wider ones, are copied before the first step."""
    few = rng.integers(0, 9, (97, 97, 31))
    single, double = rng.random((301, 307), np.float32), rng.random((307, 11))
    for equation, arrays, reduce, limit in (
        ("dfb->bf", (few,), "logaddexp", 3_000_000),
        ("ij,jk->ik", (single, double), "maximum", 1_000_000),
    ):
        expected = tna.contract(equation, *arrays, reduce=reduce)
        found, peak = measured(functools.partial(tna.contract, equation, *arrays, reduce=reduce, memory_limit=limit))
        assert relative_error(found, expected) < 1e-14
        assert peak <= limit + SLACK
    e = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"))
    message = (
        "memory_limit is 700000 bytes, but .* with every label sliced as far as it can be, 739256 of them for operands"
    )
    with pytest.raises(MemoryLimitError, match=message):
        e.evaluate(A=single, B=double, memory_limit=700_000)


def test_costs_of_known_products():
    plan = tna.contract_path("ij,jk->ik", (3, 5), (5, 7))
    assert (plan.flops, plan.bytes_moved, plan.peak_bytes) == (2 * 3 * 5 * 7, 8 * (15 + 35 + 21), 8 * 21)
    plan = tna.contract_path("ij,jk->ik", (3, 5), (5, 7), dtype="float32")
    assert (plan.flops, plan.bytes_moved, plan.peak_bytes) == (2 * 3 * 5 * 7, 4 * (15 + 35 + 21), 4 * 21)
    plan = tna.contract_path("ij,jk,kl->il", (3, 5), (5, 7), (7, 2), xi="hypot")
    assert plan.flops == 3 * 5 * 7 + 3 * 5 * 7 * 2 + 3 * 5 * 7 * 2 or plan.flops == 5 * 7 * 2 + 2 * 3 * 5 * 7 * 2
    assert [step.equation for step in plan.steps] == ["ij,jk,kl->il"]
    for equation in EQUATIONS:
        for xi, reduce in PAIRS[::5]:
            plan = tna.contract_path(equation, *shapes(equation), xi=xi, reduce=reduce)
            assert min(plan.flops, plan.bytes_moved, plan.peak_bytes) >= 0
            assert plan.flops == sum(step.flops for step in plan.steps)
            assert plan.peak_bytes >= 8 * np.prod(plan.shape)


def test_a_plan_prints_as_a_table():
    assert str(tna.contract_path("ij,jk,kl->il", (3, 5), (5, 7), (7, 2), xi="multiply")) == "\n".join(
        [
            "step  kind     equation   flops  bytes  peak",
            "1     product  jk,kl->jl    140    472    80",
            "2     product  ij,jl->il     60    248   128",
            "reorderable: multiply distributes over add",
            "total: 200 operations, 720 bytes moved, 128 bytes at the peak",
        ]
    )
    table = str(tna.contract_path("ij,jk,kl->i", (97, 89), (89, 101), (101, 83), xi="hypot", memory_limit=300_000))
    assert re.search(r"for slices: \w by \d+ of \d+", table)
    assert (
        "not reorderable: labels 'j', 'k', 'l' can be summed only in the last step: hypot does not distribute" in table
    )
    one = tna.contract_path("i,i->", (3,), (3,), xi="rectifier")
    assert one.reason == "label 'i' can be summed only in the last step: rectifier does not distribute over add"
    hint = tna.contract_path("i,i->", (3,), (3,), xi="multiply", reduce="maximum")
    assert hint.reason.endswith("multiply does not distribute over maximum; it does on non-negative numbers")
    assert tna.contract_path("i,i->", (3,), (3,), reduce="maximum", nonnegative=True).reason.endswith(
        "on non-negative numbers"
    )


def loops_of(plan):
    return plan.explain().split("The same numbers, slowly:\n\n")[1]


def executed(loop, arrays):
    """Value of ``out`` after the loop, with every operator as a function of any number of arguments."""
    functions = {op.name: (lambda *args, op=op: functools.reduce(op.apply, args)) for op in known_operators()}
    scope = {"np": np, **functions, **arrays}
    exec(loop, scope)
    return scope["out"]


def test_explained_loops_give_the_same_numbers(rng):
    for number, (equation, (xi, reduce)) in enumerate(itertools.product(EQUATIONS, PAIRS)):
        if number % 23:
            continue
        arrays = operands(equation, rng, kind=kind_of(xi, reduce))
        plan = tna.contract_path(equation, *arrays, xi=xi, reduce=reduce)
        found = executed(loops_of(plan), dict(zip("ABCDE", arrays, strict=False)))
        assert relative_error(found, truth(equation, arrays, xi, reduce)) < 1e-12, (equation, xi, reduce)


def test_explained_loops_survive_names(rng):
    """Labels that are leaves' names, labels that Python cannot spell, maps, sums and infinite units."""
    a, b = rng.standard_normal((3, 5)), rng.standard_normal((5, 7))
    plan = tna.contract_path("AB,BC->AC", a, b, reduce="maximum")
    assert relative_error(executed(loops_of(plan), {"A": a, "B": b}), (a[:, :, None] * b).max(1)) < 1e-14
    plan = tna.contract_path("i×,×k->ik", a, b)
    assert relative_error(executed(loops_of(plan), {"A": a, "B": b}), a @ b) < 1e-14
    leaf = Leaf("t0", ("i", "j"))
    row = Contract(tna.operator("add"), tna.operator("maximum"), (("i", "max"),), (leaf,), ("i",))
    node = Sum((Map("exp(-x) + maximum(x, -inf)", row), row))
    plan = build_plan(node, {"t0": (3, 5)})
    top = a.max(1)
    assert relative_error(executed(loops_of(plan), {"t0": a}), np.exp(-top) + 2 * top) < 1e-14


def test_an_explanation_says_why(rng):
    text = tna.contract_path("ij,jk,kl->il", (3, 5), (5, 7), (7, 2), xi="rectifier").explain()
    assert text.startswith("out[il] = Σ_jk rectifier(A[ij], B[jk], C[kl])\n")
    assert "Sums stay where they are: labels 'j', 'k' can be summed only in the last step: rectifier does not" in text
    assert "1. ij,jk,kl->il: combine in cache-sized blocks and reduce at once." in text
    assert "Sums may move: multiply distributes over add." in tna.contract_path("i,i->", (3,), (3,)).explain()


@pytest.fixture
def empty_cache():
    capacity = tna.plan_cache.info().capacity
    tna.plan_cache.clear()
    yield tna.plan_cache
    tna.plan_cache.resize(capacity)
    tna.plan_cache.clear()


def test_a_plan_is_found_again_by_all_that_it_depends_on(empty_cache):
    a, b = np.ones((3, 5)), np.ones((5, 7))
    calls = [
        lambda: tna.contract("ij,jk->ik", a, b),
        lambda: tna.contract("ij,jk->ik", a.astype("float32"), b),
        lambda: tna.contract("ij,jk->ik", a, np.ones((5, 2))),
        lambda: tna.contract("ij,jk->ki", a, b),
        lambda: tna.contract("ij,jk->ik", a, b, xi="hypot"),
        lambda: tna.contract("ij,jk->ik", a, b, xi="hypot", reduce="maximum"),
        lambda: tna.contract("ij,jk->ik", a, b, optimize="greedy"),
        lambda: tna.contract("ij,jk->ik", a, b, optimize=[(0, 1)]),
        lambda: tna.contract("ij,jk->ik", a, b, memory_limit=10**6),
        lambda: tna.contract("ij,jk->ik", -a, b, reduce="maximum"),
        lambda: tna.contract("ij,jk->ik", a, b, reduce="maximum"),  # on non-negative numbers
    ]
    for number, call in enumerate(calls, 1):
        call()
        assert empty_cache.info()[:3] == (0, number, number)
    for number, call in enumerate(calls, 1):
        call()
        assert empty_cache.info()[:3] == (number, len(calls), len(calls))


def test_the_cache_forgets(empty_cache):
    def call(size):
        tna.contract("i->", np.ones(size))

    empty_cache.resize(2)
    for size in (2, 3, 2, 5, 2, 3):  # 3 is the least recently used when 5 comes
        call(size)
    assert empty_cache.info() == (2, 4, 2, 2)
    empty_cache.resize(0)
    call(2)
    call(2)
    assert empty_cache.info() == (2, 6, 0, 0)
    empty_cache.clear()
    assert empty_cache.info() == (0, 0, 0, 0)
    with pytest.raises(ValueError, match="capacity must be 0 or more; got -1"):
        empty_cache.resize(-1)


def test_the_cache_keeps_no_array(empty_cache):
    import gc
    import weakref

    array = np.ones((3, 5))
    seen = weakref.ref(array)
    tna.contract("ij,ij->i", array, array, xi="hypot")
    tna.contract("ij,ik->jk", array, array)
    del array
    gc.collect()
    assert seen() is None


def test_paths_need_shapes_alone():
    class Shaped:
        shape = (10**6, 10**6)

        def __getattr__(self, name):
            raise AssertionError(f"the planner asked for .{name}")

    plan = tna.contract_path("ij,jk->ik", Shaped(), (10**6, 3), xi="rectifier")
    assert plan.shape == (10**6, 3)
    assert plan.flops == 2 * 3 * 10**12
    assert tna.contract_path("ij,jk->ik", [2, 3], np.empty((3, 5))).shape == (2, 5)
    for wrong, got in (((2, -1), "(2, -1)"), ((2, 3.0), "(2, 3.0)"), ("ab", "str")):
        with pytest.raises(
            tna.errors.EquationError, match=re.escape(f"operand 0 must be a shape or have one; got {got}")
        ):
            tna.contract_path("ij,jk->ik", wrong, (3, 5))


def test_a_chain_of_products_copies_no_operand():
    d, size = 8, 3
    terms = [f"{bonds[k]}{'ijklmnop'[k]}{bonds[k + 1]}" for k in range(d) for bonds in ("ABCDEFGHI", "stuvwxyzQ")]
    ranks = [[1, *[rank] * (d - 1), 1] for rank in (7, 5)]
    shapes = [(bonds[k], size, bonds[k + 1]) for k in range(d) for bonds in ranks]
    plan = tna.contract_path(f"{','.join(terms)}->", *shapes)
    products = [step for step in plan.steps if step.kind == "product"]
    assert len(products) == 2 * d - 1
    assert [step.scratch_bytes for step in products] == [0] * len(products)


@pytest.mark.parametrize(
    ("equation", "sizes", "labels"),
    [
        ("bi,bj,ijk->bk", (997, 5, 3, 2), "ijb"),
        ("bi,bj,ijk->bk", (3, 5, 11, 2), "bij"),
        ("bi,bj,jik->bk", (997, 3, 5, 2), "jib"),
        ("bi,bj,bijk->bk", (997, 5, 3, 2), "bij"),  # b is in both: BLAS wants it first
    ],
)
def test_rows_of_an_entrywise_product_are_long_where_that_copies_nothing(equation, sizes, labels, rng):
    size = dict(zip("bijk", sizes, strict=True))
    arrays = [rng.standard_normal([size[label] for label in term]) for term in equation.split("->")[0].split(",")]
    plan = tna.contract_path(equation, *arrays, optimize=[(0, 1), (0, 1)])
    assert "".join(plan.steps[0].result) == labels
    assert [step.scratch_bytes for step in plan.steps] == [0, 0]
    found = tna.contract(equation, *map(np.asfortranarray, arrays), optimize=[(0, 1), (0, 1)])
    np.testing.assert_allclose(found, np.einsum(equation, *arrays), rtol=1e-12, atol=1e-12)


def test_tiles_are_kept_while_there_is_room_and_then_made_again(monkeypatch):
    """Value and gradient of Σ G ξ(a, h) both weigh ξ(a, h), an array over b, i and j."""
    a, h, g = tna.leaf("a", "bi"), tna.leaf("h", "bj"), tna.leaf("G", "ijk")
    tile = tna.contract("bi,bj->bij", a, h, xi="rectifier")
    both = tna.value_and_grad(tna.contract("bij,ijk->", tile, g), ("a", "h", "G"))
    shapes = {"a": (300, 32), "h": (300, 31), "G": (32, 31, 2)}
    arrays = {name: np.random.default_rng(0).standard_normal(shape) for name, shape in shapes.items()}
    full = np.maximum(arrays["a"][:, :, None], np.maximum(arrays["h"][:, None], 0))
    peaks = []
    for room in (1 << 25, 1 << 20):
        monkeypatch.setattr(build, "KEPT", room)
        tna.plan_cache.clear()
        plan = both.plan(**shapes)
        assert any(step.kind == "blocked" and step.result == tuple("bij") for step in plan.steps) == (room > 1 << 20)
        value, gradient = both(**arrays)
        np.testing.assert_allclose(value, np.einsum("bij,ijk->", full, arrays["G"]))
        np.testing.assert_allclose(gradient["G"], np.repeat(full.sum(0)[:, :, None], 2, 2), rtol=1e-10)
        peaks.append(plan.peak_bytes)
    tna.plan_cache.clear()
    assert peaks[1] < peaks[0]


# --- more axes than an array has ---------------------------------------------------------------------------------


@pytest.mark.parametrize("reduce", ["add", "hypot", "maximum", "rectifier"])
@pytest.mark.parametrize("xi", ["multiply", "rectifier", "logaddexp"])
def test_labels_of_size_one_change_nothing_however_many(xi, reduce, rng):
    """40 labels of size 1, in the output or reduced over: the same as none of them."""
    a, b = rng.standard_normal((3, 2)), rng.standard_normal((2, 5))
    ones = list(range(3, 43))
    shapes = (3, 2, *(1,) * 40), (2, 5, *(1,) * 40)
    operands = (a.reshape(shapes[0]), [0, 1, *ones], b.reshape(shapes[1]), [1, 2, *ones])
    truth = tna.contract("ij,jk->ik", a, b, xi=xi, reduce=reduce)
    kept = tna.contract(*operands, [0, 2, *ones], xi=xi, reduce=reduce)
    np.testing.assert_allclose(kept, truth.reshape(3, 5, *(1,) * 40), rtol=1e-12)
    np.testing.assert_allclose(tna.contract(*operands, [0, 2], xi=xi, reduce=reduce), truth, rtol=1e-12)
    alone = tna.contract(a.reshape(shapes[0]), [0, 1, *ones], [0, 1], reduce=reduce)
    np.testing.assert_allclose(alone, tna.contract(a[..., None], [0, 1, 2], [0, 1], reduce=reduce), rtol=1e-12)


def test_arrays_that_cannot_be_are_refused_before_the_work():
    for cls in (tna.CPTensor, tna.TTTensor, tna.HTTensor):
        long, large = (cls.random(shape, 2, seed=0) for shape in ((1,) * 65, (2,) * 60))
        assert long.inner(long) == pytest.approx(long.norm() ** 2)
        with pytest.raises(EquationError, match=r"an array of 65 axes, but an array has at most 64: ask for entries"):
            long.to_dense()
        with pytest.raises(MemoryLimitError, match=r"axes on the way takes \d.*e\+.. bytes, more than the"):
            large.to_dense()
    with pytest.raises(MemoryLimitError, match=r"a CP tensor of rank 5\.76e\+17, a term a path, which fit_cp may do"):
        tna.TTTensor.random((2,) * 60, 2, seed=0).to_cp()


def test_a_train_of_many_small_modes_can_be_reshaped():
    train = tna.TTTensor.random((1,) * 70 + (2, 3), 2, seed=0)
    assert relative_error(train.reshape((3, 2)).to_dense().ravel(), train.gather(_all(train)).ravel()) < 1e-12


def _all(tensor):
    return np.array([(0,) * (tensor.ndim - 2) + index for index in np.ndindex(*tensor.shape[-2:])])


@pytest.mark.parametrize(
    ("equation", "sizes", "optimize", "first"),
    [
        ("bi,bj,ijk->bk", (48, 48, 48), "auto", "i"),
        ("bi,bj,ijk->bk", (48, 48, 48), True, "i"),
        ("bi,bj,ijk->bk", (3, 48, 5), "auto", "j"),
        ("bi,bj,ijk->bk", (48, 48, 48), "optimal", ""),
        ("bi,bj,ijk->bk", (5, 5, 300), "auto", ""),
        ("kij,ib,jb->kb", (48, 48, 48), "auto", ""),  # the sums of each b are not where BLAS finds them
        ("i,j,ij->ij", (31, 31, 31), "auto", ""),
        ("i,j,k->ijk", (7, 11, 13), "auto", ""),
    ],
)
def test_three_operands_are_summed_first_where_that_is_no_more_work(equation, sizes, optimize, first, rng):
    """A product without a sum is slower than its multiplications say; whoever names a path finder gets its path."""
    found = {"b": 29, **dict(zip("ijk", sizes, strict=True))}
    arrays = [rng.standard_normal([found[label] for label in term]) for term in equation.split("->")[0].split(",")]
    plan = tna.contract_path(equation, *arrays, optimize=optimize)
    assert "".join(plan.steps[0].summed) == first
    assert relative_error(tna.contract(equation, *arrays, optimize=optimize), np.einsum(equation, *arrays)) < 1e-14


@pytest.mark.parametrize("limit", [200_000, 1_000_000])
def test_a_loop_counts_the_copies_of_its_slices(limit, rng):
    """A slice along an inner axis is strided: BLAS has it copied."""
    arrays = rng.standard_normal((250, 250)), rng.standard_normal((250, 250, 250))
    call = functools.partial(tna.contract, "jl,lji->i", *arrays, memory_limit=limit)
    assert relative_error(call(), np.einsum("jl,lji->i", *arrays)) < 1e-12
    assert measured(call)[1] <= limit + SLACK
