"""Score networks over the formats: shallow (CP), recurrent (TT) and hierarchical (HT), for any ξ."""

from .features import FeatureMap, FixedMap
from .hierarchical import HierarchicalNetwork
from .network import Network
from .recurrent import RecurrentNetwork
from .shallow import ShallowNetwork
from .storage import save_network
from .weights import network_from_weights, weight_tensor

__all__ = [
    "FeatureMap",
    "FixedMap",
    "HierarchicalNetwork",
    "Network",
    "RecurrentNetwork",
    "ShallowNetwork",
    "network_from_weights",
    "save_network",
    "weight_tensor",
]
