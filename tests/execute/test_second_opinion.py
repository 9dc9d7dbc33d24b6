"""TensorNetwork's own contractors, on node graphs, as a second opinion on networks of products."""

from itertools import pairwise

import numpy as np
import pytest

import tnalgebra as tna

tensornetwork = pytest.importorskip("tensornetwork")


@pytest.mark.parametrize(
    ("equation", "shapes", "network"),
    [
        ("ij,jk,kl->il", [(2, 3), (3, 5), (5, 7)], [(-1, 1), (1, 2), (2, -2)]),
        ("aib,bjc,ckd->aijkd", [(2, 3, 5), (5, 2, 7), (7, 3, 2)], [(-1, -2, 1), (1, -3, 2), (2, -4, -5)]),
        ("ab,bc,ca->", [(2, 3), (3, 5), (5, 2)], [(1, 2), (2, 3), (3, 1)]),
        ("abc,ai,bj,ck->kji", [(2, 3, 5), (2, 7), (3, 2), (5, 3)], [(1, 2, 3), (1, -3), (2, -2), (3, -1)]),
    ],
)
def test_ncon_agrees(equation, shapes, network, rng):
    arrays = [rng.standard_normal(shape) for shape in shapes]
    np.testing.assert_allclose(tna.contract(equation, *arrays), tensornetwork.ncon(arrays, network), rtol=1e-12)


def test_a_matrix_product_state_agrees(rng):
    train = tna.TTTensor.random((2, 3, 2, 3), 5, seed=0)
    nodes = [tensornetwork.Node(np.array(core)) for core in train.cores]
    for left, right in pairwise(nodes):
        left[2] ^ right[0]
    edges = [nodes[0][0], *(node[1] for node in nodes), nodes[-1][2]]
    dense = tensornetwork.contractors.auto(nodes, output_edge_order=edges).tensor
    np.testing.assert_allclose(train.to_dense(), dense[0, ..., 0], rtol=1e-12)
