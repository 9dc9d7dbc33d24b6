"""Tensors and networks of other libraries: there and back, with the same entries, and contracted by both."""

import re
import sys

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import EQUATIONS, operands, relative_error
from tnalgebra import interop
from tnalgebra.errors import AlgebraError, DataError, EquationError, FormatError

tl = pytest.importorskip("tensorly")
tn = pytest.importorskip("tensornetwork")
qtn = pytest.importorskip("quimb.tensor")

SHAPE = (3, 5, 1, 7)
FLAT = tna.DimensionTree((2, 0, 3, 1))
DTYPES = ("float32", "float64", "complex128")


def formats(dtype="float64", shape=SHAPE):
    inner = 2 if len(shape) > 1 else ()
    return [
        kind.random(shape, 2 if kind is tna.CPTensor else inner, seed=0, dtype=dtype)
        for kind in (tna.CPTensor, tna.TTTensor, tna.HTTensor)
    ]


def symbolic(equation, arrays):
    """An expression with its arrays bound: what a user builds from leaves of arrays."""
    terms, output = equation.split("->")
    labels = [tuple(term) for term in terms.split(",")]
    return interop.network.as_expression(
        interop.network.Network(tuple(arrays), tuple(labels), tuple(output)), ["x"] * len(labels)
    )


# --- TensorLy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensorly_objects_there_and_back(dtype):
    cp, tt, _ = formats(dtype)
    tucker = tna.HTTensor.random(SHAPE, 2, seed=1, tree=FLAT, dtype=dtype)
    for tensor, dense_of in ((cp, tl.cp_to_tensor), (tt, tl.tt_to_tensor), (tucker, tl.tucker_to_tensor)):
        there = interop.to_tensorly(tensor)
        assert relative_error(dense_of(there), tensor.to_dense()) < 1e-6
        back = interop.from_tensorly(there)
        assert type(back) is type(tensor)
        assert back.dtype == dtype
        assert relative_error(back.to_dense(), tensor.to_dense()) < 1e-6


def test_what_tensorly_decomposes_is_at_home_here(rng):
    from tensorly.decomposition import parafac, tensor_train, tucker

    x = rng.standard_normal((4, 5, 6))
    for found, dense in (
        (parafac(x, 3, init="random", random_state=0, n_iter_max=5), tl.cp_to_tensor),
        (tensor_train(x, [1, 3, 3, 1]), tl.tt_to_tensor),
        (tucker(x, [2, 3, 4]), tl.tucker_to_tensor),
    ):
        assert relative_error(interop.from_tensorly(found).to_dense(), dense(found)) < 1e-12


def test_what_tensorly_does_not_have():
    with pytest.raises(
        FormatError, match=re.escape("not the tree ((0, 1), (2, 3)); to_ht((0, 1, 2, 3)) is on one of depth one")
    ):
        interop.to_tensorly(tna.HTTensor.random(SHAPE, 2))
    with pytest.raises(FormatError, match=r"has two modes or more; to_tt\(\) is a train, which may have one"):
        interop.to_tensorly(tna.HTTensor.random((4,), 1))
    moved = interop.to_tensorly(tna.HTTensor.random(SHAPE, 2, seed=0).to_ht(tna.DimensionTree((0, 1, 2, 3))))
    assert relative_error(tl.tucker_to_tensor(moved), tna.HTTensor.random(SHAPE, 2, seed=0).to_dense()) < 1e-12
    with pytest.raises(FormatError, match="a CPTensor, TTTensor or TuckerTensor of TensorLy is needed; got ndarray"):
        interop.from_tensorly(np.ones(3))
    for to in (interop.to_tensorly, interop.to_finite_mps, interop.to_quimb_mps):
        with pytest.raises(AlgebraError, match=r"is defined for ξ = multiply, not hypot: .*to_dense\(\)"):
            to(tna.TTTensor.random((2, 3), 2, xi="hypot"))


# --- TensorNetwork -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [SHAPE, (4, 3), (5,)])
def test_formats_as_node_graphs_and_back(shape, dtype):
    for tensor in formats(dtype, shape):
        graph = interop.to_nodes(tensor)
        back = interop.from_nodes(graph.nodes, graph.edges)
        assert relative_error(back.evaluate(), tensor.to_dense()) < 1e-6
        contracted = tn.contractors.auto(graph.nodes, output_edge_order=graph.edges)
        assert relative_error(contracted.tensor, tensor.to_dense()) < 1e-6


@pytest.mark.parametrize("equation", [equation for equation in EQUATIONS if equation.isascii()])
def test_any_contraction_as_a_node_graph_and_back(equation, rng):
    """Diagonals, traces, batch labels, labels that are summed alone, and outer products."""
    arrays = operands(equation, rng)
    expression = symbolic(equation, arrays)
    expected = np.einsum(equation, *arrays)
    graph = interop.to_nodes(expression)
    assert [edge.is_dangling() for edge in graph.edges] == [True] * expected.ndim
    assert relative_error(interop.from_nodes(graph.nodes, graph.edges).evaluate(), expected) < 1e-12


def test_somebodys_graph_is_planned_and_contracted_here(rng):
    """A matrix-product state with itself, built edge by edge with their library."""
    mps = [
        tn.Node(rng.standard_normal(shape), name=f"A{i}") for i, shape in enumerate([(1, 2, 3), (3, 2, 4), (4, 2, 1)])
    ]
    other = [
        tn.Node(rng.standard_normal((node.shape[0], 2, node.shape[2])), name=f"B{i}") for i, node in enumerate(mps)
    ]
    for chain in (mps, other):
        for left, right in ((chain[0], chain[1]), (chain[1], chain[2])):
            left[2] ^ right[0]
    for upper, lower in zip(mps, other, strict=True):
        upper[1] ^ lower[1]
    expression = interop.from_nodes(mps + other)
    assert expression.ndim == 4
    assert expression.plan().is_reorderable
    found = expression.evaluate()
    theirs = tn.contractors.auto(mps + other, output_edge_order=[mps[0][0], mps[2][2], other[0][0], other[2][2]])
    assert relative_error(found, theirs.tensor) < 1e-12


def test_copy_nodes_are_labels_that_many_axes_share(rng):
    a, b, c = (tn.Node(rng.standard_normal((3, n)), name=n_) for n, n_ in ((2, "a"), (4, "b"), (5, "c")))
    copy = tn.CopyNode(rank=3, dimension=3)
    for axis, node in enumerate((a, b, c)):
        copy[axis] ^ node[0]
    tensors = a.tensor, b.tensor, c.tensor
    found = interop.from_nodes([a, b, c, copy], [c[1], a[1], b[1]])
    assert relative_error(found.evaluate(), np.einsum("ri,rj,rk->kij", *tensors)) < 1e-12
    vector, diagonal = tn.Node(np.arange(1.0, 4.0), name="v"), tn.CopyNode(rank=3, dimension=3)
    vector[0] ^ diagonal[0]
    np.testing.assert_allclose(interop.from_nodes([vector, diagonal]).evaluate(), np.diag([1.0, 2.0, 3.0]))
    free = tn.CopyNode(rank=2, dimension=3)
    tail = tn.Node(rng.standard_normal((3, 2)), name="tail")
    free[1] ^ tail[0]
    assert relative_error(interop.from_nodes([free, tail]).evaluate(), tail.tensor) < 1e-15


def test_copy_nodes_that_are_connected_are_one_label():
    vector, first, second = tn.Node(np.arange(3.0)), tn.CopyNode(3, 3), tn.CopyNode(2, 3)
    vector[0] ^ first[0]
    first[1] ^ second[0]
    for edges in ([first[2], second[1]], [second[1], first[2]]):
        np.testing.assert_array_equal(interop.from_nodes([vector, first, second], edges).evaluate(), np.diag([0, 1, 2]))


def test_copy_nodes_alone_are_identities():
    for rank, expected in ((1, np.ones(3)), (2, np.eye(3)), (3, np.einsum("ij,ik->ijk", np.eye(3), np.eye(3)))):
        np.testing.assert_array_equal(interop.from_nodes([tn.CopyNode(rank, 3)]).evaluate(), expected)
    first, second = tn.CopyNode(2, 3), tn.CopyNode(2, 3)
    first[0] ^ second[0]
    first[1] ^ second[1]
    assert interop.from_nodes([first, second]).evaluate() == 3


def test_graphs_that_are_not_whole_are_refused():
    a, b = tn.Node(np.ones((2, 3)), name="a"), tn.Node(np.ones((3, 4)), name="b")
    a[1] ^ b[0]
    with pytest.raises(FormatError, match="node 'a' is connected to 'b', which is not in the list"):
        interop.from_nodes([a])
    with pytest.raises(FormatError, match="output_edges must be the 2 dangling edges of the nodes, each once; got 1"):
        interop.from_nodes([a, b], [a[0]])


def test_finite_mps_there_and_back():
    mps = tn.FiniteMPS.random([2, 3, 4, 5], [2, 6, 3], np.float64)
    train = interop.from_finite_mps(mps)
    assert train.ranks == (1, 2, 6, 3, 1)
    back = interop.to_finite_mps(train)
    for mine, theirs in zip(train.cores, back.tensors, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert train.norm() == pytest.approx(1, rel=1e-10)  # the state is normalised, and canonical


# --- quimb -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [SHAPE, (4, 3), (5,)])
def test_formats_as_quimb_networks_and_back(shape, dtype):
    for tensor in formats(dtype, shape):
        network = interop.to_quimb(tensor)
        modes = tuple(f"i{mode}" for mode in range(len(shape)))
        assert relative_error(network.contract(output_inds=modes).data, tensor.to_dense()) < 1e-6
        assert relative_error(interop.from_quimb(network, modes).evaluate(), tensor.to_dense()) < 1e-6


@pytest.mark.parametrize("equation", [equation for equation in EQUATIONS[::2] if equation.isascii()])
def test_any_contraction_as_a_quimb_network(equation, rng):
    arrays = operands(equation, rng)
    output = tuple(equation.split("->")[1])
    back = interop.from_quimb(interop.to_quimb(symbolic(equation, arrays)), output)
    assert relative_error(back.evaluate(), np.einsum(equation, *arrays)) < 1e-12


def test_networks_that_quimb_builds():
    lattice = qtn.TN2D_rand(3, 3, D=3, seed=0)
    assert interop.from_quimb(lattice).evaluate() == pytest.approx(lattice.contract(), rel=1e-10)
    lattice.exponent = 2.0
    assert interop.from_quimb(lattice).evaluate() == pytest.approx(lattice.contract(), rel=1e-10)
    state = qtn.MPS_rand_state(6, 4, seed=0, dtype=complex)
    train = interop.from_quimb_mps(state)
    assert relative_error(train.to_dense().reshape(-1), np.asarray(state.to_dense()).reshape(-1)) < 1e-12
    back = interop.to_quimb_mps(train)
    assert relative_error(np.asarray(back.to_dense()).reshape(-1), train.to_dense().reshape(-1)) < 1e-12
    assert train.norm() == pytest.approx(state.norm().real, rel=1e-10)
    pair = interop.from_quimb_mps(interop.to_quimb_mps(tna.TTTensor.random((2, 5), 2, seed=0)))
    assert pair.ranks == (1, 2, 1)


def test_what_quimb_does_not_have():
    with pytest.raises(FormatError, match="a MatrixProductState of quimb is needed; got ndarray"):
        interop.from_quimb_mps(np.ones((2, 3)))
    with pytest.raises(FormatError, match="a periodic state is no train"):
        interop.from_quimb_mps(qtn.MPS_rand_state(4, 2, cyclic=True, seed=0))
    with pytest.raises(FormatError, match="has two sites at least; to_quimb takes a train of one mode"):
        interop.to_quimb_mps(tna.TTTensor.random((4,), ()))
    with pytest.raises(FormatError, match="output index 'z' is on no tensor; the network has i, j"):
        interop.from_quimb(qtn.Tensor(np.ones((2, 3)), ("i", "j")), ("z",))


# --- what has no counterpart -------------------------------------------------------------------------------------


def test_only_one_contraction_of_arrays_is_a_network(monkeypatch):
    with pytest.raises(AlgebraError, match="has ξ = hypot and ⊕ = add: evaluate"):
        interop.to_nodes(tna.TTTensor.random((2, 3), 2, xi="hypot"))
    with pytest.raises(AlgebraError, match="only one contraction of arrays can be a network of another library"):
        interop.to_quimb(tna.HTTensor.random((2, 3, 4), 2, xi="rectifier"))
    with pytest.raises(EquationError, match="the expression has no arrays for X"):
        interop.to_nodes(tna.contract("ab,ab->", tna.TTTensor.random((2, 3), 2), tna.leaf("X", "ab")))
    with pytest.raises(EquationError, match="a format or an expression is needed; got ndarray"):
        interop.to_nodes(np.ones(3))
    monkeypatch.setitem(sys.modules, "quimb.tensor", None)
    with pytest.raises(DataError, match="this needs quimb: pip install quimb"):
        interop.to_quimb(tna.TTTensor.random((2, 3), 2))


def test_lists_of_cores_are_trains():
    """teneva keeps a train as a list of cores: (rank, size, rank), as here."""
    cores = [np.ones((1, 2, 3)), np.ones((3, 4, 1))]
    train = tna.TTTensor(cores)
    for mine, theirs in zip(list(train.cores), cores, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_exponents_of_quimb_are_multiplied_in():
    state = qtn.MPS_rand_state(5, bond_dim=3, seed=0)
    truth = state.to_dense().reshape(-1)
    state.equalize_norms_(1.0)
    np.testing.assert_allclose(interop.from_quimb_mps(state).to_dense().reshape(-1), truth, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", [tna.CPTensor, tna.TTTensor, tna.HTTensor])
def test_exports_keep_single_precision(kind):
    tensor = kind.random((2, 3, 5), rank=2, seed=0, dtype="float32")
    network = interop.to_quimb(tensor)
    assert network.contract(output_inds=("i0", "i1", "i2")).data.dtype == "float32"
    graph = interop.to_nodes(tensor)
    assert {np.dtype(node.dtype) for node in graph.nodes} == {np.dtype("float32")}
    found = interop.from_nodes(graph.nodes, graph.edges).evaluate()
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, tensor.to_dense(), rtol=1e-5, atol=1e-6)


def test_only_trains_are_states():
    tensor = tna.CPTensor.random((2, 3, 5), rank=2, seed=0)
    for export in (interop.to_quimb_mps, interop.to_finite_mps):
        with pytest.raises(FormatError, match=re.escape("an MPS needs a TTTensor; got CPTensor: to_tt() converts")):
            export(tensor)
    with pytest.raises(FormatError, match="a Tucker tensor of TensorLy has two modes or more"):
        interop.to_tensorly(tna.HTTensor.random((3,), rank=(), seed=0))
    for wrong in (None, qtn.TensorNetwork([])):
        with pytest.raises(FormatError, match="a TensorNetwork or a Tensor of quimb is needed, and not an empty one"):
            interop.from_quimb(wrong)
