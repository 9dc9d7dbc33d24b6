"""`compare_ranks` of formats that are too large for their entries: d = 16 and 30."""

import json
from math import isnan

import numpy as np
import pytest

import tnalgebra as tna
from tests.test_cli import run
from tnalgebra.expressivity import cp_bounds


def check(report, x):
    """Ranks of the parts, errors within eps or a note, and every way to show it."""
    assert report.shape == x.shape
    for c in report.compressed:
        assert c.note or c.error <= report.eps
        if c.tensor is None:
            assert isnan(c.error)
            assert c.note.startswith("not tried: ")
        elif not c.note and x.norm() < 1e100:
            assert c.tensor.distance(x) <= 1.001 * max(report.eps, 1e-12) * x.norm()
    assert report.cp.lower <= report.cp.upper
    text = str(report)
    assert text.startswith(f"{x.shape[0]}^{x.ndim} tensor, float64, ")
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_train_of_sixteen_modes():
    x = tna.TTTensor.random((4,) * 16, 3, seed=0)
    stages = []
    report = tna.compare_ranks(x, eps=0.1, progress=stages.append)
    check(report, x)
    assert {e.rank for e in report.tt.values()} == {3}
    assert max(e.rank for e in report.ht["balanced"].values()) == 9
    assert report.tt["7|8"].possible == 4**8
    assert report.cp.lower >= 3**4  # every other mode of the first eight already shows it
    assert report.cp.upper_by == "the paths of the train given"
    assert report.compressed[-1].name == "CP"
    assert report.compressed[-1].note
    assert len(stages) == 6


@pytest.mark.parametrize("kind", ["cp", "tt", "ht"])
def test_a_cp_tensor_of_thirty_modes_in_any_format(kind, tmp_path):
    cp = tna.CPTensor.random((4,) * 30, 3, seed=0)
    x = {"cp": cp, "tt": cp.to_tt(), "ht": cp.to_ht()}[kind] * 1e9
    report = tna.compare_ranks(x, eps=1e-6)
    check(report, x)
    assert {e.rank for e in report.tt.values()} == {e.rank for e in report.ht["balanced"].values()} == {3}
    assert report.cp.lower == 3
    assert [c.name for c in report.compressed] == ["TT", "HT balanced", "HT linear", "CP"]
    assert report.compressed[0].tensor.max_rank == report.compressed[1].tensor.max_rank == 3
    if kind == "cp":
        assert report.cp.upper == 3
        assert report.compressed[-1].tensor.rank == 3
        pytest.importorskip("matplotlib")
        report.draw(tmp_path / "report.png")


@pytest.mark.parametrize("scale", [0.0, 1e-150, 1e150])
def test_scales_and_the_zero_tensor(scale):
    x = tna.HTTensor.random((2,) * 30, 2, seed=0) * scale
    report = tna.compare_ranks(x, eps=0.2)
    check(report, x)
    assert report.cp.lower >= 2 * bool(scale)


def test_a_conversion_that_would_be_too_large_is_not_tried():
    x = tna.TTTensor.random((5,) * 20, 20, seed=0)
    report = tna.compare_ranks(x, eps=0.5)
    check(report, x)
    notes = {c.name: c.note for c in report.compressed}
    assert notes["HT balanced"].startswith("not tried: the exact conversion takes ")
    assert "rank" in notes["CP"]  # none that was tried, or none at all, reaches eps
    assert "HT balanced" in str(report)


def test_cp_bounds_of_large_formats_rest_on_what_is_cheap():
    assert str(cp_bounds(tna.CPTensor.random((3,) * 40, 4, seed=0))).endswith("to 4 (by the CP tensor given)")
    assert cp_bounds(tna.HTTensor.random((3,) * 40, 2, seed=0)).upper_by == "the frames of the tree given"
    first, last = np.eye(2)[None], np.eye(2)[:, :, None]
    found = cp_bounds(tna.TTTensor([first, last] * 12))
    assert found.lower >= 2**4
    assert found.upper == 2**12


def test_saved_formats_are_compared_on_the_command_line(capsys, tmp_path):
    cp, path = tna.CPTensor.random((3,) * 20, 2, seed=0), tmp_path / "x.npz"
    cp.save(path)
    code, out, _ = run(capsys, "compare", path, "--eps", "1e-6")
    assert code == 0
    assert "at most" in out
    assert "the CP tensor given" in out
    network = tna.ShallowNetwork.random(steps=3, inputs=2, features=2, rank=2, classes=2, xi="multiply", seed=0)
    network.save(tmp_path / "network.npz")
    code, _, err = run(capsys, "compare", tmp_path / "network.npz")
    assert code == 1
    assert "holds a ShallowNetwork; compare takes tensors" in err
