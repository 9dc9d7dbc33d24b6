"""A batch is its members: every kind of graph with one label more against a loop over the members."""

import itertools
from importlib.util import find_spec

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tests.execute.test_contract import PAIRS, kind_of
from tests.execute.test_gradients import EQUATIONS, SMOOTH, random, scalar
from tests.plan.test_plans import executed, loops_of
from tnalgebra.errors import AxisMismatchError, DTypeError, EquationError, MemoryLimitError
from tnalgebra.execute.expression import Expression
from tnalgebra.graph import Bundle, Leaf, Map, Stack, Sum, Take
from tnalgebra.training.loss import loss_graph

XIS = ("multiply", "rectifier", "logaddexp", "add", "hypot", "maximum", "minimum")
COUNTS = (0, 1, 5)
KINDS = tuple(itertools.product(("cp", "tt", "ht"), XIS))
FORMATS = {"cp": tna.CPTensor, "tt": tna.TTTensor, "ht": tna.HTTensor}
NETWORKS = {"cp": tna.ShallowNetwork, "tt": tna.RecurrentNetwork, "ht": tna.HierarchicalNetwork}
SIZES = {"steps": 3, "inputs": 2, "features": 4, "rank": 3, "classes": 2}


def drawn(shapes, chosen, count, seed=0, dtype=float):
    """Random leaves, the chosen ones for each of so many members."""
    full = {name: (count, *shape) if name in chosen else shape for name, shape in shapes.items()}
    return {name: array.astype(dtype) for name, array in random(full, seed).items()}


def member(arrays, chosen, number):
    return {name: array[number] if name in chosen else array for name, array in arrays.items()}


def assert_members(found, each, count, rtol=1e-12):
    """An array for all is the array for each; of no members, an empty one."""
    assert found.shape[0] == count
    for number in range(count):
        assert relative_error(found[number], each(number)) < rtol


# --- contractions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(("xi", "reduce"), PAIRS)
def test_a_batch_is_its_members(xi, reduce, count):
    for equation, shapes in EQUATIONS.items():
        _, inner, sizes = scalar(equation, shapes, xi, reduce)
        for chosen in {inner.free, inner.free[:1], inner.free[-1:]}:
            arrays = drawn({name: sizes[name] for name in inner.free}, chosen, count)
            if kind_of(xi, reduce) == "boolean":
                arrays = {name: (array > 0).astype(float) for name, array in arrays.items()}
            each = [inner.evaluate(**member(arrays, chosen, number)) for number in range(count)]
            assert_members(tna.batched(inner, chosen).evaluate(**arrays), each.__getitem__, count)


@pytest.mark.parametrize("dtype", ["float32", "int64", "complex128"])
def test_a_batch_has_the_dtype_of_its_members(dtype):
    e = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"))
    arrays = drawn({"A": (2, 3), "B": (3, 5)}, "A", 5, dtype=dtype)
    found = tna.batched(e, "A").evaluate(**arrays)
    assert found.dtype == dtype
    assert_members(found, lambda number: arrays["A"][number] @ arrays["B"], 5, 1e-6)


def test_the_label_leads_and_is_never_reduced():
    inner = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi="rectifier", reduce="maximum")
    e = tna.contract("ik,k->", inner, tna.leaf("C", "k"))
    many = tna.batched(e, "B")
    assert str(many).splitlines() == [
        "t1[member,i,k] = max_j rectifier(A[ij], B[member,j,k])",
        "out[member] = Σ_ik t1[member,i,k] · C[k]",
    ]
    shapes = {"A": (2, 3), "B": (3, 5), "C": (5,)}
    one, all_ = e.plan(**shapes), many.plan(**{**shapes, "B": (7, 3, 5)})
    assert (all_.is_reorderable, all_.reason) == (one.is_reorderable, one.reason)
    assert all_.shape == (7,)
    assert all("member" in step.result for step in all_.steps if "member" in {*step.sizes})


def test_a_label_that_is_taken_gets_a_prime(rng):
    e = tna.contract("ij,j->i", tna.leaf("A", "ij"), tna.leaf("x", "j"), xi="hypot")
    twice = tna.batched(tna.batched(e, "A"), "x")
    assert str(twice) == "out[member',member,i] = Σ_j hypot(A[member,i,j], x[member',j])"
    a, x = rng.standard_normal((5, 2, 3)), rng.standard_normal((7, 3))
    found = twice.evaluate(A=a, x=x)
    for m, n in np.ndindex(7, 5):
        assert relative_error(found[m, n], e.evaluate(A=a[n], x=x[m])) < 1e-14
    assert str(tna.batched(e, "x", label="i")) == "out[i',i] = Σ_j hypot(A[ij], x[i',j])"


def test_members_broadcast_and_are_slices(rng):
    e = tna.contract("ij,j->i", tna.leaf("A", "ij"), tna.leaf("x", "j"), xi="logaddexp")
    a, x = rng.standard_normal((1, 2, 3)), rng.standard_normal((5, 3))
    many = tna.batched(e)
    assert_members(many.evaluate(A=a, x=x), lambda number: e.evaluate(A=a[0], x=x[number]), 5)
    assert relative_error(many[3].evaluate(A=a, x=x), e.evaluate(A=a[0], x=x[3])) < 1e-14


def test_members_are_sliced_to_stay_within_a_limit(rng):
    e = tna.contract("ij,kj->ik", tna.leaf("A", "ij"), tna.leaf("B", "kj"), xi="hypot")
    many, shapes = tna.batched(e), {"A": (101, 11, 13), "B": (101, 7, 13)}
    limit = many.plan(**shapes).peak_bytes - 1000
    (loop,) = many.plan(memory_limit=limit, **shapes).steps
    assert loop.kind == "loop"
    assert "member" in loop.chunks
    arrays = random(shapes)
    found = many.evaluate(memory_limit=limit, **arrays)
    assert relative_error(found, many.evaluate(**arrays)) < 1e-14
    with pytest.raises(MemoryLimitError, match="needs at least"):
        many.evaluate(memory_limit=100, **arrays)


def test_nodes_that_some_members_share(rng):
    """Sums, maps, slices, stacks and bundles of which a part is the same for all members."""
    a, b = Leaf("A", ("i", "i")), Leaf("B", ("i", "i"))
    row = Take(b, 0, 1)
    nodes = {
        "sum": Sum((a, b)),
        "map": Map("exp(x)", Sum((b, a))),
        "stack": Stack((Take(a, 0, 0), row), (2, 0), b, 0),
        "stack of shared slices": Stack((row,), (1,), a, 1),
        "stack like the other": Stack((Take(a, 1, 2),), (1,), b, 1),
    }
    arrays = {"A": rng.standard_normal((5, 3, 3)), "B": rng.standard_normal((3, 3))}
    for name, node in nodes.items():
        e = Expression(node)
        found = tna.batched(e, "A").evaluate(**arrays)
        for number in range(5):
            assert relative_error(found[number], e.evaluate(A=arrays["A"][number], B=arrays["B"])) < 1e-14, name
    both = tna.batched(Expression(Bundle((a, row))), "A").evaluate(**arrays)
    assert relative_error(both[0], arrays["A"]) == 0
    assert relative_error(both[1], np.stack([arrays["B"][1]] * 5)) == 0


def test_equal_nodes_may_be_two_objects(rng):
    """What no member differs in is known by what it is, not by where it is."""
    arrays = {"A": rng.standard_normal((3, 3)), "B": rng.standard_normal((2, 3))}
    e = tna.contract("ij,j,j->", tna.leaf("A", "ij"), tna.leaf("A", "ij")[0], tna.leaf("B", "j"))
    found = tna.batched(e, "B").evaluate(**arrays)
    assert relative_error(found, arrays["B"] @ (arrays["A"] * arrays["A"][0]).sum(0)) < 1e-14


@pytest.mark.parametrize(("xi", "reduce"), [("hypot", "add"), ("add", "maximum"), ("multiply", "add")])
def test_explained_loops_give_the_numbers_of_all_members(xi, reduce):
    inner = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi=xi, reduce=reduce)
    many = tna.batched(inner, "A")
    arrays = drawn({"A": (2, 3), "B": (3, 5)}, "A", 7)
    plan = many.plan(**arrays)
    assert "for member, i, j, k in np.ndindex(7, 2, 3, 5):" in loops_of(plan)
    assert relative_error(executed(loops_of(plan), arrays), many.evaluate(**arrays)) < 1e-13


def test_a_batch_is_drawn():
    e = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"))
    assert tna.batched(e).show() == "Σ_j [member,i,k]\n├─ A [member,i,j]\n└─ B [member,j,k]"
    assert any("member" in text.text for text in tna.batched(e).diagram().texts)


# --- gradients ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("xi", SMOOTH)
@pytest.mark.parametrize("chosen", ["A", "BG", "ABG"])
def test_gradients_are_batched_like_any_expression(xi, chosen):
    """Each member has a gradient of its own, also by a leaf that all of them share."""
    e = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi=xi)
    arrays = drawn({"A": (2, 3), "B": (3, 5), "G": (2, 5)}, chosen, 7)
    for gradient in e.gradients(seed="G").values():
        own = {name: arrays[name] for name in gradient.free}
        if not (names := tuple(name for name in chosen if name in own)):
            continue
        found = tna.batched(gradient, names).evaluate(**own)
        assert_members(found, lambda number, g=gradient, o=own: g.evaluate(**member(o, chosen, number)), 7, 1e-11)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("xi", SMOOTH)
@pytest.mark.parametrize("chosen", ["A", "AB", "ABW"])
def test_values_and_gradients_are_those_of_the_members(xi, chosen, count):
    """By a leaf that the members share, it is the sum of theirs."""
    for equation in ("ij,jk->ik", "ij,jk,kl->il", "ii,ij->j", "ij,ik->k"):
        whole, _, shapes = scalar(equation, EQUATIONS[equation], xi)
        arrays, one = drawn(shapes, chosen, count), tna.value_and_grad(whole)
        values, slopes = tna.batched(one, list(chosen))(**arrays)
        each = [one(**member(arrays, chosen, number)) for number in range(count)]
        assert_members(values, lambda number, each=each: each[number][0], count, 1e-11)
        for name, slope in slopes.items():
            assert slope.shape == arrays[name].shape
            if name in chosen:
                assert_members(slope, lambda number, n=name, each=each: each[number][1][n], count, 1e-10)
            else:
                total = sum((part[1][name] for part in each), np.zeros(shapes[name]))
                assert relative_error(slope, total) < 1e-10


def test_a_value_of_one_leaf_has_the_gradient_of_ones():
    """Where the value is the leaf itself, no node stands between it and the cotangent."""
    value, slope = tna.batched(tna.value_and_grad(tna.leaf("a", "")))(a=np.array([2.0, 3.0, 5.0]))
    np.testing.assert_array_equal(value, [2, 3, 5])
    np.testing.assert_array_equal(slope["a"], [1, 1, 1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "xi"), KINDS)
def test_rates_and_seeds_train_as_one_program(kind, xi, dtype):
    nets = [NETWORKS[kind].random(**SIZES, xi=xi, seed=seed, dtype=dtype) for seed in range(5)]
    names, rates = list(nets[0].parameters()), np.array([0.1, 0.05, 0.02, 0.01, 0.0], dtype)
    one = tna.value_and_grad(Expression(loss_graph(nets[0].graph(), "cross-entropy")), names)
    rng = np.random.default_rng(0)
    data = {
        "X": rng.standard_normal((7, 3, 2)).astype(dtype),
        "target": np.eye(2, dtype=dtype)[rng.integers(2, size=7)],
        "row_weight": np.full(7, 1 / 7, dtype),
    }
    many, parts = tna.batched(one, names), {n: np.stack([net.parameters()[n] for net in nets]) for n in names}
    apart = [net.parameters() for net in nets]
    for _ in range(3):
        values, slopes = many(**parts, **data)
        assert values.dtype == dtype
        parts = {n: p - rates.reshape(-1, *[1] * (p.ndim - 1)) * slopes[n] for n, p in parts.items()}
        for number, (own, rate) in enumerate(zip(apart, rates, strict=True)):
            value, slope = one(**own, **data)
            assert values[number] == pytest.approx(value, rel=1e-3 if dtype == "float32" else 1e-9)
            apart[number] = {n: p - rate * slope[n] for n, p in own.items()}
    for n, part in parts.items():
        truth = np.stack([own[n] for own in apart])
        np.testing.assert_allclose(
            part, truth, rtol=1e-3 if dtype == "float32" else 1e-9, atol=1e-4 * (dtype == "float32")
        )


# --- formats and networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", COUNTS[1:])
@pytest.mark.parametrize(("kind", "xi"), KINDS)
def test_formats_run_together(kind, xi, count):
    shape = (2, 3, 5, 1)
    tensors = [FORMATS[kind].random(shape, 2, xi=xi, seed=seed) for seed in range(count)]
    many = tna.stacked(tensors)
    assert many.free == ()
    assert_members(many.evaluate(), lambda number: tensors[number].to_dense(), count)
    rows = [np.random.default_rng(mode).standard_normal((7, n)) for mode, n in enumerate(shape)]
    vectors = [tna.leaf(f"x{mode}", "bi") for mode in range(4)]
    if xi == "multiply":
        scores = tna.contract("zijkl,bi,bj,bk,bl->zb", many, *vectors)
        found = scores.evaluate(**{f"x{mode}": row for mode, row in enumerate(rows)})
        assert_members(found, lambda number: tensors[number].evaluate(rows), count)


@pytest.mark.parametrize("count", COUNTS[1:])
@pytest.mark.parametrize(("kind", "xi"), KINDS)
def test_networks_run_together(kind, xi, count, rng):
    nets = [NETWORKS[kind].random(**SIZES, xi=xi, seed=seed) for seed in range(count)]
    x, own = rng.standard_normal((7, 3, 2)), rng.standard_normal((count, 7, 3, 2))
    assert_members(tna.stacked(nets).evaluate(X=x), lambda number: nets[number](x), count)
    assert_members(tna.stacked(nets, "X").evaluate(X=own), lambda number: nets[number](own[number]), count)
    grids = [tna.networks.GridTensor(net, rng.standard_normal((3, 2))) for net in nets]
    assert_members(
        tna.stacked(grids).evaluate(), lambda number: grids[number].gather(points()).reshape(3, 3, 3, 2), count
    )


def points():
    return np.array(list(np.ndindex(3, 3, 3)))


@pytest.mark.parametrize("xi", ["multiply", "rectifier"])
def test_equal_cores_run_together_on_sequences_of_one_length(xi, rng):
    nets = [tna.RecurrentNetwork.random(**{**SIZES, "steps": None}, xi=xi, seed=seed) for seed in range(5)]
    x = rng.standard_normal((7, 4, 2))
    many = tna.stacked([net.expression(steps=4) for net in nets])
    assert_members(many.evaluate(X=x), lambda number: nets[number](x), 5)


def test_an_array_that_all_members_have_is_not_repeated(rng):
    net = tna.ShallowNetwork.random(**SIZES, xi="hypot", seed=0)
    nets = [net.replace(weights=rng.standard_normal((3, 2))) for _ in range(5)]
    many = tna.stacked(nets)
    assert {name: array.ndim for name, array in many.bound.items()} == {
        "feature_weight": 2, "feature_bias": 1, "factors": 3, "weights": 3
    }  # fmt: skip
    assert many.bound["factors"] is net.factors
    x = rng.standard_normal((7, 3, 2))
    assert_members(many.evaluate(X=x), lambda number: nets[number](x), 5)
    assert_members(tna.stacked([net] * 5).evaluate(X=x), lambda _: net(x), 5)


@pytest.mark.skipif(find_spec("numba") is None, reason="needs Numba")
@pytest.mark.parametrize(("xi", "count"), [("rectifier", 0), ("rectifier", 1), ("hypot", 5), ("logaddexp", 5)])
def test_batches_are_compiled(xi, count):
    """The unit of a recurrent network, of which the members share the inputs."""
    unit = tna.contract("bi,bj->bij", tna.leaf("X", "bi"), tna.leaf("H", "bj"), xi=xi)
    e = tna.contract("bij,ij->", unit, tna.leaf("G", "ij"))
    arrays, names = drawn({"X": (7, 2), "H": (7, 3), "G": (2, 3)}, "HG", count), ["H", "G"]
    many, one = tna.batched(e, names), tna.batched(tna.value_and_grad(e), names)
    found, plain = tna.compile(many)(**arrays), one(**arrays)
    assert found.shape == (count,)
    assert relative_error(found, many.evaluate(**arrays)) < 1e-12
    for call in (tna.compile(one), tna.batched(tna.compile(tna.value_and_grad(e)), names)):
        assert call.is_compiled
        value, slopes = call(**arrays)
        assert relative_error(value, plain[0]) < 1e-12
        for name, slope in slopes.items():
            assert relative_error(slope, plain[1][name]) < 1e-11


# --- what cannot be -----------------------------------------------------------------------------------------------


def test_members_of_other_sizes_are_named():
    tensors = [tna.TTTensor.random((2, 3, 5), rank, seed=0) for rank in (2, 2, 4)]
    with pytest.raises(
        AxisMismatchError, match=r"label '2' of leaf 'core0' \(axis 2\) is 4 for member 2 but 2 for member 0"
    ):
        tna.stacked(tensors)
    e = tna.contract("ij,j->i", tna.leaf("A", "ij"), tna.leaf("x", "j"))
    message = r"label 'member' of `member,i,j; member,j->member,i` is 5 on operand 0 axis 0 but 7 on operand 1 axis 0"
    with pytest.raises(AxisMismatchError, match=message):
        tna.batched(e).evaluate(A=np.ones((5, 2, 3)), x=np.ones((7, 3)))
    with pytest.raises(EquationError, match=r"leaf A\[member,i,j\] names 3 axes, but its array has 2"):
        tna.batched(e).evaluate(A=np.ones((2, 3)), x=np.ones((7, 3)))
    call = tna.batched(tna.value_and_grad(tna.contract("i->", e)), "A")
    with pytest.raises(EquationError, match=r"leaf A\[member,i,j\] names 3 axes, but its array has 2"):
        call(A=np.ones((2, 3)), x=np.ones(3))
    with pytest.raises(DTypeError, match="leaf 'A' has dtype int64; a gradient needs real floating point"):
        call(A=np.ones((5, 2, 3), int), x=np.ones(3))


def test_members_of_another_structure_are_named():
    tensors = [tna.TTTensor.random((2, 3, 5), 2, xi=xi, seed=0) for xi in ("multiply", "multiply", "hypot")]
    with pytest.raises(EquationError, match="member 2 is another graph than member 0: only members of one kind, order"):
        tna.stacked(tensors)
    x = tna.leaf("X", "ij")
    with pytest.raises(EquationError, match="of member 1 no leaf is free, but of member 0 X"):
        tna.stacked([x, Expression(x.node, {"X": np.ones((2, 3))})], "X")
    with pytest.raises(EquationError, match="nothing to stack: give one member or more"):
        tna.stacked([])


def test_leaves_that_cannot_be_batched_are_named():
    e = tna.contract("ij,j->i", tna.leaf("A", "ij"), tna.leaf("x", "j"))
    with pytest.raises(EquationError, match="must differ in a free leaf; got 'y', and the expression has A, x"):
        tna.batched(e, ["A", "y"])
    with pytest.raises(EquationError, match="must differ in a free leaf; got none, and the expression has A, x"):
        tna.batched(e, ())
    with pytest.raises(EquationError, match="or batch what value_and_grad gives for one member"):
        tna.value_and_grad(tna.batched(tna.contract("i->", e)))
    train = tna.TTTensor.random((2, 3), 2, seed=0)
    with pytest.raises(EquationError, match=r"got none, and the expression has none: formats, networks and others"):
        tna.batched(train.expression())
    with pytest.raises(EquationError, match=r"cannot batch TTTensor: give an expression or what value_and_grad"):
        tna.batched(train)


@pytest.mark.parametrize("label", ["a,b", "", 3])
def test_members_have_a_label_that_an_equation_could_have(label):
    with pytest.raises(EquationError, match="of the members"):
        tna.batched(tna.leaf("A", "ij"), label=label)
