"""Tensors from some of their entries: recovered where these are many, judged by entries that no fit has seen."""

import re
import warnings

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.decompose.samples import Samples, Terms, Train
from tnalgebra.errors import ConvergenceWarning, FormatError, IndexRangeError, NonFiniteError, RankError

KINDS = (tna.CPTensor, tna.TTTensor, tna.HTTensor)


def entries(tensor, count, seed=1):
    points = np.random.default_rng(seed).integers(0, tensor.shape, (count, tensor.ndim))
    return points, tensor.gather(points)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_a_tensor_of_small_rank_is_recovered(kind, dtype):
    truth = kind.random((8, 9, 7, 6), 2, seed=3, dtype=dtype)
    points, values = entries(truth, 1500, seed=2)
    eps = 1e-3 if dtype == "float32" else 1e-7
    found = kind.from_samples(points, values, truth.shape, max_rank=4, eps=eps)
    assert found.dtype == dtype
    assert type(found) is kind
    assert found.distance(truth) < 10 * eps * truth.norm()
    assert found.fit.is_converged
    assert found.fit.calls == len(np.unique(points, axis=0))
    assert found.max_rank <= 4


def test_a_smooth_tensor_needs_few_entries_and_ranks():
    grid = np.linspace(0, 1, 20)
    dense = 1 / (1 + sum(np.meshgrid(*[grid] * 4, indexing="ij", sparse=True)))
    points = np.random.default_rng(0).integers(0, 20, (5000, 4))
    found = tna.TTTensor.from_samples(points, dense[tuple(points.T)], dense.shape, max_rank=6, eps=1e-4)
    assert found.max_rank <= 4
    assert relative_error(found.to_dense(), dense) < 3e-4


@pytest.mark.parametrize("scale", [1e-200, 1e150])
def test_scales_do_not_matter(scale):
    truth = tna.TTTensor.random((6, 7, 5), 2, seed=0)
    points, values = entries(truth, 180)
    found = tna.TTTensor.from_samples(points, values * scale, truth.shape, max_rank=2, eps=1e-6)
    assert relative_error(found.gather(points) / scale, values) < 1e-5


def test_too_few_entries_are_judged_by_those_held_out():
    """Four hundred entries cannot determine this train; they are fitted, and the report is not fooled."""
    truth = tna.TTTensor.random((10,) * 6, 3, seed=0)
    points, values = entries(truth, 400)
    with pytest.warns(ConvergenceWarning, match=r"relative error of .* on the entries held out, not eps = 1e-06"):
        found = tna.TTTensor.from_samples(points, values, truth.shape, max_rank=4, eps=1e-6, sweeps=60)
    assert not found.fit.is_converged
    assert found.fit.error > 0.3
    assert len(found.fit.losses) == 61
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        free = tna.TTTensor.from_samples(points, values, truth.shape, max_rank=2, sweeps=40)
    assert free.fit.error > 0.3


@pytest.mark.parametrize("model", [Train, Terms])
def test_a_sweep_never_raises_the_error(model):
    truth = tna.TTTensor.random((6, 5, 7), 3, seed=0)
    samples = Samples(*entries(truth, 200), truth.shape, 0)
    fit = model(samples)
    errors = []
    for rank in (1, 2, 3):
        fit.grow([rank] * len(fit.ranks), noise=0.1)
        for _ in range(8):
            before = samples.error(fit.tensor, is_held=False)
            fit.sweep()
            errors.append(samples.error(fit.tensor, is_held=False))
            assert errors[-1] <= before * (1 + 1e-7) + 1e-12
    assert errors[-1] < 0.9


def test_the_edges():
    for kind in KINDS:
        line = kind.from_samples([[0], [1], [2]], [1.0, 2.0, 3.0], (3,), max_rank=1)
        np.testing.assert_allclose(line.to_dense(), [1, 2, 3], rtol=1e-6)
        one = kind.from_samples([[0, 0, 0]], [5], (1, 1, 1), max_rank=1)
        assert one[0, 0, 0] == pytest.approx(5)
        assert one.dtype == np.float64
        zero = kind.from_samples([[0, 0], [1, 1]], [0.0, 0.0], (2, 2), max_rank=1)
        np.testing.assert_allclose(zero.gather([[0, 0], [1, 1]]), 0, atol=1e-8)
    tree = tna.DimensionTree(((0, 2), (1, 3)))
    truth = tna.HTTensor.random((5, 4, 6, 3), 2, seed=0, tree=tree)
    found = tna.HTTensor.from_samples(*entries(truth, 900), truth.shape, max_rank=4, eps=1e-6, tree=tree)
    assert found.tree == tree
    assert found.distance(truth) < 1e-5 * truth.norm()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[0, 0]], [1.0, 2.0], (2, 2)), FormatError, "values must be one number a point: got shape (2,) for 1 points"),
        (([[0, 2]], [1.0], (2, 2)), IndexRangeError, "index 2 is outside mode 1 of size 2"),
        (([[0.0, 1.0]], [1.0], (2, 2)), FormatError, "indices must be integers of shape (B, 2); got float64"),
        ((np.zeros((0, 2), int), [], (2, 2)), FormatError, "nothing to fit: give at least one entry"),
        (([[0, 0]], [np.nan], (2, 2)), NonFiniteError, "values must be finite; 1 of 1 are NaN or infinite"),
        (([[0, 0]], [1.0], (2, 0)), FormatError, "shape must be one positive size a mode; got (2, 0)"),
    ],
)
def test_bad_input_is_named(arguments, error, message):
    for kind in KINDS:
        with pytest.raises(error, match=re.escape(message)):
            kind.from_samples(*arguments, max_rank=1)
    with pytest.raises(RankError, match="a rank must be at least 1; got 0"):
        tna.TTTensor.from_samples([[0, 0]], [1.0], (2, 2), max_rank=0)


def test_half_of_a_photograph_is_completed_nearly_as_well_as_the_whole_is_compressed():
    """Singular values that fall slowly: ranks have to go on growing, and none may be taken away again."""
    load = pytest.importorskip("sklearn.datasets").load_sample_image
    x = load("china.jpg")[:160, :200, 0].reshape(16, 10, 20, 10).astype(float)
    is_known = np.random.default_rng(0).random(x.shape) < 0.5
    found = tna.TTTensor.from_samples(np.argwhere(is_known), x[is_known], x.shape, max_rank=6)
    best = tna.TTTensor.from_dense(x, max_rank=6)
    assert relative_error(found.to_dense(), x) < 1.1 * relative_error(best.to_dense(), x)
    assert found.max_rank == 6


def test_a_train_that_rounding_improves_is_judged_afterwards(monkeypatch):
    truth = tna.TTTensor.random((9, 8, 7), 2, seed=0)
    points, values = entries(truth, 300)
    monkeypatch.setattr(
        "tnalgebra.decompose.completion._rounded", lambda train, fit: setattr(fit, "error", 1e-9) or train
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = tna.TTTensor.from_samples(points, values, truth.shape, max_rank=1, eps=1e-6, sweeps=10)
    assert found.fit.is_converged
    assert found.fit.error == 1e-9
