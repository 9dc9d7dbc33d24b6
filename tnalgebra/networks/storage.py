"""Networks in files: the same archive as formats have."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..algebra import Operator
from ..formats import DimensionTree
from ..formats.archive import Header, write_archive
from ..formats.branch import parsed
from ..formats.storage import READERS
from .features import FeatureMap, FixedMap
from .hierarchical import HierarchicalNetwork
from .network import Network
from .recurrent import RecurrentNetwork
from .shallow import ShallowNetwork

__all__ = ["describe", "save_network"]

Array = Any


def describe(network: Network) -> dict[str, Any]:
    """What a network is, its arrays aside, as JSON has it."""
    f = network.feature_map
    return {
        "ranks": list(network.ranks),
        "dtype": str(network.dtype),
        "xi": {"name": network.xi.name, "value": network.xi.value},
        "tree": repr(network.tree.nested) if isinstance(network, HierarchicalNetwork) else None,
        "features": {"activation": f.activation}
        if isinstance(f, FeatureMap)
        else {"functions": list(f.functions), "inputs": f.inputs},
    }


def save_network(network: Network, path: str | Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a network to a file, whole or not at all; about: more for its header, as JSON has it."""
    write_archive(path, type(network).__name__, {**describe(network), **(about or {})}, network.parameters())


def _feature_map(header: Header, arrays: Mapping[str, Array]) -> FeatureMap | FixedMap:
    about = header["features"]
    if "functions" in about:
        return FixedMap(tuple(about["functions"]), about["inputs"])
    return FeatureMap(arrays["feature_weight"], arrays["feature_bias"], about["activation"])


def _shallow(header: Header, arrays: Mapping[str, Array], xi: Operator) -> ShallowNetwork:
    return ShallowNetwork(_feature_map(header, arrays), arrays["factors"], arrays["weights"], xi)


def _recurrent(header: Header, arrays: Mapping[str, Array], xi: Operator) -> RecurrentNetwork:
    cores = tuple(arrays[f"core{t}"] for t in range(len(header["ranks"]) - 1))
    return RecurrentNetwork(_feature_map(header, arrays), arrays["inputs"], cores, xi)


def _hierarchical(header: Header, arrays: Mapping[str, Array], xi: Operator) -> HierarchicalNetwork:
    tree = DimensionTree(parsed(header["tree"]))
    leaves = tuple(arrays[f"leaf{t}"] for t in range(tree.ndim))
    transfers = tuple(arrays[f"transfer{i}"] for i in range(len(tree.inner)))
    return HierarchicalNetwork(_feature_map(header, arrays), tree, leaves, transfers, xi)


READERS.update(ShallowNetwork=_shallow, RecurrentNetwork=_recurrent, HierarchicalNetwork=_hierarchical)
