"""Linear combinations: networks of one kind form a vector space, for any ξ."""

from collections.abc import Sequence
from math import isfinite
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from ...errors import AlgebraError, FormatError, NonFiniteError
from ...execute.namespace import namespace_of, to_device
from ...networks import FeatureMap, HierarchicalNetwork, Network, RecurrentNetwork, ShallowNetwork

__all__ = ["linear_combination"]

Array = Any
N = TypeVar("N", bound=Network)


def linear_combination(a: float, net_a: N, b: float, net_b: N) -> N:
    """The network of the same kind whose scores are a·A + b·B, for any ξ.

        l(X) = a · l_A(X) + b · l_B(X)

    Widths add: R = R_A + R_B on every bond, and L = L_A + L_B. Both networks share the kind, ξ, the steps, the classes,
    the feature map and, for a tree, the tree. Equal cores stay equal, one matrix C for all steps stays one, and weights
    of every class stay apart.
    Raises `FormatError` where the networks differ in one of these, `AlgebraError` for another ξ and for trees of one
    step whose ξ(z, u) is not z, `NonFiniteError` for other factors than finite numbers.
    Source: GTM Lemma 4.4. Matrices C are stacked and cores stand as blocks on the diagonal over all three axes; a zero
    block multiplies what ξ gives and so removes it, whatever ξ is. The last part holds a and b.

    >>> import tnalgebra as tna
    >>> net = tna.RecurrentNetwork.random(steps=3, inputs=2, features=4, rank=5, classes=7, xi="hypot", seed=0)
    >>> tna.theory.linear_combination(2.0, net, -1.0, net).ranks
    (1, 10, 10, 7)
    """
    _check_factors(a, b)
    _check_pair(net_a, net_b)
    parts = zip(_spread(net_a, net_b), _spread(net_b, net_a), strict=True)
    found = {}
    for (name, first), (_, second) in parts:
        if name == net_a._last:
            first, second = float(a) * first, float(b) * second
        found[name] = _beside((first, second), _bonds(net_a, name))
    return net_a._with_parts(net_a.feature_map, found)


def _check_factors(*factors: Any) -> None:
    for factor in factors:
        if not isinstance(factor, Real) or not isfinite(factor):
            raise NonFiniteError(f"the factors of a linear combination are finite real numbers; got {factor!r}")


def _check_pair(a: Any, b: Any) -> None:
    """Refuse networks that differ in what a linear combination must share."""
    for net in (a, b):
        if not isinstance(net, ShallowNetwork | RecurrentNetwork | HierarchicalNetwork):
            raise FormatError(f"a linear combination is one of networks; got {type(net).__name__}")
    if type(a) is not type(b):
        raise FormatError(
            f"both networks must be of one kind; got {type(a).__name__} and {type(b).__name__} "
            "(shallow_as_recurrent makes a recurrent network of a shallow one)"
        )
    if a.xi != b.xi:
        raise AlgebraError(f"both networks must have one ξ; got {a.xi} and {b.xi}")
    for name, x, y in (
        ("steps", a.steps or "any", b.steps or "any"),
        ("classes", a.classes, b.classes),
        ("features", a.n_features, b.n_features),
        ("weights", _per_class(a), _per_class(b)),
        ("tree", getattr(a, "tree", None), getattr(b, "tree", None)),
    ):
        if x != y:
            raise FormatError(f"both networks must have the same {name}; got {x} and {y}")
    if not _same_map(a.feature_map, b.feature_map):
        raise FormatError("both networks must have the same feature map; theirs differ")
    if isinstance(a, HierarchicalNetwork) and a.steps == 1 and not a.xi.unit_is_strict:
        raise AlgebraError(
            f"with one step a tree gives ξ(z, u) of linear functions z, and for {a.xi} sums of these are no such "
            "function; a shallow or a recurrent network has weights after ξ"
        )


def _per_class(net: Any) -> str:
    match net:
        case ShallowNetwork():
            is_apart = len(net.factors.shape) == 4
        case RecurrentNetwork():
            is_apart = len(net.cores[0].shape) == 4
        case _:
            is_apart = len(net.leaves[0].shape) == 3
    return "apart for every class" if is_apart else "shared by the classes"


def _same_map(f: Any, g: Any) -> bool:
    if f is g or not (isinstance(f, FeatureMap) and isinstance(g, FeatureMap)):
        return bool(f == g)
    pairs = ((f.weight, g.weight), (f.bias, g.bias))
    return f.activation == g.activation and all(
        np.array_equal(np.asarray(to_device(x, "cpu")), np.asarray(to_device(y, "cpu"))) for x, y in pairs
    )


def _spread(net: Network, other: Network) -> list[tuple[str, Array]]:
    """Parts by name; one matrix C for all steps is repeated where the other network has one a step."""
    parts = net._parts()
    if isinstance(net, RecurrentNetwork) and isinstance(other, RecurrentNetwork) and net.steps is not None:
        shape, count = net.inputs.shape, max(net.inputs.shape[-3], other.inputs.shape[-3])
        xp = namespace_of([net.inputs])
        parts["inputs"] = xp.broadcast_to(net.inputs, (*shape[:-3], count, *shape[-2:]))
    return list(parts.items())


def _bonds(net: Any, name: str) -> tuple[int, ...]:
    """Axes of a part, from the last, along which blocks stand one after the other."""
    match net:
        case ShallowNetwork():
            return (-1,) if name == "factors" or len(net.factors.shape) == 4 else (-2,)
        case RecurrentNetwork():
            if name == "inputs":
                return (-2,)
            step = int(name.removeprefix("core"))
            return (-3,) * (step > 0) + (-2,) + (-1,) * (step < len(net.cores) - 1)
    if name.startswith("leaf"):
        return () if net.steps == 1 else (-1,)
    branch = net.tree.inner[int(name.removeprefix("transfer"))]
    return (*range(-len(branch) - 1, -1), *(-1,) * (branch != net.tree.nested))


def _beside(arrays: Sequence[Array], axes: Sequence[int]) -> Array:
    """The arrays as blocks on the diagonal of some axes, and added along the others."""
    xp, order = namespace_of(list(arrays)), len(arrays[0].shape)
    at = [order + axis for axis in axes]
    shape = [sum(x.shape[i] for x in arrays) if i in at else arrays[0].shape[i] for i in range(order)]
    found = xp.zeros(tuple(shape), dtype=xp.result_type(*arrays))
    starts = [[0] * order, [arrays[0].shape[i] if i in at else 0 for i in range(order)]]
    for array, start in zip(arrays, starts, strict=True):
        found[tuple(slice(i, i + n) for i, n in zip(start, array.shape, strict=True))] += array
    return found
