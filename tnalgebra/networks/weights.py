"""Multiply networks as tensors in a format, and back."""

from typing import Any

from ..errors import AlgebraError, AxisMismatchError, FormatError
from ..execute.namespace import namespace_of
from ..formats import CPTensor, DimensionTree, HTTensor, TTTensor, concatenate
from ..formats.parts import mode_product, sealed
from .features import FeatureMap, FixedMap
from .hierarchical import HierarchicalNetwork
from .network import Network
from .recurrent import RecurrentNetwork
from .shallow import ShallowNetwork

__all__ = ["network_from_weights", "weight_tensor"]

Array = Any


def weight_tensor(network: Network, features: Array | None = None) -> Any:
    """W with l_y(X) = ⟨W[…, y], f(x⁽¹⁾) ⊗ … ⊗ f(x⁽ᵀ⁾)⟩, in the format of the network   (GTM Prop. 3.2).

    Modes are the features of every step, and the classes last. Only for ξ = multiply and a fixed number of steps; where
    every class has parts of its own, the ranks of the classes add up.
    features: F of some templates, (M', M), that every feature mode is multiplied with: the grid tensor   (GTM 25).
    Raises `AlgebraError` for another ξ, `FormatError` for equal cores, `AxisMismatchError` for features of another M.

    >>> import numpy as np, tnalgebra as tna
    >>> net = tna.RecurrentNetwork.random(steps=3, inputs=2, features=4, rank=5, classes=7, seed=0)
    >>> tna.networks.weight_tensor(net).shape, tna.networks.weight_tensor(net, np.ones((2, 4))).shape
    ((4, 4, 4, 7), (2, 2, 2, 7))
    """
    if not isinstance(network, Network):
        raise FormatError(f"{type(network).__name__} is no network")
    if network.xi.name != "multiply":
        raise AlgebraError(
            f"a network with ξ = {network.xi} has no weight tensor: its scores are not linear in the features; "
            "its grid tensor on templates says what it computes"
        )
    if network.steps is None:
        raise FormatError(
            "equal cores have a weight tensor for every number of steps; take a network with its own cores"
        )
    if features is not None and (len(features.shape) != 2 or features.shape[1] != network.n_features):
        raise AxisMismatchError(
            f"features must have shape (M', {network.n_features}), one template a row; got {tuple(features.shape)}"
        )
    if any(len(part.shape) > size for part, size in _orders(network)):
        return concatenate([weight_tensor(_of_class(network, y), features) for y in range(network.classes)], -1)
    eye = _eye(network)
    match network:
        case ShallowNetwork():
            xp = namespace_of([eye])
            stack = network.factors if features is None else features @ network.factors
            return CPTensor((*sealed(stack[t, ...] for t in range(network.steps)), xp.asarray(network.weights.T)))
        case RecurrentNetwork():
            signals = namespace_of([eye]).permute_dims(network.inputs, (0, 2, 1))  # (T or 1, M, L)
            signals = signals if features is None else features @ signals
            cores = [mode_product(signals[t % len(signals), ...], core) for t, core in enumerate(network.cores)]
            return TTTensor(sealed((*cores, eye[:, :, None])))
        case HierarchicalNetwork():
            tree = DimensionTree((network.tree.nested, network.steps))
            leaves = network.leaves if features is None else sealed(features @ leaf for leaf in network.leaves)
            return HTTensor(tree, (*leaves, eye), (*network.transfers, eye[:, :, None]))
    raise FormatError(f"{type(network).__name__} is no network of this library")


def _orders(network: Network) -> list[tuple[Array, int]]:
    match network:
        case ShallowNetwork():
            return [(network.factors, 3)]
        case RecurrentNetwork():
            return [(network.cores[0], 3)]
        case HierarchicalNetwork():
            return [(network.leaves[0], 2)]
    return []


def _of_class(network: Network, y: int) -> Network:
    """The network of one class, of a network in which every class has parts of its own."""
    parts = {name: part[y, ...] for name, part in network._parts().items()}
    if isinstance(network, ShallowNetwork):
        parts["weights"] = parts["weights"][:, None]
    return network._with_parts(network.feature_map, parts)


def _eye(network: Network) -> Array:
    like = next(iter(network._parts().values()))
    return namespace_of([like]).eye(network.classes, dtype=like.dtype)


def network_from_weights(tensor: Any, feature_map: FeatureMap | FixedMap) -> Any:
    """The multiply network of a weight tensor in CP, TT or HT format; the last mode is the classes.

    For a tree the classes must be a child of its root, as `weight_tensor` puts them.
    Raises `AlgebraError` for ξ other than multiply, `FormatError` for modes that are not the features.

    >>> import tnalgebra as tna
    >>> w = tna.TTTensor.random((4, 4, 7), rank=3, seed=0)
    >>> tna.networks.network_from_weights(w, tna.FeatureMap.random(2, 4, seed=0)).classes
    7
    """
    if not isinstance(tensor, CPTensor | TTTensor | HTTensor):
        raise FormatError(f"a weight tensor is a CP, TT or HT tensor; got {type(tensor).__name__}")
    if tensor.xi.name != "multiply":
        raise AlgebraError(f"a weight tensor has ξ = multiply, not {tensor.xi}")
    sizes = set(tensor.shape[:-1])
    if tensor.ndim < 2 or sizes != {feature_map.n_features}:
        raise FormatError(
            f"a weight tensor has a mode of {feature_map.n_features} features for every step, and one of the classes; "
            f"got shape {tuple(tensor.shape)}"
        )
    steps = tensor.ndim - 1
    match tensor:
        case CPTensor():
            return ShallowNetwork(feature_map, tensor.factors[:-1], (tensor.factors[-1] * tensor.weights[None, :]).T)
        case TTTensor():
            *cores, last = tensor.cores
            cores[-1] = namespace_of([last]).tensordot(cores[-1], last[:, :, 0], axes=1)
            eye = namespace_of([last]).eye(feature_map.n_features, dtype=last.dtype)
            return RecurrentNetwork(feature_map, eye[None, :, :], tuple(cores))
    return _from_tree(tensor, feature_map, steps)


def _from_tree(tensor: HTTensor, feature_map: FeatureMap | FixedMap, steps: int) -> HierarchicalNetwork:
    root = tensor.tree.nested
    if not isinstance(root, tuple) or len(root) != 2 or root[1] != steps:
        raise FormatError(
            f"the root must join the tree of the steps with mode {steps}, the classes; the tree is {root}"
        )
    *transfers, top = tensor.transfers
    xp = namespace_of([top])
    head = xp.tensordot(top[:, :, 0], xp.permute_dims(tensor.leaves[-1], (1, 0)), axes=1)
    parts = [*tensor.leaves[:-1], *transfers]
    parts[-1] = xp.tensordot(parts[-1], head, axes=1)
    return HierarchicalNetwork(feature_map, DimensionTree(root[0]), tuple(parts[:steps]), tuple(parts[steps:]))
