"""What a step of training holds: the gradient, the hidden states of the batch, and a bounded rest."""

import tracemalloc

import numpy as np
import pytest

import tnalgebra as tna
from tnalgebra.algebra import known_operators
from tnalgebra.training.objective import Objective

SCRATCH = 1 << 26
STEPS, WIDTH, BATCH = 13, 64, 521
KINDS = {"cp": tna.ShallowNetwork, "tt": tna.RecurrentNetwork, "ht": tna.HierarchicalNetwork}
SMOOTH = tuple(op.name for op in known_operators() if op.partial is not None)


def step(kind, xi):
    """An objective, its vector, a batch, and bytes: of all parameters, and of features and hidden states."""
    net = KINDS[kind].random(
        steps=STEPS, inputs=5, features=WIDTH, rank=WIDTH, classes=10, xi=xi, seed=0, dtype="float32"
    )
    rng = np.random.default_rng(0)
    batch = {
        "X": rng.standard_normal((BATCH, STEPS, 5), dtype="float32"),
        "target": np.eye(10, dtype="float32")[rng.integers(0, 10, BATCH)],
        "row_weight": np.full(BATCH, 1 / BATCH, "float32"),
    }
    objective = Objective(net, "cross-entropy")
    return objective, objective.vector(net), batch, 4 * net.n_params, 4 * 2 * BATCH * STEPS * WIDTH


@pytest.mark.parametrize("xi", SMOOTH)
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_planned_within_gradient_hidden_states_and_64_mib(kind, xi):
    objective, vector, batch, own, hidden = step(kind, xi)
    plan = objective._program(objective.parts(vector), batch)[0].plan
    assert plan.itemsize == 4
    assert plan.peak_bytes <= own + hidden + SCRATCH
    tile = 4 * BATCH * WIDTH * WIDTH  # kept for every step, the tiles alone would take more
    assert kind == "cp" or STEPS * tile > own + hidden + SCRATCH


@pytest.mark.parametrize(("kind", "xi"), [("cp", "hypot"), ("tt", "rectifier"), ("ht", "multiply")])
def test_a_step_holds_what_its_plan_says(kind, xi):
    """The gradient twice: by parameter, and as one vector."""
    objective, vector, batch, own, hidden = step(kind, xi)
    objective(vector, batch)
    tracemalloc.start()
    try:
        objective(vector, batch)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held <= 2 * own + hidden + SCRATCH
