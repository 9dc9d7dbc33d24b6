"""Measured widths beside ERNN's Table 2."""

import json

import numpy as np
import pytest

import tnalgebra as tna
from tnalgebra.errors import DataError
from tnalgebra.experiments import run_experiment, table2
from tnalgebra.experiments.certificate import PRIME
from tnalgebra.experiments.exact import odd_even_part, odd_even_rank

pytest.importorskip("matplotlib")

SMALL = "orders = [4]\nsizes = [2, 3]\nwidths = [2, 3]\nseeds = [0, 1]\nlines = 50\n"
TREES = [
    tna.DimensionTree.balanced(6),
    tna.DimensionTree.linear(6),
    tna.DimensionTree.from_nested((5, (0, 1, 2), (4, 3))),
]


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def whole(tensor, rng):
    """The same format with small whole numbers."""
    return tensor._rebuild(
        {name: rng.integers(-9, 10, part.shape).astype(float) for name, part in tensor.parameters().items()}
    )


SHAPE = (3, 2, 1, 5, 2, 3)
FORMATS = [
    tna.CPTensor.random(SHAPE, 4, seed=0),
    tna.TTTensor.random(SHAPE, (2, 3, 4, 3, 2), seed=0),
    *(tna.HTTensor.random(SHAPE, 3, tree=tree, seed=0) for tree in TREES),
]


@pytest.mark.parametrize("tensor", FORMATS, ids=lambda tensor: type(tensor).__name__)
def test_entries_modulo_a_prime_are_those_of_the_tensor(tensor):
    rng = np.random.default_rng(1)
    tensor = whole(tensor, rng)
    rows, columns = rng.integers((3, 1, 2), size=(7, 3)), rng.integers((2, 5, 3), size=(11, 3))
    dense = tensor.to_dense()
    for row, line in zip(rows, odd_even_part(tensor, rows, columns), strict=True):
        exact = [int(dense[row[0], c[0], row[1], c[1], row[2], c[2]]) % PRIME for c in columns]
        assert line.tolist() == exact


def test_rows_that_no_number_counts_are_drawn_by_their_modes():
    assert odd_even_rank(tna.CPTensor.random((4,) * 128, 5, seed=0), 11) == (5, 11)
    assert odd_even_rank(tna.TTTensor.random((4,) * 128, 4, seed=0), 11) == (11, 11)


def test_ranks_of_all_rows_and_columns_are_those_of_the_matricization():
    for tensor in FORMATS:
        estimate = tna.matricization_rank(tensor, [0, 2, 4])
        assert odd_even_rank(tensor, 1000) == (estimate.rank, estimate.possible)


def test_a_sample_of_rows_and_columns_bounds_the_rank_from_below():
    tensor = tna.TTTensor.random((3,) * 6, 3, seed=0)
    assert odd_even_rank(tensor, 10, seed=1) == (10, 10)
    low = tna.CPTensor.random((3,) * 6, 4, seed=0)
    assert odd_even_rank(low, 10, seed=1) == (4, 10)


def test_measured_widths_keep_to_the_table(config, tmp_path):
    out = tmp_path / "out"
    result = run_experiment("table2", out, config=config)
    assert result.header == ("d", "n", "r", "needed", "given TT", "given HT", "given CP")
    assert [row[:4] for row in result.rows] == [
        ("4", n, r, needed) for n, r in (("2", "2"), ("3", "2"), ("3", "3")) for needed in ("TT", "HT", "CP")
    ]
    assert result.rows[-3][4:] == ("3 | 3", "3 | ≤ 3", "3 | ≤ 3")
    assert result.rows[-1][4:] == ("≥ 9 | ≥ 9", "≥ 9 | ≥ 9", "≥ 3 | 3")
    assert (out / "picture.png").read_bytes().startswith(b"\x89PNG")
    for record in json.loads((out / "table.json").read_text()):
        for needed, text in record["predicted"].items():
            *sign, number = text.split()
            for width in record["measured"][needed]:
                assert width >= int(number) if sign == ["≥"] else width <= int(number), (record, needed)


def test_the_measured_widths_are_ranks_of_the_dense_tensor():
    cell = table2.Cell(order=4, n=3, r=2, seed=5, lines=20)
    found = table2.measure(cell).widths
    for given, format_ in table2.FORMATS.items():
        dense = format_.random((3,) * 4, 2, seed=5).to_dense()
        rank = {
            rows: tna.matricization_rank(dense, rows).rank
            for rows in ((0,), (1,), (2,), (3,), (0, 1), (0, 1, 2), (0, 2))
        }
        assert found[given] == {
            "TT": max(rank[0,], rank[0, 1], rank[0, 1, 2]),
            "HT": max(rank[0,], rank[1,], rank[2,], rank[3,], rank[0, 1]),
            "CP": rank[0, 2],
        }


def test_a_bound_that_the_sample_limits_is_marked(config, tmp_path):
    config.write_text("orders = [8]\nsizes = [2]\nwidths = [2]\nlines = 10\n")
    result = run_experiment("table2", tmp_path / "out", config=config)
    assert result.rows[2][4:] == ("≥ 10+ | ≥ 16", "≥ 10+ | ≥ 16", "≥ 2 | 2")


def test_what_was_stopped_goes_on_and_another_configuration_is_refused(config, tmp_path, monkeypatch):
    def stop(done, total, last):
        if done == 2:
            raise KeyboardInterrupt

    out, seen, measure = tmp_path / "out", [], table2.measure
    monkeypatch.setattr(table2, "measure", lambda cell: seen.append(cell.key) or measure(cell))
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        run_experiment("table2", out, config=config, progress=stop)
    result = run_experiment("table2", out, config=config)
    assert seen == [cell.key for cell in table2.Config(orders=(4,), sizes=(2, 3), widths=(2, 3), seeds=(0, 1)).cells()]
    monkeypatch.undo()
    assert run_experiment("table2", tmp_path / "whole", config=config).rows == result.rows
    config.write_text(SMALL.replace("lines = 50", "lines = 9"))
    with pytest.raises(DataError, match="results of another configuration: lines is 50 there and 9 here"):
        run_experiment("table2", out, config=config)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("orders = [4]", "orders = [3]", r"orders must be even: half of the modes are odd, half even; got \(3,\)"),
        ("widths = [2, 3]", "widths = [4]", "there must be orders, seeds and widths no larger than sizes"),
        ("lines = 50", "lines = 0", "1 or more"),
        ("seeds = [0, 1]", "seeds = [0, -1]", r"seeds must be 0 or more; got \(0, -1\)"),
    ],
)
def test_mistakes_in_a_configuration_are_named(config, tmp_path, old, new, message):
    config.write_text(SMALL.replace(old, new))
    with pytest.raises(DataError, match=message):
        run_experiment("table2", tmp_path / "out", config=config)
