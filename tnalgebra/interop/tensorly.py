"""TensorLy's CP, Tucker and tensor-train objects."""

from typing import Any

import numpy as np

from ..errors import FormatError
from ..execute.namespace import as_array
from ..formats import CPTensor, DimensionTree, HTTensor, TTTensor
from ..formats.structure import require_multiply
from .network import library

__all__ = ["from_tensorly", "to_tensorly"]


def from_tensorly(x: Any) -> CPTensor | TTTensor | HTTensor:
    """TensorLy's `CPTensor`, `TTTensor` or `TuckerTensor`; the last is an `HTTensor` on a tree of depth one.

    >>> import numpy as np, tnalgebra.interop as interop
    >>> from tensorly.cp_tensor import CPTensor
    >>> interop.from_tensorly(CPTensor((None, [np.ones((2, 3)), np.ones((4, 3))])))
    CPTensor(shape=(2, 4), ranks=(3,), dtype=float64)
    """
    kind = type(x).__name__ if type(x).__module__.partition(".")[0] == "tensorly" else ""
    if kind == "CPTensor":
        weights = None if x.weights is None else as_array(x.weights)
        return CPTensor(tuple(map(as_array, x.factors)), weights)
    if kind == "TTTensor":
        return TTTensor(tuple(map(as_array, x.factors)))
    if kind == "TuckerTensor":
        factors = tuple(map(as_array, x.factors))
        tree = DimensionTree(tuple(range(len(factors))) if len(factors) > 1 else 0)
        if len(factors) == 1:
            return HTTensor(tree, ((factors[0] @ as_array(x.core))[:, None],), ())
        return HTTensor(tree, factors, (as_array(x.core)[..., None],))
    raise FormatError(f"a CPTensor, TTTensor or TuckerTensor of TensorLy is needed; got {type(x).__name__}")


def to_tensorly(tensor: CPTensor | TTTensor | HTTensor) -> Any:
    """A tensor as TensorLy has it: CP and TT as they are, HT on a tree of depth one as a `TuckerTensor`.

    >>> import tnalgebra as tna, tnalgebra.interop as interop
    >>> interop.to_tensorly(tna.TTTensor.random((2, 3, 5), rank=2, seed=0)).rank
    (1, 2, 2, 1)
    """
    require_multiply(tensor.xi, "a TensorLy object", "to_dense() gives the entries for other ξ")
    parts = {name: np.array(part) for name, part in tensor.parameters().items()}
    if isinstance(tensor, CPTensor):
        factors = [parts[f"factor{mode}"] for mode in range(tensor.ndim)]
        return library("tensorly.cp_tensor").CPTensor((parts["weights"], factors))
    if isinstance(tensor, TTTensor):
        return library("tensorly.tt_tensor").TTTensor(list(parts.values()))
    if tensor.ndim == 1:
        raise FormatError("a Tucker tensor of TensorLy has two modes or more; to_tt() is a train, which may have one")
    if len(tensor.tree.inner) != 1 or not all(isinstance(child, int) for child in tensor.tree.inner[0]):
        flat = tuple(range(tensor.ndim))
        raise FormatError(
            f"TensorLy has Tucker tensors, not the tree {tensor.tree.nested}; to_ht({flat}) is on one of depth one"
        )
    (branch,) = tensor.tree.inner
    core = parts["transfer0"][..., 0].transpose(np.argsort(branch))
    return library("tensorly.tucker_tensor").TuckerTensor((core, [parts[f"leaf{mode}"] for mode in range(tensor.ndim)]))
