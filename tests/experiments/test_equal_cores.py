"""Trains with equal cores: the matrices, the certificates, and what is counted by which."""

import json

import numpy as np
import pytest

import tnalgebra as tna
from tnalgebra.errors import DataError
from tnalgebra.experiments import equal_cores, run_experiment
from tnalgebra.experiments.certificate import (
    PRIME,
    SAFETY,
    margin,
    modular_product,
    modular_rank,
    residues,
)
from tnalgebra.experiments.equal_cores import Cell, Config, examine, matrices
from tnalgebra.experiments.intervals import of_chance, of_mean

pytest.importorskip("matplotlib")

SMALL = "sizes = [1, 2, 3]\nranks = [2, 3]\nsamples = 5\nseed = 7\n"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def as_tensor(train, sample):
    first, between, last = (core[sample] for core in train)
    return tna.TTTensor([first[None], *[between] * 4, last[:, :, None]])


# --- matrices and certificates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "r"), [(1, 2), (2, 3), (3, 2)])
def test_matrices_are_the_odd_even_matricizations(n, r):
    train = Cell(n=n, r=r, samples=2, seed=1).draw()
    found = matrices(train)
    for sample in (0, 1):
        dense = as_tensor(train, sample).to_dense().transpose(4, 0, 2, 1, 3, 5)
        np.testing.assert_allclose(found[sample], dense.reshape(n**3, n**3), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_the_estimate_of_the_margin_is_not_ten_times_too_large(n):
    """The estimated norm of an inverse is a lower bound; `SAFETY` allows for ten times less than the norm."""
    size = n**3
    drawn = np.random.default_rng(n).standard_normal((200, size, size))
    for matrix in [*drawn, *matrices(Cell(n=n, r=n + 1, samples=200, seed=0).draw())]:
        inverse = np.linalg.inv(matrix)
        condition = np.linalg.norm(matrix, np.inf) * np.linalg.norm(inverse, np.inf)
        if condition < 1e10:  # else the inverse is itself wrong in many digits
            true = 1 / (condition * size * np.finfo(float).eps)
            assert 0.99 < margin(matrix.copy()) / true < 10


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_a_singular_matrix_has_no_margin(scale):
    rng = np.random.default_rng(0)
    for size, rank in [(2, 1), (5, 3), (40, 39), (200, 199)]:
        matrix = scale * rng.standard_normal((size, rank)) @ rng.standard_normal((rank, size))
        assert margin(matrix.copy()) < SAFETY / 10
    assert margin(np.zeros((3, 3))) == 0


def test_residues_are_those_of_the_exact_numbers():
    numbers = np.array([0.0, 1.0, -1.0, 0.75, -3.5e-9, 2.0**40, np.pi, -1e17])
    for number, residue in zip(numbers.tolist(), residues(numbers).tolist(), strict=True):
        numerator, denominator = number.as_integer_ratio()
        assert residue == numerator * pow(denominator, -1, PRIME) % PRIME


def test_modular_products_and_ranks_are_exact():
    rng = np.random.default_rng(3)
    left, right = rng.integers(PRIME, size=(2, 5, 3)), rng.integers(PRIME, size=(2, 3, 7))
    exact = (left.astype(object) @ right.astype(object)) % PRIME
    assert (modular_product(left, right) == exact).all()
    assert [modular_rank(part, 9) for part in modular_product(left, right)] == [3, 3]
    assert modular_rank(modular_product(left, right)[0], 2) == 2
    assert modular_rank(np.zeros((3, 5), int), 3) == 0
    close = np.ones((2, 2)) + np.diag([0, 2.0**-52])
    assert modular_rank(residues(close), 2) == 2
    assert tna.matricization_rank(close, [0]).rank == 1, "in floating point"


# --- the experiment --------------------------------------------------------------------------------------------------


def test_ranks_are_those_of_the_whole_tensor():
    for n, r in [(2, 2), (2, 3), (3, 2)]:
        cell = Cell(n=n, r=r, samples=4, seed=5)
        outcome, train = examine(cell), cell.draw()
        ranks = [tna.matricization_rank(as_tensor(train, i), [0, 2, 4]).rank for i in range(4)]
        assert outcome.certified + outcome.exact == sum(rank >= cell.q**3 for rank in ranks) == 4
        assert outcome.proved
        assert outcome.failures == 0


@pytest.mark.parametrize("lost", [0, 2])
def test_a_train_of_lower_rank_is_a_failure(monkeypatch, lost):
    """One of four trains has only rank 2 in all its bonds, though r = 3."""
    cell, draw = Cell(n=3, r=3, samples=4, seed=0), Cell.draw

    def deficient(cell):
        first, between, last = draw(cell)
        between[lost, 2], between[lost, :, :, 2] = 0, 0
        return first, between, last

    monkeypatch.setattr(Cell, "draw", deficient)
    outcome = examine(cell)
    assert (outcome.certified, outcome.exact, outcome.failures) == (3, 0, 1)
    assert outcome.proved is (lost != 0)
    assert outcome.least < SAFETY


def test_what_the_margin_cannot_tell_is_decided_exactly(monkeypatch):
    """Cores near those of rank one: full rank in exact arithmetic, and one in floating point."""
    draw = Cell.draw

    def flat(cell):
        first, between, last = draw(cell)
        return np.ones_like(first) + 1e-14 * first, np.ones_like(between) + 1e-14 * between, last

    monkeypatch.setattr(Cell, "draw", flat)
    outcome = examine(Cell(n=2, r=2, samples=3, seed=0))
    assert (outcome.certified, outcome.exact, outcome.failures) == (0, 3, 0)


def test_the_table_counts_what_the_results_hold(config, tmp_path, monkeypatch):
    out, seen = tmp_path / "out", []
    result = run_experiment("equal-cores", out, config=config)
    assert result.header == ("n \\ r", "2", "3")
    assert [row[0] for row in result.rows] == ["1", "2", "3"]
    assert "30 trains: 30 by their margin, 0 by exact arithmetic, 0 below q³." in str(result)
    assert "Proved by exact arithmetic: 6 of 6 pairs." in str(result)
    assert "ERNN: none in 1000 samples of each pair" in str(result)
    records = json.loads((out / "table.json").read_text())
    assert [(r["n"], r["r"], r["q"]) for r in records] == [
        (1, 2, 1),
        (1, 3, 1),
        (2, 2, 2),
        (2, 3, 2),
        (3, 2, 2),
        (3, 3, 3),
    ]
    assert records[0]["chance_of_failure"] == pytest.approx([0, 1 - 0.025**0.2])
    assert (out / "picture.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(equal_cores, "examine", seen.append)
    assert run_experiment("equal-cores", out, config=config).rows == result.rows
    assert seen == [], "nothing is computed twice"
    config.write_text(SMALL.replace("samples = 5", "samples = 6"))
    with pytest.raises(DataError, match="results of another configuration: samples is 5 there and 6 here"):
        run_experiment("equal-cores", out, config=config)


def test_processes_find_what_one_process_finds(config, tmp_path):
    config.write_text(SMALL.replace("[1, 2, 3]", "[2]"))
    one, two = (run_experiment("equal-cores", tmp_path / str(jobs), config=config, jobs=jobs) for jobs in (1, 2))
    assert one.rows == two.rows
    assert [{**r, "seconds": 0} for r in one.records] == [{**r, "seconds": 0} for r in two.records]


def test_marks_of_the_table():
    outcome = equal_cores.Outcome(certified=1, exact=2, failures=3, proved=True, least=0.01, median=1.0, seconds=0.0)
    assert equal_cores._entry(outcome) == "-2.0*2!3"


@pytest.mark.parametrize("change", [{"sizes": ()}, {"ranks": (0,)}, {"samples": 0}])
def test_nothing_to_examine_is_refused(change):
    with pytest.raises(DataError, match="sizes, ranks and samples must be 1 or more"):
        Config(**{"sizes": (2,), "ranks": (2,), "samples": 1, **change})


# --- intervals -------------------------------------------------------------------------------------------------------


def test_no_failure_in_many_trials_is_bounded_by_about_four_over_their_number():
    low, high = of_chance(0, 1000)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 1000))
    assert of_chance(3, 10)[0] < 0.3 < of_chance(3, 10)[1]


def test_intervals_of_a_mean_hold_it():
    values = np.random.default_rng(0).exponential(size=400).tolist()
    low, high = of_mean(values)
    assert low < np.mean(values) < high
    error = np.std(values) / 20
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert of_mean([2.0, 2.0]) == (2.0, 2.0)
