"""Grid tensors: the scores of every sequence of templates, whole, in blocks, at entries, and as submatrices."""

import itertools

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import (
    AlgebraError,
    AxisMismatchError,
    ConditionWarning,
    DTypeError,
    EquationError,
    FormatError,
    IndexRangeError,
    MemoryLimitError,
    NonFiniteError,
)
from tnalgebra.networks import GridTensor

KINDS = {
    "cp": tna.ShallowNetwork,
    "tt": tna.RecurrentNetwork,
    "equal": tna.RecurrentNetwork,
    "ht": tna.HierarchicalNetwork,
}
XI = ["multiply", "rectifier", "logaddexp", "add", "hypot", "maximum", "minimum"]
M = 5


def network(kind, steps=3, xi="rectifier", seed=0, **options):
    sizes = {
        "steps": None if kind == "equal" else steps,
        "inputs": 2,
        "features": 3,
        "rank": 4,
        "classes": 2,
        **options,
    }
    return KINDS[kind].random(xi=xi, seed=seed, **sizes)


def templates(count=M, seed=1):
    return np.random.default_rng(seed).standard_normal((count, 2))


def scores(net, rows, steps):
    """Every sequence through the network itself, one after the other."""
    sequences = np.array(list(itertools.product(range(len(rows)), repeat=steps)))
    return net(rows[sequences]).reshape((len(rows),) * steps + (net.classes,))


@pytest.fixture(params=[(kind, steps) for kind in KINDS for steps in (1, 2, 4) if (kind, steps) != ("equal", 1)])
def case(request):
    return request.param


@pytest.mark.parametrize("xi", XI)
@pytest.mark.parametrize("shared", [True, False])
def test_a_grid_tensor_is_every_score(case, xi, shared):
    (kind, steps), rows = case, templates()
    net = network(kind, steps, xi, shared=shared)
    expected = scores(net, rows, steps)
    grid = tna.grid_tensor(net, rows, steps=steps)
    if xi == "multiply":
        assert isinstance(grid, tna.CPTensor | tna.TTTensor | tna.HTTensor)
        grid = grid.to_dense()
    assert relative_error(grid, expected) < 1e-12


@pytest.mark.parametrize("xi", ["multiply", "rectifier", "logaddexp"])
@pytest.mark.parametrize("limit", [1, 100, 1000, "1MiB"])
def test_blocks_lie_beside_one_another(case, xi, limit):
    (kind, steps), rows = case, templates()
    net = network(kind, steps, xi)
    grid = GridTensor(net, rows, steps)
    whole, seen = np.full(grid.shape, np.nan), np.zeros(grid.shape, int)
    for place, block in grid.blocks(limit):
        whole[place], seen[place] = block, seen[place] + 1
        assert block.nbytes <= max(tna.execute.memory.as_bytes(limit), 8 * net.classes)
    assert (seen == 1).all()
    assert relative_error(whole, scores(net, rows, steps)) < 1e-12


def test_reductions_go_through_the_blocks(case):
    (kind, steps), rows = case, templates()
    net = network(kind, steps, "hypot")
    grid, expected = GridTensor(net, rows, steps), scores(net, rows, steps)
    assert np.isclose(grid.reduce(memory_limit=300), expected.sum())
    assert np.isclose(grid.reduce("hypot", 300), np.linalg.norm(expected))
    assert np.isclose(grid.reduce("maximum", 300), expected.max())
    assert np.isclose(grid.reduce("logaddexp", 300), np.log(np.exp(expected).sum()))


@pytest.mark.parametrize("xi", ["multiply", "rectifier", "add"])
def test_entries_without_the_others(case, xi, rng):
    (kind, steps), rows = case, templates()
    net = network(kind, steps, xi)
    expected, points = scores(net, rows, steps), rng.integers(-M, M, (17, steps))
    assert relative_error(GridTensor(net, rows, steps).gather(points), expected[tuple(points.T)]) < 1e-12
    assert GridTensor(net, rows, steps).gather(points[:0]).shape == (0, 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [[0, 2], [1, 3], [3], [2, 0, 1], [1, 2]])
def test_a_submatrix_of_a_matricization(kind, rows, rng, monkeypatch):
    net, given = network(kind, 4), templates()
    columns = [mode for mode in range(4) if mode not in rows]
    expected = scores(net, given, 4).transpose([*rows, *columns, 4])
    r, c = rng.integers(0, M, (7, len(rows))), rng.integers(0, M, (6, len(columns)))
    wanted = np.array([[expected[(*i, *j)] for j in c] for i in r])
    grid = GridTensor(net, given, 4)
    assert relative_error(grid.submatrix(rows, r, c), wanted) < 1e-12
    monkeypatch.setattr("tnalgebra.networks.grid.ROWS", 13)
    assert relative_error(grid.submatrix(rows, r, c), wanted) < 1e-12


def test_a_grid_of_twenty_steps_has_entries_and_submatrices(rng):
    net = network("tt", 20)
    grid = GridTensor(net, templates(10))
    assert grid.shape == (10,) * 20 + (2,)
    points = rng.integers(0, 10, (5, 20))
    assert relative_error(grid.gather(points), net(templates(10)[points])) < 1e-12
    with pytest.raises(MemoryLimitError, match=r"shape \(10,\)·20 \+ \(2,\) takes 1.6e\+21 bytes.*GridTensor.blocks"):
        grid.to_dense()


def test_a_memory_limit_is_kept():
    net, rows = network("tt", 4), templates()
    with pytest.raises(MemoryLimitError, match=r"shape \(5, 5, 5, 5, 2\) takes 1e\+04 bytes, more than 9999"):
        tna.grid_tensor(net, rows, memory_limit=9999)
    assert relative_error(tna.grid_tensor(net, rows, memory_limit="64KiB"), scores(net, rows, 4)) < 1e-12


@pytest.mark.parametrize("steps", [33, 40])
def test_blocks_of_many_steps(steps):
    net = network("tt", steps)
    grid = GridTensor(net, templates(2))
    _, block = next(grid.blocks("64KiB"))
    assert block.shape == (1,) * (steps - 12) + (2,) * 12 + (2,)
    last = templates(2)[[0] * (steps - 12) + [1] * 12]
    assert relative_error(block[(*[0] * (steps - 12), *[1] * 12)], net(last[None])[0]) < 1e-12
    assert GridTensor(net, templates(1)).reduce("maximum") == pytest.approx(net(templates(1)[[[0] * steps]]).max())
    with pytest.raises(FormatError, match=r"no array has the 71 axes of \(2,\)·70"):
        next(GridTensor(network("tt", 70), templates(2)).blocks())


def test_a_limit_holds_for_products():
    net = network("cp", 6, "multiply", rank=300, features=8, classes=1)
    with pytest.raises(MemoryLimitError, match=r"takes 1.25e\+05 bytes, more than 100000"):
        GridTensor(net, templates(5)).to_dense(memory_limit=100_000)
    limited = GridTensor(net, templates(5)).to_dense(memory_limit="1MiB")
    assert relative_error(limited, scores(net, templates(5), 6)) < 1e-12


def test_one_template_and_more_templates_than_features():
    net = network("tt", 3)
    for count in (1, 11):
        assert relative_error(tna.grid_tensor(net, templates(count)), scores(net, templates(count), 3)) < 1e-12


def test_single_precision_stays():
    net = network("tt", 3, dtype="float32")
    grid = tna.grid_tensor(net, templates())
    assert grid.dtype == np.float32
    assert relative_error(grid, scores(net, templates(), 3)) < 1e-5


def test_equal_cores_unroll():
    net, rows = network("equal"), templates()
    for steps in (2, 3, 5):
        assert relative_error(net.unrolled(steps)(rows[None, :steps]), net(rows[None, :steps])) < 1e-14
    with pytest.raises(AxisMismatchError, match="only equal cores unroll, to 2 steps or more; got 3"):
        network("tt").unrolled(3)


def test_nearly_equal_templates_are_told():
    net, rows = network("tt", features=2, seed=3), np.array([[1.0, 0.5], [1.0, 0.5 + 1e-12]])
    with pytest.warns(ConditionWarning, match=r"features of the 2 templates have condition number .*e\+1"):
        tna.grid_tensor(net, rows)
    assert GridTensor(network("tt"), np.eye(2)).condition < 1e8


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (AxisMismatchError, r"must have shape \(M, 2\), one template a row; got \(5, 3\)", lambda: np.ones((5, 3))),
        (AxisMismatchError, r"must have shape \(M, 2\), one template a row; got \(5,\)", lambda: np.ones(5)),
        (AxisMismatchError, r"must have shape \(M, 2\), one template a row; got \(0, 2\)", lambda: np.ones((0, 2))),
        (NonFiniteError, "features that are NaN or infinite", lambda: np.full((3, 2), np.nan)),
        (DTypeError, "the template matrix has dtype complex128; a network needs real numbers", lambda: np.eye(2) + 5j),
    ],
)
def test_bad_templates(error, message, call):
    with pytest.raises(error, match=message):
        tna.grid_tensor(network("tt"), call())


def test_steps_may_be_a_number_of_numpy():
    net, rows = network("equal", xi="multiply"), templates()
    assert tna.grid_tensor(net, rows, steps=np.int64(3)).shape == (5, 5, 5, 2)
    assert type(GridTensor(net, rows, np.int64(3)).steps) is int


def test_bad_questions():
    rows = templates()
    with pytest.raises(EquationError, match="the network has 3 steps; got steps=4"):
        GridTensor(network("tt"), rows, 4)
    with pytest.raises(EquationError, match="takes any number of steps; say how many"):
        GridTensor(network("equal"), rows)
    for wrong in (-1, 0, 2.0, np.int64(0)):
        with pytest.raises(EquationError, match="steps must be an integer of 1 or more; got"):
            GridTensor(network("equal"), rows, wrong)
    with pytest.raises(FormatError, match="needs a network; got ndarray"):
        GridTensor(rows, rows)
    with pytest.raises(AlgebraError, match="grid tensor of ξ = rectifier is in no format"):
        GridTensor(network("tt"), rows).to_format()
    with pytest.raises(IndexRangeError, match="5"):
        GridTensor(network("tt"), rows).gather([[0, 5, 0]])
    for wrong in ([], [0, 1, 2], [0, 0], [3]):
        with pytest.raises(FormatError, match="must be some, but not all, of the modes 0, …, 2, each once"):
            GridTensor(network("tt"), rows).submatrix(wrong, [[0]], [[0, 0]])
