"""The recurrent network: a tensor train of weights, one step after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from ..algebra import Operator, Pointwise, operator
from ..algebra.scalar import parse
from ..canvas import Diagram
from ..errors import AxisMismatchError, FormatError
from ..execute.namespace import as_array, namespace_of
from ..formats.characters import chain_text
from ..formats.graphs import numbered
from ..formats.parts import frozen, one_home
from ..graph import Contract, Labels, Node, Take
from .features import FeatureMap, FixedMap
from .initialise import Start, draw_recurrent
from .network import Network, product, with_unit
from .parts import check_features, together
from .picture import recurrent_diagram

__all__ = ["RecurrentNetwork"]

Array = Any
KEEP = Pointwise(parse("where(x0 > 0, x1, x2)", ("x0", "x1", "x2")), ("x0", "x1", "x2"))
"""The new state where a step is there, the old one where it is not."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RecurrentNetwork(Network):
    """Scores of a recurrent (TT) network   (GTM 22, 23).

        h⁽⁰⁾ = u,    h_k⁽ᵗ⁾ = Σ_{ij} G⁽ᵗ⁾[j, i, k] · ξ((C⁽ᵗ⁾ f(x⁽ᵗ⁾))_i, h_j⁽ᵗ⁻¹⁾),    l(X) = h⁽ᵀ⁾

    inputs: C of shape (T, L, M), or T matrices (L, M), or (1, L, M) for all steps alike. cores: G⁽ᵗ⁾ of shape
    (R_{t−1}, L, R_t) with R_0 = 1 and R_T the classes. With one matrix (L, M) and three cores (the first, all between,
    the last) the network has equal cores and takes sequences of any length from 2 on. With one weight tensor a class
    every part has the classes as an axis before its own, and R_T = 1. u is the unit of ξ.
    Raises `FormatError` where the parts do not fit one another.

    >>> import numpy as np, tnalgebra as tna
    >>> net = tna.RecurrentNetwork.random(steps=3, inputs=2, features=4, rank=5, classes=7, xi="rectifier", seed=0)
    >>> net(np.ones((2, 3, 2))).shape
    (2, 7)
    """

    feature_map: FeatureMap | FixedMap
    inputs: Array
    cores: tuple[Array, ...]
    xi: Operator = field(default=operator("multiply"))

    def __post_init__(self) -> None:
        """Freeze the parts and check that they fit."""
        if len(self.cores) == 0:
            raise FormatError("a recurrent network needs one core or more")
        inputs: Any = together(self.inputs, "inputs")
        y = ("classes",) * (np.ndim(self.cores[0]) == 4)
        steps = ("T",) * (len(inputs.shape) != 2 + len(y))
        inputs = frozen(inputs, "inputs", (*y, *steps, "L", "M"))
        cores = tuple(frozen(core, f"core {t}", (*y, "R_left", "L", "R_right")) for t, core in enumerate(self.cores))
        check_features(self.feature_map, inputs, "inputs", -1)
        inputs, *rest = one_home([inputs, *cores])
        for name, value in (("inputs", inputs), ("cores", tuple(rest)), ("xi", operator(self.xi))):
            object.__setattr__(self, name, value)
        self._check_chain()

    def _check_chain(self) -> None:
        count = len(self.cores)
        if self._is_equal and count != 3:
            raise FormatError(f"equal cores are three: the first, the one between, and the last; got {count}")
        if not self._is_equal and self.inputs.shape[-3] not in (1, count):
            raise FormatError(
                f"inputs are given for {self.inputs.shape[-3]} steps and cores for {count}: one a step, or one for all"
            )
        if 0 in self.inputs.shape:
            raise FormatError(f"no size may be 0: inputs {tuple(self.inputs.shape)}")
        rank = 1
        for t, core in enumerate(self.cores):
            shape = tuple(core.shape)
            for axis, name, size in ((-3, "left rank", rank), (-2, "L", int(self.inputs.shape[-2]))):
                if shape[axis] != size:
                    raise FormatError(f"core {t} of shape {shape} has {name} {shape[axis]}, but {size} is before it")
            if 0 in shape or (self._y and shape[0] != self.inputs.shape[0]):
                raise FormatError(
                    f"core {t} has shape {shape}: no size may be 0, and inputs have {self.inputs.shape[0]} classes"
                )
            rank = shape[-1]
        left, _, right = self.cores[1].shape[-3:] if self._is_equal else (1, 1, 1)
        if left != right:
            raise FormatError(f"the core between has ranks {left} and {right}: it must be square to repeat")
        if self._y and rank != 1:
            raise FormatError(f"with one weight tensor a class the last rank must be 1; it is {rank}")

    @classmethod
    def random(
        cls,
        *,
        steps: int | None,
        inputs: int,
        features: int,
        rank: int | Sequence[int],
        classes: int,
        xi: str | Operator = "multiply",
        width: int | None = None,
        activation: str = "relu",
        start: Start = "scores",
        shared: bool = True,
        seed: Any = None,
        dtype: Any = "float64",
    ) -> Self:
        """Draw a network whose scores neither vanish nor explode, or whose weight tensor has entries of variance 1.

        steps: None for equal cores, which take any number of steps. rank: one number, or one an inner bond.
        width: L, the features if not given. start: ``"scores"``, or ``"weights"`` for ξ = multiply or add, with C = I
        (GTM, with the erratum for add). shared: False gives every class a weight tensor of its own.
        """
        xi, rng = operator(xi), np.random.default_rng(seed)
        sizes = (steps, inputs, features, rank, classes, features if width is None else width)
        f, parts = draw_recurrent(sizes, xi, activation, start, shared, rng, dtype)
        net = cls(f, parts.pop("inputs"), tuple(parts.values()), xi)
        return net if start == "weights" else net._settled(rng)

    @property
    def steps(self) -> int | None:
        """T, the steps of an input; None with equal cores."""
        return None if self._is_equal else len(self.cores)

    @property
    def classes(self) -> int:
        """Number of scores."""
        return int(self.inputs.shape[0] if self._y else self.cores[-1].shape[-1])

    @property
    def ranks(self) -> tuple[int, ...]:
        """R_0 = 1, …, R_T; with equal cores those of the three."""
        return (1, *(int(core.shape[-1]) for core in self.cores))

    def diagram(self) -> Diagram:
        """The picture of the network as a value: a chain that takes a step at every core."""
        return recurrent_diagram(self, self.show(), int(self.inputs.shape[-2]))

    def show(self) -> str:
        """Draw the network with characters: the width L of every step above, ranks between the cores.

        >>> import tnalgebra as tna
        >>> print(tna.RecurrentNetwork.random(steps=3, inputs=2, features=4, rank=5, classes=7, xi="hypot").show())
        4   4   4
        │   │   │
        ●─5─●─5─●── hypot, 7 classes
        """
        end = f"── {self.xi.name}, {self.classes} classes" + ", any number of steps" * (self.steps is None)
        return chain_text((int(self.inputs.shape[-2]),) * len(self.cores), self.ranks[1:-1], end)

    @property
    def _y(self) -> str:
        return "y" * (len(self.cores[0].shape) == 4)

    @property
    def _is_equal(self) -> bool:
        return len(self.inputs.shape) == 2 + len(self._y)

    @property
    def _last(self) -> str:
        return f"core{len(self.cores) - 1}"

    def _parts(self) -> dict[str, Array]:
        return {"inputs": self.inputs, **dict(zip(numbered("core", len(self.cores)), self.cores, strict=True))}

    def _with_parts(self, feature_map: FeatureMap | FixedMap, parts: Mapping[str, Array]) -> Self:
        cores = tuple(parts[f"core{t}"] for t in range(len(self.cores)))
        return type(self)(feature_map, parts["inputs"], cores, self.xi)

    def _graph(self, features: Node, steps: int, mask: Node | None) -> Node:
        y, shared = self._y, self._shared()
        if shared is not None:
            signals = product(("btm", f"{y}lm"), f"b{y}tl", features, shared)
        else:
            signals = product(("btm", f"{y}tlm"), f"b{y}tl", features, self._leaves()["inputs"])
        return self._states([Take(signals, 1 + len(y), t) for t in range(steps)], mask)

    def _grid(self, features: Sequence[Node]) -> Node:
        y, shared, inputs = self._y, self._shared(), self._leaves()["inputs"]
        matrices = [shared or Take(inputs, len(y), t) for t in range(len(features))]
        return self._states(
            [
                product((step.output, f"{y}lm"), (*step.output[:1], *y, "l"), step, matrix)
                for step, matrix in zip(features, matrices, strict=True)
            ]
        )

    def _shared(self) -> Node | None:
        """C where it is the same in all steps."""
        inputs: Node = self._leaves()["inputs"]
        if self._is_equal:
            return inputs
        return Take(inputs, len(self._y), 0) if self.inputs.shape[-3] == 1 else None

    def _states(self, signals: Sequence[Node], mask: Node | None = None) -> Node:
        """Scores from the signals C⁽ᵗ⁾ f(x⁽ᵗ⁾), (label, …, l) each; steps that share a label share samples."""
        leaves, steps, last = self._leaves(), len(signals), len(self.cores) - 1
        if self.steps is None and steps < 2:
            raise AxisMismatchError(f"equal cores need 2 steps or more; X has {steps} on axis 1 (T)")
        state: Contract | None = None
        for t, signal in enumerate(signals):
            is_last = t == steps - 1
            core = leaves[f"core{last if is_last else t if self.steps else min(t, 1)}"]
            new = self._step(signal, state, core, "" if is_last and self._y else "k")
            if mask is not None and state is not None and not is_last:
                shown: Labels = new.output
                new = Contract(KEEP, operator("add"), (("b",), shown, shown), (Take(mask, 1, t), new, state), shown)
            state = new
        assert state is not None
        return state

    def _step(self, signal: Node, state: Node | None, core: Node, right: str) -> Contract:
        """h⁽ᵗ⁾ from C f(x⁽ᵗ⁾) and h⁽ᵗ⁻¹⁾; before the first step there is the unit alone."""
        y, own = tuple(self._y), signal.output[:1]
        if state is None:
            first = with_unit(self.xi, signal)
            return product(((*own, *y, "i"), (*y, *"jik")), (*own, *y, *right), first, core)
        before = state.output[: -1 - len(y)]
        lead: Labels = (*before, *(label for label in own if label not in before), *y)
        terms = ((*own, *y, "i"), (*before, *y, "j"))
        tile = Contract(self.xi, operator("add"), terms, (signal, state), (*lead, "i", "j"))
        return product((tile.output, (*y, *"jik")), (*lead, *right), tile, core)

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Scores (batch, classes) of inputs (batch, T, N); with equal cores sequences may have lengths of their own.

        lengths: (batch,) numbers of steps from 2 to T; what is behind them in X is not looked at.
        Raises `AxisMismatchError` for lengths that are not one a sequence or outside 2, …, T.
        """
        x = self.check(x)
        if lengths is None:
            return self.scores({"X": x})
        return self.scores(self.padded(x, lengths), masked=True)

    def unrolled(self, steps: int) -> "RecurrentNetwork":
        """Equal cores as a network with cores of its own for each of so many steps, which scores the same."""
        if self.steps is not None or steps < 2:
            raise AxisMismatchError(f"only equal cores unroll, to 2 steps or more; got {steps} for {self!r}")
        first, between, last = self.cores
        inputs = self.inputs[:, None, :, :] if self._y else self.inputs[None, :, :]
        return RecurrentNetwork(self.feature_map, inputs, (first, *[between] * (steps - 2), last), self.xi)

    def padded(self, x: Array, lengths: Any) -> dict[str, Array]:
        """X with the last step of every sequence at the end, and the mask of the steps that are there: (batch, T)."""
        if self.steps is not None:
            raise AxisMismatchError(
                f"lengths need equal cores; the network has its own weights for each of {self.steps} steps"
            )
        xp, count = namespace_of([x]), int(x.shape[1])
        sizes = np.asarray(lengths)
        sizes = sizes if sizes.size else sizes.astype(int)
        if sizes.shape != (x.shape[0],) or sizes.dtype.kind not in "iu":
            raise AxisMismatchError(
                f"lengths must be {x.shape[0]} integers, one a sequence; got shape {sizes.shape}, {sizes.dtype}"
            )
        if sizes.size and (sizes.min() < 2 or sizes.max() > count):
            raise AxisMismatchError(
                f"lengths must be from 2 to {count} (axis 1 of X); got {sizes.min()} to {sizes.max()}"
            )
        mask = np.arange(count)[None, :] < (sizes - 1)[:, None]
        mask[:, -1] = True
        order = np.where(mask, np.arange(count)[None, :], 0)
        order[:, -1] = sizes - 1
        moved = xp.take_along_axis(x, xp.asarray(order)[:, :, None], axis=1)
        moved = xp.where(xp.asarray(mask)[:, :, None], moved, xp.zeros_like(moved))
        return {"X": moved, "mask": as_array(xp.asarray(mask, dtype=x.dtype))}
