"""Experiments: resumption, refusal of other results, the papers' numbers, the files that are written."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tnalgebra.errors import DataError, DivergenceError, PictureError, TnAlgebraError, UnknownNameError
from tnalgebra.experiments import EXPERIMENTS, Task, read_config, results, run_experiment, table1, trainings
from tnalgebra.experiments.cell import Outcome
from tnalgebra.experiments.paper import FORMULAS, TABLE1

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

SMALL = """
kinds = ["cp", "tt"]
xi = ["multiply", "rectifier"]
learning_rates = [0.02, 0.001]

[[data]]
name = "moons"
train = 80
test = 40
rank = 4
features = 6
epochs = 6
paper = "Moons"
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def calls(monkeypatch):
    """Cells that are trained in this process."""
    found, train = [], trainings.train

    def watched(cell):
        found.append(cell)
        return train(cell)

    monkeypatch.setattr(trainings, "train", watched)
    return found


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


def test_table1_sets_the_papers_numbers_beside_ours(config, tmp_path):
    out = tmp_path / "out"
    result = run_experiment("table1", out, config=config)
    assert result.header == ("network", "data set", "xy", "max(x, y, 0)")
    assert [row[:2] for row in result.rows] == [
        ("CP", "moons"),
        ("", "GTM, Moons"),
        ("TT", "moons"),
        ("", "GTM, Moons"),
    ]
    assert result.rows[1][2:] == ("1.0000", "1.0000")
    assert (out / "table.txt").read_text() == f"{result}\n"
    assert is_png(out / "picture.png")
    records = json.loads((out / "table.json").read_text())
    found = json.loads((out / "results.json").read_text())["results"]
    assert len(records) == 4
    assert len(found) == 8
    for record in records:
        both = [
            found[f"moons {record['kind']} {record['xi']} rank=4 learning_rate={rate} seed=0"] for rate in (0.02, 0.001)
        ]
        chosen = min(both, key=lambda training: training["loss"])
        assert record["test_accuracy"] == chosen["test_accuracy"], "chosen by training loss, not by test accuracy"
        assert record["test_accuracies"] == sorted(training["test_accuracy"] for training in both)
        assert record["paper"] == 1.0


def test_the_papers_numbers_are_those_of_the_paper():
    assert list(FORMULAS) == ["multiply", "rectifier", "logaddexp", "add", "hypot"]
    assert TABLE1["cp", "MNIST"] == (0.9727, 0.9426, 0.9127, 0.9503, 0.9557)
    assert TABLE1["tt", "MNIST"] == (0.9593, 0.9632, 0.9154, 0.9503, 0.9598)
    assert TABLE1["cp", "CIFAR-10"] == (0.4398, 0.4522, 0.455, 0.5001, 0.509)
    assert TABLE1["tt", "CIFAR-10"] == (0.4355, 0.4463, 0.4220, 0.4726, 0.4336)
    assert TABLE1["cp", "IMDB"] == (0.738, 0.756, 0.754, 0.738, 0.754)
    assert TABLE1["tt", "IMDB"] == (0.814, 0.748, 0.82, 0.814, 0.794)
    assert {TABLE1[kind, data] for kind in ("cp", "tt") for data in ("Moons", "Circles")} == {(1.0,) * 5}


def test_what_was_stopped_goes_on_where_it_was(config, tmp_path, calls):
    def stop(done, total, last):
        if done == 3:
            raise KeyboardInterrupt

    out, whole = tmp_path / "out", tmp_path / "whole"
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        run_experiment("table1", out, config=config, progress=stop)
    assert len(json.loads((out / "results.json").read_text())["results"]) == 3
    seen = []
    result = run_experiment("table1", out, config=config, progress=lambda *step: seen.append(step[:2]))
    assert len(calls) == 8
    assert len(set(calls)) == 8
    assert seen == [(done, 8) for done in range(3, 9)]
    assert run_experiment("table1", out, config=config).rows == result.rows
    assert len(calls) == 8, "nothing is trained twice"
    assert run_experiment("table1", whole, config=config).rows == result.rows


def test_processes_find_what_one_process_finds(config, tmp_path):
    config.write_text(SMALL.replace('"cp", ', "").replace('"multiply", ', ""))
    one, two = (run_experiment("table1", tmp_path / str(jobs), config=config, jobs=jobs) for jobs in (1, 2))
    assert one.rows == two.rows
    with pytest.raises(DataError, match="jobs is the number of processes, 1 or more; got 0"):
        run_experiment("table1", tmp_path / "none", config=config, jobs=0)


def test_a_cell_has_one_thread_of_every_blas():
    """In a process of its own: SciPy's BLAS must not be loaded yet."""
    code = """
from threadpoolctl import threadpool_info
from tnalgebra.experiments.results import _alone
def work(cell):
    import scipy.linalg
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
print(set(_alone(work, None)))
"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "{1}\n"


def test_results_of_another_configuration_are_refused(config, tmp_path):
    config.write_text(SMALL.replace("epochs = 6", "epochs = 1"))
    out = tmp_path / "out"
    run_experiment("table1", out, config=config)
    before = (out / "results.json").read_bytes()
    config.write_text(SMALL.replace("epochs = 6", "epochs = 1").replace("[0.02, 0.001]", "[0.02]"))
    with pytest.raises(
        DataError,
        match=r"results of another configuration: learning_rates is \[0.02, 0.001\] there and \[0.02\] here; give",
    ):
        run_experiment("table1", out, config=config)
    config.write_text(SMALL.replace("epochs = 6", "epochs = 1"))
    with pytest.raises(DataError, match="experiment is 'table1' there and 'boundaries' here"):
        run_experiment("boundaries", out, config=config)
    assert (out / "results.json").read_bytes() == before
    (out / "results.json").write_bytes(before[:100])
    with pytest.raises(DataError, match=r"cannot read the results in .*; delete the file to begin anew"):
        run_experiment("table1", out, config=config)


def test_a_training_that_diverges_is_an_outcome_and_is_not_chosen(config, tmp_path, monkeypatch):
    def diverging(cell):
        if cell.kind == "cp" or cell.learning_rate == 0.02:
            return Outcome(failure="the loss is nan")
        return Outcome(n_params=7, loss=0.5, train_accuracy=0.75, test_accuracy=0.625)

    monkeypatch.setattr(trainings, "train", diverging)
    result = run_experiment("table1", tmp_path / "out", config=config)
    assert [row[2:] for row in result.rows[::2]] == [("–", "–"), ("0.6250", "0.6250")]
    assert [record["learning_rate"] for record in result.records] == [0.02, 0.02, 0.001, 0.001]
    assert result.records[0]["failure"] == "the loss is nan"


def test_divergence_is_recorded(monkeypatch):
    from tnalgebra.experiments import cell

    def diverge(*args, **options):
        raise DivergenceError("the loss is inf in step 3")

    monkeypatch.setattr(cell, "train_model", diverge)
    settings = replace(read_config(table1.Config, "table1"), data=(Task(name="moons"),))
    outcome = cell.train(settings.cells()[0])
    assert outcome.to_dict() == {"n_params": 0, "seconds": 0.0, "failure": "the loss is inf in step 3"}


def test_boundaries_separate_the_points(config, tmp_path):
    config.write_text(
        SMALL.replace("[0.02, 0.001]", "[0.02]").replace("epochs = 6", "epochs = 40")
        + '\n[[data]]\nname = "circles"\ntrain = 80\ntest = 40\nepochs = 4\n'
    )
    text = "resolution = 20\n" + config.read_text()
    config.write_text(text)
    out = tmp_path / "out"
    result = run_experiment("boundaries", out, config=config)
    assert result.rows[0][:2] == ("CP", "moons")
    assert all(entry.endswith(" (1.00)") for entry in result.rows[0][2:])
    assert float(result.rows[1][3].split()[0]) > 0.9
    assert not result.rows[2][2].endswith(")"), "no paper is named for circles in this configuration"
    assert is_png(out / "picture.png")
    training = json.loads((out / "results.json").read_text())["results"][
        "moons tt rectifier rank=4 learning_rate=0.02 seed=0"
    ]
    picture = np.array(training["picture"])
    assert picture.shape == (20, 20)
    assert picture.min() < 10
    assert picture.max() > 90
    left, right, bottom, top = training["extent"]
    assert left < right
    assert bottom < top


def test_boundaries_are_of_points_in_the_plane(config, tmp_path):
    config.write_text(SMALL.replace('"moons"', '"digits"'))
    with pytest.raises(DataError, match="'digits' has no decision boundary to draw: that takes points in the plane"):
        run_experiment("boundaries", tmp_path / "out", config=config)


def test_parameters_grow_with_the_rank(config, tmp_path):
    text = SMALL.replace("moons", "digits").replace("Moons", "MNIST").replace("0.02, 0.001", "0.02")
    config.write_text(
        text.replace('["cp", "tt"]', '["cp", "tt", "ht"]') + "patch = 4\n[ranks]\ncp = [1, 4]\ntt = [1, 2]\nht = [2]\n"
    )
    out = tmp_path / "out"
    result = run_experiment("accuracy-vs-parameters", out, config=config)
    assert [row[1:4] for row in result.rows] == [
        (formula, *entry)
        for entry, formula in [
            (entry, formula)
            for kind, ranks in (("CP", "14"), ("TT", "12"), ("HT", "2"))
            for formula in ("xy", "max(x, y, 0)")
            for entry in [(kind, rank) for rank in ranks]
        ]
    ]
    sizes = [record["n_params"] for record in result.records]
    assert sizes[0] < sizes[1]
    assert [row[-1] for row in result.rows[:2]] == ["0.9500", "0.9500"], "ERNN's number for MNIST"
    assert result.rows[2][-1] == "–", "ERNN has none for the rectifier"
    assert is_png(out / "picture.png")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_package_has_a_configuration_and_a_quick_one(name):
    config = read_config(EXPERIMENTS[name].config, name)
    quick = config.quick()
    assert len(quick.cells()) <= len(config.cells())
    assert len({cell.key for cell in config.cells()}) == len(config.cells())
    for task in getattr(quick, "data", ()):
        assert (task.train, task.test, task.epochs) == (120, 60, 2)
        assert max(cell.task.features for cell in quick.cells()) <= 4


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ('"cp"', '"cq"', UnknownNameError, "unknown kind 'cq'; known: cp, tt, ht"),
        ('"rectifier"', '"relu"', UnknownNameError, "unknown operator 'relu'; known: "),
        ("[0.02, 0.001]", "[]", DataError, "learning_rates is empty: there is nothing to train"),
        ("kinds", "batch_size = 0\nkinds", DataError, r"seeds must be ≥ 0 and batch_size ≥ 1; got \(.*\) and 0"),
        ("kinds", "seeds = [0, -1]\nkinds", DataError, r"seeds must be ≥ 0 and batch_size ≥ 1; got \(0, -1\) and "),
        ("[0.02, 0.001]", "[0.02, 0.0]", DataError, r"learning_rates must be positive numbers; got \(0.02, 0.0\)"),
        ("[0.02, 0.001]", "[nan]", DataError, r"learning_rates must be positive numbers; got \(nan,\)"),
        ("kinds", "clip = -1\nkinds", DataError, r"clip must be > 0 and dropout in \[0, 1\); got -1.0 and 0.0"),
        ("kinds", "clip = nan\nkinds", DataError, r"clip must be > 0 and dropout in \[0, 1\); got nan and 0.0"),
        ("kinds", "dropout = 2.0\nkinds", DataError, r"clip must be > 0 and dropout in \[0, 1\); got 1.0 and 2.0"),
        ("epochs = 6", "epochs = 0", DataError, "epochs of 'moons' must be 1 or more; got 0"),
        ("rank = 4", "rank = 0", DataError, "rank of 'moons' must be 1 or more; got 0"),
        ("features = 6", "features = 0", DataError, "features of 'moons' must be 1 or more; got 0"),
        ("rank = 4", "patch = 0", DataError, "size must be a positive integer, or one for the height .*; got 0"),
        ("rank = 4", 'patch = 2\norder = "columns"', UnknownNameError, "unknown order 'columns'; known: rows, snake"),
        ("[0.02, 0.001]", "0.02", DataError, "small.toml.*: learning_rates is 0.02, which is no tuple"),
        ("rank = 4", 'rank = "4"', DataError, "small.toml.*: data is '4'|rank is '4', which is no int"),
        ("rank = 4", "width = 4", DataError, "unknown setting width; known: name, source, train"),
        ('kinds = ["cp", "tt"]', "", DataError, "small.toml.*: kinds is missing"),
        ("kinds", "kinds =", DataError, "cannot read .*small.toml"),
        ('paper = "Moons"', '[[data]]\nname = "moons"', DataError, "two data sets have the same name among moons, moons"),
        ('name = "moons"', 'name = "moos"', DataError, "'moos' is no data set, folder or .npz file"),
    ],
)  # fmt: skip
def test_mistakes_in_a_configuration_are_named(config, tmp_path, old, new, error, message):
    config.write_text(SMALL.replace(old, new))
    with pytest.raises(error, match=message):
        run_experiment("table1", tmp_path / "out", config=config)


def test_other_mistakes(config, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown experiment 'table3'; known: table1, boundaries, accuracy-vs"):
        run_experiment("table3", tmp_path)
    with pytest.raises(DataError, match=r"there is no file '.*none.toml'"):
        run_experiment("table1", tmp_path, config=tmp_path / "none.toml")
    with pytest.raises(DataError, match=r"cannot make the folder .*small.toml"):
        run_experiment("table1", config, config=config)
    config.write_text(SMALL + "[ranks]\ncp = [1]\n")
    with pytest.raises(TnAlgebraError, match=r"ranks.tt must be a list of positive numbers; got None"):
        run_experiment("accuracy-vs-parameters", tmp_path, config=config)
    config.write_text("resolution = 1\n" + SMALL)
    with pytest.raises(DataError, match="resolution must be 2 or more; got 1"):
        run_experiment("boundaries", tmp_path, config=config)


def test_without_matplotlib_nothing_is_trained(config, tmp_path, monkeypatch, calls):
    monkeypatch.setattr(results, "find_spec", lambda name: None)
    with pytest.raises(PictureError, match=r"need Matplotlib: pip install 'tnalgebra\[plot\]'"):
        run_experiment("table1", tmp_path / "out", config=config)
    assert calls == []
