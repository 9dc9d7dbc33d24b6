"""Random parameters, scaled from the operator's own definition so that scores neither vanish nor explode."""

from collections.abc import Mapping, Sequence
from math import exp, log, prod
from typing import Any, Literal

import numpy as np

from ..algebra import Operator
from ..algebra.scalar import compile_arrays
from ..errors import AlgebraError, FormatError
from ..formats import DimensionTree
from ..formats.parts import check_rank, normal, share
from .features import ACTIVATIONS, FeatureMap

__all__ = ["Start", "draw_hierarchical", "draw_recurrent", "draw_shallow", "second_moment"]

Array = Any
Start = Literal["scores", "weights"]
"""What is to have moderate size: the scores of normal inputs, or the entries of the weight tensor."""
POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(64)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
LONG = 100
"""Steps that equal cores are scaled for."""


def second_moment(xi: Operator, count: int) -> float:
    """E ξ(z₁, z₂)² for independent normal z, or E ξ(z, u)² for one.

    >>> from tnalgebra.algebra import operator
    >>> round(second_moment(operator("add"), 2), 6)
    2.0
    """
    if count == 1:
        return float(WEIGHTS @ xi.apply(POINTS, np.full_like(POINTS, xi.unit)) ** 2)
    return float(WEIGHTS @ xi.apply(POINTS[:, None], POINTS[None, :]) ** 2 @ WEIGHTS)


class _Draw:
    """Normal arrays of one generator and dtype, with an axis of classes before the others where none are shared."""

    def __init__(self, seed: Any, dtype: Any, classes: tuple[int, ...] = ()) -> None:
        self.rng, self.dtype, self.classes = np.random.default_rng(seed), dtype, classes

    def __call__(self, shape: Sequence[int], variance: float) -> Array:
        return normal([(*self.classes, *shape)], variance, self.rng, self.dtype)[0]


class _Signal:
    """Rows that turn the features of a step into numbers of moderate size, and the feature map that they are for.

    For ξ = multiply the first feature starts as a constant, and the rows near the one that makes 1 of it: products over
    any number of steps then start near 1. Products of numbers of mean 0 would vanish.
    """

    def __init__(self, draw: _Draw, sizes: tuple[int, int], activation: str, xi: Operator, steps: int) -> None:
        inputs, features = sizes
        f = FeatureMap.random(inputs, features, activation=activation, seed=draw.rng, dtype=draw.dtype)
        function = compile_arrays(ACTIVATIONS[activation], ("x",), np)
        self.variance = 1 / (features * float(WEIGHTS @ function(POINTS) ** 2))
        self.is_near_one = xi.name == "multiply" and features > 1
        self.mean = np.zeros(features, draw.dtype)
        if self.is_near_one:
            rest, one = np.arange(features) > 0, np.eye(features, dtype=draw.dtype)[0]
            f = FeatureMap(f.weight * rest[:, None], f.bias * rest + one, activation)
            self.mean[0] = 1 / function(np.ones(()))
            self.variance /= steps
        self.feature_map = f


def _log_square(count: int) -> float:
    """E ln(z₁² + … + z_count²) of normal z: ln 2 + ψ(count / 2)."""
    from scipy.special import digamma

    return log(2) + float(digamma(count / 2))


def _start(start: str, xi: Operator, known: tuple[str, ...], kind: str) -> bool:
    """Whether weights are to have variance 1; raises where that is not known for this ξ."""
    if start not in ("scores", "weights"):
        raise FormatError(f"start must be 'scores' or 'weights'; got {start!r}")
    if start == "weights" and xi.name not in known:
        raise AlgebraError(
            f"weights of variance 1 are known for {kind} with ξ = {' or '.join(known)}, not {xi}: use start='scores'"
        )
    return start == "weights"


def _check(**sizes: Any) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise FormatError(f"{name} must be a positive integer; got {size!r}")


def draw_shallow(
    sizes: tuple[int, ...], xi: Operator, activation: str, start: str, shared: bool, seed: Any, dtype: Any
) -> tuple[FeatureMap, Mapping[str, Array]]:
    """Feature map, factors (T, M, R) and weights (R, classes)."""
    steps, inputs, features, rank, classes = sizes
    _check(steps=steps, inputs=inputs, features=features, rank=rank, classes=classes)
    draw = _Draw(seed, dtype, () if shared else (classes,))
    shape, last = (steps, features, rank), (rank, classes) if shared else (rank,)
    if _start(start, xi, ("multiply", "add"), "shallow networks"):
        f = FeatureMap.random(inputs, features, activation=activation, seed=draw.rng, dtype=dtype)
        variances = (rank ** (-1 / steps), 1.0) if xi.name == "multiply" else (1 / steps, 1 / rank)
        return f, {"factors": draw(shape, variances[0]), "weights": draw(last, variances[1])}
    signal = _Signal(draw, (inputs, features), activation, xi, steps)
    if xi.name == "multiply" and not signal.is_near_one:
        signal.variance *= exp(-_log_square(1))  # T normal numbers multiply to exp(T · E ln|z|), not to 1
    factors = draw(shape, signal.variance) + signal.mean[:, None]
    return signal.feature_map, {"factors": factors, "weights": draw(last, 1 / rank)}


def draw_recurrent(
    sizes: tuple[Any, ...], xi: Operator, activation: str, start: str, shared: bool, seed: Any, dtype: Any
) -> tuple[FeatureMap, dict[str, Array]]:
    """Feature map, inputs (T, L, M) and cores; with steps None one matrix (L, M) and three cores."""
    steps, inputs, features, rank, classes, width = sizes
    _check(inputs=inputs, features=features, classes=classes, width=width)
    if steps is not None:
        _check(steps=steps)
    count = 3 if steps is None else steps
    ranks = (1, *check_rank(rank, count - 1, "inner bonds"), classes if shared else 1)
    draw = _Draw(seed, dtype, () if shared else (classes,))
    if _start(start, xi, ("multiply", "add"), "recurrent networks"):
        f = FeatureMap.random(inputs, features, activation=activation, seed=draw.rng, dtype=dtype)
        if width != features:
            raise FormatError(f"with start='weights' C is the identity: width {width} must be the features, {features}")
        eye = np.broadcast_to(
            np.eye(features, dtype=dtype), (*draw.classes, *(1,) * (steps is not None), features, features)
        )
        variances = [_path_variance(xi, (*ranks[:-1], 1), t) for t in range(count)]
        cores = {f"core{t}": draw((ranks[t], width, ranks[t + 1]), v) for t, v in enumerate(variances)}
        return f, {"inputs": eye.copy(), **cores}
    length = steps or LONG**2  # what is the same in every step adds up, and not its square
    signal = _Signal(draw, (inputs, features), activation, xi, length)
    matrices = draw((*(count,) * (steps is not None), width, features), signal.variance) + signal.mean
    shapes = [(ranks[t], width, ranks[t + 1]) for t in range(count)]
    cores = {f"core{t}": _core(draw, shape, xi, (t, count, length)) for t, shape in enumerate(shapes)}
    return signal.feature_map, {"inputs": matrices, **cores}


def _core(draw: _Draw, shape: tuple[int, int, int], xi: Operator, place: tuple[int, int, int]) -> Array:
    """One core: random at the ends, and between near the one that keeps the state, so that no step is forgotten.

    With G[j, i, k] = δ_jk / L the state becomes the mean of ξ(a_i, h_k) over i. A random core alone would shrink what
    the first steps have left by a factor a step.
    """
    left, width, right = shape
    t, count, length = place
    variance = 1 / (left * width * second_moment(xi, 2 if t else 1))
    if t in (0, count - 1):
        return draw(shape, variance)
    return draw(shape, variance / length) + np.eye(left, right, dtype=draw.dtype)[:, None, :] / width


def _path_variance(xi: Operator, ranks: Sequence[int], t: int) -> float:
    """Of the entries of core t, so that an entry of the train of the cores has variance 1 (GTM, erratum for add)."""
    if xi.name == "multiply":
        return share(ranks, len(ranks) - 1)
    repeats = prod(ranks[s] for s in range(len(ranks)) if s not in (t, t + 1))
    return 1 / ((len(ranks) - 1) * ranks[t] * ranks[t + 1] * repeats**2)


def draw_hierarchical(
    sizes: tuple[Any, ...], xi: Operator, activation: str, start: str, shared: bool, seed: Any, dtype: Any
) -> tuple[FeatureMap, tuple[Array, ...], tuple[Array, ...]]:
    """Feature map, leaves (M, k) and transfers (k, …, k)."""
    tree, inputs, features, rank, classes = sizes
    assert isinstance(tree, DimensionTree)
    _check(inputs=inputs, features=features, rank=rank, classes=classes)
    draw, top = _Draw(seed, dtype, () if shared else (classes,)), classes if shared else 1
    size = {node: top if node == tree.nested else rank for node in tree.nodes}
    shapes = [(*(size[child] for child in branch), size[branch]) for branch in tree.inner]
    if _start(start, xi, ("multiply",), "hierarchical networks"):
        f = FeatureMap.random(inputs, features, activation=activation, seed=draw.rng, dtype=dtype)
        variance = share([rank] * (len(tree.nodes) - 1), len(tree.nodes))
        leaves = tuple(draw((features, size[t]), variance) for t in range(tree.ndim))
        return f, leaves, tuple(draw(shape, variance) for shape in shapes)
    signal = _Signal(draw, (inputs, features), activation, xi, tree.ndim)
    leaves = tuple(draw((features, size[t]), signal.variance) + signal.mean[:, None] for t in range(tree.ndim))
    transfers = []
    for branch, shape in zip(tree.inner, shapes, strict=True):
        variance = 1 / (prod(shape[:-1]) * second_moment(xi, 2))
        if branch == tree.nested:
            transfers.append(draw(shape, variance))
        else:
            transfers.append(draw(shape, variance / tree.ndim) + _diagonal(shape).astype(dtype))
    return signal.feature_map, leaves, tuple(transfers)


def _diagonal(shape: tuple[int, ...]) -> Array:
    """1 where all indices agree: the value of a branch is then ξ of its children's, number by number."""
    found = np.zeros(shape)
    found[(*(np.arange(shape[-1]) % size for size in shape[:-1]), np.arange(shape[-1]))] = 1
    return found
