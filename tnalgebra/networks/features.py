"""Feature maps: what a network sees of one step of its input."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np

from ..algebra import Pointwise, operator
from ..algebra.derivative import substituted
from ..algebra.scalar import is_integral, parse
from ..errors import AxisMismatchError, FormatError, UnknownNameError
from ..execute.expression import evaluate
from ..execute.namespace import as_array, namespace_of
from ..formats.parts import frozen, normal, one_home, sealed
from ..graph import Contract, Labels, Leaf, Node, Sum

__all__ = ["ACTIVATIONS", "INPUT", "FeatureMap", "FixedMap", "constants_like", "features_of"]

Array = Any
BTN: Labels = ("b", "t", "n")
BTM: Labels = ("b", "t", "m")
INPUT = Leaf("X", BTN)

ACTIVATIONS = {
    "relu": "where(x <= 0, 0, x)",
    "tanh": "tanh(x)",
    "sigmoid": "0.5 + 0.5 * tanh(0.5 * x)",
    "identity": "x",
}
"""Name → scalar expression; the derivative of relu is 0 at 0."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FeatureMap:
    """An affine map and an activation, the same for every step   (GTM 9 and 42).

        f(x)_m = activation(Σ_n A[m, n] x_n + b_m)

    weight: A of shape (M, N). bias: b of shape (M,). activation: one of relu, tanh, sigmoid and identity.
    Raises `FormatError` where bias and weight do not fit, `UnknownNameError` for another activation.

    >>> import numpy as np, tnalgebra as tna
    >>> tna.FeatureMap(np.array([[1.0], [-1.0]]), np.zeros(2))(np.array([[[3.0]]]))
    array([[[3., 0.]]])
    """

    weight: Array
    bias: Array
    activation: str = "relu"

    def __post_init__(self) -> None:
        """Freeze the parts and check that they fit."""
        weight = frozen(self.weight, "feature_weight", ("M", "N"))
        bias = frozen(self.bias, "feature_bias", ("M",))
        if bias.shape[0] != weight.shape[0] or 0 in weight.shape:
            raise FormatError(
                f"feature_weight has shape {tuple(weight.shape)} (M, N), so feature_bias must have shape "
                f"({weight.shape[0]},) and no size may be 0; it has {tuple(bias.shape)}"
            )
        if self.activation not in ACTIVATIONS:
            raise UnknownNameError(f"unknown activation {self.activation!r}; known: {', '.join(ACTIVATIONS)}")
        weight, bias = one_home([weight, bias])
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)

    @classmethod
    def random(
        cls, inputs: int, features: int, *, activation: str = "relu", seed: Any = None, dtype: Any = "float64"
    ) -> Self:
        """A ~ N(0, 1/N) and b ~ N(0, 1/100): inputs of variance 1 give sums of variance 1."""
        if min(inputs, features) < 1:
            raise FormatError(f"a feature map needs inputs and features; got {inputs} and {features}")
        rng = np.random.default_rng(seed)
        (weight,) = normal([(features, inputs)], 1 / inputs, rng, dtype)
        (bias,) = normal([(features,)], 0.01, rng, dtype)
        weight, bias = sealed((weight, bias))
        return cls(weight, bias, activation)

    @classmethod
    def identity(cls, size: int, *, dtype: Any = "float64") -> Self:
        """f(x) = x, so that the templates of a grid tensor are the rows of F."""
        return cls(np.eye(size, dtype=dtype), np.zeros(size, dtype), "identity")

    @property
    def n_inputs(self) -> int:
        """N, the numbers of one step."""
        return int(self.weight.shape[1])

    @property
    def n_features(self) -> int:
        """M, the features of one step."""
        return int(self.weight.shape[0])

    def parameters(self) -> dict[str, Array]:
        """``feature_weight`` and ``feature_bias``."""
        return {"feature_weight": self.weight, "feature_bias": self.bias}

    def constants(self) -> dict[str, Array]:
        """Arrays that are not trained: none."""
        return {}

    def replaced(self, arrays: Mapping[str, Array]) -> Self:
        """The same map with other parameters."""
        own = {**self.parameters(), **arrays}
        return type(self)(own["feature_weight"], own["feature_bias"], self.activation)

    def graph(self, x: Node) -> Node:
        """F[b, t, m] from x[b, t, n]."""
        return _affine_graph(self.activation, x)

    def scaled_inputs(self, mean: Any, scale: Any) -> Self:
        """The map on raw inputs that does what this one does on (x − mean) / scale."""
        weight = self.weight / scale
        return type(self)(weight, self.bias - (weight * mean).sum(-1), self.activation)

    def __reduce__(self) -> Any:
        """Copies and pickles are made by the constructor, which freezes the arrays."""
        return type(self), (self.weight, self.bias, self.activation)

    def __call__(self, x: Array) -> Array:
        """Features (batch, T, M) of inputs (batch, T, N)."""
        return features_of(self, x)

    def __repr__(self) -> str:
        return f"FeatureMap({self.n_inputs} → {self.n_features}, {self.activation})"


@dataclass(frozen=True, slots=True)
class FixedMap:
    """Functions of every input that are not trained   (Stoudenmire & Schwab 2016; Novikov et al. 2017).

        f(x) = (g₁(x₁), …, g₁(x_N), g₂(x₁), …)

    functions: scalar expressions in x. inputs: N, the numbers of one step. M is their number times N.

    >>> import numpy as np, tnalgebra as tna
    >>> tna.FixedMap.polynomial(1, degree=2)(np.array([[[3.0]]]))
    array([[[1., 3., 9.]]])
    """

    functions: tuple[str, ...]
    inputs: int

    def __post_init__(self) -> None:
        """Refuse what is not a scalar expression in x."""
        object.__setattr__(self, "functions", tuple(self.functions))
        if not self.functions or self.inputs < 1:
            raise FormatError(f"a fixed map needs functions and inputs; got {len(self.functions)} and {self.inputs}")
        for text in self.functions:
            parse(text, ("x",))

    @classmethod
    def cosine(cls, inputs: int) -> Self:
        """cos(πx/2) and sin(πx/2): a unit vector for each input of [0, 1]."""
        return cls(("cos(1.5707963267948966 * x)", "sin(1.5707963267948966 * x)"), inputs)

    @classmethod
    def polynomial(cls, inputs: int, degree: int) -> Self:
        """1, x, …, x^degree of every input."""
        return cls(("1 + 0 * x", "x", *(f"x ** {power}" for power in range(2, degree + 1)))[: degree + 1], inputs)

    @property
    def n_inputs(self) -> int:
        """N, the numbers of one step."""
        return self.inputs

    @property
    def n_features(self) -> int:
        """M, the features of one step."""
        return len(self.functions) * self.inputs

    def parameters(self) -> dict[str, Array]:
        """None is trained."""
        return {}

    def constants(self) -> dict[str, Array]:
        """``feature_place0``, …: where the values of each function go, of shape (M, N)."""
        places = np.eye(self.n_features).reshape(self.n_features, -1, self.inputs)
        return {f"feature_place{i}": sealed([places[:, i].copy()])[0] for i in range(len(self.functions))}

    def replaced(self, arrays: Mapping[str, Array]) -> Self:
        """The map itself: it has no parameters."""
        return self

    def graph(self, x: Node) -> Node:
        """F[b, t, m] from x[b, t, n]."""
        return _fixed_graph(self.functions, x)

    def __call__(self, x: Array) -> Array:
        """Features (batch, T, M) of inputs (batch, T, N)."""
        return features_of(self, x)

    def __repr__(self) -> str:
        return f"FixedMap({self.inputs} → {self.n_features}: {', '.join(self.functions)})"


@lru_cache(maxsize=64)
def _affine_graph(activation: str, x: Node) -> Node:
    weight, bias = Leaf("feature_weight", ("m", "n")), Leaf("feature_bias", ("m",))
    product = Contract(operator("multiply"), operator("add"), (("b", "t", "n"), ("m", "n")), (x, weight), BTM)
    tree = substituted(parse(ACTIVATIONS[activation], ("x",)), {"x": ("add", ("x0", "x1"))})
    return Contract(Pointwise(tree, ("x0", "x1")), operator("add"), (BTM, ("m",)), (product, bias), BTM)


@lru_cache(maxsize=64)
def _fixed_graph(functions: tuple[str, ...], x: Node) -> Node:
    terms = []
    for i, text in enumerate(functions):
        value = Contract(
            Pointwise(substituted(parse(text, ("x",)), {"x": "x0"}), ("x0",)), operator("add"), (BTN,), (x,), BTN
        )
        place = Leaf(f"feature_place{i}", ("m", "n"))
        terms.append(Contract(operator("multiply"), operator("add"), (BTN, ("m", "n")), (value, place), BTM))
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def features_of(feature_map: FeatureMap | FixedMap, x: Array) -> Array:
    """Features (batch, T, M) of inputs (batch, T, N)."""
    x = as_array(x)
    if x.ndim != 3 or x.shape[2] != feature_map.n_inputs:
        raise AxisMismatchError(f"x must have shape (batch, T, {feature_map.n_inputs}); got {tuple(x.shape)}")
    arrays = {**feature_map.parameters(), **constants_like(feature_map, x), "X": x}
    return evaluate(feature_map.graph(INPUT), arrays)


def constants_like(feature_map: FeatureMap | FixedMap, like: Array) -> dict[str, Array]:
    """The constants where an array lives and in its dtype; float64 where it has integers."""
    xp = namespace_of([like])
    dtype = xp.float64 if is_integral(like.dtype, xp) else like.dtype
    return {name: xp.asarray(array, dtype=dtype) for name, array in feature_map.constants().items()}
