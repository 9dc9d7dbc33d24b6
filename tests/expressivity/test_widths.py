"""Widths of shallow networks: lower bounds by ranks, sampled or not, upper bounds by constructions and training."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

import tnalgebra as tna
from tnalgebra.errors import (
    AlgebraError,
    ConditionWarning,
    FormatError,
    MemoryLimitError,
    NonFiniteError,
    ToleranceError,
)
from tnalgebra.expressivity import fit_shallow, sampled_rank
from tnalgebra.networks import GridTensor

KINDS = {"cp": tna.ShallowNetwork, "tt": tna.RecurrentNetwork, "ht": tna.HierarchicalNetwork}


def network(kind="tt", xi="rectifier", steps=4, features=5, rank=3, classes=1, seed=0, **options):
    net = KINDS[kind].random(
        steps=steps, inputs=features, features=features, rank=rank, classes=classes, xi=xi, seed=seed, **options
    )
    weight, bias = np.eye(features, dtype=net.dtype), np.full(features, 0.1, net.dtype)
    return net.replace(feature_weight=weight, feature_bias=bias)


def odd_even(values):
    """The matricization by reshape: rows are the odd modes, one-based."""
    *modes, _ = values.shape
    order = [*range(0, len(modes), 2), *range(1, len(modes), 2), len(modes)]
    return values.transpose(order).reshape(int(np.prod(modes[::2])), -1)


def scores(net, templates, steps):
    sequences = np.indices((len(templates),) * steps).reshape(steps, -1).T
    return net(templates[sequences]).reshape((len(templates),) * steps + (net.classes,))


@pytest.mark.parametrize(
    ("xi", "constant"), [("multiply", 1), ("add", 2), ("rectifier", 10), ("maximum", 10), ("minimum", 10)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_bound_is_rank_by_constant(kind, xi, constant):
    net, templates = network(kind, xi, rank=6), np.eye(5)
    found = tna.shallow_width_lower_bound(net, templates=templates)
    rank = np.linalg.matrix_rank(odd_even(scores(net, templates, 4)))
    assert (found.rank, found.constant) == (rank, constant)
    assert found.value == rank / constant
    assert found.width == -(-rank // constant)
    if kind == "cp":
        assert found.width <= 6, "no bound may be above the width that there is"


@pytest.mark.parametrize("xi", ["multiply", "add", "rectifier", "maximum", "minimum"])
@pytest.mark.parametrize("rows", [[0], [0, 1], [1, 3], [0, 2, 3]])
def test_a_single_term_has_at_most_the_rank_of_its_constant(xi, rows, rng):
    """c_ξ from its definition, over many terms: the constant is reached, or not far."""
    most = 0
    for _ in range(50):
        net = tna.ShallowNetwork(tna.FeatureMap.identity(5), rng.standard_normal((4, 5, 1)), np.ones((1, 1)), xi)
        found = tna.shallow_width_lower_bound(net, templates=np.eye(5), rows=rows)
        most = max(most, found.rank)
        assert found.width <= 1
    assert most >= min(found.constant, 5) * 0.5


def test_classes_that_share_factors_are_columns():
    net, templates = network("cp", "multiply", rank=6, classes=3), np.eye(5)
    found = tna.shallow_width_lower_bound(net, templates=templates)
    assert found.rank == 6
    one = network("cp", "multiply", rank=6, classes=1)
    assert tna.shallow_width_lower_bound(one, templates=templates).rank == 6


@pytest.mark.parametrize("xi", ["multiply", "rectifier", "add"])
def test_arrays_formats_and_grids_are_taken(xi):
    net, templates = network("tt", xi), np.eye(5)
    expected = tna.shallow_width_lower_bound(net, templates=templates).width
    assert tna.shallow_width_lower_bound(GridTensor(net, templates)).width == expected
    values = scores(net, templates, 4)[..., 0]
    assert tna.shallow_width_lower_bound(values, xi, tol=1e-10).width == expected
    if xi == "multiply":
        grid = tna.grid_tensor(net, templates)
        assert tna.shallow_width_lower_bound(grid.sum(4), xi).width == expected


def test_single_precision_is_evaluated_in_double():
    net, templates = network("cp", "rectifier", rank=2, features=7, dtype="float32"), np.eye(7, dtype="float32")
    same = network("cp", "rectifier", rank=2, features=7, dtype="float32")
    wide = tna.ShallowNetwork(
        tna.FeatureMap(net.feature_map.weight.astype(float), net.feature_map.bias.astype(float)),
        same.factors.astype(float), same.weights.astype(float), "rectifier",
    )  # fmt: skip
    found = tna.shallow_width_lower_bound(net, templates=templates)
    assert found.rank == tna.shallow_width_lower_bound(wide, templates=templates).rank
    assert found.estimate.tol < 1e-12
    assert str(found).endswith("a float32 network, evaluated in float64)")
    assert "evaluated" not in str(tna.shallow_width_lower_bound(wide, templates=templates))
    assert sampled_rank(GridTensor(net, templates)).tol < 1e-12


def test_a_sample_of_rows_and_columns_is_a_lower_bound():
    net, templates = network("tt", "rectifier", rank=4), np.eye(5)
    whole = tna.shallow_width_lower_bound(net, templates=templates)
    every = tna.shallow_width_lower_bound(net, templates=templates, samples=10**6)
    assert every.rank == whole.rank
    for count in (1, 3, 10, 20):
        assert tna.shallow_width_lower_bound(net, templates=templates, samples=count).rank <= min(count, whole.rank)


def test_samples_are_entries_of_the_matricization(rng):
    """Of arrays, formats and grids alike, with every mode as a row or a column."""
    tensor = tna.TTTensor.random((3, 5, 2, 7), 2, seed=0)
    for rows in ([0], [1, 3], [3, 0], [0, 1, 2]):
        expected = tna.matricization_rank(tensor, rows).rank
        assert sampled_rank(tensor, rows, samples=10**4).rank == expected
        assert sampled_rank(tensor.to_dense(), rows, samples=10**4).rank == expected
        assert sampled_rank(tensor, rows, samples=2, seed=rng).rank <= 2


def test_twenty_steps_have_a_bound():
    net = network("tt", "rectifier", steps=20, features=10, rank=4)
    found = tna.shallow_width_lower_bound(net, templates=np.eye(10), samples=150)
    assert found.estimate.shape == (150, 150)
    assert found.constant == 100
    assert found.rank > 20
    with pytest.raises(MemoryLimitError, match=r"takes 8e\+20 bytes, .* expressivity.sampled_rank bounds its rank"):
        tna.shallow_width_lower_bound(net, templates=np.eye(10))


# --- both sides --------------------------------------------------------------------------------------------------


def test_both_sides_of_a_separation():
    found = tna.shallow_width_bounds(tna.theory.exponential_separation(3, 3, 4), np.eye(3))
    assert (found.lower.width, found.upper) == (2, 10)
    assert found.gap == 5
    values = scores(tna.theory.exponential_separation(3, 3, 4), np.eye(3), 4)[..., 0]
    built = tna.theory.universal_network(values, np.eye(3))
    assert built.ranks == (found.upper,)
    assert np.allclose(scores(built, np.eye(3), 4)[..., 0], values)


@pytest.mark.parametrize("xi", ["multiply", "add", "rectifier", "maximum", "minimum"])
@pytest.mark.parametrize("kind", KINDS)
def test_lower_is_not_above_upper(kind, xi):
    net = network(kind, xi, features=3, classes=2)
    found = tna.shallow_width_bounds(net, np.eye(3))
    if found.upper is None:
        assert (kind != "cp", xi) == (True, "minimum")
        assert "no construction is known for ξ = minimum" in str(found)
    else:
        assert 1 <= found.lower.width <= found.upper
    if kind == "cp":
        assert found.upper <= 3


def test_sums_are_one_term():
    """ξ = add: the grid tensor of a network is a sum of functions of one step, whatever its kind."""
    net = network("tt", "add", features=3, rank=4)
    assert tna.shallow_width_bounds(net, np.eye(3)).upper == 1
    grid = GridTensor(net, np.eye(3))
    assert fit_shallow(grid, grid.to_dense(), 1).error < 1e-4


def test_dependent_templates_have_no_construction():
    net = network("tt", "rectifier", features=3)
    found = tna.shallow_width_bounds(net, np.vstack([np.eye(3), np.ones((1, 3))]))
    assert found.upper is None
    assert found.gap == np.inf
    assert "the features of the 4 templates are dependent" in str(found)


def test_a_trained_network_has_the_grid_to_its_error():
    net = network("tt", "rectifier", steps=2, features=4, rank=2)
    found = tna.shallow_width_bounds(net, np.eye(4), error=0.05)
    assert found.fitted is not None
    assert found.fitted.width < found.upper
    expected, trained = scores(net, np.eye(4), 2), scores(found.fitted.network, np.eye(4), 2)
    error = np.linalg.norm(trained - expected) / np.linalg.norm(expected)
    assert np.isclose(error, found.fitted.error, rtol=1e-6)
    assert error <= 0.05
    assert f"width {found.fitted.width} has it to a relative error of" in str(found)


def test_a_fit_recovers_what_is_there():
    for xi in ("multiply", "hypot", "logaddexp"):
        grid = GridTensor(network("cp", xi, steps=3, features=4, rank=2), np.eye(4))
        assert fit_shallow(grid, grid.to_dense(), 2, starts=8, seed=3).error < 1e-3


# --- an independent implementation of GTM's experiment -----------------------------------------------------------


def by_hand(rank, seed, count=6, width=6, steps=4):
    """2·rank/(T·M) of a random network, from MATH: h_k ← Σ_ij G[j, i, k] max(C f_i, h_j, 0)."""
    rng = np.random.default_rng([seed, 77])
    features = np.maximum(rng.standard_normal((count, count)), 0)
    state = np.zeros((1, 1))
    for t in range(steps):
        right = 1 if t == steps - 1 else rank
        matrix, core = rng.standard_normal((width, count)), rng.standard_normal((state.shape[1], width, right))
        signal = features @ matrix.T
        new = np.zeros((len(state), count, right))
        for j in range(state.shape[1]):
            for i in range(width):
                joined = np.maximum(np.maximum.outer(state[:, j], signal[:, i]), 0)
                new += joined[:, :, None] * core[j, i]
        state = new.reshape(-1, right)
    grid = state.reshape((count,) * steps)
    matrix = grid.transpose([*range(0, steps, 2), *range(1, steps, 2)]).reshape(count ** (steps // 2), -1)
    return 2 * np.linalg.matrix_rank(matrix) / (steps * count)


def by_library(rank, seed, count=6, width=6, steps=4):
    rng = np.random.default_rng([seed, 99])
    ranks = [1, *[rank] * (steps - 1), 1]
    net = tna.RecurrentNetwork(
        tna.FeatureMap.identity(count),
        rng.standard_normal((steps, width, count)),
        [rng.standard_normal((ranks[t], width, ranks[t + 1])) for t in range(steps)],
        "rectifier",
    )
    return tna.shallow_width_lower_bound(net, templates=np.maximum(rng.standard_normal((count, count)), 0)).value


@pytest.mark.filterwarnings("ignore::tnalgebra.errors.ConditionWarning")  # some draws of F are singular, as in GTM
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_the_distribution_agrees_with_an_independent_one(rank):
    """Kolmogorov–Smirnov on 200 networks each, drawn from other seeds."""
    ours, theirs = ([draw(rank, seed) for seed in range(200)] for draw in (by_library, by_hand))
    assert ks_2samp(ours, theirs).pvalue > 0.01


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("xi", ["logaddexp", "hypot"])
def test_operators_without_a_bound_are_refused_with_the_reason(xi):
    with pytest.raises(AlgebraError, match=f"with ξ = {xi} the matricization of a single term may have nearly full"):
        tna.shallow_width_lower_bound(network("tt", xi), templates=np.eye(5))
    with pytest.raises(AlgebraError, match="14 of 25 with logaddexp and 16 with hypot"):
        tna.shallow_width_bounds(network("tt", xi), np.eye(5))


@pytest.mark.parametrize(("xi", "rank"), [("logaddexp", 14), ("hypot", 16)])
def test_the_reason_is_true(xi, rank, rng):
    """A single term reaches such ranks, at the tolerance of the library."""
    found = max(
        np.linalg.matrix_rank(
            odd_even(scores(tna.ShallowNetwork(
                tna.FeatureMap.identity(5), rng.standard_normal((4, 5, 1)), np.ones((1, 1)), xi), np.eye(5), 4))
        )
        for _ in range(20)
    )  # fmt: skip
    assert found >= rank - 2


def test_rounding_errors_that_count_as_rank_are_told(rng):
    net = tna.ShallowNetwork(tna.FeatureMap.identity(5), rng.standard_normal((4, 5, 1)), [[1.0]], "add")
    with pytest.warns(ConditionWarning, match="counts rounding errors, as 1 terms are enough"):
        found = tna.shallow_width_bounds(net, np.eye(5), tol=1e-18)
    assert found.lower.width > found.upper
    assert tna.shallow_width_bounds(net, np.eye(5), tol=1e-4).lower.width == 1


@pytest.mark.parametrize("rows", [[], [0, 1, 2, 3], [4], [0, 0]])
def test_rows_that_are_no_rows(rows):
    for call in (
        lambda: tna.shallow_width_lower_bound(network(), templates=np.eye(5), rows=rows),
        lambda: tna.shallow_width_lower_bound(np.ones((2, 2, 2, 2)), "add", rows=rows),
        lambda: sampled_rank(np.ones((2, 2, 2, 2)), rows),
    ):
        with pytest.raises(FormatError, match="must be some, but not all, of the modes 0, …, 3, each once"):
            call()


def test_samples_of_very_many_modes():
    tensor = tna.TTTensor.ones((1,) * 138 + (2, 2))
    assert sampled_rank(tensor).rank == 1
    for wrong in (0, -1, 2.5):
        with pytest.raises(FormatError, match="samples is a number of rows and columns, 1 or more"):
            sampled_rank(tensor, samples=wrong)
    with pytest.raises(ToleranceError, match="tol is relative to the largest singular value"):
        sampled_rank(tensor, tol=2)


def test_a_fit_of_another_grid():
    grid = GridTensor(network("tt", features=2), np.eye(2))
    with pytest.raises(FormatError, match=r"values must have shape \(2, 2, 2, 2, 1\), .* got \(2, 2\) and 1, 4, 500"):
        fit_shallow(grid, np.ones((2, 2)), 1)
    with pytest.raises(FormatError, match="starts and steps be 1 or more"):
        fit_shallow(grid, grid.to_dense(), 1, starts=0)


def test_bad_questions():
    with pytest.raises(FormatError, match=r"needs an even number of modes; got 3: say which rows=…"):
        tna.shallow_width_lower_bound(network("tt", steps=3), templates=np.eye(5))
    assert tna.shallow_width_lower_bound(network("tt", steps=3), templates=np.eye(5), rows=[0]).constant == 5
    with pytest.raises(FormatError, match="a network has a grid tensor on templates"):
        tna.shallow_width_lower_bound(network())
    for x, options in ((network(), {"templates": np.eye(5)}), (GridTensor(network(), np.eye(5)), {})):
        with pytest.raises(FormatError, match="the network has ξ = rectifier; got xi='add': leave it out"):
            tna.shallow_width_lower_bound(x, "add", **options)
        assert tna.shallow_width_lower_bound(x, "rectifier", **options).xi == "rectifier"
    with pytest.raises(FormatError, match="the grid tensor of which network\\? Give its ξ"):
        tna.shallow_width_lower_bound(np.ones((2, 2)))
    with pytest.raises(FormatError, match="compared with a network; got ndarray"):
        tna.shallow_width_bounds(np.ones((2, 2)))
    with pytest.raises(FormatError, match=r"rows \[0, 5\] must be some, but not all, of the modes 0, …, 1, each once"):
        sampled_rank(np.ones((2, 2)), [0, 5])
    with pytest.raises(NonFiniteError, match="2 of 4"):
        sampled_rank(tna.TTTensor([np.array([[[1.0], [np.inf]]]), np.ones((1, 2, 1))]), [0])


# --- reports of networks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("xi", ["multiply", "rectifier"])
def test_a_report_of_a_network_is_one_of_its_grid_tensor(xi):
    net = network("tt", xi, features=3)
    report = tna.compare_ranks(net, templates=np.eye(3))
    expected = tna.compare_ranks(scores(net, np.eye(3), 4)[..., 0])
    assert report.shape == (3, 3, 3, 3)
    assert {name: e.rank for name, e in report.tt.items()} == {name: e.rank for name, e in expected.tt.items()}
    assert (report.cp.lower, report.dtype) == (expected.cp.lower, "float64")
    several = network("tt", xi, features=3, classes=2, dtype="float32")
    assert tna.compare_ranks(several, templates=np.eye(3)).shape == (3, 3, 3, 3, 2)
    with pytest.raises(FormatError, match="a network has a grid tensor on templates"):
        tna.compare_ranks(net)
