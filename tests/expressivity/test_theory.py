"""What the papers state, against scores of all sequences, ranks of their matricizations, and formulas in NumPy."""

import inspect
import itertools
from math import ceil, log2, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra import theory
from tnalgebra.errors import (
    AlgebraError,
    AxisMismatchError,
    ConstructionError,
    DTypeError,
    FormatError,
    IndexRangeError,
    MemoryLimitError,
    NonFiniteError,
    ToleranceError,
    UnknownNameError,
)
from tnalgebra.expressivity.bounds import predicted_widths
from tnalgebra.formats.tree import modes_of

XIS = ("multiply", "rectifier", "logaddexp", "add", "hypot", "maximum", "minimum")
NETWORKS = {"shallow": tna.ShallowNetwork, "recurrent": tna.RecurrentNetwork, "hierarchical": tna.HierarchicalNetwork}
KINDS = tuple(NETWORKS)
STRICT = [xi for xi in XIS if tna.operator(xi).unit_is_strict]


def random(kind, steps=3, rank=2, xi="rectifier", seed=0, features=5, classes=3, **options):
    sizes = {"inputs": 2, "features": features, "classes": classes}
    return NETWORKS[kind].random(steps=steps, rank=rank, xi=xi, seed=seed, **sizes, **options)


def like(net, *other):
    """Networks with the feature map of the first one."""
    return [type(o)._with_parts(o, net.feature_map, o._parts()) for o in other]


def pair(kind, **options):
    """Two networks of different widths with one feature map."""
    a, b = random(kind, **options), random(kind, **{**options, "rank": 3, "seed": 1})
    return a, *like(a, b)


def grid(net, F):
    """Scores of all sequences of templates, (M, …, M), of a network with one class."""
    shape = (len(F),) * net.steps
    return net(F[np.indices(shape).reshape(net.steps, -1).T]).reshape(shape)


def templates(size, seed=0, dtype=float):
    """Well conditioned and neither symmetric nor orthogonal."""
    return (np.eye(size) + 0.4 * np.random.default_rng(seed).uniform(-1, 1, (size, size)) / size**0.5).astype(dtype)


def one_hot(size, index):
    array = np.zeros((size,) * len(index))
    array[tuple(index)] = 1
    return array


def odd_even(array):
    """Odd modes, counted from 1, are the rows."""
    order = [*range(0, array.ndim, 2), *range(1, array.ndim, 2)]
    return array.transpose(order).reshape(prod(array.shape[::2]), -1)


# --- linear combinations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize(("kind", "xi"), list(itertools.product(KINDS, XIS)))
def test_scores_of_a_linear_combination_are_the_combination_of_the_scores(kind, xi, steps, rng):
    if kind == "hierarchical" and steps == 1 and xi not in STRICT:
        return
    a, b = pair(kind, steps=steps, xi=xi)
    both = theory.linear_combination(2.5, a, -0.75, b)
    x = rng.standard_normal((7, steps, 2))
    assert type(both) is type(a)
    assert (both.xi, both.dtype) == (a.xi, np.float64)
    np.testing.assert_allclose(both(x), 2.5 * a(x) - 0.75 * b(x), rtol=1e-12, atol=1e-12)


def test_widths_of_a_linear_combination_add():
    """Ranks 2 and 3; the first rank of a recurrent network is 1, and the last one the classes, of which there are 7."""
    expected = {"shallow": (5,), "recurrent": (1, 5, 5, 5, 7), "hierarchical": (5, 5, 5, 5, 5, 5, 7)}
    for kind in KINDS:
        a, b = pair(kind, steps=4, classes=7)
        assert theory.linear_combination(1, a, 1, b).ranks == expected[kind]
    a, b = random("recurrent", width=3), random("recurrent", width=7, rank=3)
    assert theory.linear_combination(1, a, 1, *like(a, b)).inputs.shape == (3, 10, 5)


@pytest.mark.parametrize("xi", XIS)
@pytest.mark.parametrize("kind", KINDS)
def test_linear_combinations_keep_weights_of_every_class_apart(kind, xi, rng):
    a, b = pair(kind, xi=xi, shared=False)
    both = theory.linear_combination(-1.5, a, 2, b)
    x = rng.standard_normal((7, 3, 2))
    np.testing.assert_allclose(both(x), 2 * b(x) - 1.5 * a(x), rtol=1e-12, atol=1e-12)
    for name, part in both._parts().items():
        assert part.shape[0] == 3, name


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("xi", XIS)
def test_linear_combinations_of_equal_cores_have_equal_cores(xi, shared, rng):
    a, b = pair("recurrent", steps=None, xi=xi, shared=shared)
    both = theory.linear_combination(0.5, a, 3, b)
    assert both.steps is None
    for steps in (2, 3, 6):
        x = rng.standard_normal((5, steps, 2))
        np.testing.assert_allclose(both(x), 0.5 * a(x) + 3 * b(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("xi", XIS)
def test_one_matrix_for_all_steps_stays_one_beside_another_and_is_repeated_beside_many(xi, rng):
    a, b = pair("recurrent", xi=xi)
    one = tna.RecurrentNetwork(a.feature_map, a.inputs[:1], a.cores, xi)
    x = rng.standard_normal((7, 3, 2))
    for first, second, count in ((one, one, 1), (one, b, 3), (b, one, 3)):
        both = theory.linear_combination(2, first, -1, second)
        assert both.inputs.shape[0] == count
        np.testing.assert_allclose(both(x), 2 * first(x) - second(x), rtol=1e-12, atol=1e-12)


def test_linear_combinations_take_other_trees_and_fixed_maps(rng):
    tree = ((0, 2, 3), 1)
    a, b = pair("hierarchical", steps=4, xi="hypot", tree=tree)
    x = rng.standard_normal((7, 4, 2))
    np.testing.assert_allclose(theory.linear_combination(2, a, 3, b)(x), 2 * a(x) + 3 * b(x), rtol=1e-12)
    f, g = tna.FixedMap.polynomial(2, 1), tna.FixedMap.polynomial(2, 1)
    a, b = (tna.ShallowNetwork(m, rng.standard_normal((3, 4, r)), np.ones((r, 1)), "add") for m, r in ((f, 2), (g, 3)))
    x = x[:, :3]
    np.testing.assert_allclose(theory.linear_combination(2, a, 3, b)(x), 2 * a(x) + 3 * b(x), rtol=1e-12)


def test_linear_combinations_keep_single_precision(rng):
    for kind in KINDS:
        a, b = pair(kind, dtype="float32")
        both = theory.linear_combination(np.float64(2), a, 1, b)
        assert both.dtype == np.float32
        x = rng.standard_normal((7, 3, 2))
        np.testing.assert_allclose(both(x), 2 * a(x) + b(x), rtol=1e-4, atol=1e-4)


@given(a=st.floats(-4, 4), b=st.floats(-4, 4), xi=st.sampled_from(XIS), kind=st.sampled_from(KINDS))
def test_linear_combinations_commute_and_cancel(a, b, xi, kind):
    x = np.random.default_rng(2).standard_normal((3, 3, 2))
    first, second = pair(kind, xi=xi)
    one, two = theory.linear_combination(a, first, b, second), theory.linear_combination(b, second, a, first)
    np.testing.assert_allclose(one(x), two(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(theory.linear_combination(a, first, -a, first)(x), 0, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_networks_combine_and_convert_on_their_device(kind):
    for options in ({}, {"shared": False}):
        a, b = pair(kind, **options)
        found = theory.linear_combination(2, a.to_device("cuda"), 3, b.to_device("cuda"))
        expected = theory.linear_combination(2, a, 3, b)
        if kind == "shallow":
            found, expected = theory.shallow_as_recurrent(found), theory.shallow_as_recurrent(expected)
        assert all(type(part).__module__.split(".")[0] == "cupy" for part in found.parameters().values())
        for name, part in found.to_device("cpu").parameters().items():
            np.testing.assert_array_equal(part, expected.parameters()[name])


def test_networks_that_do_not_add_are_refused():
    a = random("recurrent")
    other = {
        "kind; got RecurrentNetwork and ShallowNetwork": random("shallow"),
        "one ξ; got rectifier and hypot": random("recurrent", xi="hypot"),
        "steps; got 3 and 5": random("recurrent", steps=5),
        "steps; got 3 and any": random("recurrent", steps=None),
        "classes; got 3 and 7": random("recurrent", classes=7),
        "features; got 5 and 7": random("recurrent", features=7),
        "weights; got shared by the classes and apart for every class": random("recurrent", shared=False),
        "feature map; theirs differ": random("recurrent", seed=1),
    }
    for match, b in other.items():
        with pytest.raises(AlgebraError if "ξ" in match else FormatError, match=match):
            theory.linear_combination(1, a, 1, b)
    b = tna.RecurrentNetwork(tna.FeatureMap(a.feature_map.weight, a.feature_map.bias, "tanh"), a.inputs, a.cores, a.xi)
    with pytest.raises(FormatError, match="feature map; theirs differ"):
        theory.linear_combination(1, a, 1, b)
    with pytest.raises(FormatError, match="one of networks; got ndarray"):
        theory.linear_combination(1, a, 1, np.ones(3))
    for factor in (np.nan, np.inf, "2", 1j, None):
        with pytest.raises(NonFiniteError, match=f"finite real numbers; got {factor!r}"):
            theory.linear_combination(factor, a, 1, a)
    tree = random("hierarchical", tree=((0, 1), 2))
    with pytest.raises(FormatError, match=r"same tree; got .*\(\(0, 1\), 2\).* and .*\(0, \(1, 2\)\)"):
        theory.linear_combination(1, tree, 1, *like(tree, random("hierarchical", tree=(0, (1, 2)))))


@pytest.mark.parametrize("xi", ["rectifier", "hypot"])
def test_trees_of_one_step_do_not_add_where_the_unit_is_weak(xi):
    net = random("hierarchical", steps=1, xi=xi)
    with pytest.raises(AlgebraError, match=f"with one step a tree .* for {xi} sums"):
        theory.linear_combination(1, net, 1, net)


# --- conversion --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("xi", XIS)
def test_a_shallow_network_is_a_recurrent_one_of_its_width(xi, steps, rank, shared, rng):
    net = random("shallow", steps=steps, rank=rank, xi=xi, shared=shared)
    same = theory.shallow_as_recurrent(net)
    x = rng.standard_normal((7, steps, 2))
    assert relative_error(same(x), net(x)) < 1e-12
    assert same.ranks == (1, *(rank,) * (steps - 1), 3 if shared else 1)
    assert same.inputs.shape[-2] == rank


def test_a_wide_shallow_network_converts_as_the_sum_of_its_terms(rng):
    net = random("shallow", rank=3, xi="hypot")
    terms = [
        tna.ShallowNetwork(net.feature_map, net.factors[:, :, r : r + 1], net.weights[r : r + 1], net.xi)
        for r in range(3)
    ]
    total = theory.shallow_as_recurrent(terms[0])
    for term in terms[1:]:
        total = theory.linear_combination(1, total, 1, theory.shallow_as_recurrent(term))
    whole = theory.shallow_as_recurrent(net)
    for name, part in whole._parts().items():
        np.testing.assert_array_equal(part, total._parts()[name])
    assert theory.shallow_as_recurrent(random("shallow", dtype="float32")).dtype == np.float32
    with pytest.raises(FormatError, match="takes a ShallowNetwork; got RecurrentNetwork"):
        theory.shallow_as_recurrent(whole)


# --- universality ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("index", [(0,), (2,), (1, 2), (2, 0, 2), (0, 0, 0, 0), (1, 0, 2, 1, 1)])
def test_a_one_hot_network_is_1_at_its_index_alone(index, kind):
    for F in (np.eye(3), templates(3), 7.0 * templates(3, seed=1)):
        net = theory.one_hot_network(index, F, kind=kind)
        assert net.xi.name == "rectifier"
        np.testing.assert_allclose(grid(net, F), one_hot(3, index), atol=1e-13)
        widths = {"shallow": (2,), "recurrent": (1,) * (len(index) + 1)}
        assert kind not in widths or net.ranks == widths[kind]


def test_a_one_hot_network_of_many_steps_needs_no_dense_tensor():
    index = np.random.default_rng(0).integers(0, 5, 40)
    for kind in KINDS:
        net = theory.one_hot_network(index, np.eye(5), kind=kind)
        other = np.where(np.arange(40) == 17, (index + 1) % 5, index)
        np.testing.assert_array_equal(net(np.eye(5)[np.stack([index, other])]), [[1], [0]])
    assert max(net.ranks) == 2


def tensors(size, steps, rng):
    """Named tensors of all kinds; entries are multiples of 1/8, so that equal values are equal."""
    shape = (size,) * steps
    few = np.zeros(shape)
    few[(size - 1,) * steps] = -3.5
    return {
        "zero": np.zeros(shape),
        "one entry": few,
        "constant": np.full(shape, 2.5),
        "one entry beside a constant": few + 2.5,
        "dense": np.round(8 * rng.standard_normal(shape)) / 8,
        "rank one": np.multiply.outer(np.arange(size) + 1.0, np.ones(shape[1:])).reshape(shape),
    }


@pytest.mark.parametrize(("size", "steps"), [(1, 1), (1, 3), (3, 1), (5, 2), (3, 3), (2, 4)])
@pytest.mark.parametrize("xi", ["rectifier", "maximum", "multiply"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_is_a_grid_tensor(kind, xi, size, steps, rng):
    for F in (np.eye(size), templates(size)):
        for name, H in tensors(size, steps, rng).items():
            if kind == "hierarchical" and steps == 1 and xi == "rectifier":
                H = np.abs(H)
            net = theory.universal_network(H, F, kind=kind, xi=xi)
            assert type(net) is NETWORKS[kind]
            assert (net.classes, net.steps, net.xi.name) == (1, steps, xi)
            np.testing.assert_allclose(grid(net, F), H, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("xi", ["rectifier", "multiply"])
def test_every_tensor_is_a_grid_tensor_in_single_precision(kind, xi, rng):
    F, H = templates(3, dtype=np.float32), rng.standard_normal((3, 3, 3)).astype(np.float32)
    net = theory.universal_network(H, F, kind=kind, xi=xi)
    assert net.dtype == np.float32
    np.testing.assert_allclose(grid(net, F), H, atol=1e-4)


@given(st.data())
def test_the_width_of_a_universal_network_counts_what_differs_from_the_most_frequent_value(data):
    """Integers, so that all arithmetic is exact; ranks of a recurrent network count prefixes, by a set in the test."""
    size, steps = data.draw(st.sampled_from([(2, 3), (3, 2), (3, 3), (5, 1)]))
    H = np.array(data.draw(st.lists(st.integers(-2, 2), min_size=size**steps, max_size=size**steps)), float)
    H = H.reshape((size,) * steps)
    values, counts = np.unique(H, return_counts=True)
    differing = int(H.size - counts.max())
    shallow = theory.universal_network(H, np.eye(size))
    np.testing.assert_array_equal(grid(shallow, np.eye(size)), H)
    assert shallow.ranks == (differing + 1,)
    assert differing + 1 <= np.count_nonzero(H) + 1 <= 2 * size**steps
    recurrent = theory.universal_network(H, np.eye(size), kind="recurrent")
    np.testing.assert_array_equal(grid(recurrent, np.eye(size)), H)
    candidates = [v for v, c in zip(values, counts, strict=True) if c == counts.max()]
    prefixes = {
        tuple(max(1, len({tuple(j[:t]) for j in np.argwhere(value != H)})) for t in range(1, steps))
        for value in candidates
    }
    assert recurrent.ranks[1:-1] in prefixes
    assert all(rank <= size**t for t, rank in enumerate(recurrent.ranks))


def test_ranks_of_a_universal_multiply_network_are_those_of_the_tensor():
    F = templates(5)
    H = tna.TTTensor.random((5,) * 4, (2, 3, 2), seed=0)
    net = theory.universal_network(H, F, kind="recurrent", xi="multiply")
    assert net.ranks == (1, 2, 3, 2, 1)
    np.testing.assert_allclose(grid(net, F), H.to_dense(), atol=1e-11)
    # the weight tensor is Ĥ = H ×₁ F⁻¹ ×₂ … ×_T F⁻¹
    inverse = np.linalg.inv(F)
    weights = np.einsum("abcd,ia,jb,kc,ld->ijkl", H.to_dense(), *[inverse] * 4)
    for kind in KINDS:
        found = tna.networks.weight_tensor(theory.universal_network(H, F, kind=kind, xi="multiply"))
        np.testing.assert_allclose(found.to_dense()[..., 0], weights, atol=1e-10)
    shallow = {
        name: theory.universal_network(h, F, xi="multiply").ranks
        for name, h in tensors(5, 3, rng=np.random.default_rng(0)).items()
    }
    assert shallow == {
        "zero": (1,),
        "one entry": (1,),
        "constant": (1,),
        "one entry beside a constant": (2 * 2,),
        "dense": (25,),
        "rank one": (1,),
    }
    column = np.zeros((5, 5, 5))
    column[:, 2, 3] = column[0, 1, 1] = 1  # two fibres of the first mode, as many paths or more
    assert theory.universal_network(column, F, xi="multiply").ranks == (2,)


@pytest.mark.parametrize("name", ["cp", "tt", "ht"])
def test_a_kind_may_be_named_by_its_format(name):
    kind = dict(zip(("cp", "tt", "ht"), KINDS, strict=True))[name]
    assert type(theory.universal_network(np.eye(3), np.eye(3), kind=name)) is NETWORKS[kind]
    assert type(theory.one_hot_network((0, 1), np.eye(3), kind=name)) is NETWORKS[kind]
    assert type(theory.pairwise_similarity(2, 4, kind=name)) is NETWORKS[kind]


def test_integers_give_double_precision():
    net = theory.universal_network(np.eye(3, dtype=int), np.eye(3, dtype=int))
    assert net.dtype == np.float64
    np.testing.assert_array_equal(grid(net, np.eye(3)), np.eye(3))


def test_what_no_universal_network_is_known_for_is_refused():
    H, F = np.eye(3), np.eye(3)
    for xi in ("logaddexp", "hypot", "minimum"):
        with pytest.raises(AlgebraError, match=f"known for ξ = {xi}: the proofs are for the rectifier"):
            theory.universal_network(H, F, xi=xi)
    with pytest.raises(AlgebraError, match=r"known for ξ = add: .* rank 2 at most"):
        theory.universal_network(H, F, xi="add")
    with pytest.raises(FormatError, match=r"must have 3 entries, as F is \(3, 3\); H has shape \(3, 5\)"):
        theory.universal_network(np.ones((3, 5)), F)
    with pytest.raises(DTypeError, match="H must be real; got complex128"):
        theory.universal_network(H * 1j, F)
    with pytest.raises(NonFiniteError, match="2 of 9 are not"):
        theory.universal_network(np.array([[np.nan, 1, 2], [3, np.inf, 4], [5, 6, 7]]), F)
    with pytest.raises(UnknownNameError, match="unknown kind 'deep'; known: shallow, recurrent, hierarchical, cp"):
        theory.universal_network(H, F, kind="deep")
    with pytest.raises(ConstructionError, match=r"a tree of one step gives ξ\(z, u\) ≥ 0 .* an entry is -2"):
        theory.universal_network(np.array([1.0, -2.0, 3.0]), F, kind="ht")


def test_bad_indices_are_refused():
    with pytest.raises(IndexRangeError, match=r"index \(0, 3\) must have numbers from 0 to 2"):
        theory.one_hot_network((0, 3), np.eye(3))
    with pytest.raises(IndexRangeError, match=r"index \(0, -1\) must have numbers from 0 to 4"):
        theory.one_hot_network((0, -1), np.eye(5))
    for index in ((), (0.5, 1), ((0, 1), (1, 0)), 2):
        with pytest.raises(FormatError, match="index must be one integer a step"):
            theory.one_hot_network(index, np.eye(3))


NEED_INVERSES = [
    lambda F: theory.one_hot_network((0, 1), F),
    lambda F: theory.universal_network(np.eye(3), F),
    lambda F: theory.universal_network(np.eye(3), F, xi="multiply", kind="tt"),
    lambda F: theory.constant_grid_network(3, 2, 4, F),
]


@pytest.mark.parametrize("build", NEED_INVERSES)
def test_templates_that_cannot_be_inverted_are_refused(build):
    hilbert = 1 / (1.0 + np.add.outer(np.arange(3), np.arange(3)))
    build(hilbert)  # condition number 524
    with pytest.raises(ConstructionError, match=r"its condition number is .*, and above 6.7e\+07 .* digits of float64"):
        build(np.arange(9.0).reshape(3, 3))
    with pytest.raises(ConstructionError, match="its condition number is inf"):
        build(np.zeros((3, 3)))
    with pytest.raises(ConstructionError, match=r"condition number is 1e\+09"):
        build(np.diag([1, 1, 1e-9]))
    with pytest.raises(ConstructionError, match=r"condition number is 1e\+05, and above 2.9e\+03 .* of float32"):
        build(np.diag([1, 1, 1e-5]).astype(np.float32))
    with pytest.raises(FormatError, match=r"F must be square, .*; got \(3, 2\)"):
        build(np.ones((3, 2)))
    with pytest.raises(DTypeError, match="F must be real; got complex128"):
        build(np.eye(3) * 1j)
    with pytest.raises(NonFiniteError, match="F must be finite; 1 of 9 are not"):
        build(np.where(one_hot(3, (0, 0)) == 1, np.nan, 1.0))


# --- separation --------------------------------------------------------------------------------------------------


def agreement(size, q, steps):
    """0 where every pair of steps agrees in an index below q, else 1."""
    array = np.ones((size,) * steps)
    for half in itertools.product(range(q), repeat=steps // 2):
        array[tuple(i for i in half for _ in range(2))] = 0
    return array


@pytest.mark.parametrize("steps", [2, 4, 6])
@pytest.mark.parametrize(("M", "R"), [(1, 1), (1, 3), (2, 1), (2, 2), (3, 2), (3, 3), (2, 5), (5, 3)])
def test_the_separating_network_tells_whether_all_pairs_agree(M, R, steps):
    if M == 5 and steps == 6:
        return
    net, q = theory.exponential_separation(M, R, steps), min(M, R)
    found = grid(net, np.eye(M))
    np.testing.assert_array_equal(found, agreement(M, q, steps))
    assert net.ranks == (1, *(R, 1) * (steps // 2))
    rank = np.linalg.matrix_rank(odd_even(found))
    assert rank == (0 if M == 1 else q ** (steps // 2) + (R < M))
    assert rank == tna.matricization_rank(found, range(0, steps, 2)).rank


def test_the_separating_network_is_the_recursion_of_the_paper():
    """Γ⁽ᵗ⁾ by Prop. 4.1, with the cores as they are printed, L = M in odd steps, and δ in place of ones."""
    M, R, T = 3, 2, 4
    q, state = 2, np.zeros((1,))
    for t in range(1, T + 1):
        C = 1 - np.eye(M) if t % 2 else np.vstack([1 - np.eye(M), np.ones(M)])
        G = np.eye(M, R)[:, None, :] if t % 2 else np.vstack([np.eye(M, R), [[1 - q, 0]]])[:, :, None]
        joined = np.maximum(np.maximum.outer(C, state), 0)  # i m_t j m_1 …
        state = np.einsum("ijk,imj...->k...m", G, joined)
    np.testing.assert_array_equal(state[0], grid(theory.exponential_separation(M, R, T), np.eye(M)))


def test_pairs_need_an_even_number():
    for build, name in (
        (lambda odd: theory.exponential_separation(3, 2, odd), "T"),
        (lambda odd: theory.maximal_cp_rank_train(odd, 3, 2), "d"),
        (lambda odd: theory.maximal_equal_cores_train(odd, 3, 2), "d"),
        (lambda odd: theory.pairwise_similarity(2, odd), "d"),
    ):
        with pytest.raises(ConstructionError, match=f"so {name} must be even; got 5"):
            build(5)


# --- limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("M", "R", "T"), [(1, 1, 1), (3, 2, 1), (3, 2, 4), (2, 5, 3), (3, 1, 2), (1, 3, 4)])
def test_the_constant_network_gives_one_number(M, R, T):
    for F in (None, templates(M), templates(M, dtype=np.float32)):
        net = theory.constant_grid_network(M, R, T, F)
        assert net.ranks == (1, *(R,) * (T - 1), 1)
        assert net.dtype == (np.float64 if F is None else F.dtype)
        np.testing.assert_allclose(grid(net, np.eye(M) if F is None else F), 2.0 * (M * R) ** (T - 1), rtol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_a_width_of_one_is_enough_in_a_neighbourhood_of_the_constant_network(seed):
    F = templates(3, seed)
    centre = theory.constant_grid_network(3, 2, 4, F)
    net = theory.perturbed(centre, 0.05, seed=seed)
    assert all(0 < abs(net._parts()[name] - part).max() <= 0.05 for name, part in centre._parts().items())
    assert all((net.parameters()[name] == centre.parameters()[name]).all() for name in net.feature_map.parameters())
    same, scores = theory.width_one_equivalent(net, F), grid(net, F)
    assert same.ranks == (1,)
    assert same.xi.name == "rectifier"
    np.testing.assert_array_equal(same.factors[1:], 0)
    np.testing.assert_allclose(grid(same, F), scores, rtol=1e-10)
    assert np.ptp(scores.mean(axis=(1, 2, 3))) > 0.1  # not a constant any more


@given(st.integers(0, 10**6), st.sampled_from([(2, 1, 4), (1, 2, 4), (3, 2, 3), (2, 3, 2)]), st.floats(0, 1))
def test_the_neighbourhood_of_the_constant_network_is_as_large_as_its_docstring_says(seed, sizes, share):
    M, R, T = sizes
    F = templates(M, seed)
    row = abs(F).sum(axis=1).max()
    # the smaller root of (2 − s)(1 − s φ) = 1 + s φ
    largest = (1 + 3 * row - np.sqrt((1 + 3 * row) ** 2 - 4 * row)) / (2 * row)
    net = theory.perturbed(theory.constant_grid_network(M, R, T, F), share * min(largest, 0.5), seed=seed)
    scores = grid(net, F)
    np.testing.assert_allclose(scores, np.broadcast_to(scores[:, *(slice(1),) * (T - 1)], scores.shape), rtol=1e-12)
    assert scores.min() > 0


def test_perturbations_of_one_seed_are_equal():
    net = theory.constant_grid_network(3, 2, 4)
    one, two, other = (theory.perturbed(net, 0.1, seed=seed).inputs for seed in (0, np.random.default_rng(0), 1))
    np.testing.assert_array_equal(one, two)
    assert (one != other).all()
    np.testing.assert_array_equal(theory.perturbed(net, 0).inputs, net.inputs)
    assert theory.perturbed(random("shallow", dtype="float32"), 0.1, seed=0).dtype == np.float32
    for scale in (-1, np.nan, np.inf, "1"):
        with pytest.raises(FormatError, match=f"scale must be a finite number of at least 0; got {scale!r}"):
            theory.perturbed(net, scale)


def test_width_one_equals_networks_of_any_kind_and_map(rng):
    """A shallow network whose later factors are negative, with a feature map of its own."""
    base = random("shallow", features=3, classes=1, rank=2, activation="sigmoid", seed=3)
    factors = np.concatenate([abs(base.factors[:1]) + 0.1, -abs(base.factors[1:])])
    net = tna.ShallowNetwork(base.feature_map, factors, abs(base.weights), "rectifier")
    x = 3 * rng.standard_normal((3, 2))
    same = theory.width_one_equivalent(net, x)
    np.testing.assert_array_equal(same.feature_map(x[None]), net.feature_map(x[None]))
    np.testing.assert_allclose(grid(same, x), grid(net, x), rtol=1e-10)
    single = theory.universal_network(np.array([3.0, 0.0, 5.0]), np.eye(3), kind="tt")
    np.testing.assert_allclose(grid(theory.width_one_equivalent(single, np.eye(3)), np.eye(3)), [3, 0, 5], atol=1e-13)
    zero = theory.universal_network(np.zeros((3, 3)), np.eye(3))
    np.testing.assert_array_equal(grid(theory.width_one_equivalent(zero, np.eye(3)), np.eye(3)), np.zeros((3, 3)))


def test_a_width_of_one_that_is_exact_needs_no_tolerance():
    net = theory.perturbed(theory.constant_grid_network(3, 2, 4), 0.05, seed=0)
    assert theory.width_one_equivalent(net, np.eye(3), tol=0).ranks == (1,)


def test_what_a_width_of_one_cannot_do_is_refused():
    F = np.eye(3)
    second = theory.universal_network(np.ones((3, 1)) * [1.0, 2.0, 3.0], F)
    with pytest.raises(ConstructionError, match="more than its first index: it changes by 1 with the others"):
        theory.width_one_equivalent(second, F)
    first = theory.universal_network(np.array([[1.0], [-0.5], [3.0]]) * np.ones(3), F)
    with pytest.raises(ConstructionError, match=r"gives numbers ≥ 0; the least entry is -0\.5"):
        theory.width_one_equivalent(first, F)
    close = theory.universal_network(np.ones((3, 1)) * [1.0, 1.02, 1.0], F)
    with pytest.raises(ConstructionError, match=r"changes by 0.0133 .* and 0.0102 is allowed"):
        theory.width_one_equivalent(close, F, tol=0.01)
    assert grid(theory.width_one_equivalent(close, F, tol=0.02), F).max() == pytest.approx(1.02 / 3 + 2 / 3)
    with pytest.raises(AlgebraError, match="network has ξ = multiply"):
        theory.width_one_equivalent(theory.universal_network(F, F, xi="multiply"), F)
    with pytest.raises(FormatError, match="it has 7 and 3"):
        theory.width_one_equivalent(random("recurrent", classes=7), F)
    with pytest.raises(FormatError, match="it has 1 and any number"):
        theory.width_one_equivalent(random("recurrent", classes=1, steps=None), F)
    with pytest.raises(AxisMismatchError, match=r"F must have shape \(M, 3\).*; got \(3, 5\)"):
        theory.width_one_equivalent(second, np.ones((3, 5)))
    with pytest.raises(FormatError, match=r"F must be square.*; got \(5, 3\)"):
        theory.width_one_equivalent(second, np.ones((5, 3)))
    with pytest.raises(ConstructionError, match="condition number"):
        theory.width_one_equivalent(second, np.ones((3, 3)))
    with pytest.raises(DTypeError, match="F must be real; got complex128"):
        theory.width_one_equivalent(second, F * 1j)
    with pytest.raises(ToleranceError, match=r"must be in \[0, 1\); got 1.5"):
        theory.width_one_equivalent(second, F, tol=1.5)
    with pytest.raises(FormatError, match="takes a network; got ndarray"):
        theory.width_one_equivalent(F, F)
    with pytest.raises(MemoryLimitError, match=r"takes 9.73e\+19 bytes"):
        theory.width_one_equivalent(theory.constant_grid_network(3, 2, 40), F)


# --- trains and trees --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("d", "n", "r"), [(2, 3, 5), (2, 1, 1), (4, 3, 2), (4, 2, 3), (6, 2, 2), (6, 3, 2)])
def test_the_delta_train_has_odd_even_and_cp_rank_of_a_power(d, n, r):
    train, q = theory.maximal_cp_rank_train(d, n, r), min(n, r)
    deltas = [np.diag(np.arange(n) < q).astype(float)] * (d // 2)
    labels = [label for k, delta in enumerate(deltas) for label in (delta, [2 * k, 2 * k + 1])]
    np.testing.assert_array_equal(train.to_dense(), np.einsum(*labels, list(range(d))))
    assert train.ranks == (1, *(r, 1) * (d // 2))
    assert np.linalg.matrix_rank(odd_even(train.to_dense())) == q ** (d // 2)
    bounds = tna.compare_ranks(train).cp
    assert bounds.lower == q ** (d // 2)


@pytest.mark.parametrize(("n", "r"), [(2, 2), (2, 5), (3, 2), (3, 3), (4, 3)])
def test_random_trains_with_equal_cores_have_the_ranks_of_the_hypothesis(n, r):
    """Ten draws here; the paper has 1000 for n = 2 … 10 and r = 2 … 20."""
    for seed in range(10):
        train = theory.equal_cores_train(6, n, r, seed=seed)
        assert np.linalg.matrix_rank(odd_even(train.to_dense())) >= min(n, r) ** 3


@pytest.mark.parametrize(("d", "n", "r"), [(2, 3, 2), (4, 2, 2), (4, 3, 5), (6, 3, 3), (6, 4, 2), (8, 2, 3), (4, 1, 1)])
def test_a_train_with_equal_cores_has_a_triangular_odd_even_matricization(d, n, r):
    """ERNN, Hypothesis 1: its determinant is 1, so the rank is q^(d/2) for this train and for almost every one."""
    train, q = theory.maximal_equal_cores_train(d, n, r), min(n, r)
    assert train.ranks == (1, *(r,) * (d - 1), 1)
    assert all((core == train.cores[1]).all() for core in train.cores[1:-1])
    part = train.to_dense()[(slice(q),) * d].transpose([*range(0, d, 2), *range(1, d, 2)]).reshape(q ** (d // 2), -1)
    np.testing.assert_array_equal(np.diag(part), 1)
    np.testing.assert_array_equal(np.tril(part, -1), 0)


def test_equal_cores_are_equal_and_drawn_from_the_seed():
    train = theory.equal_cores_train(5, 3, 2, seed=0)
    first, between, last = train.cores[0], train.cores[1], train.cores[4]
    np.testing.assert_array_equal(train.cores[2], between)
    np.testing.assert_array_equal(train.cores[3], between)
    expected = np.einsum("ia,ajb,bkc,cld,dm->ijklm", first[0], between, between, between, last[:, :, 0])
    np.testing.assert_allclose(train.to_dense(), expected, rtol=1e-12)
    assert theory.equal_cores_train(2, 3, 2, seed=0).shape == (3, 3)
    assert theory.equal_cores_train(4, 3, 2, dtype="float32").dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "d"), [(1, 2), (3, 2), (2, 4), (3, 4), (2, 6), (2, 10)])
def test_pairwise_similarity_multiplies_inner_products(n, d, kind, rng):
    net = theory.pairwise_similarity(n, d, kind=kind)
    x, half = rng.standard_normal((7, d, n)), d // 2  # x₁, …, x_d as the paper numbers them
    order = [k + shift for k in range(half) for shift in (0, half)]
    truth = np.prod([np.sum(x[:, k] * x[:, k + half], axis=1) for k in range(half)], axis=0)
    np.testing.assert_allclose(net(x[:, order])[:, 0], truth, rtol=1e-12)
    assert max(net.ranks) == (n**half if kind == "shallow" else n)
    assert net.xi.name == "multiply"


def test_pairwise_similarity_needs_its_width_in_a_shallow_network():
    weights = tna.networks.weight_tensor(theory.pairwise_similarity(3, 4)).to_dense()[..., 0]
    assert np.linalg.matrix_rank(odd_even(weights)) == 9
    # in the order x₁, x₂, x₃, x₄ the train is as wide as the shallow network
    assert np.linalg.matrix_rank(weights.transpose(0, 2, 1, 3).reshape(9, 9)) == 9


def node_ranks(array, tree):
    nodes = (modes_of(node) for node in tree.nodes[:-1])
    return [tna.matricization_rank(array, modes).rank for modes in nodes]


@pytest.mark.parametrize(("d", "r"), [(6, 1), (6, 2), (6, 3), (7, 2), (8, 2), (9, 2), (11, 2)])
def test_a_train_of_rank_r_may_have_rank_r_squared_on_the_balanced_tree(d, r):
    train = theory.train_against_tree(d, r)
    array = train.to_dense()
    assert train.max_rank == r
    assert max(tna.matricization_rank(array, range(bond)).rank for bond in range(1, d)) == r
    assert max(node_ranks(array, tna.DimensionTree.balanced(d))) == r**2
    assert predicted_widths("TT", r, d, r)["HT"] == f"≤ {r**2}"


@pytest.mark.parametrize(("d", "r"), [(2, 3), (3, 2), (4, 3), (5, 2), (7, 2), (8, 2), (8, 3), (11, 2), (13, 2)])
def test_a_tree_of_rank_r_may_have_the_largest_train_rank(d, r):
    tree = theory.tree_against_train(d, r)
    array = tree.to_dense()
    assert tree.max_rank == r
    assert max(node_ranks(array, tree.tree)) == r
    bound = max(tna.matricization_rank(array, range(bond)).rank for bond in range(1, d))
    assert predicted_widths("HT", r, d, r)["TT"] == f"≤ {bound}"


@pytest.mark.parametrize("d", [2, 3, 5, 6, 17, 31, 32, 33, 64, 100, 128])
def test_the_exponent_of_the_tree_is_that_of_the_bound(d):
    """Pairs that the bond cuts, counted by hand from the leaves: a frame that is not constant belongs to a pair."""
    tree = theory.tree_against_train(d, 2)
    paired = [mode for mode, leaf in enumerate(tree.leaves) if leaf.shape[1] == 2]
    assert predicted_widths("HT", 2, d, 2)["TT"] == f"≤ {2 ** (len(paired) // 2)}"
    assert tree.max_rank == 2
    if d & (d - 1) == 0:
        assert len(paired) // 2 == ceil(log2(d) / 2)


# --- sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: theory.exponential_separation(0, 2, 4), "M must be an integer of at least 1; got 0"),
        (lambda: theory.exponential_separation(3, -2, 4), "R must be an integer of at least 1; got -2"),
        (lambda: theory.exponential_separation(3, 2, 0), "T must be an integer of at least 1; got 0"),
        (lambda: theory.exponential_separation(3, 2, 4.0), "T must be an integer of at least 1; got 4.0"),
        (lambda: theory.constant_grid_network(3, 0, 4), "R must be an integer of at least 1; got 0"),
        (lambda: theory.constant_grid_network(3, 2, 0), "T must be an integer of at least 1; got 0"),
        (lambda: theory.constant_grid_network(3, 2, 4, np.eye(5)), "F is 5 × 5, but M = 3 templates are needed"),
        (lambda: theory.maximal_cp_rank_train(4, 0, 2), "n must be an integer of at least 1; got 0"),
        (lambda: theory.maximal_cp_rank_train(4, 3, True), "r must be an integer of at least 1; got True"),
        (lambda: theory.equal_cores_train(1, 3, 2), "d must be an integer of at least 2; got 1"),
        (lambda: theory.maximal_equal_cores_train(4, 0, 3), "n must be an integer of at least 1; got 0"),
        (lambda: theory.equal_cores_train(4, 3, 0), "r must be an integer of at least 1; got 0"),
        (lambda: theory.pairwise_similarity(0, 4), "n must be an integer of at least 1; got 0"),
        (lambda: theory.train_against_tree(5, 2), "d must be an integer of at least 6; got 5"),
        (lambda: theory.train_against_tree(6, 0), "r must be an integer of at least 1; got 0"),
        (lambda: theory.tree_against_train(1, 2), "d must be an integer of at least 2; got 1"),
        (lambda: theory.tree_against_train(4, -1), "r must be an integer of at least 1; got -1"),
    ],
)
def test_bad_sizes_are_refused(build, match):
    with pytest.raises(FormatError, match=match):
        build()


def test_every_statement_says_its_source_and_shows_an_example():
    for name in theory.__all__:
        text = inspect.getdoc(getattr(theory, name))
        assert ">>> " in text, name
        assert name == "perturbed" or "Source: " in text, name
