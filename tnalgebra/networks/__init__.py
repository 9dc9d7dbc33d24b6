"""Score networks over the formats: shallow (CP), recurrent (TT) and hierarchical (HT), for any ξ."""

from .features import FeatureMap, FixedMap
from .grid import GridTensor, grid_tensor
from .hierarchical import HierarchicalNetwork
from .network import Network
from .recurrent import RecurrentNetwork
from .shallow import ShallowNetwork
from .storage import save_network
from .templates import independent_templates, kmeans_templates, random_templates
from .weights import network_from_weights, weight_tensor

__all__ = [
    "FeatureMap",
    "FixedMap",
    "GridTensor",
    "HierarchicalNetwork",
    "Network",
    "RecurrentNetwork",
    "ShallowNetwork",
    "grid_tensor",
    "independent_templates",
    "kmeans_templates",
    "network_from_weights",
    "random_templates",
    "save_network",
    "weight_tensor",
]
