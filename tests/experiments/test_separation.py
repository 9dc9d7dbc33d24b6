"""Separation and its limits: widths against steps, and the set in which a width of 1 is enough."""

import json

import numpy as np
import pytest

import tnalgebra as tna
from tnalgebra import theory
from tnalgebra.errors import ConstructionError, DataError
from tnalgebra.experiments import open_set, run_experiment, separation
from tnalgebra.experiments.open_set import Case

pytest.importorskip("matplotlib")

SEPARATION = """
features = 3
ranks = [2, 3]
steps = [2, 4]
networks = 3
"""
OPEN_SET = """
scales = [0.0, 0.2, 5.0]
networks = 7
[[cases]]
features = 3
rank = 2
steps = 3
"""


def written(tmp_path, text):
    path = tmp_path / "own.toml"
    path.write_text(text)
    return path


def test_widths_are_those_of_the_lemma(tmp_path):
    result = run_experiment("separation", tmp_path, config=written(tmp_path, SEPARATION))
    assert [(r["R"], r["T"], r["rank"]) for r in result.records] == [(2, 2, 3), (2, 4, 5), (3, 2, 3), (3, 4, 9)]
    for record in result.records:
        assert record["rank"] == record["lemma"]
        assert record["at_least"] == 2 * record["rank"] / (3 * record["T"])
        q, pairs = min(3, record["R"]), record["T"] // 2
        assert record["at_most"] == q**pairs + 1, "0 where all pairs agree, 1 elsewhere"
    again = json.loads((tmp_path / "results.json").read_text())
    assert len(again["results"]) == 4
    assert str(run_experiment("separation", tmp_path, config=written(tmp_path, SEPARATION))) == str(result)


def test_random_networks_have_the_ranks_of_the_construction():
    cell = separation.Cell(features=4, rank=3, steps=6, networks=1, seed=0)
    net = separation._random(cell, np.random.default_rng(0))
    assert net.ranks == tna.theory.exponential_separation(4, 3, 6).ranks
    assert net.inputs.shape == (6, 5, 4)


def test_all_networks_within_the_proved_radius_have_width_one(tmp_path):
    result = run_experiment("open-set", tmp_path, config=written(tmp_path, OPEN_SET))
    (record,) = result.records
    assert record["shares"][:2] == [1.0, 1.0]
    assert record["shares"][2] < 1
    assert record["all_to"] == 0.2
    assert record["intervals"][0][1] == 1.0
    assert "proved for" in str(result)


@pytest.mark.parametrize("templates", ["identity", "normal"])
def test_the_radius_is_the_largest_that_the_inequality_allows(templates):
    found = open_set._templates(Case(features=4, rank=2, steps=3, templates=templates), np.random.default_rng(0))
    row = np.abs(found).sum(1).max()
    radius = open_set._radius(found)
    allowed = [s for s in np.linspace(0, 0.5, 100001) if (2 - s) * (1 - s * row) >= 1 + s * row]
    assert radius == pytest.approx(max(allowed), abs=1e-5)


@pytest.mark.parametrize(("scale", "templates"), [(0.0, "identity"), (0.5, "identity"), (0.6, "normal")])
def test_networks_are_counted_together_as_one_by_one(scale, templates, monkeypatch):
    """The same networks, drawn in the same order, and the same verdict on each; some at a time."""
    cell = open_set.Cell(case=Case(features=3, rank=2, steps=3, templates=templates), scale=scale, networks=23, seed=1)
    monkeypatch.setattr(open_set, "ENTRIES", 5 * 27)
    F = open_set._templates(cell.case, np.random.default_rng(0))
    net = theory.constant_grid_network(3, 2, 3, F)
    draw, verdicts = np.random.default_rng(5), []
    for grids in open_set._grids(net, F, cell, np.random.default_rng(5)):
        assert len(grids) in (5, 3)
        for grid, verdict in zip(grids, open_set._are_equal(grids), strict=True):
            one = theory.perturbed(net, scale, seed=draw)
            np.testing.assert_allclose(grid.reshape(3, 3, 3, 1), tna.grid_tensor(one, F), rtol=1e-12)
            try:
                theory.width_one_equivalent(one, F)
            except ConstructionError:
                assert not verdict
            else:
                assert verdict
            verdicts.append(bool(verdict))
    assert len(verdicts) == 23
    assert set(verdicts) == ({True} if scale == 0 else {True, False})


def test_where_the_share_falls_below_one_half():
    assert open_set._half([0.0, 1.0, 2.0], [1.0, 0.75, 0.25]) == pytest.approx(1.5)
    assert open_set._half([0.0, 1.0], [1.0, 0.75]) is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("separation", "ranks = [2]\nsteps = [3]", r"steps must be even.*got \(3,\)"),
        ("separation", "ranks = []\nsteps = [2]", "ranks and networks must be 1 or more"),
        ("separation", "ranks = [2, 2]\nsteps = [2]", "the configuration lists something twice"),
        ("separation", "ranks = [2]\nsteps = [2]\nseed = -1", "seed must be 0 or more; got -1"),
        ("open-set", "scales = [inf]\n[[cases]]\nfeatures = 2\nrank = 1\nsteps = 2", "some cases, scales of 0 or more"),
        ("open-set", "cases = []\nscales = [0.1]", "some cases, scales of 0 or more and networks are needed"),
        ("open-set", "scales = [0.1]\n[[cases]]\nfeatures = 1\nrank = 1\nsteps = 2", "features · rank 2 or more"),
        (
            "open-set",
            'scales = [0.1]\n[[cases]]\nfeatures = 2\nrank = 1\nsteps = 2\ntemplates = "odd"',
            "unknown templates 'odd'; known: identity, normal",
        ),
    ],
)
def test_bad_configurations(name, text, message, tmp_path):
    with pytest.raises(DataError, match=message):
        run_experiment(name, tmp_path / "out", config=written(tmp_path, text))
