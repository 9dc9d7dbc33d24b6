"""Training where the arrays are on a device: a step waits for no number of it."""

import sys

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tests.execute.fake_cupy import CuPyArray, make
from tnalgebra.training import trainer
from tnalgebra.training.trainer import Training

KINDS = {"cp": tna.ShallowNetwork, "tt": tna.RecurrentNetwork, "ht": tna.HierarchicalNetwork}
READS = ("__bool__", "__complex__", "__float__", "__int__", "get", "item")


@pytest.fixture
def reads(monkeypatch):
    """Names of what brought a number to the host in a step, with CuPy's stand-in in place."""
    monkeypatch.setitem(sys.modules, "cupy", make())
    tna.plan_cache.clear()  # keys hold the module
    seen, is_step = [], []
    for name in READS:
        read = getattr(CuPyArray, name)
        monkeypatch.setattr(
            CuPyArray, name, lambda self, n=name, f=read: (seen.append(n) if is_step else None, f(self))[1]
        )
    step = Training._step

    def watched(self, batch):
        is_step.append(True)
        step(self, batch)
        is_step.clear()

    monkeypatch.setattr(Training, "_step", watched)
    yield seen
    tna.plan_cache.clear()


def on_device(net):
    moved = {name: CuPyArray(part) for name, part in net.parameters().items()}
    return net._with_parts(net.feature_map.replaced(moved), {name: moved[name] for name in net._parts()})


@pytest.mark.filterwarnings("ignore:a CUDA kernel does not compile")  # the stand-in has no compiler
@pytest.mark.filterwarnings("ignore:a plan is not captured")  # and what is left is not of this package
@pytest.mark.parametrize("xi", ["multiply", "rectifier", "logaddexp"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_brings_no_number_to_the_host(kind, xi, reads, rng):
    net = KINDS[kind].random(steps=3, inputs=2, features=5, rank=2, classes=3, xi=xi, seed=0)
    X, y = rng.standard_normal((17, 3, 2)), rng.integers(0, 3, 17)
    options = {"epochs": 2, "batch_size": 5, "clip": 0.1, "dropout": 0.3, "weight_decay": 1e-3, "validation": 0.2}
    found = tna.fit(on_device(net), X, y, **options)
    assert reads == []
    truth = tna.fit(net, X, y, **options)
    np.testing.assert_allclose(found.history.losses, truth.history.losses, rtol=1e-10)
    for name, part in truth.network.parameters().items():
        assert relative_error(found.network.parameters()[name].get(), part) < 1e-8


@pytest.mark.filterwarnings("ignore:a CUDA kernel does not compile")
@pytest.mark.filterwarnings("ignore:a plan is not captured")
@pytest.mark.parametrize("batches", [0, 1, 2, 3])
def test_no_bit_depends_on_how_many_batches_are_gathered_at_once(batches, reads, rng, monkeypatch):
    net = tna.RecurrentNetwork.random(steps=3, inputs=2, features=5, rank=2, classes=3, seed=0)
    X, y = rng.standard_normal((23, 3, 2)), rng.integers(0, 3, 23)
    options = {"epochs": 2, "batch_size": 5, "sample_weight": rng.random(23)}
    truth = tna.fit(on_device(net), X, y, **options)
    monkeypatch.setattr(trainer, "GATHERED", batches * 5 * (3 * 2 + 3 + 1))
    found = tna.fit(on_device(net), X, y, **options)
    assert found.history.losses == truth.history.losses
    np.testing.assert_allclose(tna.fit(net, X, y, **options).history.losses, truth.history.losses, rtol=1e-10)
