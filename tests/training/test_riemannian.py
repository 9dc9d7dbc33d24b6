"""Riemannian descent: gradients against dense ones and slopes, steps that lower the loss, and what must be refused."""

from itertools import pairwise

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import AlgebraError, AxisMismatchError, DataError, FormatError, NonFiniteError, TrainingError
from tnalgebra.networks import network_from_weights, weight_tensor
from tnalgebra.training import fit_riemannian
from tnalgebra.training.loss import LOSSES, encoded
from tnalgebra.training.objective import prepared
from tnalgebra.training.riemannian import _scores, _Weights


def network(*, steps=3, classes=3, dtype="float64", **options):
    sizes = {"inputs": 2, "features": 4, "rank": 3, "seed": 0, **options}
    return tna.RecurrentNetwork.random(steps=steps, classes=classes, dtype=dtype, **sizes)


def problem(rng, loss="cross-entropy", steps=3, rows=6):
    """A network, its objective, the features of a batch and the batch, of rows with unlike weights."""
    net = network(steps=steps, classes=1 if loss == "binary" else 3)
    y = rng.standard_normal((rows, 3)) if loss == "squared" else rng.integers(0, net.classes + (loss == "binary"), rows)
    target = encoded(y, net.classes, loss, net.dtype)
    batch = prepared(net, rng.standard_normal((rows, steps, 2)), target, rng.uniform(0.5, 2, rows), None)
    objective = _Weights(weight_tensor(net), net, loss)
    return objective, np.asarray(net.feature_map(batch["X"])), {**batch, "row_weight": batch["row_weight"] / rows}


def value(objective, weights, batch):
    return objective.value(objective.scores(weights, batch), batch)


@pytest.fixture
def moons():
    """Standardised points as two steps of one number, and a network on their powers up to 4."""
    data = tna.load_data("moons")
    mean, scale = data.X_train.mean(0), data.X_train.std(0)
    start = 0.01 * tna.TTTensor.random((5, 5, 2), (4, 2), seed=0)
    net = network_from_weights(start, tna.FixedMap.polynomial(1, degree=4))
    train, test = (((x - mean) / scale)[:, :, None] for x in (data.X_train, data.X_test))
    return net, train, data.y_train, test, data.y_test


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_precision_of_the_network_stays(dtype, moons):
    net, x, y, *_ = moons
    start = net.replace(**{name: part.astype(dtype) for name, part in net.parameters().items()})
    assert fit_riemannian(start, x, y, epochs=1, momentum=0.5).network.dtype == dtype


@pytest.mark.parametrize("loss", list(LOSSES))
def test_the_gradient_is_the_projection_of_the_dense_one(loss, rng):
    objective, features, batch = problem(rng, loss)
    space = tna.TangentSpace(objective.start)
    scores = objective.scores(objective.start, batch)
    slopes = np.zeros_like(scores)
    for index in np.ndindex(scores.shape):
        unit = np.zeros_like(scores)
        unit[index] = 1e-6
        slopes[index] = (objective.value(scores + unit, batch) - objective.value(scores - unit, batch)) / 2e-6
    dense = np.einsum("bi,bj,bk,by->ijky", *(features[:, t] for t in range(3)), slopes)
    found, gradient = objective.gradient(space, features, batch)
    assert found == pytest.approx(objective.value(scores, batch))
    assert relative_error(gradient.to_tt().to_dense(), space.project(dense).to_tt().to_dense()) < 1e-7


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_slopes_along_tangent_vectors_are_inner_products_with_the_gradient(loss, steps, rng):
    objective, features, batch = problem(rng, loss, steps)
    space = tna.TangentSpace(objective.start)
    gradient = objective.gradient(space, features, batch)[1]
    for seed in range(3):
        vector = space.random(seed=seed)
        ends = [value(objective, space.retract(h * vector), batch) for h in (1e-5, -1e-5)]
        assert gradient.inner(vector) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("loss", list(LOSSES))
def test_the_bound_holds_for_second_differences(loss, rng):
    """So the loss falls along the tangent line for every learning rate below 2; for squares the bound is attained."""
    objective, features, batch = problem(rng, loss)
    space = tna.TangentSpace(objective.start)
    first, gradient = objective.gradient(space, features, batch)
    bound = objective.bound(gradient, features, batch)
    scores, moved = _scores(space.point, features), _scores(gradient.to_tt(), features)
    ends = [objective.value(scores + h * moved, batch) for h in (1e-3, -1e-3)]
    second = (ends[0] + ends[1] - 2 * first) / 1e-6
    assert 0 < second <= bound * (1 + 1e-4)
    assert loss != "squared" or second == pytest.approx(bound, rel=1e-4)
    for alpha in (0.5, 1.0, 1.9):
        step = alpha * gradient.inner(gradient) / bound
        assert objective.value(scores - step * moved, batch) < first


def test_scores_of_a_train_are_those_of_the_network(rng):
    net = network(steps=4)
    x = rng.standard_normal((7, 4, 2))
    assert relative_error(_scores(weight_tensor(net), np.asarray(net.feature_map(x))), net(x)) < 1e-12


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_steps_on_one_batch_lower_its_loss_at_any_scale_of_the_features(scale, rng):
    """Features scaled by s and weights by 1/s a step are the same scores, and the same training."""
    net = network(activation="identity")
    f = net.feature_map
    scaled = net.replace(
        feature_weight=f.weight * scale, feature_bias=f.bias * scale, core0=net.cores[0] * scale ** -float(net.steps)
    )
    x, y = rng.standard_normal((32, 3, 2)), rng.integers(0, 3, 32)
    losses = fit_riemannian(scaled, x, y, epochs=15, batch_size=32).history.losses
    assert all(after < before for before, after in pairwise(losses))
    np.testing.assert_allclose(losses, fit_riemannian(net, x, y, epochs=15, batch_size=32).history.losses, rtol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_moons_are_separated(moons, momentum):
    net, x, y, test, truth = moons
    result = fit_riemannian(net, x, y, momentum=momentum, epochs=15, validation=(test, truth))
    last = result.history.epochs[-1]
    assert (result.network(test).argmax(1) == truth).mean() == last.validation_accuracy >= 0.95
    assert last.accuracy >= 0.95
    assert last.steps == 15 * 13
    assert result.network.ranks == net.ranks == (1, 4, 2)
    assert result.network.feature_map is net.feature_map


def test_two_runs_have_the_same_bits(moons):
    net, x, y, *_ = moons
    one, two = (fit_riemannian(net, x, y, epochs=2, momentum=0.5, seed=3, validation=0.2) for _ in range(2))
    for a, b in zip(one.network.cores, two.network.cores, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.history.losses == two.history.losses != fit_riemannian(net, x, y, epochs=2).history.losses


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_training_that_was_cut_off_ends_with_the_same_bits(momentum, moons, tmp_path):
    net, x, y, *_ = moons
    options = {"epochs": 4, "momentum": momentum, "validation": 0.2, "weight_decay": 1e-3, "seed": 1}
    whole, kept = fit_riemannian(net, x, y, **options), tna.Checkpoint(tmp_path / "run.tna", steps=4)

    for stop in (1, 3):  # the last checkpoint is one in the middle of an epoch

        def cut(epoch, net, stop=stop):
            if epoch.epoch == stop:
                raise InterruptedError(f"in epoch {stop}")

        with pytest.raises(InterruptedError, match=f"in epoch {stop}"):
            fit_riemannian(net, x, y, checkpoint=kept, callbacks=[cut], **options)
    rest = fit_riemannian(net, x, y, checkpoint=kept, **options)
    assert rest.history.losses == whole.history.losses
    for name, part in whole.network.parameters().items():
        np.testing.assert_array_equal(rest.network.parameters()[name], part)
    again = fit_riemannian(net, x, y, checkpoint=kept, **options)  # from the last step: nothing is left to do
    assert again.history.losses == whole.history.losses


def test_a_checkpoint_of_another_training_is_refused(moons, tmp_path):
    net, x, y, *_ = moons
    path, kept = tmp_path / "run.tna", {"epochs": 1, "checkpoint": tmp_path / "run.tna"}
    fit_riemannian(net, x, y, **kept)
    with pytest.raises(TrainingError, match=r"another training: batch_size is '32' there and '16' here"):
        fit_riemannian(net, x, y, batch_size=16, **kept)
    with pytest.raises(TrainingError, match="another training: method is 'fit_riemannian' there and 'fit' here"):
        tna.fit(net, x, y, optimizer=tna.SGD(0.5), **kept)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="or it was cut off"):
        fit_riemannian(net, x, y, **kept)
    with pytest.raises(TrainingError, match="checkpoint must be a path or a Checkpoint; got 3"):
        fit_riemannian(net, x, y, checkpoint=3)


def test_float32_is_kept(rng):
    net = network(dtype="float32")
    result = fit_riemannian(net, rng.standard_normal((40, 3, 2)), rng.integers(0, 3, 40), momentum=0.5, epochs=3)
    assert result.network.dtype == np.float32
    assert result.network.ranks == net.ranks
    assert result.network(np.ones((1, 3, 2))).dtype == np.float32


def test_a_quadratic_of_rank_one_is_found_exactly(rng):
    """y = ⟨W, x ⊗ x ⊗ x⟩ with W of rank one: least squares on the manifold that holds it."""
    f = tna.FeatureMap.identity(3)
    truth = network_from_weights(tna.TTTensor.random((3, 3, 3, 1), (1, 1, 1), seed=1), f)
    start = network_from_weights(tna.TTTensor.random((3, 3, 3, 1), (1, 1, 1), seed=2), f)
    x = rng.standard_normal((200, 3, 3))
    result = fit_riemannian(start, x, truth(x), loss="squared", epochs=60, learning_rate=0.8)
    assert relative_error(result.network(x), truth(x)) < 1e-6
    assert result.network.ranks == (1, 1, 1, 1)


def test_one_step_in_time_is_logistic_regression(rng):
    net = network_from_weights(tna.TTTensor.random((2, 2), 2, seed=0), tna.FeatureMap.identity(2))
    x = rng.standard_normal((100, 1, 2))
    result = fit_riemannian(net, x, (x[:, 0, 0] > x[:, 0, 1]).astype(int), epochs=20)
    assert result.history.epochs[-1].accuracy > 0.95
    assert result.network.steps == 1


def test_three_steps_of_unlike_ranks_are_no_equal_cores(rng):
    start = tna.TTTensor.random((4, 4, 4, 2), (2, 3, 2), seed=0)
    net = network_from_weights(start, tna.FeatureMap.identity(4))
    assert (net.steps, net.ranks) == (3, (1, 2, 3, 2))
    result = fit_riemannian(net, rng.standard_normal((40, 3, 4)), rng.integers(0, 2, 40), epochs=2)
    assert (result.network.steps, result.network.ranks) == (3, (1, 2, 3, 2))


def test_weight_decay_shrinks_the_weights_and_weights_of_rows_choose_among_them(moons):
    net, x, y, *_ = moons
    norms = [
        weight_tensor(fit_riemannian(net, x, y, epochs=3, weight_decay=decay).network).norm() for decay in (0.0, 0.1)
    ]
    assert norms[1] < 0.9 * norms[0]
    ones = fit_riemannian(net, x, y, epochs=3, sample_weight=1e-9 + (y == 1)).network(x).argmax(1)
    assert ones.mean() > 0.99


def test_patience_callbacks_and_rates_of_steps_are_those_of_fit(moons):
    net, x, y, *_ = moons
    seen = []
    result = fit_riemannian(
        net,
        x,
        y,
        epochs=9,
        learning_rate=lambda step: 1 / step,
        callbacks=[lambda e, n: seen.append(n(x)) or e.epoch > 1],
    )
    assert len(seen) == len(result.history.epochs) == 2
    assert result.history.epochs[0].learning_rate == 1 / 13
    np.testing.assert_array_equal(seen[-1], result.network(x))
    best = fit_riemannian(net, x, y, epochs=40, learning_rate=1.9, patience=1, validation=0.1).history.epochs
    assert best[-1].validation_loss >= min(e.validation_loss for e in best)


def test_what_cannot_be_trained_is_refused(rng):
    x, y = rng.standard_normal((10, 3, 2)), rng.integers(0, 3, 10)
    with pytest.raises(AlgebraError, match=r"defined for ξ = multiply, not rectifier.*fit trains networks for every ξ"):
        fit_riemannian(network(xi="rectifier"), x, y)
    with pytest.raises(FormatError, match="needs a RecurrentNetwork; got ShallowNetwork: fit trains it"):
        fit_riemannian(tna.ShallowNetwork.random(steps=3, inputs=2, features=4, rank=3, classes=3), x, y)
    with pytest.raises(FormatError, match="equal cores have a weight tensor for every number of steps"):
        fit_riemannian(network(steps=None), x, y)
    with pytest.raises(FormatError, match="every class has a weight tensor of its own"):
        fit_riemannian(network(shared=False), x, y)
    with pytest.raises(TrainingError, match="X has no rows"):
        fit_riemannian(network(), x[:0], y[:0])
    with pytest.raises(AxisMismatchError, match=r"axis 1 \(T\) is 2, the network needs 3"):
        fit_riemannian(network(), x[:, :2], y)
    with pytest.raises(NonFiniteError, match="X has 1 entries that are NaN or infinite"):
        fit_riemannian(network(), np.where(np.arange(60).reshape(10, 3, 2) == 7, np.nan, x), y)
    with pytest.raises(NonFiniteError, match="sample_weight must be finite"):
        fit_riemannian(network(), x, y, sample_weight=np.full(10, np.nan))
    with pytest.raises(TrainingError, match="labels must be from 0 to 2"):
        fit_riemannian(network(), x, y + 5)
    with pytest.raises(TrainingError, match="patience needs validation data"):
        fit_riemannian(network(), x, y, patience=2)
    for wrong, message in (
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
        ({"epochs": 0}, "epochs must be a positive integer"),
        ({"seed": -1}, "seed must be an integer from 0"),
    ):
        with pytest.raises(TrainingError, match=message):
            fit_riemannian(network(), x, y, **wrong)


def test_a_loss_that_diverges_says_where_and_what_to_do(rng):
    x, y = rng.standard_normal((40, 3, 2)), rng.standard_normal((40, 3))
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            TrainingError,
            match=r"the loss is (nan|inf).* in step \d+ \(epoch \d+, batch \d+\).*lower learning_rate \(1e\+06\)",
        ),
    ):
        fit_riemannian(network(), x, y, loss="squared", learning_rate=1e6, epochs=50)
