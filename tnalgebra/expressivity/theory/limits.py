"""Limits of the separation: recurrent networks that a shallow network of width 1 equals."""

from math import isfinite
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from ...algebra import operator
from ...errors import (
    AlgebraError,
    AxisMismatchError,
    ConstructionError,
    DTypeError,
    FormatError,
    ToleranceError,
)
from ...execute.namespace import as_array, namespace_of, to_device
from ...networks import GridTensor, Network, RecurrentNetwork, ShallowNetwork
from .templates import check_size, feature_map_of, realised, templates_of

__all__ = ["by_first_index", "constant_grid_network", "perturbed", "width_one_equivalent"]

Array = Any
N = TypeVar("N", bound=Network)


def constant_grid_network(M: int, R: int, T: int, F: Any = None) -> RecurrentNetwork:
    """The recurrent network with ξ = rectifier whose grid tensor is one number.

        C⁽ᵗ⁾ = (Fᵀ)⁻¹,    G⁽¹⁾ = 2, all others 1:    Γ = 2 (M R)^(T−1) everywhere

    M: templates. R: the rank of every bond. T: steps. F: (M, M), a template a row; the identity if not given.
    Raises `ConstructionError` with the condition number of an F that cannot be inverted, `FormatError` for sizes.
    Source: GTM Theorem 4.12. C Fᵀ = I is at most 1 and all states are at least 2, so from the second step on the
    maximum is the state: the network looks at the first step alone. For M R > 1 it still does after changes of its
    parts by at most s ≤ 1/2 (`perturbed`) if (2 − s)(1 − s φ) ≥ 1 + s φ, with φ the largest Σ_m |F_im|: all states are
    at least the left side, and no input is above the right one. `width_one_equivalent` is the shallow network.

    >>> import numpy as np, tnalgebra as tna
    >>> tna.theory.constant_grid_network(3, 2, 4)(np.eye(3)[[[0, 1, 2, 2]]])
    array([[432.]])
    """
    check_size(M=M, R=R, T=T)
    F = templates_of(np.eye(M) if F is None else F, M)
    ranks = (1, *(R,) * (T - 1), 1)
    cores = [np.full((ranks[t], M, ranks[t + 1]), 1 if t else 2, F.dtype) for t in range(T)]
    return RecurrentNetwork(feature_map_of(F), realised(F, np.eye(M)).T[None], tuple(cores), operator("rectifier"))


def perturbed(net: N, scale: float, *, seed: Any = None) -> N:
    """The network with a number from −scale to scale added to every entry of its parts; the feature map stays.

    seed: an integer or a `numpy.random.Generator`.
    Raises `FormatError` for a scale that is no number of at least 0.

    >>> import tnalgebra as tna
    >>> net = tna.theory.perturbed(tna.theory.constant_grid_network(3, 2, 4), 0.01, seed=0)
    >>> bool(abs(net.cores[0] - 2).max() <= 0.01)
    True
    """
    if not isinstance(scale, Real) or not isfinite(scale) or scale < 0:
        raise FormatError(f"scale must be a finite number of at least 0; got {scale!r}")
    rng, parts = np.random.default_rng(seed), net._parts()
    for name, part in parts.items():
        xp = namespace_of([part])
        parts[name] = part + xp.asarray(rng.uniform(-scale, scale, part.shape), dtype=part.dtype)
    return net._with_parts(net.feature_map, parts)


def width_one_equivalent(net: Network, F: Any, *, tol: float | None = None) -> ShallowNetwork:
    """The shallow network of width 1 with the same grid tensor, where that depends on the first index alone.

        λ = 1,  v⁽¹⁾ = F⁻¹ Γ[:, i₂, …, i_T],  v⁽ᵗ⁾ = 0 for t > 1

    net: one class, ξ = rectifier, of any kind. F: (M, N), a template a row; its features must be a square matrix that
    can be inverted. tol: relative to the largest |Γ|; √ε of the dtype if not given. Γ may differ from what does not
    depend on the other indices by as much, and may be as far below 0. All M^T scores are computed.
    Raises `ConstructionError` with the difference where Γ depends on another index or is negative, and with the
    condition number of templates that cannot be inverted; `AlgebraError` for another ξ; `FormatError` for more classes;
    `MemoryLimitError` where the scores do not fit half of the memory.
    Source: GTM Theorem 4.12. max(Γ, 0, …, 0) = Γ for Γ ≥ 0.

    >>> import numpy as np, tnalgebra as tna
    >>> net = tna.theory.constant_grid_network(3, 2, 4)
    >>> tna.theory.width_one_equivalent(net, np.eye(3)).ranks
    (1,)
    """
    if not isinstance(net, Network):
        raise FormatError(f"width_one_equivalent takes a network; got {type(net).__name__}")
    if tol is not None and not 0 <= tol < 1:
        raise ToleranceError(f"tol is relative to the largest entry and must be in [0, 1); got {tol!r}")
    if net.xi.name != "rectifier":
        raise AlgebraError(f"the statement is about ξ = rectifier; the network has ξ = {net.xi}")
    steps = net.steps
    if net.classes != 1 or steps is None:
        raise FormatError(
            f"the network must have one class and a fixed number of steps; it has {net.classes} and "
            f"{steps or 'any number'}"
        )
    inputs = np.asarray(to_device(as_array(F), "cpu"))
    if inputs.dtype.kind not in "biuf":
        raise DTypeError(f"F must be real; got {inputs.dtype}")
    if inputs.ndim != 2 or inputs.shape[1] != net.n_inputs:
        raise AxisMismatchError(f"F must have shape (M, {net.n_inputs}), one template a row; got {inputs.shape}")
    net = net.to_device("cpu")
    features = templates_of(np.asarray(net.feature_map(inputs[None].astype(net.dtype)))[0])
    grid = np.asarray(GridTensor(net, inputs).to_dense()).reshape(len(inputs), -1).astype(float)
    first, change, allowed = by_first_index(grid, float(np.finfo(net.dtype).eps) ** 0.5 if tol is None else tol)
    if not change <= allowed:
        raise ConstructionError(
            f"the grid tensor depends on more than its first index: it changes by {change:.3g} with the others, and "
            f"{allowed:.3g} is allowed"
        )
    if grid.min() < -allowed:
        raise ConstructionError(f"a width of 1 with λ = 1 gives numbers ≥ 0; the least entry is {grid.min():.3g}")
    factors = np.zeros((steps, len(inputs), 1), features.dtype)
    factors[0] = realised(features, first[:, None])
    return ShallowNetwork(net.feature_map, factors, np.ones((1, 1), features.dtype), net.xi)


def by_first_index(grids: Array, tol: float) -> tuple[Array, Array, Array]:
    """Grid tensors (…, M, M^(T−1)) as functions of their first index: (…, M), how far they are off, and what may be.

    tol: relative to the largest entry of each.
    """
    first = grids[..., 0] + (grids - grids[..., :1]).mean(axis=-1)  # the mean, exact where all are equal
    change = np.abs(grids - first[..., None]).max(axis=(-2, -1))
    return first, change, tol * np.abs(grids).max(axis=(-2, -1))
