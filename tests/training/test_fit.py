"""Training: optimizers against their papers, losses against loops, same bits, checkpoints, and what must be refused."""

import itertools
import json
import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import (
    AxisMismatchError,
    DataError,
    DivergenceError,
    FormatError,
    NonFiniteError,
    TrainingError,
    UnknownNameError,
)
from tnalgebra.formats import archive
from tnalgebra.training import CosineDecay, ExponentialDecay, History, Warmup
from tnalgebra.training.loss import LOSSES, encoded
from tnalgebra.training.objective import Objective, prepared
from tnalgebra.training.optimizer import OptimizerState, in_place

KINDS = {"cp": tna.ShallowNetwork, "tt": tna.RecurrentNetwork, "ht": tna.HierarchicalNetwork}
XIS = ("multiply", "rectifier", "logaddexp", "add", "hypot")


def network(kind="tt", *, steps=2, inputs=1, classes=2, xi="rectifier", seed=0, **options):
    sizes = {"features": 8, "rank": 4, **options}
    return KINDS[kind].random(steps=steps, inputs=inputs, classes=classes, xi=xi, seed=seed, **sizes)


@pytest.fixture
def moons():
    return tna.load_data("moons", train=100, test=50)


def sequences(data):
    return data.X_train[:, :, None], data.y_train


# --- optimizers --------------------------------------------------------------------------------------------------


OPTIMIZERS = [tna.Adam(0.1), tna.SGD(0.1), tna.SGD(0.1, momentum=0.9), tna.SGD(0.1, momentum=0.9, nesterov=True)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("is_compiled", [False, True])
def test_steps_in_place_are_the_pure_ones(optimizer, is_compiled, rng):
    theta = rng.standard_normal(1009).astype("float32")
    moved, state, own = theta.copy(), optimizer.init(theta), optimizer.init(theta)
    move = in_place(optimizer, is_compiled=is_compiled)
    for _ in range(4):
        gradient = rng.standard_normal(1009).astype("float32")
        theta, state = optimizer.update(gradient, state, theta)
        new, own = move(gradient, own, moved)
        assert new is moved
        np.testing.assert_allclose(moved, theta, rtol=1e-5, atol=1e-6)
    assert own.step == state.step == 4
    for found, expected in zip(own.moments, state.moments, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_update_takes_arrays_of_any_shape_and_leaves_them(rng):
    adam = tna.Adam(0.1)
    theta, gradient = rng.standard_normal((5, 3)).T, rng.standard_normal((3, 5))
    kept = theta.copy(), gradient.copy()
    new, state = adam.update(gradient, adam.init(theta), theta)
    flat = adam.update(gradient.ravel(), adam.init(theta.ravel()), theta.ravel())
    np.testing.assert_array_equal(new.ravel(), flat[0])
    assert [moment.shape for moment in state.moments] == [(3, 5), (3, 5)]
    np.testing.assert_array_equal((theta, gradient), kept)
    whole = np.array([1, -2])
    np.testing.assert_allclose(adam.update(whole, adam.init(whole), whole)[0], [0.9, -1.9])


def test_adam_is_the_published_algorithm(rng):
    """Kingma & Ba 2015, algorithm 1, number by number."""
    adam = tna.Adam(learning_rate=0.05, beta1=0.8, beta2=0.95, eps=1e-6)
    theta = rng.standard_normal(5)
    state, truth, m, v = adam.init(theta), theta.copy(), np.zeros(5), np.zeros(5)
    for t in range(1, 20):
        g = np.sin(theta) + rng.standard_normal(5)
        before = theta.copy()
        new, state = adam.update(g, state, theta)
        np.testing.assert_array_equal(theta, before)
        m = 0.8 * m + (1 - 0.8) * g
        v = 0.95 * v + (1 - 0.95) * g * g
        m_hat, v_hat = m / (1 - 0.8**t), v / (1 - 0.95**t)
        truth = truth - 0.05 * m_hat / (np.sqrt(v_hat) + 1e-6)
        np.testing.assert_allclose(new, truth, rtol=1e-12)
        theta = new
    assert state.step == 19
    assert (
        tna.Adam().update(np.ones(3, "f4"), tna.Adam().init(np.ones(3, "f4")), np.ones(3, "f4"))[0].dtype == np.float32
    )


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_its_formula(nesterov, rng):
    sgd, theta = tna.SGD(learning_rate=lambda t: 0.1 / t, momentum=0.9, nesterov=nesterov), rng.standard_normal(4)
    state, truth, w = sgd.init(theta), theta.copy(), np.zeros(4)
    for t in range(1, 10):
        g = rng.standard_normal(4)
        theta, state = sgd.update(g, state, theta)
        w = 0.9 * w + g
        truth = truth - 0.1 / t * (g + 0.9 * w if nesterov else w)
        np.testing.assert_allclose(theta, truth, rtol=1e-13)


def test_schedules():
    assert [ExponentialDecay(8.0, decay=0.5, every=2)(t) for t in (0, 2, 4)] == [8, 4, 2]
    cosine = CosineDecay(1.0, steps=10, end=0.1)
    assert cosine(0) == 1
    np.testing.assert_allclose([cosine(5), cosine(10), cosine(100)], [0.55, 0.1, 0.1])
    assert [Warmup(2.0, 4)(t) for t in (1, 2, 4, 9)] == [0.5, 1, 2, 2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tna.Adam(learning_rate=0), "learning_rate must be positive or a schedule; got 0"),
        (lambda: tna.Adam(beta1=1.0), r"beta1 must be in \[0, 1\); got 1.0"),
        (lambda: tna.Adam(eps=0), "eps must be positive; got 0"),
        (lambda: tna.SGD(momentum=-0.1), r"momentum must be in \[0, 1\); got -0.1"),
        (lambda: ExponentialDecay(0, 0.5), "a decay needs start > 0"),
        (lambda: CosineDecay(1.0, 0), "a decay needs start > 0, steps > 0"),
        (lambda: Warmup(1.0, 0), "a warm-up needs 1 step or more; got 0"),
        (lambda: tna.Checkpoint("x", steps=0), "a checkpoint every 0 steps is none"),
    ],
)
def test_optimizers_that_cannot_be(make, message):
    with pytest.raises(TrainingError, match=message):
        make()


# --- losses ------------------------------------------------------------------------------------------------------


def slow_loss(loss, scores, y, weight):
    total = 0.0
    for s, label, w in zip(scores, y, weight, strict=True):
        if loss == "cross-entropy":
            total += w * (np.log(np.sum(np.exp(s - s.max()))) + s.max() - s[label])
        elif loss == "squared":
            total += w * np.sum((s - label) ** 2)
        else:
            total += w * np.log1p(np.exp(-(2 * label - 1) * s[0]))
    return total


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_and_its_gradient(loss, kind, rng):
    net = network(kind, classes=1 if loss == "binary" else 3, steps=3, inputs=2)
    y = rng.standard_normal((5, 3)) if loss == "squared" else rng.integers(0, 2 if loss == "binary" else 3, 5)
    x, weight = rng.standard_normal((5, 3, 2)), rng.random(5)
    objective = Objective(net, loss)
    data = prepared(net, x, encoded(y, net.classes, loss, net.dtype), weight, None)
    theta = objective.vector(net)
    value, gradient = objective(theta, data)
    np.testing.assert_allclose(value, slow_loss(loss, net(x), y, weight / weight.mean()), rtol=1e-12)
    np.testing.assert_allclose(objective.value(net(x), data), value, rtol=1e-12)
    direction = rng.standard_normal(theta.shape)
    ends = [objective(theta + step * direction, data)[0] for step in (1e-6, -1e-6)]
    np.testing.assert_allclose(gradient @ direction, (ends[0] - ends[1]) / 2e-6, rtol=1e-6)
    assert relative_error(objective.at(theta)(x), net(x)) == 0


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_scores_of_any_size_have_a_loss(size):
    """The softmax of ±size neither overflows nor is NaN."""
    net = network(classes=2)
    scores, y = np.array([[size, -size], [-size, size]]), np.array([0, 0])
    data = prepared(net, np.ones((2, 2, 1)), encoded(y, 2, "cross-entropy", float), None, None)
    np.testing.assert_allclose(Objective(net, "cross-entropy").value(scores, data), 2 * size)


# --- fit ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "xi"), list(itertools.product(KINDS, XIS)))
def test_every_network_learns_the_moons(kind, xi):
    data = tna.load_data("moons")
    result = tna.fit(
        network(kind, xi=xi, features=16, rank=8), *sequences(data), epochs=30, optimizer=tna.Adam(0.01),
        validation=(data.X_test[:, :, None], data.y_test),
    )  # fmt: skip
    last = result.history.epochs[-1]
    assert last.validation_accuracy >= 0.99
    assert last.loss < result.history.losses[0] / 4
    np.testing.assert_array_equal(
        np.argmax(result.network(data.X_test[:, :, None]), 1) == data.y_test, True
    ) if last.validation_accuracy == 1 else None


@pytest.mark.parametrize("compiled", [False, True])
def test_an_update_of_ones_own_is_the_one_that_is_used(compiled, moons):
    class Still(tna.Adam):
        """Adam that stays where it is."""

        def update(self, gradient, state, parameters):
            return parameters, super().update(gradient, state, parameters)[1]

    start = network()
    result = tna.fit(start, *sequences(moons), epochs=1, optimizer=Still(), compiled=compiled)
    np.testing.assert_array_equal(result.network.cores[0], start.cores[0])


@pytest.mark.parametrize("compiled", [False, True])
def test_networks_that_were_handed_out_are_not_moved(compiled, moons):
    seen = []

    def look(epoch, net):
        seen.append((net, {name: part.copy() for name, part in net.parameters().items()}))

    start = network()
    before = {name: part.copy() for name, part in start.parameters().items()}
    tna.fit(start, *sequences(moons), epochs=3, callbacks=[look], compiled=compiled)
    for net, kept in [(start, before), *seen]:
        for name, part in net.parameters().items():
            np.testing.assert_array_equal(part, kept[name])
    assert not np.array_equal(seen[0][0].cores[0], seen[1][0].cores[0])


def test_an_optimizer_may_keep_what_it_is_given(moons):
    class HeavyBall:
        """Momentum whose first velocity is the gradient itself, and whose last parameters are kept."""

        learning_rate = 0.1

        def init(self, parameters):
            return OptimizerState(0, ())

        def update(self, gradient, state, parameters):
            velocity = 0.9 * state.moments[0] + gradient if state.moments else gradient
            new = parameters - 0.1 * velocity
            return new, OptimizerState(state.step + 1, (velocity, new))

    options = {"epochs": 2, "clip": 0.1, "weight_decay": 0.01}
    own, ours = (
        tna.fit(network(), *sequences(moons), optimizer=optimizer, **options)
        for optimizer in (HeavyBall(), tna.SGD(0.1, 0.9))
    )
    np.testing.assert_allclose(own.history.losses, ours.history.losses, rtol=1e-12)


def test_the_same_seed_gives_the_same_bits(moons):
    runs = [tna.fit(network(), *sequences(moons), epochs=3, dropout=0.2, seed=seed) for seed in (1, 1, 2)]
    for name, part in runs[0].network.parameters().items():
        np.testing.assert_array_equal(part, runs[1].network.parameters()[name])
    assert runs[0].history.losses == runs[1].history.losses
    assert runs[0].history.losses != runs[2].history.losses
    generators = [tna.fit(network(), *sequences(moons), epochs=1, seed=np.random.default_rng(3)) for _ in range(2)]
    assert generators[0].history.losses == generators[1].history.losses


def test_a_step_is_adam_on_the_batch(moons):
    """One batch of all rows: the order of its rows does not matter but for rounding."""
    net, (x, y) = network(), sequences(moons)
    objective = Objective(net, "cross-entropy")
    data = prepared(net, x, encoded(y, 2, "cross-entropy", float), None, None)
    data["row_weight"] = data["row_weight"] / len(x)
    theta, adam = objective.vector(net), tna.Adam(0.01)
    _, gradient = objective(theta, data)
    clipped = gradient * min(1.0, 0.1 / np.linalg.norm(gradient))
    truth = adam.update(clipped, adam.init(theta), theta)[0] - 0.01 * 0.5 * theta
    result = tna.fit(net, x, y, epochs=1, batch_size=len(x), optimizer=adam, clip=0.1, weight_decay=0.5)
    assert relative_error(objective.vector(result.network), truth) < 1e-12
    np.testing.assert_allclose(result.history.epochs[0].gradient_norm, np.linalg.norm(gradient), rtol=1e-12)


def test_rows_without_weight_do_not_count(moons):
    """A batch of all rows with weights 0 and 1 is the batch of the rows of weight 1."""
    net, (x, y) = network(), sequences(moons)
    weight = (np.arange(len(x)) % 2).astype(float)
    half = tna.fit(net, x[1::2], y[1::2], epochs=3, batch_size=len(x))
    whole = tna.fit(net, x, y, epochs=3, batch_size=len(x), sample_weight=weight)
    for name, part in half.network.parameters().items():
        assert relative_error(whole.network.parameters()[name], part) < 1e-9


def test_early_stopping_returns_the_best_network(moons):
    x, y = sequences(moons)
    data = prepared(network(), x, encoded(y, 2, "cross-entropy", float), None, None)
    result = tna.fit(network(), x, y, epochs=200, validation=(x, 1 - y), patience=3, optimizer=tna.Adam(0.01))
    losses = [epoch.validation_loss for epoch in result.history.epochs]
    assert len(losses) == np.argmin(losses) + 4  # what is right in training is wrong in validation
    data["target"] = data["target"][:, ::-1]
    data["row_weight"] = data["row_weight"] / len(x)
    found = Objective(network(), "cross-entropy").value(result.network(x), data)
    np.testing.assert_allclose(found, min(losses), rtol=1e-12)
    split = tna.fit(network(), x, y, epochs=2, validation=0.25)
    assert split.history.epochs[-1].validation_loss is not None
    assert split.history.epochs[-1].steps == 2 * 3


def test_callbacks_see_every_epoch_and_may_stop(moons):
    seen = []

    def callback(epoch, net):
        seen.append((epoch.epoch, type(net)))
        return epoch.epoch == 3

    result = tna.fit(network(), *sequences(moons), epochs=10, callbacks=[callback])
    assert seen == [(i, tna.RecurrentNetwork) for i in (1, 2, 3)]
    assert len(result.history.epochs) == 3


def test_equal_cores_learn_from_sequences_of_many_lengths(rng):
    """Whether the last step is positive: only a network that finds the end of each sequence can tell."""
    x, lengths = rng.standard_normal((300, 6, 1)), rng.integers(2, 7, 300)
    y = (x[np.arange(300), lengths - 1, 0] > 0).astype(int)
    result = tna.fit(network(steps=None), x, y, lengths=lengths, epochs=30, optimizer=tna.Adam(0.01))
    assert np.mean(np.argmax(result.network(x, lengths), 1) == y) > 0.97


def test_other_losses_learn(rng):
    x = rng.standard_normal((200, 2, 1))
    y = x[:, 0, 0] * x[:, 1, 0]
    net = network(xi="multiply", classes=1)
    result = tna.fit(net, x, y, loss="squared", epochs=60, optimizer=tna.Adam(0.01))
    assert result.history.losses[-1] < 0.05 * np.var(y)
    assert result.history.epochs[-1].accuracy is None
    result = tna.fit(net, x, (y > 0).astype(int), loss="binary", epochs=60, optimizer=tna.Adam(0.01))
    assert result.history.epochs[-1].accuracy > 0.9


def test_single_precision_stays(moons):
    result = tna.fit(network(dtype="float32"), *sequences(moons), epochs=1, clip=1.0, dropout=0.1, weight_decay=0.1)
    assert result.network.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_kernels_learn_the_same(moons, kind):
    pytest.importorskip("numba")
    plain, fast = (tna.fit(network(kind), *sequences(moons), epochs=3, compiled=flag) for flag in (False, True))
    np.testing.assert_allclose(fast.history.losses, plain.history.losses, rtol=1e-9)


def test_kernels_are_compiled_where_an_epoch_is_long(moons, monkeypatch):
    pytest.importorskip("numba")
    seen, training = [], sys.modules["tnalgebra.training.fit"].Training
    monkeypatch.setattr(
        sys.modules["tnalgebra.training.fit"], "Training", lambda objective, *rest: seen.append(objective.compiled) or training(objective, *rest)
    )  # fmt: skip
    tna.fit(network(), *sequences(moons), epochs=1)
    monkeypatch.setattr(sys.modules["tnalgebra.training.fit"], "WORTH", 1e3)
    tna.fit(network(), *sequences(moons), epochs=1)
    assert seen == [False, True]


# --- checkpoints -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
def test_a_training_that_was_cut_off_ends_with_the_same_bits(compiled, moons, tmp_path):
    options = {"dropout": 0.2, "seed": 1, "validation": 0.2, "batch_size": 16, "compiled": compiled}
    whole = tna.fit(network(), *sequences(moons), epochs=6, **options)

    class Cut(Exception):
        pass

    for stop in (1, 3):
        path = tmp_path / f"{stop}.tna"

        def cut(epoch, net, stop=stop):
            if epoch.epoch == stop:
                raise Cut("now")

        kept = tna.Checkpoint(path, steps=3)
        with pytest.raises(Cut, match="now"):
            tna.fit(network(), *sequences(moons), epochs=6, checkpoint=kept, callbacks=[cut], **options)
        rest = tna.fit(network(), *sequences(moons), epochs=6, checkpoint=kept, **options)
        assert rest.history.losses == whole.history.losses
        for name, part in whole.network.parameters().items():
            np.testing.assert_array_equal(rest.network.parameters()[name], part)
        again = tna.fit(network(), *sequences(moons), epochs=6, checkpoint=kept, **options)
        assert again.history.losses == whole.history.losses


KILLED = """
import sys, numpy as np, tnalgebra as tna
x = np.random.default_rng(0).standard_normal((400, 2, 1))
net = tna.RecurrentNetwork.random(steps=2, inputs=1, features=8, rank=4, classes=2, xi="rectifier", seed=0)
y = (x[:, 0, 0] > x[:, 1, 0]).astype(int)
kept = tna.Checkpoint(sys.argv[1], steps=2)
result = tna.fit(net, x, y, epochs=20, batch_size=8, checkpoint=kept, callbacks=[lambda e, n: print(e.epoch, flush=True)])
"""


@pytest.mark.skipif(os.name != "posix", reason="the signal is POSIX's")
def test_a_process_that_was_killed_goes_on_to_the_same_bits(tmp_path):
    path, other = tmp_path / "killed.tna", tmp_path / "whole.tna"
    for delay in (0.0, 0.03):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as run:
            run.stdout.readline()
            time.sleep(delay)
            run.kill()
    for target in (path, other):
        subprocess.run([sys.executable, "-c", KILLED, str(target)], check=True, stdout=subprocess.DEVNULL)
    first, second = (archive.read_archive(target, ("Checkpoint",))[1] for target in (path, other))
    for name in ("parameters", "moment0", "moment1"):
        np.testing.assert_array_equal(first[name], second[name])


def test_a_checkpoint_of_another_training_is_refused(moons, tmp_path):
    path = tmp_path / "run.tna"
    tna.fit(network(), *sequences(moons), epochs=1, checkpoint=path)
    for options, message in (
        ({"batch_size": 16}, "is a checkpoint of another training: batch_size is '32' there and '16' here"),
        ({"optimizer": tna.SGD(0.1)}, "optimizer is 'Adam.*' there and 'SGD.*' here"),
        ({"validation": 0.1}, "data is '.*' there"),
    ):
        with pytest.raises(TrainingError, match=message):
            tna.fit(network(), *sequences(moons), epochs=2, checkpoint=path, **options)
    with pytest.raises(TrainingError, match=r"network is .* there and .* here; give another path, or delete the file"):
        tna.fit(network(rank=5), *sequences(moons), epochs=2, checkpoint=path)
    with pytest.raises(TrainingError, match=r"start is '.*' there"):
        tna.fit(network(seed=1), *sequences(moons), epochs=2, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="is no tensor file, or it was cut off"):
        tna.fit(network(), *sequences(moons), epochs=2, checkpoint=path)
    network().save(path)
    with pytest.raises(DataError, match="holds a 'RecurrentNetwork'; known: Checkpoint"):
        tna.fit(network(), *sequences(moons), epochs=2, checkpoint=path)


def test_a_disk_that_fills_up_leaves_the_last_checkpoint(moons, tmp_path, monkeypatch):
    path = tmp_path / "run.tna"
    tna.fit(network(), *sequences(moons), epochs=1, checkpoint=path)
    before = path.read_bytes()

    def full(file, header, arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_pack", full)
    with pytest.raises(DataError, match=r"cannot write .*run\.tna': No space left on device"):
        tna.fit(network(), *sequences(moons), epochs=2, checkpoint=path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.tna"]


# --- history -----------------------------------------------------------------------------------------------------


def test_a_history_prints_draws_and_becomes_json(moons, tmp_path):
    result = tna.fit(network(), *sequences(moons), epochs=2, validation=0.2, progress=False)
    text = str(result.history)
    assert text.splitlines()[0].split()[:3] == ["epoch", "loss", "accuracy"]
    assert len(text.splitlines()) == 3
    assert json.loads(json.dumps(result.history.to_dict()))["epoch"] == [1, 2]
    assert result.history.epochs[1].epoch == 2
    result.history.draw(tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 5000
    History().draw()


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"y": ["a", "b"] * 50}, TrainingError, "y must be one integer label a row, 0 to 1; got <U1"),
        ({"y": np.full(100, 0.5)}, TrainingError, "y must be one integer label a row"),
        ({"y": np.full(100, 2)}, TrainingError, "labels must be from 0 to 1, as the network has 2 scores; got 2 to 2"),
        ({"y": np.full(100, -1)}, TrainingError, "labels must be from 0 to 1"),
        ({"y": np.zeros(99, int)}, AxisMismatchError, "X has 100 rows on axis 0, but target has 99"),
        ({"X": np.ones((100, 3, 1))}, AxisMismatchError, r"axis 1 \(T\) is 3, the network needs 2"),
        ({"X": np.full((100, 2, 1), np.nan)}, NonFiniteError, "X has 200 entries that are NaN or infinite"),
        ({"X": np.ones((0, 2, 1)), "y": np.zeros(0, int)}, TrainingError, "X has no rows"),
        ({"sample_weight": -np.ones(100)}, NonFiniteError, "sample_weight must be finite, not negative, and not all 0"),
        ({"sample_weight": np.ones(3)}, AxisMismatchError, "X has 100 rows on axis 0, but sample_weight has 3"),
        ({"loss": "hinge"}, UnknownNameError, "unknown loss 'hinge'; known: cross-entropy, squared, binary"),
        ({"loss": "binary"}, TrainingError, "loss='binary' needs a network with one score; it has 2"),
        ({"loss": "squared"}, TrainingError, r"y must be numbers of shape \(batch, 2\)"),
        ({"epochs": 0}, TrainingError, "epochs must be a positive integer; got 0"),
        ({"batch_size": 1.5}, TrainingError, "batch_size must be a positive integer; got 1.5"),
        ({"dropout": 1.0}, TrainingError, r"dropout is the share of steps .* in \[0, 1\); got 1.0"),
        ({"clip": 0.0}, TrainingError, "weight_decay must be ≥ 0 and clip > 0"),
        ({"patience": 2}, TrainingError, "patience needs validation data"),
        ({"patience": 0, "validation": 0.1}, TrainingError, "patience must be a positive integer; got 0"),
        ({"validation": 1.5}, TrainingError, "validation=1.5 of 100 rows leaves none"),
        ({"seed": -1}, TrainingError, "seed must be an integer from 0, or a NumPy generator; got -1"),
        ({"lengths": np.full(100, 2)}, AxisMismatchError, "lengths need equal cores"),
        (
            {"callbacks": [len, 5]},
            TrainingError,
            r"a list of functions of \(Epoch, network\); got \[<built-in function len>, 5\]",
        ),
        ({"callbacks": 5}, TrainingError, r"callbacks must be a list of functions of \(Epoch, network\); got 5"),
        ({"network": 5}, FormatError, "fit trains a network; got int"),
    ],
)
def test_what_cannot_be_trained(moons, options, error, message):
    x, y = sequences(moons)
    with pytest.raises(error, match=message):
        tna.fit(options.pop("network", network()), options.pop("X", x), options.pop("y", y), **options)


def test_a_loss_that_diverges_says_where_and_what_to_do(moons):
    x, y = sequences(moons)
    message = r"the loss is .* in step \d+ \(epoch \d+, batch \d+\), the norm of the gradient .*: lower learning_rate"
    with pytest.raises(DivergenceError, match=message), np.errstate(all="ignore"):
        tna.fit(network(xi="multiply"), x * 100, y, optimizer=tna.SGD(1e6), epochs=50)


# --- what a review found -----------------------------------------------------------------------------------------


def own_rate(step):
    return 0.01 / step**0.5


def test_settings_are_text_that_another_process_writes_as_well():
    from tnalgebra.training.checkpoint import described

    code = f"from {__name__} import *; from tnalgebra.training.checkpoint import described; print(described(own_rate))"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert again.startswith(f"{__name__}.own_rate ")
    assert (
        described(tna.Adam(own_rate))
        == f"Adam(learning_rate={again}, beta1=0.90000000000000002, beta2=0.999, eps=1e-08)"
    )
    assert described(1) == described(1.0) == described(np.float64(1)) == "1"
    assert described(tna.Adam(Warmup(CosineDecay(1.0, 10), 2))).count("CosineDecay(start=1, steps=10, end=0)") == 1
    assert (described(None), described(True)) == ("None", "True")


def held_rate(value):
    def rate(step):
        return value

    return rate


class Rates:
    def __init__(self, start):
        self.start = start

    def at(self, step):
        return self.start / step


@pytest.mark.parametrize(
    ("make", "one", "other"),
    [
        (held_rate, 0.01, 0.5),
        (lambda value: lambda step: value[0], (0.01,), (0.5,)),
        (lambda value: lambda step: value["rate"], {"rate": 0.01}, {"rate": 0.5}),
        (lambda value: lambda step: value[step % 2], np.array([0.01, 0.02]), np.array([0.01, 0.5])),
        (lambda value: lambda step, rate=value: rate, 0.01, 0.5),
        (lambda value: partial(lambda rate, step: rate, value), 0.01, 0.5),
        (lambda value: partial(lambda step, rate: rate, rate=value), 0.01, 0.5),
        (lambda value: Rates(value).at, 0.01, 0.5),
        (lambda value: (lambda step: 0.01) if value else (lambda step: 0.5), True, False),
    ],
)
def test_a_checkpoint_knows_another_schedule(make, one, other, moons, tmp_path):
    path = tmp_path / "run.tna"
    tna.fit(network(), *sequences(moons), epochs=1, checkpoint=path, optimizer=tna.Adam(make(one)))
    tna.fit(network(), *sequences(moons), epochs=2, checkpoint=path, optimizer=tna.Adam(make(one)))
    with pytest.raises(TrainingError, match="is a checkpoint of another training: optimizer is 'Adam"):
        tna.fit(network(), *sequences(moons), epochs=3, checkpoint=path, optimizer=tna.Adam(make(other)))


def test_a_schedule_may_hold_itself_and_modules(moons, tmp_path):
    import numpy

    def rate(step):
        return 0.01 if step < 9 else rate(step - 8) / numpy.sqrt(2)

    options = {"epochs": 2, "optimizer": tna.SGD(rate), "seed": 0}
    kept = {**options, "checkpoint": tmp_path / "run.tna"}
    tna.fit(network(), *sequences(moons), **{**kept, "epochs": 1})
    resumed, whole = (tna.fit(network(), *sequences(moons), **given) for given in (kept, options))
    for name, part in whole.network.parameters().items():
        np.testing.assert_array_equal(resumed.network.parameters()[name], part)


def test_a_checkpoint_with_more_epochs_than_are_asked_for_is_refused(moons, tmp_path):
    path = tmp_path / "run.tna"
    for kept in (path, tna.Checkpoint(path, steps=3)):
        tna.fit(network(), *sequences(moons), epochs=3, checkpoint=kept)
        with pytest.raises(
            TrainingError, match=r"run.tna' is in epoch 3 and epochs=2 are asked for: their number may only grow"
        ):
            tna.fit(network(), *sequences(moons), epochs=2, checkpoint=kept)

    def cut(step):
        if step > 5:
            raise KeyboardInterrupt
        return 0.01

    kept = tna.Checkpoint(tmp_path / "cut.tna", steps=1)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        tna.fit(network(), *sequences(moons), epochs=3, checkpoint=kept, optimizer=tna.SGD(cut))
    with pytest.raises(TrainingError, match="is in epoch 2 and epochs=1 are asked for"):
        tna.fit(network(), *sequences(moons), epochs=1, checkpoint=kept, optimizer=tna.SGD(cut))


def test_lengths_may_be_given_for_the_validation_data(rng):
    net, x, lengths = network(steps=None), rng.standard_normal((60, 6, 1)), rng.integers(2, 7, 60)
    y = (x[:, 0, 0] > 0).astype(int)
    found = [
        tna.fit(net, x, y, lengths=lengths, epochs=1, validation=held).history.epochs[0].validation_loss
        for held in ((x, y), [x, y, lengths], (x, y, np.full(60, 6)))
    ]
    assert found[0] == found[2] != found[1]
    result = tna.fit(net, x, y, epochs=1, validation=(x, y, lengths))  # those of the training are all there
    scores = result.network(x, lengths)
    truth = np.mean(np.logaddexp.reduce(scores, 1) - scores[np.arange(60), y])
    np.testing.assert_allclose(result.history.epochs[0].validation_loss, truth, rtol=1e-12)
    for wrong in ((x,), (x, y, lengths, 1), "a tenth", True):
        with pytest.raises(TrainingError, match=r"validation must be a share of the rows, or \(X, y\)"):
            tna.fit(net, x, y, validation=wrong)
    with pytest.raises(TrainingError, match="the validation data have no rows"):
        tna.fit(net, x, y, validation=(x[:0], y[:0]))


def test_numbers_of_numpy_are_numbers(moons, tmp_path):
    options = {
        "batch_size": np.int64(32),
        "patience": np.int64(3),
        "validation": np.float64(0.2),
        "epochs": np.int32(2),
    }
    tna.fit(network(), *sequences(moons), epochs=1, validation=np.float32(0.2))
    tna.fit(network(), *sequences(moons), checkpoint=tmp_path / "run.tna", **options)
    tna.fit(network(), *sequences(moons), checkpoint=tmp_path / "run.tna", **{**options, "batch_size": 32, "epochs": 3})
    stopped = tna.fit(network(), *sequences(moons), epochs=5, callbacks=[lambda epoch, net: np.bool_(True)])
    assert len(stopped.history.epochs) == 1


def test_a_training_that_a_callback_ended_may_go_on(moons, tmp_path):
    path = tmp_path / "run.tna"
    tna.fit(network(), *sequences(moons), epochs=5, checkpoint=path, callbacks=[lambda epoch, net: epoch.epoch == 2])
    rest = tna.fit(network(), *sequences(moons), epochs=5, checkpoint=path)
    assert rest.history.losses == tna.fit(network(), *sequences(moons), epochs=5).history.losses


def test_accuracy_is_that_of_rows_drawn_from_all(rng):
    x = rng.standard_normal((6000, 2, 1))
    y = (np.arange(6000) >= 3000).astype(int)
    result = tna.fit(network(), x, y, epochs=1, batch_size=500, optimizer=tna.SGD(1e-9))
    truth = np.mean(np.argmax(result.network(x), 1) == y)
    assert abs(result.history.epochs[0].accuracy - truth) < 0.05


def test_a_network_that_diverged_in_the_last_step_is_refused(moons):
    with pytest.raises(TrainingError, match="the loss is nan in step"), np.errstate(all="ignore"):
        tna.fit(network(), *sequences(moons), epochs=1, batch_size=100, optimizer=tna.SGD(1e200))
    weight = (np.arange(100) == 0).astype(float)
    with pytest.raises(TrainingError, match="sample_weight is 0 for every row that is trained on, or for every row"):
        tna.fit(network(), *sequences(moons), sample_weight=weight, validation=0.25, patience=2)


def test_a_checkpoint_that_could_not_be_written_is_refused_before_the_work(moons, tmp_path):
    seen = []
    with pytest.raises(DataError, match=r"cannot write .*run\.tna': there is no folder"):
        tna.fit(
            network(),
            *sequences(moons),
            checkpoint=tmp_path / "no" / "run.tna",
            callbacks=[lambda e, n: seen.append(e)],
        )
    with pytest.raises(DataError, match=r"cannot write .*: it is a folder; give the name of a file in it"):
        tna.fit(network(), *sequences(moons), checkpoint=tmp_path, callbacks=[lambda e, n: seen.append(e)])
    assert not seen
    with pytest.raises(TrainingError, match="checkpoint must be a path or a Checkpoint; got True"):
        tna.fit(network(), *sequences(moons), checkpoint=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"optimizer": object()}, TrainingError, "an optimizer has learning_rate, init and update, as Adam"),
        ({"optimizer": tna.Adam}, TrainingError, "a class: call it"),
        ({"loss": "mse", "y": np.full(100, 0.5)}, UnknownNameError, "unknown loss 'mse'"),
        ({"y": None}, TrainingError, "y must have one label or number a row; got None"),
        ({"sample_weight": 1.0}, AxisMismatchError, r"sample_weight must have shape \(100,\); got \(\)"),
        ({"sample_weight": np.ones((100, 1))}, AxisMismatchError, r"sample_weight must have shape \(100,\); got \(100, 1\)"),
        ({"weight_decay": float("nan")}, TrainingError, "weight_decay must be ≥ 0"),
    ],
)  # fmt: skip
def test_what_else_cannot_be_trained(moons, options, error, message):
    x, y = sequences(moons)
    with pytest.raises(error, match=message):
        tna.fit(network(), x, options.pop("y", y), **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_of_large_scores_takes_no_digits_from_the_others(dtype):
    net = network(classes=3, dtype=dtype)
    scores = np.array([[0.1, 0.2, -0.3], [1e9, 0, 0], [-1.0, 2.0, 0.5]], dtype)
    y, wide = np.array([0, 0, 2]), scores.astype("longdouble")
    data = prepared(net, np.ones((3, 2, 1), dtype), encoded(y, 3, "cross-entropy", net.dtype), None, None)
    truth = slow_loss("cross-entropy", wide, y, np.ones(3))
    assert Objective(net, "cross-entropy").value(scores, data) == pytest.approx(
        float(truth), rel=10 * float(np.finfo(dtype).eps)
    )


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e307])
def test_only_the_ratios_of_weights_count(scale, moons):
    X, y = sequences(moons)
    weight = np.linspace(0.5, 2, len(y))
    plain, scaled = (tna.fit(network(), X, y, sample_weight=w, epochs=2).history for w in (weight, weight * scale))
    np.testing.assert_allclose(scaled.to_dict()["loss"], plain.to_dict()["loss"], rtol=1e-12)


def test_weights_of_rows_that_are_held_back_do_not_count_for_the_others(moons):
    X, y = sequences(moons)
    order = np.random.default_rng((0, 2)).permutation(len(y))
    weight = np.ones(len(y))
    weight[order[:20]] = 1000
    options = {"epochs": 3, "batch_size": 80, "optimizer": tna.SGD(0.1)}
    shared = tna.fit(network(), X, y, sample_weight=weight, validation=0.2, **options).history
    alone = tna.fit(network(), X[order[20:]], y[order[20:]], **options).history
    np.testing.assert_allclose(shared.to_dict()["loss"], alone.to_dict()["loss"], rtol=1e-10)


@pytest.mark.parametrize(("dtype", "size"), [("float32", 5e18), ("float64", 1e154)])
def test_gradients_whose_squares_leave_the_range_are_clipped(dtype, size, rng):
    net = network(dtype=dtype, classes=1, inputs=2)
    X, y = rng.standard_normal((32, 2, 2)).astype(dtype), np.full(32, size)
    history = tna.fit(net, X, y, loss="squared", epochs=1, clip=1.0, optimizer=tna.SGD(0.1)).history
    assert np.isfinite(history.epochs[-1].gradient_norm)
    assert history.epochs[-1].gradient_norm > 1e18
    with pytest.raises(DivergenceError, match="the norm of the gradient inf"):
        tna.fit(net, X, y, loss="squared", epochs=1, optimizer=tna.SGD(0.1))


class Slots:
    __slots__ = ("learning_rate",)

    def __init__(self, learning_rate):
        self.learning_rate = learning_rate

    def init(self, parameters):
        return OptimizerState(0, ())

    def update(self, gradient, state, parameters):
        return parameters - self.learning_rate * gradient, OptimizerState(state.step + 1, ())


def test_a_checkpoint_knows_what_slots_hold(moons, tmp_path):
    options = {"epochs": 1, "checkpoint": tmp_path / "run.tna"}
    tna.fit(network(), *sequences(moons), optimizer=Slots(0.1), **options)
    with pytest.raises(TrainingError, match="optimizer"):
        tna.fit(network(), *sequences(moons), optimizer=Slots(0.5), **options)
