"""Templates that are drawn, and templates from data."""

import numpy as np
import pytest

import tnalgebra as tna
from tnalgebra.errors import AxisMismatchError, NonFiniteError
from tnalgebra.networks import GridTensor, independent_templates, kmeans_templates, random_templates


def test_drawn_templates_come_from_the_seed():
    assert (random_templates(3, 5, seed=2) == random_templates(3, 5, seed=2)).all()
    with pytest.raises(AxisMismatchError, match="of 1 or more; got 0 and 5"):
        random_templates(0, 5)


def test_centres_of_groups(rng):
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    data = centres[rng.integers(0, 3, (40, 7))] + 0.1 * rng.standard_normal((40, 7, 2))
    found = kmeans_templates(data, 3, seed=0)
    distance = np.linalg.norm(found[:, None] - centres, axis=-1)
    assert sorted(distance.argmin(1)) == [0, 1, 2]
    assert distance.min(1).max() < 0.1


def test_every_step_of_the_data_counts():
    data = np.array([[0.0], [0.0], [0.0], [1.0], [10.0]])
    assert np.sort(kmeans_templates(data, 2, seed=0), axis=0).ravel() == pytest.approx([0.25, 10.0])


def test_independent_templates_are_better_conditioned_than_the_first(rng):
    feature_map = tna.FeatureMap.random(3, 6, seed=0)
    data = rng.standard_normal((200, 3))
    found = independent_templates(data, 6, feature_map)
    assert {tuple(row) for row in found} <= {tuple(row) for row in data}
    net = tna.ShallowNetwork(feature_map, rng.standard_normal((2, 6, 1)), np.ones((1, 1)), "rectifier")
    few = sorted(np.linalg.cond(np.asarray(feature_map(data[None, i : i + 6])[0])) for i in range(190))
    assert GridTensor(net, found).condition < few[len(few) // 10]


def test_what_gives_no_templates():
    with pytest.raises(AxisMismatchError, match="have 2 different steps; got a count of 3"):
        kmeans_templates(np.array([[1.0], [2.0], [1.0]]), 3)
    with pytest.raises(AxisMismatchError, match=r"have 4 different steps; got a count of 2\.5"):
        kmeans_templates(np.arange(4.0)[:, None], 2.5)
    with pytest.raises(AxisMismatchError, match=r"\(samples, N\) or \(samples, T, N\); got \(4,\)"):
        kmeans_templates(np.ones(4), 1)
    with pytest.raises(NonFiniteError, match="NaN or infinite"):
        kmeans_templates(np.array([[np.nan], [1.0]]), 1)
    with pytest.raises(AxisMismatchError, match=r"has 2 features, so no more than that many templates.*got 3"):
        independent_templates(np.arange(8.0).reshape(4, 2), 3, tna.FeatureMap.identity(2))
