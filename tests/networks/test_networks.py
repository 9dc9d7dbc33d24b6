"""Networks against their definitions in loops, their parts against one another, files, weight tensors, bad input."""

import copy
import gc
import itertools
import pickle
import weakref

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.algebra import registry
from tnalgebra.errors import (
    AlgebraError,
    AxisMismatchError,
    DTypeError,
    EquationError,
    FormatError,
    LawError,
    UnknownNameError,
)
from tnalgebra.execute.expression import Expression

XIS = ("multiply", "rectifier", "logaddexp", "add", "hypot", "maximum", "minimum")
KINDS = {"cp": tna.ShallowNetwork, "tt": tna.RecurrentNetwork, "ht": tna.HierarchicalNetwork}
SIZES = {"inputs": 2, "features": 5, "classes": 3}


def random(kind, steps=4, rank=2, seed=0, **options):
    return KINDS[kind].random(steps=steps, rank=rank, seed=seed, **{**SIZES, **options})


def joined(xi, numbers):
    """ξ of the numbers and the unit."""
    value = xi.unit
    for number in numbers:
        value = xi.apply(value, number)
    return value


def slow_scores(net, x):
    """Scores of one sequence (T, N) by the definition, in loops."""
    xi, f = net.xi, np.asarray(net.feature_map(x[None]))[0]
    match net:
        case tna.ShallowNetwork():
            terms = [joined(xi, [f[t] @ net.factors[t][:, r] for t in range(net.steps)]) for r in range(net.ranks[0])]
            return np.array(terms) @ net.weights
        case tna.RecurrentNetwork():
            state = np.array([xi.unit])
            for t, core in enumerate(net.cores):
                signal = net.inputs[t if len(net.inputs) > 1 else 0] @ f[t]
                new = np.zeros(core.shape[2])
                for j, i in np.ndindex(*core.shape[:2]):
                    new += core[j, i] * xi.apply(signal[i], state[j])
                state = new
            return state
    values = {t: f[t] @ leaf for t, leaf in enumerate(net.leaves)}
    if net.steps == 1:
        return np.array([joined(xi, [z]) for z in values[0]])
    for branch, transfer in zip(net.tree.inner, net.transfers, strict=True):
        new = np.zeros(transfer.shape[-1])
        for index in np.ndindex(*transfer.shape[:-1]):
            term = values[branch[0]][index[0]]
            for child, i in zip(branch[1:], index[1:], strict=True):
                term = xi.apply(term, values[child][i])
            new += transfer[index] * term
        values[branch] = new
    return values[net.tree.nested]


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize(("kind", "xi"), list(itertools.product(KINDS, XIS)))
def test_scores_are_those_of_the_definition(kind, xi, steps, rng):
    net = random(kind, steps, xi=xi)
    x = rng.standard_normal((3, steps, 2))
    truth = np.array([slow_scores(net, row) for row in x])
    assert net(x).shape == (3, 3)
    assert relative_error(net(x), truth) < 1e-12
    assert relative_error(net.expression(x).evaluate(), truth) < 1e-12
    assert relative_error(net.expression(steps=steps).evaluate(X=x), truth) < 1e-12
    assert net.n_params == sum(part.size for part in net.parameters().values())


@pytest.mark.parametrize("nested", [((0, 1, 2), 3), (0, 1, 2, 3), ((2, 0), (3, 1)), (((0, 1), 2), 3)])
@pytest.mark.parametrize("xi", ["multiply", "rectifier", "hypot"])
def test_a_tree_may_have_any_shape(nested, xi, rng):
    net = random("ht", 4, xi=xi, tree=nested)
    x = rng.standard_normal((2, 4, 2))
    assert relative_error(net(x), [slow_scores(net, row) for row in x]) < 1e-12
    assert net.ranks[-1] == 3


@pytest.mark.parametrize(("kind", "xi"), list(itertools.product(KINDS, XIS)))
def test_gradients_are_slopes(kind, xi, rng):
    net = random(kind, 3, xi=xi, seed=1)
    x, seed = rng.standard_normal((4, 3, 2)), rng.standard_normal((4, 3))
    whole = tna.contract("by,by->", Expression(net.graph(), net.constants()), tna.leaf("W", "by"))
    value, gradient = tna.value_and_grad(whole, tuple(net.parameters()))(X=x, W=seed, **net.parameters())
    np.testing.assert_allclose(value, np.sum(seed * net(x)), rtol=1e-12)
    for name, part in net.parameters().items():
        direction = rng.standard_normal(part.shape)
        ends = [np.sum(seed * net.replace(**{name: part + step * direction})(x)) for step in (1e-6, -1e-6)]
        slope = (ends[0] - ends[1]) / 2e-6
        assert gradient[name].shape == part.shape
        np.testing.assert_allclose(np.sum(gradient[name] * direction), slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("kind", "xi"), list(itertools.product(KINDS, ("multiply", "rectifier", "logaddexp"))))
def test_with_weights_of_its_own_every_class_is_a_network(kind, xi, rng):
    net = random(kind, 3, xi=xi, shared=False)
    x = rng.standard_normal((4, 3, 2))
    assert net.classes == 3
    assert net(x).shape == (4, 3)
    for y in range(3):
        parts = {name: part[y] for name, part in net._parts().items()}
        match net:
            case tna.ShallowNetwork():
                one = tna.ShallowNetwork(net.feature_map, parts["factors"], parts["weights"][:, None], xi)
            case tna.RecurrentNetwork():
                inputs = parts.pop("inputs")
                one = tna.RecurrentNetwork(net.feature_map, inputs, tuple(parts.values()), xi)
            case tna.HierarchicalNetwork():
                leaves, transfers = list(parts.values())[:3], list(parts.values())[3:]
                one = tna.HierarchicalNetwork(net.feature_map, net.tree, leaves, transfers, xi)
        assert relative_error(net(x)[:, y], one(x)[:, 0]) < 1e-13


@pytest.mark.parametrize("xi", ["multiply", "rectifier", "logaddexp"])
def test_equal_cores_take_sequences_of_any_length(xi, rng):
    net = random("tt", None, xi=xi)
    assert net.steps is None
    first, between, last = net.cores
    for steps in (2, 3, 7):
        same = tna.RecurrentNetwork(net.feature_map, net.inputs[None], (first, *[between] * (steps - 2), last), xi)
        assert same.steps == steps
        x = rng.standard_normal((5, steps, 2))
        assert relative_error(net(x), same(x)) < 1e-13
    x, lengths = rng.standard_normal((5, 7, 2)), np.array([2, 7, 3, 5, 7])
    truth = np.concatenate([net(x[i : i + 1, :n]) for i, n in enumerate(lengths)])
    padded = x.copy()
    for i, n in enumerate(lengths):
        padded[i, n:] = np.nan
    assert relative_error(net(padded, lengths), truth) < 1e-13
    for wrong, message in (
        ([2, 3], "lengths must be 5 integers, one a sequence; got shape"),
        (5, r"lengths must be 5 integers, one a sequence; got shape \(\), int64"),
        ([2.0] * 5, "lengths must be 5 integers"),
        ([1, 2, 3, 4, 5], r"lengths must be from 2 to 7 \(axis 1 of X\); got 1 to 5"),
        ([2, 8, 3, 4, 5], r"lengths must be from 2 to 7 \(axis 1 of X\); got 2 to 8"),
    ):
        with pytest.raises(AxisMismatchError, match=message):
            net(x, wrong)
    with pytest.raises(AxisMismatchError, match="equal cores need 2 steps or more; X has 1 on axis 1"):
        net(x[:, :1])
    with pytest.raises(
        AxisMismatchError, match="lengths need equal cores; the network has its own weights for each of 4"
    ):
        random("tt")(x[:, :4], [4] * 5)
    with pytest.raises(EquationError, match="the network takes any number of steps; say how many"):
        net.expression()


# --- weight tensors, files, devices ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("shared", [True, False])
def test_a_multiply_network_is_its_weight_tensor(kind, steps, shared, rng):
    net, x = random(kind, steps, shared=shared), rng.standard_normal((4, steps, 2))
    w = tna.networks.weight_tensor(net)
    assert w.shape == (5,) * steps + (3,)
    dense, f = w.to_dense(), np.asarray(net.feature_map(x))
    for b in range(4):
        value = dense
        for t in range(steps):
            value = np.tensordot(f[b, t], value, axes=1)
        assert relative_error(net(x[b : b + 1])[0], value) < 1e-12
    back = tna.networks.network_from_weights(w, net.feature_map)
    assert type(back) is type(net)
    assert relative_error(back(x), net(x)) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [True, False])
def test_the_weight_tensor_of_templates_has_their_features_in_every_mode(kind, shared, rng):
    net, features = random(kind, 3, shared=shared), rng.standard_normal((7, 5))
    whole = tna.networks.weight_tensor(net)
    for mode in range(3):
        whole = whole.mode_dot(features, mode)
    found = tna.networks.weight_tensor(net, features)
    assert found.shape == (7, 7, 7, 3)
    assert relative_error(found.to_dense(), whole.to_dense()) < 1e-13
    with pytest.raises(
        AxisMismatchError, match=r"features must have shape \(M', 5\), one template a row; got \(7, 4\)"
    ):
        tna.networks.weight_tensor(net, features[:, :4])


def test_networks_of_one_structure_share_their_graph():
    variants = [{"xi": "hypot"}, {"xi": "multiply"}, {"activation": "tanh"}, {"shared": False}]
    trees = [{"tree": tree} for tree in (((0, 2), (1, 3)), (((0, 1), 2), 3))]
    graphs = []
    for kind in KINDS:
        for options in [*variants, *(trees if kind == "ht" else [])]:
            node = random(kind, **options).graph()
            assert random(kind, **options, seed=1).graph() is node
            graphs.append(node)
    equal = random("tt", None)
    graphs += [equal.graph(3), equal.graph(4), equal.graph(4, masked=True)]
    assert len(set(graphs)) == len(graphs)


def test_no_network_keeps_an_array(rng):
    arrays = []
    for kind in KINDS:
        net = random(kind, xi="multiply")
        net(rng.standard_normal((2, 4, 2)))
        tna.grid_tensor(net, rng.standard_normal((3, 2))).to_dense()
        arrays += [weakref.ref(part) for part in net.parameters().values()]
    del net
    gc.collect()
    assert [array for array in arrays if array() is not None] == []


def test_what_has_no_weight_tensor():
    with pytest.raises(AlgebraError, match="a network with ξ = rectifier has no weight tensor"):
        tna.networks.weight_tensor(random("tt", xi="rectifier"))
    with pytest.raises(FormatError, match="equal cores have a weight tensor for every number of steps"):
        tna.networks.weight_tensor(random("tt", None))
    f = tna.FeatureMap.random(2, 5, seed=0)
    with pytest.raises(FormatError, match=r"a mode of 5 features for every step, .* got shape \(5, 4, 3\)"):
        tna.networks.network_from_weights(tna.TTTensor.random((5, 4, 3), 2), f)
    with pytest.raises(AlgebraError, match="a weight tensor has ξ = multiply, not hypot"):
        tna.networks.network_from_weights(tna.CPTensor.random((5, 3), 2, xi="hypot"), f)
    with pytest.raises(FormatError, match="the root must join the tree of the steps with mode 3"):
        tna.networks.network_from_weights(tna.HTTensor.random((5, 5, 5, 3), 2), f)
    with pytest.raises(FormatError, match="a weight tensor is a CP, TT or HT tensor; got Other"):
        tna.networks.network_from_weights(
            type("Other", (), {"xi": tna.operator("multiply"), "shape": (5, 3), "ndim": 2})(), f
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [True, False])
def test_a_network_comes_back_from_its_file(kind, shared, tmp_path, rng):
    for net in (random(kind, xi="hypot", shared=shared, activation="tanh", dtype="float32"), with_fixed(kind, shared)):
        net.save(tmp_path / "net.tna")
        found = tna.load(tmp_path / "net.tna")
        assert type(found) is type(net)
        assert repr(found) == repr(net)
        assert repr(found.feature_map) == repr(net.feature_map)
        x = rng.standard_normal((3, 4, net.n_inputs))
        np.testing.assert_array_equal(found(x), net(x))


def with_fixed(kind, shared=True):
    """A network on a feature map that is not trained."""
    net, f = random(kind, shared=shared, features=6), tna.FixedMap.polynomial(2, 2)
    return net._with_parts(f, net._parts())


def test_equal_cores_come_back_from_their_file(tmp_path):
    net = random("tt", None)
    net.save(tmp_path / "net.tna")
    assert tna.load(tmp_path / "net.tna").steps is None


# --- feature maps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", lambda z: np.maximum(z, 0)),
        ("tanh", np.tanh),
        ("sigmoid", lambda z: 1 / (1 + np.exp(-z))),
        ("identity", lambda z: z),
    ],
)
def test_a_feature_map_is_affine_and_an_activation(activation, function, rng):
    f = tna.FeatureMap.random(3, 7, activation=activation, seed=0)
    x = rng.standard_normal((2, 5, 3))
    assert relative_error(f(x), function(x @ f.weight.T + f.bias)) < 1e-14
    shifted = f.scaled_inputs(2.0, 0.5)
    assert relative_error(shifted(0.5 * x + 2), f(x)) < 1e-13


def test_relu_at_its_ends():
    f = tna.FeatureMap(np.array([[1.0]]), np.zeros(1))
    found = f(np.array([[[np.inf], [-np.inf], [np.nan], [0.0]]]))
    np.testing.assert_array_equal(found[0, :, 0], [np.inf, 0, np.nan, 0])


def test_fixed_maps(rng):
    x = rng.standard_normal((2, 3, 2))
    np.testing.assert_allclose(tna.FixedMap.cosine(2)(x)[..., :2], np.cos(np.pi / 2 * x), rtol=1e-14)
    np.testing.assert_allclose(tna.FixedMap.cosine(2)(x)[..., 2:], np.sin(np.pi / 2 * x), rtol=1e-14)
    powers = tna.FixedMap.polynomial(2, 3)(x)
    np.testing.assert_allclose(powers, np.concatenate([x**p for p in range(4)], -1), rtol=1e-14)
    assert tna.FixedMap.polynomial(2, 3).n_features == 8


@pytest.mark.parametrize(("dtype", "found"), [("float32", "float32"), ("float64", "float64"), ("int64", "float64")])
def test_features_of_fixed_maps_have_the_precision_of_their_inputs(dtype, found):
    f = tna.FixedMap.polynomial(2, 2)
    assert f(np.ones((3, 4, 2), dtype)).dtype == found
    net = random("tt", features=6, dtype=found)
    net = net._with_parts(f, net._parts())
    assert tna.grid_tensor(net, np.eye(2, dtype=dtype)).dtype == net(np.ones((3, net.steps, 2), dtype)).dtype == found


def test_bad_feature_maps():
    with pytest.raises(FormatError, match=r"feature_bias must have shape \(3,\) .* it has \(2,\)"):
        tna.FeatureMap(np.ones((3, 2)), np.ones(2))
    with pytest.raises(UnknownNameError, match="unknown activation 'relU'; known: relu, tanh, sigmoid, identity"):
        tna.FeatureMap(np.ones((3, 2)), np.ones(3), "relU")
    with pytest.raises(LawError, match="is not a scalar expression"):
        tna.FixedMap(("open(x)",), 1)
    with pytest.raises(FormatError, match="a fixed map needs functions and inputs; got 0 and 1"):
        tna.FixedMap((), 1)
    with pytest.raises(AxisMismatchError, match=r"x must have shape \(batch, T, 2\); got \(2, 2\)"):
        tna.FeatureMap.random(2, 3, seed=0)(np.ones((2, 2)))


# --- starts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 10, 100])
@pytest.mark.parametrize(("kind", "xi"), list(itertools.product(KINDS, XIS)))
def test_scores_neither_vanish_nor_explode(kind, xi, steps, rng):
    found = []
    for seed in range(3):
        net = random(kind, steps, rank=8, xi=xi, seed=seed, features=16)
        found.append(net(rng.standard_normal((32, steps, 2))))
    size = np.quantile(np.abs(found), 0.8)  # rectifier of one step is 0 half of the time
    assert 0.02 < size < 20
    assert np.isfinite(found).all()
    spread = np.median(np.std(found, axis=1))
    assert spread > 1e-3 * size  # the scores depend on the input


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "identity"])
def test_one_feature_is_enough(activation, rng):
    for kind in KINDS:
        net = random(kind, 8, rank=3, features=1, activation=activation)
        assert np.isfinite(net(rng.standard_normal((4, 8, 2)))).all()


@pytest.mark.parametrize("xi", ["multiply", "add"])
def test_weights_start_with_variance_one(xi):
    """Entries of the weight tensor over 4,000 draws: the sample variance is within 15 % of 1."""
    shallow, train = [], []
    for seed in range(4000):
        net = random("cp", 4, rank=3, seed=seed, xi=xi, start="weights", classes=1, features=2)
        shallow.append(tna.CPTensor(list(net.factors), net.weights[:, 0], xi)[0, 1, 1, 0])
        net = random("tt", 4, rank=3, seed=seed, xi=xi, start="weights", classes=1, features=2)
        np.testing.assert_array_equal(net.inputs, np.eye(2)[None])
        train.append(tna.TTTensor(net.cores, xi)[0, 1, 1, 0])
    for found in (shallow, train):
        assert abs(np.mean(found)) < 0.1
        assert abs(np.var(found) - 1) < (0.4 if xi == "multiply" else 0.15)  # products have heavy tails


def test_starts_that_are_not_known():
    with pytest.raises(
        AlgebraError, match="weights of variance 1 are known for recurrent networks with ξ = multiply or add"
    ):
        random("tt", xi="hypot", start="weights")
    with pytest.raises(FormatError, match="start must be 'scores' or 'weights'; got 'score'"):
        random("cp", start="score")
    with pytest.raises(FormatError, match="with start='weights' C is the identity: width 4 must be the features, 5"):
        random("tt", start="weights", width=4)
    for name in ("features", "classes", "inputs"):
        with pytest.raises(FormatError, match=f"{name} must be a positive integer; got 0"):
            random("cp", **{name: 0})


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_do_not_fit(kind):
    net = random(kind)
    for shape, message in (
        ((2, 3, 2), r"X must have shape \(batch, 4, 2\): axis 1 \(T\) is 3, the network needs 4"),
        ((2, 4, 5), r"X must have shape \(batch, 4, 2\): axis 2 \(N\) is 5, the network needs 2"),
        ((4, 2), r"X must have shape \(batch, 4, 2\); got 2 axes: \(4, 2\)"),
    ):
        with pytest.raises(AxisMismatchError, match=message):
            net(np.ones(shape))
    with pytest.raises(DTypeError, match="X has dtype complex128; a network needs real numbers"):
        net(np.ones((2, 4, 2), complex))
    assert net(np.ones((0, 4, 2))).shape == (0, 3)
    assert net(np.ones((2, 4, 2), int)).dtype == np.float64
    assert random(kind, dtype="float32")(np.ones((2, 4, 2))).dtype == np.float32
    with pytest.raises(EquationError, match="'nothing' is no parameter; the network has feature_weight"):
        net.replace(nothing=np.ones(2))
    with pytest.raises(AxisMismatchError, match=r"parameter 'feature_bias' has shape \(5,\); got \(4,\)"):
        net.replace(feature_bias=np.ones(4))


def test_a_width_of_0_is_refused():
    for width in (0, -1):
        with pytest.raises(FormatError, match=f"width must be a positive integer; got {width}"):
            tna.RecurrentNetwork.random(steps=3, inputs=2, features=4, rank=2, classes=2, width=width)


def test_parts_that_do_not_fit():
    f = tna.FeatureMap.random(2, 5, seed=0)
    for cls, parts, message in (
        (tna.ShallowNetwork, (np.ones((3, 4, 2)), np.ones((2, 1))), r"factors has 4 on axis 1 \(M\), but the feature map gives 5"),
        (tna.ShallowNetwork, (np.ones((3, 5, 2)), np.ones((3, 1))), "the rank is 3 on one and 2 on the other"),
        (tna.ShallowNetwork, ([np.ones((5, 2)), np.ones((5, 3))], np.ones((2, 1))), "factors must be arrays of one shape"),
        (tna.ShallowNetwork, (np.ones((2, 3, 5, 2)), np.ones((3, 2))), "there are weights for 3 classes and factors for 2"),
        (tna.RecurrentNetwork, (np.ones((2, 3, 5)), [np.ones((1, 3, 2))] * 3), "inputs are given for 2 steps and cores for 3"),
        (tna.RecurrentNetwork, (np.ones((2, 3, 5)), [np.ones((1, 3, 2)), np.ones((3, 3, 1))]), "core 1 of shape .* has left rank 3, but 2 is before it"),
        (tna.RecurrentNetwork, (np.ones((2, 3, 5)), [np.ones((1, 4, 2)), np.ones((2, 3, 1))]), "core 0 of shape .* has L 4, but 3"),
        (tna.RecurrentNetwork, (np.ones((3, 5)), [np.ones((1, 3, 2)), np.ones((2, 3, 4)), np.ones((4, 3, 1))]), "it must be square to repeat"),
        (tna.HierarchicalNetwork, ((0, 1), [np.ones((5, 2))], [np.ones((2, 2, 1))]), "needs 2 leaves and 1 transfers; got 1 and 1"),
        (tna.HierarchicalNetwork, ((0, 1), [np.ones((5, 2)), np.ones((5, 3))], [np.ones((2, 2, 1))]), r"transfer of \(0, 1\) has 2 on axis 1, but node 1 has rank 3"),
        (tna.HierarchicalNetwork, ((0, 1), [np.ones((4, 2)), np.ones((5, 3))], [np.ones((2, 3, 1))]), r"leaf 0 has 4 on axis 0 \(M\)"),
    ):  # fmt: skip
        with pytest.raises(FormatError, match=message):
            cls(f, *parts)
    with pytest.raises(FormatError, match="a network needs a FeatureMap or a FixedMap; got int"):
        tna.ShallowNetwork(3, np.ones((3, 5, 2)), np.ones((2, 1)))


# --- what a review found -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [2, 30, 300])
@pytest.mark.parametrize("xi", XIS)
def test_equal_cores_start_well_at_any_length(xi, steps, rng):
    nets = [random("tt", None, rank=8, features=10, xi=xi, seed=seed) for seed in range(4)]
    size = np.sqrt(np.mean([net(rng.standard_normal((20, steps, 2))) ** 2 for net in nets]))
    assert 0.005 < size < 50


def test_three_steps_may_share_a_matrix_without_equal_cores():
    net = random("tt", 3, rank=(2, 3), start="weights")
    assert net.steps == 3
    assert net.inputs.shape == (1, 5, 5)
    with pytest.raises(FormatError, match="equal cores are three: the first, the one between, and the last; got 2"):
        tna.RecurrentNetwork(net.feature_map, np.eye(5), net.cores[:2])
    with pytest.raises(FormatError, match="a recurrent network needs one core or more"):
        tna.RecurrentNetwork(net.feature_map, np.eye(5), [])


@pytest.mark.parametrize("kind", KINDS)
def test_copies_are_as_frozen_as_what_they_copy(kind):
    net = random(kind)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert repr(other) == repr(net)
        assert not any(part.flags.writeable for part in other.parameters().values())


@pytest.mark.parametrize("kind", KINDS)
def test_networks_on_another_library(kind, rng):
    xp = pytest.importorskip("array_api_strict")
    net, x = random(kind, None if kind == "tt" else 4), rng.standard_normal((3, 4, 2))
    arrays = {name: xp.asarray(part) for name, part in net.parameters().items()}
    other = net._with_parts(net.feature_map.replaced(arrays), {name: arrays[name] for name in net._parts()})
    assert relative_error(np.asarray(other(xp.asarray(x))), net(x)) < 1e-14
    if kind == "tt":
        assert relative_error(np.asarray(other(xp.asarray(x), [2, 4, 3])), net(x, [2, 4, 3])) < 1e-14


def test_a_user_operator_with_a_partial_alone_has_gradients(monkeypatch, rng):
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    own = tna.register_operator(tna.Operator(name="soft", value="x + y + x * y", unit=0.0, partial="1 + y"))
    for kind in KINDS:
        net, x = random(kind, 3, xi=own), rng.standard_normal((2, 3, 2))
        assert relative_error(net(x), [slow_scores(net, row) for row in x]) < 1e-12
        whole = tna.contract("by->", Expression(net.graph(), net.constants()))
        _, gradient = tna.value_and_grad(whole, tuple(net.parameters()))(X=x, **net.parameters())
        direction = rng.standard_normal(net.feature_map.weight.shape)
        ends = [net.replace(feature_weight=net.feature_map.weight + s * direction)(x).sum() for s in (1e-6, -1e-6)]
        np.testing.assert_allclose(
            np.sum(gradient["feature_weight"] * direction), (ends[0] - ends[1]) / 2e-6, rtol=1e-6
        )


def test_a_network_without_a_signal_is_drawn_without_a_warning():
    with np.errstate(all="raise"):
        random("cp", 2, rank=1, inputs=1, features=1, classes=1, xi="rectifier", seed=3)


def test_arguments_that_mean_nothing_are_refused():
    for wrong in ({"steps": 7}, {"masked": True}):
        with pytest.raises(EquationError, match="the network has 4 steps, neither more nor less"):
            random("cp").graph(**wrong)
    with pytest.raises(FormatError, match="ndarray is no network"):
        tna.networks.weight_tensor(np.ones(3))
    with pytest.raises(FormatError, match="a weight tensor is a CP, TT or HT tensor; got ndarray"):
        tna.networks.network_from_weights(np.ones((5, 3)), tna.FeatureMap.random(2, 5, seed=0))
    with pytest.raises(FormatError, match="a feature map needs inputs and features; got 0 and 3"):
        tna.FeatureMap.random(0, 3)
    with pytest.raises(TypeError, match="not iterable"):
        list(tna.leaf("X", "b"))


@pytest.mark.parametrize("kind", KINDS)
def test_one_feature_takes_more_steps_than_an_array_has_axes(kind, rng):
    """The same network with a second feature that no weight reads has as many steps and no axis of size 1."""
    narrow = KINDS[kind].random(steps=67, inputs=3, features=1, rank=2, classes=2, activation="identity", seed=0)
    wide = KINDS[kind].random(steps=67, inputs=3, features=2, rank=2, classes=2, activation="identity", seed=1)
    parts = {name: np.zeros(part.shape) for name, part in wide.parameters().items()}
    for name, part in narrow.parameters().items():
        parts[name][tuple(map(slice, part.shape))] = part
    X, y = rng.standard_normal((5, 67, 3)), np.array([0, 1, 1, 0, 1])
    given = {name: part for name, part in parts.items() if part.shape == wide.parameters()[name].shape}
    assert relative_error(narrow(X), wide.replace(**given)(X)) < 1e-12
    one, two = (tna.fit(net, X, y, epochs=1, optimizer=tna.SGD(0.1)) for net in (narrow, wide.replace(**given)))
    np.testing.assert_allclose(one.history.losses, two.history.losses, rtol=1e-12)
    np.testing.assert_allclose(one.network(X), two.network(X), rtol=1e-9)
