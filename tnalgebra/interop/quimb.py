"""quimb's `TensorNetwork`, and its `MatrixProductState`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import FormatError
from ..execute import Expression
from ..execute.namespace import as_array
from ..formats import TTTensor
from .network import Network, as_expression, as_network, check_train, library

__all__ = ["from_quimb", "from_quimb_mps", "to_quimb", "to_quimb_mps"]


def from_quimb(network: Any, output_inds: Sequence[str] | None = None) -> Expression:
    """Quimb's `TensorNetwork` (or a `Tensor`) as an expression with its arrays bound: plan it, contract it.

    output_inds: indices of the result in order; those that stand on one tensor only if not given. Indices on more than
    two tensors are labels like any other; the network's exponent is multiplied in, tags are left out.

    >>> import numpy as np, quimb.tensor as qtn, tnalgebra.interop as interop
    >>> a, b = qtn.Tensor(np.ones((2, 3)), ("i", "j")), qtn.Tensor(np.ones((3, 4)), ("j", "k"))
    >>> print(interop.from_quimb(a & b))
    out[ik] = Σ_j node0[ij] · node1[jk]
    """
    tensors = getattr(network, "tensors", (network,))
    if not tensors or not all(hasattr(tensor, "inds") for tensor in tensors):
        raise FormatError(f"a TensorNetwork or a Tensor of quimb is needed, and not an empty one; got {network!r}")
    arrays = [as_array(tensor.data) for tensor in tensors]
    exponent = float(getattr(network, "exponent", 0.0))
    if exponent:
        arrays = _powered(arrays, exponent)
    terms = tuple(tuple(map(str, tensor.inds)) for tensor in tensors)
    seen = [label for term in terms for label in term]
    given = [label for label in seen if seen.count(label) == 1] if output_inds is None else list(map(str, output_inds))
    unknown = [label for label in given if label not in seen]
    if unknown:
        known = ", ".join(sorted(set(seen)))
        raise FormatError(f"output index {unknown[0]!r} is on no tensor; the network has {known}")
    return as_expression(Network(tuple(arrays), terms, tuple(given)), [f"node{i}" for i in range(len(terms))])


def to_quimb(x: Any) -> Any:
    """A format or an expression as quimb's `TensorNetwork`; the modes of a format are the indices i0, i1, ….

    Labels on more than two tensors, such as the rank of a CP tensor, become hyper-indices: contract with
    ``output_inds=("i0", …)``.

    >>> import tnalgebra as tna, tnalgebra.interop as interop
    >>> network = interop.to_quimb(tna.TTTensor.random((2, 3, 5), rank=2, seed=0))
    >>> network.contract(output_inds=("i0", "i1", "i2")).shape
    (2, 3, 5)
    """
    qtn = library("quimb.tensor")
    network = as_network(x)
    tensors = [
        qtn.Tensor(np.array(array), term, tags=(f"node{i}",))
        for i, (array, term) in enumerate(zip(network.arrays, network.terms, strict=True))
    ]
    ones = {
        label: np.ones(size, array.dtype)
        for array, term in zip(network.arrays, network.terms, strict=True)
        for label, size in zip(term, array.shape, strict=True)
    }
    for label, count in network.ends().items():
        if count == 1:  # quimb would take an index on one tensor for one of the result
            tensors.append(qtn.Tensor(ones[label], (label,), tags=("sum",)))
    return qtn.TensorNetwork(tensors)


def from_quimb_mps(mps: Any) -> TTTensor:
    """Quimb's open `MatrixProductState` as a train, site by site.

    >>> import quimb.tensor as qtn, tnalgebra.interop as interop
    >>> interop.from_quimb_mps(qtn.MPS_rand_state(5, bond_dim=3, seed=0)).ranks
    (1, 3, 3, 3, 3, 1)
    """
    if not hasattr(mps, "site_ind"):
        raise FormatError(f"a MatrixProductState of quimb is needed; got {type(mps).__name__}")
    if getattr(mps, "cyclic", False):
        raise FormatError("a periodic state is no train: its first bond leads to the last site; from_quimb takes it")
    cores = []
    for site in range(mps.L):
        tensor, own = mps[site], mps.site_ind(site)
        left = [mps.bond(site - 1, site)] if site else []
        right = [mps.bond(site, site + 1)] if site < mps.L - 1 else []
        array = np.asarray(tensor.transpose(*left, own, *right).data)
        cores.append(array.reshape(array.shape[0] if left else 1, tensor.ind_size(own), -1))
    return TTTensor(tuple(_powered(cores, float(getattr(mps, "exponent", 0.0)))))


def _powered(arrays: Sequence[Any], exponent: float) -> list[Any]:
    """Arrays whose product has 10^exponent more, an equal share each."""
    return [array * 10.0 ** (exponent / len(arrays)) if exponent else array for array in arrays]


def to_quimb_mps(tensor: TTTensor) -> Any:
    """A train as quimb's `MatrixProductState`.

    >>> import tnalgebra as tna, tnalgebra.interop as interop
    >>> interop.to_quimb_mps(tna.TTTensor.random((2, 3, 5), rank=2, seed=0)).bond_sizes()
    [2, 2]
    """
    check_train(tensor, "an MPS")
    arrays = [np.array(core) for core in tensor.cores]
    if len(arrays) == 1:
        raise FormatError("quimb's MatrixProductState has two sites at least; to_quimb takes a train of one mode")
    arrays[0], arrays[-1] = arrays[0][0], arrays[-1][:, :, 0]
    return library("quimb.tensor").MatrixProductState(arrays, shape="lpr")
