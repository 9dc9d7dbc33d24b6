"""The statements of the two papers as functions that return networks and formats; tests hold them to their claims."""

from .combination import linear_combination
from .conversion import shallow_as_recurrent
from .limits import constant_grid_network, perturbed, width_one_equivalent
from .separation import exponential_separation
from .similarity import pairwise_similarity
from .trains import (
    equal_cores_train,
    maximal_cp_rank_train,
    maximal_equal_cores_train,
    train_against_tree,
    tree_against_train,
)
from .universality import one_hot_network, universal_network

__all__ = [
    "constant_grid_network",
    "equal_cores_train",
    "exponential_separation",
    "linear_combination",
    "maximal_cp_rank_train",
    "maximal_equal_cores_train",
    "one_hot_network",
    "pairwise_similarity",
    "perturbed",
    "shallow_as_recurrent",
    "train_against_tree",
    "tree_against_train",
    "universal_network",
    "width_one_equivalent",
]
