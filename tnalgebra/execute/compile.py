"""Compiled kernels, for those who ask for them."""

from collections.abc import Callable
from typing import Any

from ..errors import EquationError
from .contract import PlannedContraction
from .expression import Expression
from .gradient import ValueAndGrad

__all__ = ["compile"]


def compile(planned: PlannedContraction | ValueAndGrad | Expression) -> Callable[..., Any]:
    """Return the same function with loops over ξ that Numba compiles at the first call: for what is called many times.

        compile(f)(A, B, …) = f(A, B, …) but for rounding

    planned: what `contract_expression` or `value_and_grad` gave, or an `Expression`, which is called with its leaves by
        name. Networks need no call of this function: `fit` compiles where an epoch takes seconds.
    The first call takes about a second for each kernel that is new to this machine: they are kept on the disk, below
    `TNALGEBRA_CACHE_DIR` if it is set. A disk that cannot be written, or on which a kernel is damaged, costs this time
    again and is told by a warning. Compiled are steps over ξ on NumPy's float32 and float64 arrays, by the
    expressions of the operator, and as a whole plans whose values take at most 64 MiB, which the next call uses again.
    Functions that a compiler makes no faster, such as tanh, stay with NumPy, and so does everything where Numba is
    missing or a kernel does not compile, with a warning. Threads are those that BLAS may use, so that `threadpoolctl`
    limits both.
    On CuPy's arrays of float32 or float64, a plan of small steps is captured as a CUDA graph: a call copies the leaves
    to its memory, which it keeps, launches once, and copies the values.
    Raises `EquationError` for anything else.

    >>> import numpy as np, tnalgebra as tna
    >>> shortest = tna.contract_expression("ij,jk->ik", (2, 3), (3, 2), xi="add", reduce="minimum")
    >>> tna.compile(shortest)(np.array([[0.0, 3, 7], [3, 0, 1]]), np.array([[0.0, 9], [3, 1], [1, 1]]))
    array([[0., 4.],
           [2., 1.]])
    """
    if not isinstance(planned, PlannedContraction | ValueAndGrad | Expression):
        raise EquationError(
            f"cannot compile {type(planned).__name__}: give what contract_expression(…) or value_and_grad(…) returns, "
            "or an expression"
        )
    return planned.compiled()
