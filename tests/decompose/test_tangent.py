"""The manifold of fixed ranks: projections are orthogonal, retractions are exact to second order."""

import re

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import AlgebraError, AxisMismatchError, FormatError

SHAPE = (4, 5, 3, 6)


def space_at(dtype="float64", shape=SHAPE, rank=2, seed=0):
    return tna.TangentSpace(tna.TTTensor.random(shape, rank if len(shape) > 1 else (), seed=seed, dtype=dtype))


def dense_basis(space):
    """Every variation of every core, as columns: they span the tangent space by definition."""
    cores = space.point.cores
    columns = []
    for mode, core in enumerate(cores):
        for index in np.ndindex(core.shape):
            unit = np.zeros_like(core)
            unit[index] = 1
            moved = [unit if other == mode else c for other, c in enumerate(cores)]
            columns.append(tna.TTTensor(moved).to_dense().reshape(-1))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("shape", [SHAPE, (4, 5), (5,), (3, 1, 4)])
def test_the_projection_is_that_onto_all_variations_of_the_cores(shape, dtype):
    space = space_at(dtype, shape)
    basis = dense_basis(space)
    for z in (
        tna.TTTensor.random(shape, 3 if len(shape) > 1 else (), seed=5, dtype=dtype),
        tna.CPTensor.random(shape, 2, seed=6, dtype=dtype),
    ):
        dense = z.to_dense().reshape(-1)
        expected = basis @ np.linalg.lstsq(basis, dense, rcond=1e-10)[0]
        for given in (z, z.to_dense(), z.to_ht()):
            assert relative_error(space.project(given).to_tt().to_dense().reshape(-1), expected) < 1e-11


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_many_terms_are_projected_as_the_train_that_they_are(dtype):
    space = space_at(dtype, (4,) * 10, rank=3)
    terms = tna.CPTensor.random((4,) * 10, 50, seed=1, dtype=dtype) * 3
    slow = space.project(terms.to_tt())
    assert (space.project(terms) - slow).norm() < 1e-12 * slow.norm()


def test_a_projection_is_idempotent_self_adjoint_and_keeps_the_point():
    space = space_at("complex128")
    a, b = (tna.TTTensor.random(SHAPE, 3, seed=seed, dtype=complex) for seed in (3, 4))
    once = space.project(a)
    assert (space.project(once.to_tt()) - once).norm() < 1e-12 * once.norm()
    assert space.project(a).to_tt().inner(b) == pytest.approx(a.inner(space.project(b).to_tt()), rel=1e-11)
    assert space.project(space.point).to_tt().distance(space.point) < 1e-12 * space.point.norm()
    residual = a - once.to_tt()
    assert abs(residual.inner(once.to_tt())) < 1e-11 * a.norm() ** 2


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_vectors_are_a_space_with_the_inner_product_of_their_trains(dtype):
    space, tol = space_at(dtype), 1e-5 if dtype == "float32" else 1e-12
    u, v = space.random(seed=1), space.random(seed=2)
    assert u.norm() == pytest.approx(1, rel=1e-6)
    for vector, train in (
        (u + v, u.to_tt() + v.to_tt()),
        (u - 2 * v, u.to_tt() - 2 * v.to_tt()),
        (-u / 4, u.to_tt() / -4),
        (np.float32(3) * v, v.to_tt() * 3),
    ):
        assert vector.to_tt().distance(train) < tol
        assert vector.norm() == pytest.approx(train.norm(), rel=1e-5)
        assert vector.deltas[0].dtype == dtype
    assert u.inner(v) == pytest.approx(u.to_tt().inner(v.to_tt()), rel=1e-4, abs=tol)
    assert space.zero().norm() == 0
    assert u.to_tt().ranks == (1, 4, 4, 4, 1)


def test_a_retraction_is_exact_to_second_order():
    space = space_at()
    step = space.random(seed=1) * space.point.norm()
    errors = []
    for size in (1e-1, 1e-2, 1e-3):
        moved = space.retract(size * step)
        assert moved.ranks == space.point.ranks
        errors.append(moved.distance(space.point + size * step.to_tt()) / space.point.norm())
    assert errors[1] / errors[0] == pytest.approx(1e-2, rel=0.5)
    assert errors[2] / errors[1] == pytest.approx(1e-2, rel=0.5)
    assert space.retract(space.zero()).distance(space.point) < 1e-13 * space.point.norm()


def test_transport_is_projection_and_tends_to_the_identity():
    space = space_at()
    step = space.random(seed=1) * space.point.norm()
    vector = space.random(seed=2)
    losses = []
    for size in (1e-1, 1e-2):
        there = tna.TangentSpace(space.retract(size * step))
        moved = there.transport(vector)
        assert moved.space is there
        losses.append(moved.to_tt().distance(vector.to_tt()))
    assert losses[1] < 0.2 * losses[0] < 0.2


def test_gradient_descent_on_the_manifold_finds_the_nearest_train():
    """min ‖X − A‖ over rank-two trains: the Riemannian gradient is the projection of X − A."""
    target = tna.TTTensor.random(SHAPE, 2, seed=9)
    x = target + tna.TTTensor.random(SHAPE, 1, seed=10) * (
        0.3 * target.norm() / tna.TTTensor.random(SHAPE, 1, seed=10).norm()
    )
    x = x.round(max_rank=2)
    for _ in range(60):
        space = tna.TangentSpace(x)
        x = space.retract(-1 * space.project(x - target))
    assert x.distance(target) < 1e-8 * target.norm()


def test_ranks_that_no_train_can_have_are_left_out():
    space = tna.TangentSpace(tna.TTTensor.random((2, 3, 2), 5, seed=0))
    assert space.ranks == (1, 2, 2, 1)
    assert space.project(space.point).to_tt().distance(space.point) < 1e-12 * space.point.norm()
    assert tna.TangentSpace(tna.TTTensor.random((1, 1, 1), 1, seed=0)).random(seed=0).norm() == pytest.approx(1)


def test_bad_input_is_named():
    space, other = space_at(), space_at(seed=1)
    with pytest.raises(
        FormatError, match=re.escape("the vector belongs to another tangent space; transport() brings it")
    ):
        space.random(seed=0) + other.random(seed=0)
    with pytest.raises(FormatError, match="belongs to another tangent space"):
        space.retract(other.random(seed=0))
    with pytest.raises(AxisMismatchError, match=re.escape("the point has (4, 5, 3, 6), the tensor (4, 5)")):
        space.project(np.ones((4, 5)))
    with pytest.raises(FormatError, match="a tangent space is that of a TTTensor; got CPTensor"):
        tna.TangentSpace(tna.CPTensor.random((3, 4), 2))
    with pytest.raises(AlgebraError, match="a tangent space is defined for ξ = multiply, not hypot"):
        tna.TangentSpace(tna.TTTensor.random((3, 4), 2, xi="hypot"))
    with pytest.raises(AlgebraError, match="a projection is defined for ξ = multiply, not hypot"):
        space.project(tna.CPTensor.random(SHAPE, 2, xi="hypot"))
    with pytest.raises(TypeError, match="unsupported operand"):
        space.random(seed=0) * None


@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e20, "f4"), (1e30, "f4"), (1e-30, "f4"), (1e160, float), (1e-160, float), (1e300, complex)]
)
def test_tangent_vectors_have_every_scale(scale, dtype):
    x = tna.TTTensor.random(SHAPE, 2, seed=0, dtype=dtype)
    x, tol = x / x.norm() * scale, 1e-5 if dtype == "f4" else 1e-13
    space = tna.TangentSpace(x)
    for vector in (space.project(x), space.project(x.to_cp())):
        assert vector.norm() / scale == pytest.approx(1, rel=tol)
        assert vector.to_tt().distance(x) / scale < tol
        assert space.retract(vector).distance(x * 2) / scale < tol
    assert (vector / np.float32(3) - vector * (1 / 3)).norm() / scale < tol


def test_products_on_the_way_of_a_projection_may_leave_the_range():
    x = tna.TTTensor.random(SHAPE, 2, seed=0)
    scales = (1e200, 1e200, 1e-200, 1e-200)
    moved = tna.TTTensor([core * scale for core, scale in zip(x.cores, scales, strict=True)])
    terms = tna.CPTensor([f * s for f, s in zip(x.to_cp().factors, scales[::-1], strict=True)])
    for z in (moved, terms):
        assert tna.TangentSpace(x).project(z).to_tt().distance(x) < 1e-12 * x.norm()
