"""Score networks over the formats: shallow (CP), recurrent (TT) and hierarchical (HT), for any ξ."""

from .features import FeatureMap, FixedMap
from .grid import GridTensor, grid_tensor
from .hierarchical import HierarchicalNetwork
from .network import Network
from .recurrent import RecurrentNetwork
from .shallow import ShallowNetwork
from .storage import save_network
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
    "network_from_weights",
    "save_network",
    "weight_tensor",
]
