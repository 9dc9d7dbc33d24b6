"""Lower bounds on the width of shallow networks, from random recurrent ones."""

import json
from itertools import product

import numpy as np
import pytest

from tnalgebra.errors import AlgebraError, DataError
from tnalgebra.experiments import lower_bounds, run_experiment
from tnalgebra.experiments.lower_bounds import Cell, Config, Variant, measure
from tnalgebra.experiments.paper import FIGURE5

pytest.importorskip("matplotlib")

SMALL = """
features = 3
steps = 4
ranks = [1, 2]
networks = 3
[[variants]]
width = 5
sets = 2
[[variants]]
start = "scores"
width = 2
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def cell(**settings):
    usual = {"xi": "rectifier", "features": 3, "steps": 4, "networks": 3, "seed": 0, "rank": 2, "start": "normal"}
    return Cell(**{**usual, "width": 5, "number": 0, **settings})


def test_networks_are_drawn_as_in_the_paper():
    net, templates = lower_bounds.draw_network(cell(features=40, width=30, rank=20), np.random.default_rng(0))
    assert [core.shape for core in net.cores] == [(1, 30, 20), (20, 30, 20), (20, 30, 20), (20, 30, 1)]
    assert net.inputs.shape == (4, 30, 40)
    for part in (net.inputs, net.cores[1]):
        assert part.mean() == pytest.approx(0, abs=0.05)
        assert part.std() == pytest.approx(1, abs=0.05)
    assert templates.min() == 0
    assert np.mean(templates == 0) == pytest.approx(0.5, abs=0.05)
    np.testing.assert_array_equal(net.feature_map(templates[None])[0], templates)


@pytest.mark.parametrize("start", ["normal", "scores"])
@pytest.mark.parametrize(("xi", "constant"), [("rectifier", 6), ("multiply", 1), ("add", 2)])
def test_ranks_are_those_of_the_scores_of_all_sequences_of_templates(xi, constant, start):
    outcome, rng = measure(cell(xi=xi, start=start)), np.random.default_rng([0, 0, 2, 5])
    places = np.array([(i, k, j, m) for i, j, k, m in product(range(3), repeat=4)])
    for rank in outcome.ranks:
        net, templates = lower_bounds.draw_network(cell(xi=xi, start=start), rng)
        assert rank == np.linalg.matrix_rank(net(templates[places]).reshape(9, 9))
    assert outcome.constant == constant


def test_every_matricization_of_a_sum_has_rank_two_at_most():
    assert max(measure(cell(xi="add", networks=20)).ranks) == 2


def test_there_is_no_bound_for_other_operators():
    with pytest.raises(AlgebraError, match="no lower bound on the width is known: with ξ = hypot"):
        Config(variants=(Variant(xi="hypot"),), ranks=(1,))


def test_the_table_has_the_moments_of_the_bounds(config, tmp_path):
    out = tmp_path / "out"
    result = run_experiment("lower-bounds", out, config=config)
    assert {row[0] for row in result.rows} == {"max(x, y, 0)"}
    assert [row[1:5] for row in result.rows] == [
        ("N(0, 1)", "5", "1", "6"), ("N(0, 1)", "5", "2", "6"), ("own", "2", "1", "3"), ("own", "2", "2", "3"),
    ]  # fmt: skip
    found = json.loads((out / "results.json").read_text())["results"]
    bounds = np.array([found[f"xi=rectifier start=normal L=5 R=2 set={k}"]["ranks"] for k in (0, 1)]) / (4 * 3 / 2)
    record = json.loads((out / "table.json").read_text())[1]
    assert record["mean"] == pytest.approx(bounds.mean())
    assert record["sd"] == pytest.approx(bounds.std(ddof=1))
    assert record["means_of_sets"] == pytest.approx(sorted(bounds.mean(axis=1)))
    assert record["interval"][0] <= record["mean"] <= record["interval"][1]
    assert record["GTM"] is None, "other sizes than the paper's"
    assert "full rank would give 1.5 for max(x, y, 0) (c = 6)" in str(result)
    assert (out / "picture.png").read_bytes().startswith(b"\x89PNG")
    config.write_text(SMALL.replace("networks = 3", "networks = 4"))
    with pytest.raises(DataError, match="results of another configuration: networks is 3 there and 4 here"):
        run_experiment("lower-bounds", out, config=config)


def test_the_papers_numbers_stand_beside(tmp_path, monkeypatch):
    monkeypatch.setattr(
        lower_bounds,
        "measure",
        lambda cell: lower_bounds.Outcome(ranks=[30, 60, 90], constant=30.0, gaps=[0.5, None, 3.0], seconds=0.0),
    )
    result = run_experiment("lower-bounds", tmp_path / "out")
    assert [row[-2:] for row in result.rows[:4]] == [
        ("1.3 ± 0.7", "2.8 ± 5.2"), ("7.6 ± 7.8", "10.2 ± 8.5"), ("11.4 ± 8.5", "15.1 ± 8.4"), ("16.2 ± 8.0", "14.6 ± 4.9"),
    ]  # fmt: skip
    assert result.rows[0][4:8] == ("150", "2.0 ± 0.8", "1.9 to 2.1", "2.0 to 2.0")
    assert result.rows[4][-2:] == ("1.3 ± 0.7", "–"), "L = 5"
    assert result.rows[-1][-2:] == ("–", "–"), "another start"
    assert "33.3% of the networks have a gap below 10" in str(result)
    assert FIGURE5 == {1: (1.3, 0.7), 2: (7.6, 7.8), 4: (11.4, 8.5), 8: (16.2, 8.0)}


def test_what_was_stopped_goes_on_where_it_was(config, tmp_path, monkeypatch):
    def stop(done, total, last):
        if done == 2:
            raise KeyboardInterrupt

    seen = []
    monkeypatch.setattr(lower_bounds, "measure", lambda cell: seen.append(cell.key) or measure(cell))
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        run_experiment("lower-bounds", tmp_path / "out", config=config, progress=stop)
    result = run_experiment("lower-bounds", tmp_path / "out", config=config)
    assert len(seen) == len(set(seen)) == 6
    assert run_experiment("lower-bounds", tmp_path / "whole", config=config).rows == result.rows


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps = 4", "steps = 3", "steps must be even"),
        ("ranks = [1, 2]", "ranks = []", "some ranks and variants given"),
        ('"scores"', '"ones"', "unknown start 'ones'; known: normal, scores"),
        ("sets = 2", "sets = 0", "1 or more"),
    ],
)
def test_mistakes_in_a_configuration_are_named(config, tmp_path, old, new, message):
    config.write_text(SMALL.replace(old, new))
    with pytest.raises(DataError, match=message):
        run_experiment("lower-bounds", tmp_path / "out", config=config)
