"""Ranks of formats from their parts: the singular values of the matricizations that are never formed."""

from itertools import combinations
from math import inf, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tnalgebra.errors import AlgebraError, NonFiniteError
from tnalgebra.expressivity.ranks import Matricizations
from tnalgebra.expressivity.structured import NetworkMatrices
from tnalgebra.formats.tree import modes_of

SHAPE = (3, 5, 2, 7)
TENSORS = {
    "train": tna.TTTensor.random(SHAPE, (2, 3, 4), seed=0),
    "complex train with more ranks than there are": tna.TTTensor.random((3, 1, 5, 2), 11, seed=1, dtype=complex),
    "balanced tree": tna.HTTensor.random(SHAPE, 3, seed=2),
    "linear tree": tna.HTTensor.random(SHAPE, (2, 3, 5, 1, 2, 3), tree=tna.DimensionTree.linear(4), seed=3),
    "tucker": tna.HTTensor.random(SHAPE, 2, tree=(0, 1, 2, 3), seed=4),
    "tree in another order": tna.HTTensor.random(SHAPE, 3, tree=((3, 0), (1, 2)), seed=5),
    "cp": tna.CPTensor.random(SHAPE, 4, seed=6),
    "one mode, train": tna.TTTensor.random((5,), (), seed=7),
    "one mode, tree": tna.HTTensor.random((5,), (), seed=8),
    "one mode, cp": tna.CPTensor.random((5,), 3, seed=9),
    "sizes of one": tna.TTTensor.random((1, 1, 1), 3, seed=10),
}


def dense_values(tensor, rows):
    array, cols = tensor.to_dense(), [mode for mode in range(tensor.ndim) if mode not in rows]
    m = prod(array.shape[mode] for mode in rows)
    return np.linalg.svd(array.transpose(*rows, *cols).reshape(m, -1), compute_uv=False)


def padded(values, count):
    return np.pad(values, (0, count - len(values)))


@pytest.mark.parametrize("name", TENSORS)
def test_small_matrices_have_the_singular_values_of_every_matricization(name):
    tensor = TENSORS[name]
    network = NetworkMatrices(tensor)
    for size in range(1, tensor.ndim + 1):
        for rows in combinations(range(tensor.ndim), size):
            small = network.matrix(rows)
            found, truth = (
                np.linalg.svd(small.array, compute_uv=False) * 2.0**small.exponent,
                dense_values(tensor, rows),
            )
            count = max(len(found), len(truth))
            np.testing.assert_allclose(padded(found, count), padded(truth, count), rtol=0, atol=1e-14 * truth[0])


@given(st.data())
def test_ranks_of_formats_are_those_of_their_entries(data):
    ndim = data.draw(st.integers(2, 5))
    shape = data.draw(st.lists(st.sampled_from([1, 2, 3]), min_size=ndim, max_size=ndim))
    seed = data.draw(st.integers(0, 1000))
    rank = data.draw(st.integers(1, 4))
    tensor = data.draw(
        st.sampled_from(
            [
                tna.TTTensor.random(shape, rank, seed=seed),
                tna.HTTensor.random(shape, rank, tree=tna.DimensionTree.random(ndim, seed=seed), seed=seed),
                tna.CPTensor.random(shape, rank, seed=seed),
            ]
        )
    )
    rows = data.draw(st.lists(st.integers(0, ndim - 1), min_size=1, max_size=ndim, unique=True))
    cols = [mode for mode in range(ndim) if mode not in rows]
    structured, dense = tna.matricization_rank(tensor, rows), tna.matricization_rank(tensor.to_dense(), rows)
    assert structured.rank == dense.rank
    assert structured.shape == dense.shape == (prod(shape[m] for m in rows), prod(shape[m] for m in cols))
    assert structured.possible == dense.possible
    if cols:
        assert tna.matricization_rank(tensor, cols).rank == structured.rank


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1.0, 1e30, 1e150])
@pytest.mark.parametrize("kind", ["cp", "tt", "ht"])
def test_ranks_of_large_formats_at_any_scale(kind, scale):
    cp = tna.CPTensor.random((3,) * 30, 5, seed=0) * scale
    tensor = {"cp": cp, "tt": cp.to_tt(), "ht": cp.to_ht()}[kind]
    double = tensor + tensor
    for rows in (range(11), range(11, 30), range(7, 19), [13], [0, 29], [2, 3, 17]):
        estimate = tna.matricization_rank(double, rows)
        assert estimate.rank == min(5, 3 ** len(rows))
        assert estimate.gap > 1e10
        assert estimate.possible == 3 ** min(len(rows), 30 - len(rows))


def test_scales_of_the_parts_do_not_matter():
    train = tna.TTTensor.random((3,) * 20, 3, seed=0)
    wild = tna.TTTensor([core * (1e120 if mode % 2 else 1e-120) for mode, core in enumerate(train.cores)])
    huge = tna.CPTensor([np.ones((2, 1)) * 1e200] * 7)
    assert tna.matricization_rank(wild, range(4, 9)).rank == tna.matricization_rank(train, range(4, 9)).rank == 9
    assert tna.matricization_rank(huge, range(3)).rank == 1
    assert np.isfinite(tna.matricization_rank(huge, range(3)).singular_values).all()


def test_sixty_four_modes_take_seconds():
    """n = 4, r = 16: a cut has rank 16, an interval 16², a tree's node 16; the matrices have 4^64 entries."""
    train = tna.TTTensor.random((4,) * 64, 16, seed=0)
    cuts = Matricizations(train)
    assert [cuts.rank(range(bond)).rank for bond in (1, 2, 31, 63)] == [4, 16, 16, 4]
    assert cuts.rank(range(30, 34)).rank == 256
    assert cuts.rank(range(30, 34)).possible == 256
    tree = tna.HTTensor.random((4,) * 64, 16, seed=0)
    nodes = Matricizations(tree)
    assert all(nodes.rank(modes_of(node)).rank == min(16, 4 ** len(modes_of(node))) for node in tree.tree.nodes[:-1])


def test_the_default_tolerance_of_a_matrix_that_is_not_formed():
    """ε of the dtype times the small matrix, not the large one; more where the parts cancel one another."""
    train = tna.TTTensor.random((3,) * 40, 3, seed=0)
    assert tna.matricization_rank(train, range(20)).tol < 1e-13
    single = tna.TTTensor.random((3,) * 20, 3, seed=0, dtype="float32")
    assert 1e-7 < tna.matricization_rank(single + single, range(7)).tol < 1e-4
    assert tna.matricization_rank(single + single, range(7)).rank == 3
    nothing = tna.matricization_rank(train - train, range(20))
    assert (nothing.rank, nothing.tol) == (0, 1.0)  # nothing is above the noise
    almost = tna.matricization_rank(train - train * (1 + 1e-9), range(20))
    assert almost.rank == 3
    assert almost.tol > 1e-9


def test_zero_tensors_and_other_xi():
    zero = tna.TTTensor.random((2,) * 50, 3, seed=0) * 0
    estimate = tna.matricization_rank(zero, range(9))
    assert (estimate.rank, estimate.gap) == (0, inf)
    other = tna.CPTensor.random(SHAPE, 2, seed=0, xi="rectifier")
    assert tna.matricization_rank(other, [0]).rank == tna.matricization_rank(other.to_dense(), [0]).rank


def test_bad_parts_are_named():
    bad = tna.TTTensor([np.ones((1, 2, 1)), np.array([[[1.0], [np.nan], [np.inf]]])])
    with pytest.raises(NonFiniteError, match="a rank needs finite numbers; 2 of 3 entries are NaN or infinite"):
        tna.matricization_rank(bad, [0])
    with pytest.raises(AlgebraError, match="CP to TT is defined for ξ = multiply"):
        NetworkMatrices(tna.CPTensor.random((2, 3), 1, xi="hypot"))
