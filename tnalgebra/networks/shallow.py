"""The shallow network: a CP tensor of weights, all steps joined at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from ..algebra import Operator, operator
from ..canvas import Diagram
from ..errors import FormatError
from ..formats.characters import comb_text
from ..formats.parts import frozen, one_home
from ..graph import Contract, Node, Take
from .features import FeatureMap, FixedMap
from .initialise import Start, draw_shallow
from .network import Network, product, with_unit
from .parts import check_features, together
from .picture import shallow_diagram

__all__ = ["ShallowNetwork"]

Array = Any


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ShallowNetwork(Network):
    """Scores of a shallow (CP) network   (GTM 21).

        l_y(X) = Σ_r λ[r, y] · ξ(⟨f(x⁽¹⁾), v_r⁽¹⁾⟩, …, ⟨f(x⁽ᵀ⁾), v_r⁽ᵀ⁾⟩)

    factors: v of shape (T, M, R), or T matrices (M, R). weights: λ of shape (R, classes). With one weight tensor a
    class, factors have shape (classes, T, M, R) and weights (classes, R).
    Raises `FormatError` where the parts do not fit one another.

    >>> import numpy as np, tnalgebra as tna
    >>> net = tna.ShallowNetwork.random(steps=3, inputs=2, features=4, rank=5, classes=7, xi="rectifier", seed=0)
    >>> net(np.ones((2, 3, 2))).shape
    (2, 7)
    """

    feature_map: FeatureMap | FixedMap
    factors: Array
    weights: Array
    xi: Operator = field(default=operator("multiply"))

    def __post_init__(self) -> None:
        """Freeze the parts and check that they fit."""
        factors: Any = together(self.factors, "factors")
        y = ("classes",) * (len(factors.shape) == 4)
        factors = frozen(factors, "factors", (*y, "T", "M", "R"))
        weights = frozen(self.weights, "weights", ("classes", "R") if y else ("R", "classes"))
        check_features(self.feature_map, factors, "factors", -2)
        rank = weights.shape[1 if y else 0]
        if rank != factors.shape[-1] or (y and weights.shape[0] != factors.shape[0]):
            raise FormatError(
                f"weights of shape {tuple(weights.shape)} do not fit factors of shape {tuple(factors.shape)}: "
                f"the rank is {rank} on one and {factors.shape[-1]} on the other"
                if rank != factors.shape[-1]
                else f"there are weights for {weights.shape[0]} classes and factors for {factors.shape[0]}"
            )
        if 0 in factors.shape or 0 in weights.shape:
            raise FormatError(f"no size may be 0: factors {tuple(factors.shape)}, weights {tuple(weights.shape)}")
        factors, weights = one_home([factors, weights])
        for name, value in (("factors", factors), ("weights", weights), ("xi", operator(self.xi))):
            object.__setattr__(self, name, value)

    @classmethod
    def random(
        cls,
        *,
        steps: int,
        inputs: int,
        features: int,
        rank: int,
        classes: int,
        xi: str | Operator = "multiply",
        activation: str = "relu",
        start: Start = "scores",
        shared: bool = True,
        seed: Any = None,
        dtype: Any = "float64",
    ) -> Self:
        """Draw a network whose scores neither vanish nor explode, or whose weight tensor has entries of variance 1.

        start: ``"scores"``, or ``"weights"`` for ξ = multiply or add (GTM, with the erratum for add).
        shared: False gives every class a weight tensor of its own.
        """
        xi, rng = operator(xi), np.random.default_rng(seed)
        sizes = (steps, inputs, features, rank, classes)
        f, parts = draw_shallow(sizes, xi, activation, start, shared, rng, dtype)
        net = cls(f, parts["factors"], parts["weights"], xi)
        return net if start == "weights" else net._settled(rng)

    @property
    def steps(self) -> int:
        """T, the steps of an input."""
        return int(self.factors.shape[-3])

    @property
    def classes(self) -> int:
        """Number of scores."""
        return int(self.weights.shape[0 if len(self.factors.shape) == 4 else 1])

    @property
    def ranks(self) -> tuple[int, ...]:
        """(R,), the width."""
        return (int(self.factors.shape[-1]),)

    def diagram(self) -> Diagram:
        """The picture of the network as a value: all steps meet in one ξ."""
        return shallow_diagram(self, self.show())

    def show(self) -> str:
        """Draw the network with characters: the features of every step, joined by ξ at the width.

        >>> import tnalgebra as tna
        >>> print(tna.ShallowNetwork.random(steps=3, inputs=2, features=4, rank=5, classes=7, xi="hypot").show())
          4   4   4
          │   │   │
          ●   ●   ●
          └───┴───┴── 5, hypot, 7 classes
        """
        return comb_text((self.n_features,) * self.steps, self.ranks[0], f"{self.xi.name}, {self.classes} classes")

    @property
    def _last(self) -> str:
        return "weights"

    def _parts(self) -> dict[str, Array]:
        return {"factors": self.factors, "weights": self.weights}

    def _with_parts(self, feature_map: FeatureMap | FixedMap, parts: Mapping[str, Array]) -> Self:
        return type(self)(feature_map, parts["factors"], parts["weights"], self.xi)

    def _graph(self, features: Node, steps: int, mask: Node | None) -> Node:
        """ξ over the steps is a reduction: it starts from its unit, as one step alone must."""
        leaves = self._leaves()
        y = "y" * (len(self.factors.shape) == 4)
        terms = product(("btm", f"{y}tmr"), f"b{y}tr", features, leaves["factors"])
        joined = self._joined(terms, steps)
        return product((f"b{y}r", "yr" if y else "ry"), "by", joined, leaves["weights"])

    def _grid(self, features: Sequence[Node]) -> Node:
        leaves, y = self._leaves(), "y" * (len(self.factors.shape) == 4)
        signals = [
            product((step.output, f"{y}mr"), (*step.output[:1], *y, "r"), step, Take(leaves["factors"], len(y), t))
            for t, step in enumerate(features)
        ]
        lead = tuple(dict.fromkeys(step.output[0] for step in features))
        terms = tuple(signal.output for signal in signals)
        joined = Contract(self.xi, operator("add"), terms, tuple(signals), (*lead, *y, "r"))
        value = with_unit(self.xi, signals[0]) if len(signals) == 1 else joined
        return product((value.output, "yr" if y else "ry"), (*lead, "y"), value, leaves["weights"])

    def _joined(self, terms: Contract, steps: int) -> Node:
        """ξ over the steps t; one without a derivative as ⊕ combines slices, two at a time."""
        axis = terms.output.index("t")
        rest = terms.output[:axis] + terms.output[axis + 1 :]
        if self.xi.share is not None or self.xi.partial is None:
            return Contract(self.xi, self.xi, (terms.output,), (terms,), rest)
        value: Node = with_unit(self.xi, Take(terms, axis, 0)) if steps == 1 else Take(terms, axis, 0)
        for t in range(1, steps):
            value = Contract(self.xi, operator("add"), (rest, rest), (value, Take(terms, axis, t)), rest)
        return value
