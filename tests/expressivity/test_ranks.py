"""Ranks rest on evidence: float64, a tolerance, a gap; and bounds hold on tensors whose ranks are known."""

import json
import re
from itertools import combinations
from math import inf

import numpy as np
import pytest

import tnalgebra as tna
from tnalgebra.errors import (
    FormatError,
    IndexRangeError,
    MemoryLimitError,
    NonFiniteError,
    ToleranceError,
    UnknownNameError,
)
from tnalgebra.expressivity import bounds, cp_bounds, predicted_widths
from tnalgebra.formats.tree import modes_of


def delta(n, d):
    """The diagonal tensor: every matricization and the CP rank are n."""
    array = np.zeros((n,) * d)
    array[(np.arange(n),) * d] = 1
    return array


def test_matricization_rank_is_that_of_the_matrix(rng):
    array = tna.TTTensor.random((3, 5, 2, 7), (2, 3, 2), seed=0).to_dense()
    for size in range(1, 4):
        for rows in combinations(range(4), size):
            cols = [mode for mode in range(4) if mode not in rows]
            matrix = array.transpose([*rows, *cols]).reshape(int(np.prod([array.shape[m] for m in rows])), -1)
            estimate = tna.matricization_rank(array, rows)
            assert estimate.rank == np.linalg.matrix_rank(matrix)
            assert estimate.rank == tna.matricization_rank(array, cols, rows).rank
            np.testing.assert_allclose(estimate.singular_values, np.linalg.svd(matrix)[1], atol=1e-13)
    assert [tna.matricization_rank(array, range(k)).rank for k in (1, 2, 3)] == [2, 3, 2]
    assert tna.matricization_rank(array, [-1, -2]).rank == tna.matricization_rank(array, [2, 3]).rank


def test_the_evidence_tells_how_sure_a_rank_is():
    matrix = np.diag([1.0, 1e-3, 1e-6, 0.0])
    loose, exact = tna.matricization_rank(matrix, [0], tol=1e-4), tna.matricization_rank(matrix, [0])
    assert (loose.rank, exact.rank) == (2, 3)
    assert loose.gap == pytest.approx(1e3)
    assert exact.gap == inf
    assert (loose.tol, loose.possible) == (1e-4, 4)
    assert tna.matricization_rank(np.zeros((2, 3)), [0]).rank == 0


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_ranks_do_not_depend_on_the_scale(scale):
    array = tna.TTTensor.random((3, 5, 2, 7), (2, 3, 2), seed=0).to_dense()
    assert [tna.matricization_rank(array * scale, range(k)).rank for k in (1, 2, 3)] == [2, 3, 2]


def test_float32_data_is_taken_in_float64_with_its_own_tolerance():
    array = tna.TTTensor.random((5, 7, 11), (2, 3), seed=0).to_dense().astype(np.float32)
    estimate = tna.matricization_rank(array, [0])
    assert estimate.rank == 2
    assert estimate.singular_values.dtype == np.float64
    assert estimate.tol == pytest.approx(77 * np.finfo(np.float32).eps)
    assert tna.matricization_rank(array.astype(np.float64), [0]).rank == 5  # the rounding of float32 is data here


def test_complex_integers_and_formats_have_ranks():
    train = tna.TTTensor.random((3, 5, 7), (2, 3), seed=0, dtype=complex)
    assert tna.matricization_rank(train, [0]).rank == 2
    assert tna.matricization_rank(np.array([[1, 2], [2, 4]]), [0]).rank == 1


def test_odd_even_rank_of_a_random_train_of_rank_two():
    """n = 4, d = 8: 128, far above the 2^4 that its generic lower bound promises (FEATURES 6.6)."""
    train = tna.TTTensor.random((4,) * 8, 2, seed=0)
    assert tna.matricization_rank(train, range(0, 8, 2)).rank == 128


def test_cp_bounds_meet_where_the_rank_is_known(rng):
    for n, d in ((2, 3), (3, 3), (3, 4)):
        found = cp_bounds(delta(n, d))
        assert (found.lower, found.upper) == (n, n)
    cp = tna.CPTensor.random((5, 6, 7), 4, seed=0)
    assert (cp_bounds(cp).lower, cp_bounds(cp).upper, cp_bounds(cp).upper_by) == (4, 4, "the CP tensor given")
    assert cp_bounds(cp.to_dense()).upper == 4
    matrix = rng.standard_normal((5, 3))
    assert (cp_bounds(matrix).lower, cp_bounds(matrix).upper, cp_bounds(matrix).upper_by) == (
        3,
        3,
        "the SVD of the matrix",
    )
    assert cp_bounds(np.zeros((2, 3, 2))).upper == 0
    assert (cp_bounds(np.arange(1.0, 4)).lower, cp_bounds(np.arange(1.0, 4)).upper) == (1, 1)


def test_cp_bounds_of_the_w_tensor():
    """Matricization ranks are 2, the CP rank is 3: bounds must not claim 2 for a border rank."""
    w = np.zeros((2, 2, 2))
    w[0, 0, 1] = w[0, 1, 0] = w[1, 0, 0] = 1
    found = cp_bounds(w)
    assert (found.lower, found.upper) == (2, 3)


def test_non_zero_fibres_bound_the_rank_from_above():
    array = np.zeros((7, 3, 5))
    array[:, 1, [0, 3]] = np.arange(14.0).reshape(7, 2) ** 2
    found = cp_bounds(array)
    assert (found.lower, found.upper) == (2, 2)


def test_all_bipartitions_are_tried_when_few_and_a_choice_when_many(monkeypatch):
    cuts = tna.expressivity.ranks.Matricizations(np.ones((2,) * 4))
    assert len(list(bounds.bipartitions(cuts))) == 2 ** (4 - 1) - 1
    monkeypatch.setattr(bounds, "ALL_BIPARTITIONS", 0)
    chosen = set(bounds.bipartitions(cuts))
    assert {(0, 2), (0,), (0, 1), (0, 1, 2), (1,), (2,)} <= chosen
    assert len(list(bounds.bipartitions(tna.expressivity.ranks.Matricizations(np.ones((2, 2)))))) == 1


@pytest.mark.parametrize(
    "x",
    [
        tna.TTTensor.random((3, 2, 1, 5, 2, 3), (2, 3, 3, 4, 2), seed=0),
        tna.TTTensor.random((3,) * 20, 3, seed=0),
        tna.CPTensor.random((3, 2, 5, 2), 4, seed=0).to_dense(),
        np.zeros((2, 3, 2)),
    ],
    ids=["train", "long train", "array", "zero"],
)
def test_the_widest_rows_are_those_of_the_largest_rank_and_few_singular_values_are_needed(x, monkeypatch):
    cuts, seen = tna.expressivity.ranks.Matricizations(x), []
    rows = list(bounds.bipartitions(cuts))
    best = max(rows, key=lambda rows: cuts.rank(rows).rank)
    other = tna.expressivity.ranks.Matricizations(x)
    estimate = type(other)._estimate
    monkeypatch.setattr(type(other), "_estimate", lambda *args: seen.append(args) or estimate(*args))
    assert other.widest(rows) == (best, cuts.rank(best).rank)
    assert len(seen) < len(rows) or not cuts.rank(best).rank
    assert other.widest(rows) == (best, cuts.rank(best).rank)


def test_widths_of_table_2():
    assert predicted_widths("TT", 2, 8, 4) == {"TT": "2", "HT": "≤ 4", "CP": "≥ 16"}
    assert predicted_widths("HT", 3, 16, 9) == {"TT": "≤ 9", "HT": "3", "CP": "≥ 6561"}
    assert predicted_widths("CP", 5, 4, 9) == {"TT": "≤ 5", "HT": "≤ 5", "CP": "5"}
    assert predicted_widths("TT", 7, 4, 3)["CP"] == "≥ 9"
    with pytest.raises(UnknownNameError, match="unknown format 'XX'; known: TT, HT, CP"):
        predicted_widths("XX", 2, 8, 4)


def test_the_predictions_hold_for_random_tensors():
    for d in (4, 8):
        train = tna.TTTensor.random((3,) * d, 2, seed=d)
        widths = [
            tna.matricization_rank(train, modes_of(node)).rank for node in tna.DimensionTree.balanced(d).nodes[:-1]
        ]
        assert max(tna.matricization_rank(train, range(bond)).rank for bond in range(1, d)) == 2
        assert max(widths) <= 4
        assert cp_bounds(train).lower >= 2 ** (d // 2)
        assert cp_bounds(train).upper <= 2 ** (d - 1)


def test_the_report_of_a_known_tensor(tmp_path):
    i = np.arange(1.0, 8.0)
    array = np.sin(i[:, None, None] + i[:, None] + i)
    stages = []
    report = tna.compare_ranks(array, eps=1e-6, progress=stages.append)
    assert [e.rank for e in report.multilinear.values()] == [2, 2, 2]
    assert [c.name for c in report.compressed] == ["TT", "HT balanced", "CP"]
    assert all(c.error <= 1e-6 and not c.note for c in report.compressed)
    assert report.compressed[0].tensor.ranks == (1, 2, 2, 1)
    assert (report.cp.lower, report.cp.upper) == (2, 3)
    assert len(stages) == 5
    text = str(report)
    assert text.startswith("7 × 7 × 7 tensor, float64, 343 entries")
    assert "0 | 1 2" in text
    assert "mode 0, TT 0|1, HT balanced" in text
    loaded = json.loads(json.dumps(report.to_dict()))
    assert loaded["cp"]["lower"] == 2
    assert loaded["compressed"][0] == {
        "format": "TT", "ranks": [1, 2, 2, 1], "parameters": 56, "compression": 343 / 56,
        "error": report.compressed[0].error, "note": "",
    }  # fmt: skip
    pytest.importorskip("matplotlib")
    for suffix in (".png", ".svg"):
        report.draw(tmp_path / f"report{suffix}")
        assert (tmp_path / f"report{suffix}").stat().st_size > 5000


def test_four_modes_have_two_trees_and_a_missed_eps_is_noted(rng):
    report = tna.compare_ranks(rng.standard_normal((3, 3, 3, 3)), eps=1e-3)
    assert set(report.ht) == {"balanced", "linear"}
    assert report.compressed[-1].note == "eps not reached up to rank 6"
    assert report.compressed[-1].error > 1e-3


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 3, 5)), np.ones(4), np.ones((1, 1, 1)), np.ones((1, 3)), np.eye(4)],
    ids=lambda a: str(a.shape),
)
def test_reports_at_the_edges(array, tmp_path):
    report = tna.compare_ranks(array, eps=0.1)
    assert all(c.error <= 0.1 or c.note for c in report.compressed)
    assert str(report)
    json.dumps(report.to_dict(), allow_nan=False)
    pytest.importorskip("matplotlib")
    report.draw(tmp_path / "report.png")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: tna.matricization_rank(np.ones((2, 3)), [0], [0]),
            FormatError,
            "rows [0] and cols [0] must share out the modes 0, …, 1, each once",
        ),
        (
            lambda: tna.matricization_rank(np.ones((2, 3)), [2]),
            IndexRangeError,
            "mode 2 is outside the modes 0, …, 1",
        ),
        (
            lambda: tna.matricization_rank(np.array([[1.0, np.nan]]), [0]),
            NonFiniteError,
            "a rank needs finite numbers; 1 of 2 are not",
        ),
        (
            lambda: tna.matricization_rank(np.ones((2, 0)), [0]),
            FormatError,
            "needs at least one mode, and no mode of size 0; got shape (2, 0)",
        ),
        (lambda: tna.matricization_rank(np.ones((2, 2)), [0], tol=2), ToleranceError, "must be in [0, 1); got 2"),
        (lambda: tna.compare_ranks(np.ones((2, 2)), eps=1), ToleranceError, "must be in [0, 1); got 1"),
        (
            lambda: tna.compare_ranks(np.ones((2, 2)), seed=-1),
            FormatError,
            "seed must be an integer from 0, or a NumPy",
        ),
        (lambda: tna.compare_ranks(np.array([["a"]])), tna.errors.DTypeError, "operands must be numbers"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize("scale", [1e-200, 1e155, 1e300])
def test_bounds_do_not_depend_on_the_scale(scale):
    w = np.zeros((2, 2, 2))
    w[0, 0, 1] = w[0, 1, 0] = w[1, 0, 0] = scale
    assert (cp_bounds(w).lower, cp_bounds(w).upper) == (2, 3)
    report = tna.compare_ranks(w, eps=1e-6)
    assert all(c.error <= 1e-6 or c.note for c in report.compressed)


def test_a_matricization_that_does_not_fit_memory_is_refused():
    train, rows = tna.TTTensor.random((3,) * 60, 3, seed=0), range(0, 60, 2)
    with pytest.raises(
        MemoryLimitError, match=r"rows \[0, 2, .*takes up to \d+ bytes, more than half .*rows that are in a row"
    ):
        tna.matricization_rank(train, rows)
    with pytest.raises(MemoryLimitError, match=r"the dense tensor of shape \(3, 3, .*\) takes up to \d+ bytes"):
        tna.matricization_rank(tna.TTTensor.random((3,) * 60, 3, seed=0, xi="rectifier"), [0])
    for row in (0, np.int64(1), np.uint8(0)):
        assert tna.matricization_rank(np.eye(3), row).rank == 3


def test_networks_have_no_ranks_but_their_grid_tensors_have():
    net = tna.RecurrentNetwork.random(steps=4, inputs=2, features=3, rank=2, classes=2, xi="rectifier", seed=0)
    grid = tna.networks.GridTensor(net, np.eye(2))
    for x, name in ((net, "RecurrentNetwork"), (grid, "GridTensor")):
        for call in (lambda x=x: tna.matricization_rank(x, [0]), lambda x=x: cp_bounds(x)):
            with pytest.raises(FormatError, match=rf"got a {name}: grid_tensor\(network, templates\) is the tensor"):
                call()
    assert tna.matricization_rank(grid.to_dense(), [0]).possible == 2
