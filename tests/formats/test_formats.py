"""What CP, TT and HT have in common: every statement is checked on all three, for every ξ that it holds for."""

import gc
import re
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import (
    AlgebraError,
    AxisMismatchError,
    DTypeError,
    FormatError,
    IndexRangeError,
    RankError,
    TreeError,
)
from tnalgebra.execute.reference import evaluate
from tnalgebra.formats.graphs import in_turn

XIS = ("multiply", "rectifier", "logaddexp", "add", "hypot", "maximum", "minimum")
SHAPE = (2, 3, 5)
TREES = (((0, 1), 2), (0, (1, 2)), ((2, 0), 1), (0, 1, 2))


def examples(xi="multiply", shape=SHAPE, dtype="float64"):
    """One tensor of each format, and one for each tree."""
    trees = [tna.DimensionTree(nested) for nested in TREES] if len(shape) == 3 else [None]
    return [
        tna.CPTensor.random(shape, 3, seed=1, xi=xi, dtype=dtype),
        tna.TTTensor.random(shape, 2, seed=2, xi=xi, dtype=dtype),
        *(tna.HTTensor.random(shape, 2, seed=3, xi=xi, tree=tree, dtype=dtype) for tree in trees),
    ]


@pytest.mark.parametrize("xi", XIS)
def test_dense_agrees_with_nested_loops(xi):
    for tensor in examples(xi):
        expression = tensor.expression()
        assert relative_error(tensor.to_dense(), evaluate(expression.node, expression.bound)) < 1e-13


def test_tensors_of_one_structure_share_their_graph():
    nodes = {}
    for shape in (SHAPE, (2, 3)):
        for xi in ("multiply", "hypot"):
            for one, other in zip(examples(xi, shape), examples(xi, tuple(n + 1 for n in shape)), strict=True):
                node = one.expression().node
                assert other.expression().node is node
                nodes[type(one), len(shape), xi, getattr(one, "tree", None)] = node
    assert len(set(nodes.values())) == len(nodes)


def test_nothing_keeps_an_array():
    arrays = []
    for tensor in examples():
        tensor.norm()
        tensor.to_dense()
        tensor.inner(tensor)
        tensor.gather([[0, 1, 2]])
        tensor.evaluate([np.ones(n) for n in SHAPE])
        (tensor + tensor)[0, :, 1].round(eps=1e-3)
        tna.contract("ijk,ijk->", tensor, tensor)
        arrays += [weakref.ref(part) for part in tensor.parameters().values()]
    del tensor
    gc.collect()
    assert [array for array in arrays if array() is not None] == []


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_trains_are_joined_a_core_of_each_in_turn(count):
    terms = [(f"r{i}", f"i{i}", f"r{i + 1}") for i in range(count)]
    other = [tuple(label.replace("r", "s") for label in term) for term in terms]
    left, seen = [*terms, *other], []
    for pair in in_turn([*terms, *other]):
        picked = [left[i] for i in pair]
        left = [term for i, term in enumerate(left) if i not in pair] + ["joined"]
        seen += [term for term in picked if term != "joined"]
    assert left == ["joined"]
    assert seen == [term for both in zip(other, terms, strict=True) for term in both]


def test_an_entry_is_what_the_definition_says():
    cp, tt, ht = (tensor for tensor in examples()[:3])
    for i, j, k in np.ndindex(SHAPE):
        a, b, c = (factor[index] for factor, index in zip(cp.factors, (i, j, k), strict=True))
        assert cp[i, j, k] == pytest.approx(np.sum(cp.weights * a * b * c), rel=1e-13)
        assert tt[i, j, k] == pytest.approx(
            (tt.cores[0][:, i] @ tt.cores[1][:, j] @ tt.cores[2][:, k]).item(), rel=1e-13
        )
        left = np.einsum("i,j,ijk->k", ht.leaves[0][i], ht.leaves[1][j], ht.transfers[0])
        assert ht[i, j, k] == pytest.approx(np.einsum("i,j,ijk->", left, ht.leaves[2][k], ht.transfers[1]), rel=1e-13)


def test_a_path_sum_keeps_every_sum_outside():
    """For ξ that does not distribute, W[i, j] = Σ_r ξ(G¹[i, r], G²[r, j]) and nothing else."""
    tt = tna.TTTensor.random((2, 3), 5, seed=0, xi="rectifier")
    g, h = tt.cores[0][0], tt.cores[1][:, :, 0]
    expected = [[sum(max(g[i, r], h[r, j], 0) for r in range(5)) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(tt.to_dense(), expected, rtol=1e-14)


@pytest.mark.parametrize("xi", XIS)
def test_gather_and_evaluate_agree_with_dense(xi, rng):
    for tensor in examples(xi):
        dense = tensor.to_dense()
        points = rng.integers(-2, 2, (17, 3))
        np.testing.assert_allclose(tensor.gather(points), dense[tuple(points.T)], rtol=1e-12)
        rows = [np.eye(size)[points[:, mode] % size] for mode, size in enumerate(SHAPE)]
        np.testing.assert_allclose(tensor.evaluate(rows), dense[tuple(points.T)], rtol=1e-12)
        assert tensor.evaluate([row[0] for row in rows]) == pytest.approx(dense[tuple(points[0])], rel=1e-12)
        assert tensor.gather(np.zeros((0, 3), int)).shape == (0,)


def test_evaluate_is_the_inner_product_with_vectors(rng):
    vectors = [rng.standard_normal((7, size)) for size in SHAPE]
    for tensor in examples():
        np.testing.assert_allclose(
            tensor.evaluate(vectors), np.einsum("abc,za,zb,zc->z", tensor.to_dense(), *vectors), rtol=1e-12
        )


def test_gather_in_chunks(monkeypatch, rng):
    monkeypatch.setattr("tnalgebra.formats.indexing.CHUNK_BYTES", 300)
    points = rng.integers(0, 2, (101, 3))
    for tensor in examples():
        np.testing.assert_allclose(tensor.gather(points), tensor.to_dense()[tuple(points.T)], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize(
    ("shape", "count"), [((2, 3, 2, 3, 2), 3000), ((40, 3, 50), 200), ((7, 2, 3, 5), 1), ((5,), 30)]
)
def test_entries_at_many_points_by_every_way(shape, count, dtype, rng, monkeypatch):
    """Tables of leading modes, products of points with one index, a matrix a point, nodes that points share."""
    monkeypatch.setattr("tnalgebra.formats.gather.BATCH", 256)
    monkeypatch.setattr("tnalgebra.formats.gather.BLOCK", 128)
    points = np.stack([rng.integers(0, size, count) for size in shape], axis=1)
    inner = 3 if len(shape) > 1 else ()
    tree = tna.DimensionTree.linear(len(shape))
    for tensor in (
        tna.TTTensor.random(shape, inner, seed=0, dtype=dtype),
        tna.HTTensor.random(shape, inner, seed=0, dtype=dtype),
        tna.HTTensor.random(shape, inner, seed=0, dtype=dtype, tree=tree),
        tna.CPTensor.random(shape, 3, seed=0, dtype=dtype),
    ):
        found = tensor.gather(points.astype(np.uint8))
        assert found.dtype == dtype
        assert relative_error(found, tensor.to_dense()[tuple(points.T)]) < (1e-5 if dtype == "float32" else 1e-13)


KEYS = [0, -1, (0,), (..., 1), (slice(1, None), 2), (1, slice(None), 3), (slice(None), slice(None, None, 2)), ..., (1, ..., -2),
        (slice(None), 1, slice(4, 1, -1)), (np.int64(1), slice(None), slice(None))]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_slices_are_formats_of_the_slice(key):
    for tensor in examples():
        found = tensor[key]
        assert type(found) is type(tensor)
        np.testing.assert_allclose(found.to_dense(), tensor.to_dense()[key], rtol=1e-12)


def test_slices_for_any_xi_keep_their_modes():
    for xi in XIS:
        for tensor in examples(xi):
            np.testing.assert_allclose(tensor[1:, :, ::2].to_dense(), tensor.to_dense()[1:, :, ::2], rtol=1e-12)
            assert tensor[1, 2, 3] == pytest.approx(tensor.to_dense()[1, 2, 3], rel=1e-12)
            if xi != "multiply":
                with pytest.raises(
                    AlgebraError, match=r"drops a mode, which is defined for ξ = multiply.*t\[2:3\] keep"
                ):
                    tensor[1]


@given(order=st.permutations(range(4)), seed=st.integers(0, 99))
def test_modes_can_be_dropped_in_any_order(order, seed):
    nested = ((order[0], order[1]), (order[2], order[3]))
    tensor = tna.HTTensor.random((2, 3, 5, 2), 2, seed=seed, tree=tna.DimensionTree(nested))
    dense = tensor.to_dense()
    for mode in order[:3]:
        key = tuple(1 if m == mode else slice(None) for m in range(4))
        np.testing.assert_allclose(tensor[key].to_dense(), dense[key], rtol=1e-11)
    key = tuple(slice(None) if m == order[3] else 1 for m in range(4))
    np.testing.assert_allclose(tensor[key].to_dense(), dense[key], rtol=1e-11)


def test_formats_are_operands_of_one_planned_graph(rng):
    shape = (2, 3, 5, 7)
    cp, tt = tna.CPTensor.random(shape, 3, seed=0), tna.TTTensor.random(shape, 2, seed=1)
    ht = tna.HTTensor.random(shape, 2, seed=2)
    dense = {id(t): t.to_dense() for t in (cp, tt, ht)}
    for a in (cp, tt, ht):
        for b in (cp, tt, ht):
            expected = np.sum(dense[id(a)] * dense[id(b)])
            assert tna.contract("abcd,abcd->", a, b) == pytest.approx(expected, rel=1e-12)
    matrix = rng.standard_normal((5, 2))
    np.testing.assert_allclose(
        tna.contract("abcd,cx,abyd->xy", tt, matrix, ht),
        np.einsum("abcd,cx,abyd->xy", dense[id(tt)], matrix, dense[id(ht)]),
        rtol=1e-12,
    )
    symbolic = tna.contract("abcd,abcd->", tt, tna.leaf("X", "abcd"))
    assert symbolic.evaluate(X=dense[id(cp)]) == pytest.approx(np.sum(dense[id(tt)] * dense[id(cp)]), rel=1e-12)
    np.testing.assert_allclose(
        tna.contract("ab,ab->ab", tna.TTTensor.random((2, 3), 2, seed=0), np.ones((2, 3)), xi="rectifier"),
        np.maximum(tna.TTTensor.random((2, 3), 2, seed=0).to_dense(), 1.0),
    )


def test_an_inner_product_never_densifies():
    """10^40 entries: the plan walks along the trains."""
    a, b = (tna.TTTensor.random((10,) * 40, 5, seed=seed) for seed in (0, 1))
    labels = ",".join(["".join(chr(200 + i) for i in range(40))] * 2)
    assert np.isfinite(tna.contract(f"{labels}->", a, b))
    assert np.isfinite(tna.contract(f"{labels}->", a, a))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_random_keeps_the_dtype_and_entries_have_variance_one(dtype):
    for kind, rank in ((tna.CPTensor, 7), (tna.TTTensor, 3), (tna.HTTensor, 3)):
        tensor = kind.random((5, 7, 11, 13), rank, seed=0, dtype=dtype)
        assert tensor.dtype == tensor.to_dense().dtype == dtype
        variances = [np.mean(np.abs(kind.random((5, 7, 11), rank, seed=seed).to_dense()) ** 2) for seed in range(60)]
        assert 0.5 < np.mean(variances) < 2.0
        np.testing.assert_array_equal(
            kind.random((2, 3), 2, seed=5).to_dense(), kind.random((2, 3), 2, seed=5).to_dense()
        )
        generator = np.random.default_rng(5)
        np.testing.assert_array_equal(
            kind.random((2, 3), 2, seed=generator).to_dense(), kind.random((2, 3), 2, seed=5).to_dense()
        )


def test_one_mode_and_modes_of_size_one():
    for xi in XIS:
        for shape, rank in (((5,), 3), ((1, 3, 1), 2), ((1,), 1), ((1, 1, 1), 2)):
            inner = rank if len(shape) > 1 else ()
            tensors = (
                tna.CPTensor.random(shape, rank, seed=0, xi=xi),
                tna.TTTensor.random(shape, inner, seed=0, xi=xi),
                tna.HTTensor.random(shape, inner, seed=0, xi=xi),
            )
            for tensor in tensors:
                expression = tensor.expression()
                assert relative_error(tensor.to_dense(), evaluate(expression.node, expression.bound)) < 1e-13
                assert tensor.show()


def test_sizes_and_ranks():
    cp, tt, ht = tna.CPTensor.random(SHAPE, 4), tna.TTTensor.random(SHAPE, (2, 3)), tna.HTTensor.random(SHAPE, 2)
    assert (cp.ranks, cp.max_rank, cp.n_params) == ((4,), 4, 4 * (2 + 3 + 5) + 4)
    assert (tt.ranks, tt.max_rank, tt.n_params) == ((1, 2, 3, 1), 3, 2 * 2 + 2 * 3 * 3 + 3 * 5)
    assert (ht.ranks, ht.max_rank, ht.n_params) == ((2, 2, 2, 2, 1), 2, 2 * (2 + 3 + 5) + 8 + 4)
    assert tt.compression == pytest.approx(30 / tt.n_params)
    assert (tt.ndim, tt.device, tt.shape, tt.xi.name) == (3, "cpu", SHAPE, "multiply")
    assert list(tt.parameters()) == ["core0", "core1", "core2"]


def test_formats_are_frozen_values():
    core = np.ones((1, 2, 1))
    tensor = tna.TTTensor([core])
    with pytest.raises(AttributeError, match="cannot assign"):
        tensor.cores = ()
    with pytest.raises(ValueError, match="read-only"):
        tensor.cores[0][0, 0, 0] = 2
    core[0, 0, 0] = 1  # the caller's own array stays writeable
    assert tensor != tna.TTTensor([core])  # arrays have no single truth value, so formats compare by identity
    dense = tensor.to_dense()
    dense[0] = 5
    assert tensor[0] == 1


def test_read_only_views_of_arrays_that_others_write_to_are_copied():
    source = np.ones(3)
    view = np.broadcast_to(source[None, :, None], (1, 3, 1))
    tensor, constant = tna.TTTensor([view]), np.frombuffer(np.ones(3).tobytes()).reshape(1, 3, 1)
    source[:] = 7
    assert tensor.to_dense().tolist() == [1, 1, 1]
    assert tna.TTTensor([constant]).cores[0] is constant
    found = tna.TTTensor.random((4, 5, 6), rank=3, seed=0).round(eps=1e-3).orthogonalize(1)
    assert all(old is new for old, new in zip(found.cores, tna.TTTensor(found.cores).cores, strict=True))


def test_integer_parts_become_floating_and_views_are_taken_as_they_are(rng):
    assert tna.CPTensor([[[1], [2]], [[3], [4]]]).dtype == np.float64
    big = rng.standard_normal((6, 4, 2))
    strided = tna.TTTensor([big[::-2, :, :1].transpose(2, 0, 1)[:, :, :1]])
    np.testing.assert_array_equal(strided.to_dense(), big[::-2, 0, 0])


def test_numpy_takes_small_formats_only():
    tt = tna.TTTensor.random((2, 3), 2, seed=0)
    np.testing.assert_array_equal(np.asarray(tt), tt.to_dense())
    with pytest.raises(FormatError, match=r"dense array of 80000000 bytes; call to_dense\(\)"):
        np.asarray(tna.TTTensor.random((10,) * 7, 2, seed=0))
    with pytest.raises(FormatError, match="a format is not a sequence"):
        iter(tt)


def test_to_dense_respects_a_memory_limit():
    tt = tna.TTTensor.random((11, 13, 17, 19), 7, seed=0)
    full = tt.to_dense()
    np.testing.assert_allclose(tt.to_dense(memory_limit=2 * full.nbytes), full, rtol=1e-12)
    with pytest.raises(tna.errors.MemoryLimitError, match="needs at least"):
        tt.to_dense(memory_limit=full.nbytes // 2)


ONES = np.ones


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tna.TTTensor([ONES((1, 2, 3)), ONES((2, 3, 1))]), FormatError,
         "core 1 has shape (2, 3, 1) and starts with rank 2, but core 0 ends with rank 3"),
        (lambda: tna.TTTensor([ONES((2, 2, 1))]), FormatError, "starts with rank 2, but the first rank is 1"),
        (lambda: tna.TTTensor([ONES((1, 2, 5))]), FormatError, "core 0 ends with rank 5, but the last rank is 1"),
        (lambda: tna.TTTensor([ONES((1, 2))]), FormatError, "core 0 must have axes (R, n, R); got shape (1, 2)"),
        (lambda: tna.TTTensor([]), FormatError, "a tensor train needs at least one core"),
        (lambda: tna.TTTensor([ONES((1, 0, 1))]), FormatError, "sizes and ranks must be at least 1"),
        (lambda: tna.CPTensor([ONES((2, 3)), ONES((5, 2))]), FormatError, "factor 1 has rank 2, but factor 0 has rank 3"),
        (lambda: tna.CPTensor([ONES((2, 3))], ONES(2)), FormatError, "weights have 2 entries, but the factors have rank 3"),
        (lambda: tna.CPTensor([]), FormatError, "a CP tensor needs at least one factor"),
        (lambda: tna.CPTensor([ONES((2, 0))]), FormatError, "factor 0 has shape (2, 0): sizes and ranks must be at least 1"),
        (lambda: tna.CPTensor([np.array([["a"]])]), DTypeError, "operands must be numbers; got dtype <U1"),
        (lambda: tna.HTTensor(((0, 1), 2), [ONES((2, 2))] * 2, []), FormatError,
         "tree ((0, 1), 2) needs 3 leaves and 2 transfers; got 2 and 0"),
        (lambda: tna.HTTensor((0, 1), [ONES((2, 2)), ONES((3, 3))], [ONES((2, 5, 1))]), FormatError,
         "transfer of (0, 1) has 5 on axis 1, but node 1 has rank 3"),
        (lambda: tna.HTTensor((0, 1), [ONES((2, 2)), ONES((3, 3))], [ONES((2, 3, 2))]), FormatError,
         "the root has rank 2, but a tensor has root rank 1"),
        (lambda: tna.HTTensor((0, 1), [ONES((2, 2)), ONES((3, 3))], {(0, 2): ONES((2, 3, 1))}), FormatError,
         "transfers must be given for the branches ((0, 1),); got ((0, 2),)"),
        (lambda: tna.DimensionTree(((0, 1), 1)), TreeError, "covers the modes [0, 1, 1]; it must cover 0, …, 2 once each"),
        (lambda: tna.DimensionTree(((0, 2), 3)), TreeError, "covers the modes [0, 2, 3]"),
        (lambda: tna.DimensionTree(((0,), 1)), TreeError, "branch (0,) of tree ((0,), 1) has 1 child"),
        (lambda: tna.DimensionTree((0, "1")), TreeError, "a tree is written with mode numbers in nested tuples"),
        (lambda: tna.DimensionTree.balanced(0), TreeError, "a tree needs a positive number of modes; got 0"),
        (lambda: tna.HTTensor.random((2, 3), 2, tree=tna.DimensionTree.balanced(3)), FormatError,
         "tree ((0, 1), 2) has 3 modes, but the tensor has 2"),
        (lambda: tna.TTTensor.random((2, 3), 0), RankError, "a rank must be at least 1; got 0"),
        (lambda: tna.TTTensor.random((2, 3, 5), (2,)), RankError, "rank has 1 entries, but there are 2 inner bonds"),
        (lambda: tna.TTTensor.random((2, 3), 2.5), RankError, "rank must be an integer or a sequence of 1 integers"),
        (lambda: tna.TTTensor.random((2, -3), 2), FormatError, "shape must be one positive size a mode; got (2, -3)"),
        (lambda: tna.TTTensor.random((2, 3), 2, dtype=int), DTypeError, "random tensors need a floating or complex dtype"),
        (lambda: examples()[1].evaluate([ONES((7, 2)), ONES((7, 5)), ONES((7, 5))]), AxisMismatchError,
         "vectors of mode 1 have shape (7, 5), but (7, 3) is needed: mode 1 has size 3"),
        (lambda: examples()[1].evaluate([ONES(2)]), FormatError, "evaluate needs one vector (or batch) a mode: 3; got 1"),
        (lambda: examples()[1].gather([[0, 3, 0]]), IndexRangeError, "index 3 is outside mode 1 of size 3"),
        (lambda: examples()[1].gather([[0.0, 1.0, 0.0]]), FormatError, "indices must be integers of shape (B, 3); got float64"),
        (lambda: examples()[1].gather([0, 1, 0]), FormatError, "indices must be integers of shape (B, 3); got int64 of shape (3,)"),
        (lambda: examples()[1][0, 0, 5], IndexRangeError, "index 5 is outside mode 2 of size 5"),
        (lambda: examples()[1][0, 0, 0, 0], IndexRangeError, "4 indices for a tensor with 3 modes"),
        (lambda: examples()[1][3:2], IndexRangeError, "slice slice(3, 2, None) of mode 0 is empty; mode 0 has size 2"),
        (lambda: examples()[1][[0, 1]], FormatError, "must be an integer, a slice or …; gather takes arrays of indices"),
        (lambda: examples()[1].to_device("tpu"), tna.errors.DeviceError, "unknown device 'tpu'; known: 'cpu', 'cuda'"),
        (lambda: tna.CPTensor.random((2, 3), 2, xi="relu"), tna.errors.UnknownNameError, "unknown operator 'relu'"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_trees():
    tree = tna.DimensionTree.balanced(5)
    assert tree.nested == (((0, 1), 2), (3, 4))
    assert tree.inner == ((0, 1), ((0, 1), 2), (3, 4), (((0, 1), 2), (3, 4)))
    assert tna.DimensionTree.linear(4).nested == (((0, 1), 2), 3)
    assert tna.DimensionTree.from_nested([[0, 1], [2, np.int64(3)]]) == tna.DimensionTree.balanced(4)
    assert tna.DimensionTree.balanced(1).nodes == (0,)
    assert hash(tree) == hash(tna.DimensionTree.balanced(5))


def test_long_trains_and_trees_are_evaluated_in_batches(rng):
    """Nothing larger than a batch of the values of one bond: no path finder may pair matrices of a batch."""
    for tensor in (
        tna.TTTensor.random((4,) * 20, 5, seed=0),
        tna.HTTensor.random((4,) * 20, 5, seed=0),
        tna.CPTensor.random((4,) * 20, 5, seed=0),
    ):
        points = rng.integers(0, 4, (1000, 20))
        rows = [np.eye(4)[points[:, mode]] for mode in range(20)]
        assert relative_error(tensor.evaluate(rows), tensor.gather(points)) < 1e-12


def test_parts_are_copies_of_what_the_caller_gave():
    core = np.ones((1, 3, 1))
    tensor = tna.TTTensor([core])
    core[:] = 5
    np.testing.assert_array_equal(tensor.to_dense(), np.ones(3))
    vector = np.arange(3.0)
    for kind in (tna.TTTensor, tna.HTTensor, tna.CPTensor):
        found = kind.from_dense(vector, eps=0.1)
        expected = vector.copy()
        vector += 1
        np.testing.assert_allclose(found.to_dense(), expected, atol=1e-14)
