"""Node graphs of the library TensorNetwork, and its `FiniteMPS`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import FormatError
from ..execute import Expression
from ..formats import TTTensor
from .network import Network, as_expression, as_network, check_train, library

__all__ = ["NodeGraph", "from_finite_mps", "from_nodes", "to_finite_mps", "to_nodes"]


class NodeGraph(NamedTuple):
    """Nodes of TensorNetwork, and the dangling edges in the order of the result's axes."""

    nodes: list[Any]
    edges: list[Any]


def from_nodes(nodes: Sequence[Any], output_edges: Sequence[Any] | None = None) -> Expression:
    """Somebody's node graph as an expression with its arrays bound: plan it, contract it, or put it into another.

    nodes: all nodes of the graph, `CopyNode` among them. output_edges: dangling edges in the order of the axes of the
    result; as they are met along the nodes if not given.
    Raises `FormatError` where an edge leads to a node that is not in the list, or a dangling edge is missing.

    >>> import numpy as np, tensornetwork as tn, tnalgebra.interop as interop
    >>> a, b = tn.Node(np.ones((2, 3)), name="a"), tn.Node(np.ones((3, 4)), name="b")
    >>> edge = a[1] ^ b[0]
    >>> print(interop.from_nodes([a, b]))
    out[e0,e2] = Σ_e1 a[e0,e1] · b[e1,e2]
    """
    tn = library("tensornetwork")
    known, names = set(map(id, nodes)), dict[int, str]()
    for node in nodes:
        for edge in node.edges:
            names.setdefault(id(edge), f"e{len(names)}")
            for end in (edge.node1, edge.node2):
                if end is not None and id(end) not in known:
                    raise FormatError(f"node {node.name!r} is connected to {end.name!r}, which is not in the list")
    dangling = [edge for node in nodes for edge in node.edges if edge.is_dangling()]
    wanted = dangling if output_edges is None else list(output_edges)
    if sorted(map(id, wanted)) != sorted(map(id, dangling)):
        raise FormatError(
            f"output_edges must be the {len(dangling)} dangling edges of the nodes, each once; got {len(wanted)}"
        )
    given = [node for node in nodes if not isinstance(node, tn.CopyNode)]
    copies = {id(node): node for node in nodes if isinstance(node, tn.CopyNode)}
    same = dict[str, str]()
    for copy in copies.values():
        for edge in copy.edges:
            _join(same, names[id(copy.edges[0])], names[id(edge)])
    roots = {edge: _root(same, name) for edge, name in names.items()}
    terms = [tuple(roots[id(edge)] for edge in node.edges) for node in given]
    eyes, output = _apart([names[id(edge)] for edge in wanted], [roots[id(edge)] for edge in wanted])
    sizes = {roots[id(copy.edges[0])]: copy.dimension for copy in copies.values()}
    alone = [(root,) for root in sizes if not any(root in term for term in (*terms, *eyes))]
    dtype = np.result_type(*(node.tensor.dtype for node in given)) if given else np.dtype(float)
    arrays = [node.tensor for node in given] + [np.eye(sizes[root], dtype=dtype) for root, _ in eyes]
    arrays += [np.ones(sizes[root], dtype=dtype) for (root,) in alone]
    called = [str(node.name) for node in given] + ["copy"] * (len(eyes) + len(alone))
    return as_expression(Network(tuple(arrays), (*terms, *eyes, *alone), tuple(output)), called)


def _apart(labels: Sequence[str], roots: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Labels of the result, each once: the first of those that are one takes its root, an identity leads to another."""
    eyes, output, first = list[tuple[str, str]](), list[str](), dict[str, str]()
    for label, root in zip(labels, roots, strict=True):
        if root in first:
            other = first[root] if label == root else label
            eyes.append((root, other))
            output.append(other)
        else:
            first[root] = label
            output.append(root)
    return eyes, output


def _root(same: dict[str, str], label: str) -> str:
    while label in same:
        label = same[label]
    return label


def _join(same: dict[str, str], first: str, second: str) -> None:
    one, other = _root(same, first), _root(same, second)
    if one != other:
        same[other] = one


def to_nodes(x: Any) -> NodeGraph:
    """A format or an expression as a node graph: an edge a bond, a `CopyNode` where more than two axes share one.

    >>> import tensornetwork as tn, tnalgebra as tna, tnalgebra.interop as interop
    >>> t = tna.TTTensor.random((2, 3, 5), rank=2, seed=0)
    >>> graph = interop.to_nodes(t)
    >>> tn.contractors.auto(graph.nodes, output_edge_order=graph.edges).tensor.shape
    (2, 3, 5)
    """
    tn = library("tensornetwork")
    network = as_network(x)
    nodes = [tn.Node(np.asarray(array), name=f"node{i}") for i, array in enumerate(network.arrays)]
    places: dict[str, list[Any]] = {label: [] for label in network.ends()}
    kinds: dict[str, tuple[int, Any]] = {}
    for node, term in zip(nodes, network.terms, strict=True):
        for axis, label in enumerate(term):
            places[label].append((node, axis))
            kinds[label] = int(node.shape[axis]), node.dtype
    found: dict[str, Any] = {}
    for label, ends in places.items():
        is_open = label in network.output
        if len(ends) + is_open == 1:  # a label that is summed alone
            ones = tn.Node(np.ones(*kinds[label]), name=f"sum over {label}")
            nodes.append(ones)
            ends.append((ones, 0))
        if len(ends) + is_open > 2:
            size, dtype = kinds[label]
            copy = tn.CopyNode(len(ends) + is_open, size, name=f"copy of {label}", dtype=dtype)
            nodes.append(copy)
            for axis, (node, place) in enumerate(ends):
                tn.connect(node[place], copy[axis])
            found[label] = copy[len(ends)] if is_open else None
        elif is_open:
            ((node, place),) = ends
            found[label] = node[place]
        else:
            (first, i), (second, j) = ends
            tn.connect(first[i], second[j])
    return NodeGraph(nodes, [found[label] for label in network.output])


def from_finite_mps(mps: Any) -> TTTensor:
    """A `FiniteMPS` as a train: its tensors are the cores.

    >>> import numpy as np, tensornetwork as tn, tnalgebra.interop as interop
    >>> interop.from_finite_mps(tn.FiniteMPS.random([2, 3, 4], [2, 2], np.float64)).ranks
    (1, 2, 2, 1)
    """
    return TTTensor(tuple(np.asarray(tensor) for tensor in mps.tensors))


def to_finite_mps(tensor: TTTensor) -> Any:
    """A train as a `FiniteMPS`, with the cores as they are: not canonicalized, and not normalised.

    >>> import tnalgebra as tna, tnalgebra.interop as interop
    >>> len(interop.to_finite_mps(tna.TTTensor.random((2, 3, 5), rank=2, seed=0)))
    3
    """
    check_train(tensor, "an MPS")
    return library("tensornetwork").FiniteMPS([np.array(core) for core in tensor.cores], canonicalize=False)
