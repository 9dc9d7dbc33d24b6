"""Operations on the modes of a format: products with matrices, partial sums, orders, diagonals, matricizations."""

from collections.abc import Sequence
from math import prod
from typing import Any, Self

from ..errors import AxisMismatchError, FormatError, IndexRangeError
from ..execute.expression import evaluate
from ..execute.memory import MemoryLimit
from ..execute.namespace import as_array, namespace_of
from ..execute.scaling import normalised
from .graphs import mode_labels, numbered
from .indexing import Indexing
from .parts import mode_product
from .structure import as_mode, as_modes, as_sides, require_multiply

__all__ = ["Modes"]

Array = Any


class Modes(Indexing):
    """Operations on modes; parts keep their bonds unless the docstring says otherwise."""

    __slots__ = ()

    def mode_dot(self, matrix: Any, mode: int) -> Any:
        """Product along one mode: [Y]_{… j …} = Σ_i M[j, i] · X[… i …], for ξ = multiply.

        matrix: (m, n_mode), or a vector of n_mode entries, which takes the mode away; no ranks change.
        Raises `AxisMismatchError` with both sizes.

        >>> import numpy as np, tnalgebra as tna
        >>> t = tna.TTTensor.random((2, 3, 5), rank=2, seed=0)
        >>> t.mode_dot(np.ones((7, 3)), 1).shape, t.mode_dot(np.ones(3), 1).shape
        ((2, 7, 5), (2, 5))
        """
        require_multiply(self.xi, "mode_dot", "evaluate puts vectors into all modes for every ξ")
        mode, factor = as_mode(mode, self.ndim), as_array(matrix)
        if factor.ndim not in (1, 2):
            raise FormatError(f"mode_dot needs a matrix or a vector; got shape {tuple(factor.shape)}")
        if factor.shape[-1] != self.shape[mode]:
            raise AxisMismatchError(
                f"mode {mode} has size {self.shape[mode]}, but axis {factor.ndim - 1} of the factor has "
                f"{factor.shape[-1]}"
            )
        if 0 in factor.shape:
            raise FormatError(f"mode_dot would leave mode {mode} empty: the factor has shape {tuple(factor.shape)}")
        if factor.ndim == 1:
            return self._contracted({mode: factor})
        found, exponent = self._dotted(factor, mode)
        if exponent:  # a part that is far from one may have far scales in it, too
            found, exponent = self._eased()._dotted(factor, mode)
        return found._evened(exponent) if exponent else found

    def _dotted(self, factor: Array, mode: int) -> tuple[Self, int]:
        """The tensor with its part for a mode times a matrix, at a moderate scale, and an exponent of 2."""
        (name, _), parts = self._carriers()[mode], self.parameters()
        parts[name], exponent = scaled_product(factor, parts[name])
        return self._rebuild(parts), exponent

    def sum(self, modes: int | Sequence[int] | None = None) -> Any:
        """Σ over some modes, or over all: a number. For ξ = multiply; no ranks change.

        >>> import numpy as np, tnalgebra as tna
        >>> t = tna.TTTensor([np.ones((1, 2, 1)), np.ones((1, 3, 1))])
        >>> t.sum(), t.sum(0).to_dense()
        (np.float64(6.0), array([2., 2., 2.]))
        """
        require_multiply(self.xi, "the sum over modes", "contract sums over what it is given for every ξ")
        chosen = as_modes(range(self.ndim) if modes is None else modes, self.ndim)
        if len(set(chosen)) < len(chosen):
            raise IndexRangeError(f"modes {modes} of a sum must be distinct")
        xp = namespace_of(list(self.parameters().values()))
        ones = {mode: xp.ones(self.shape[mode], dtype=self.dtype) for mode in chosen}
        return self._contracted(ones) if ones else self

    def _contracted(self, vectors: dict[int, Array]) -> Any:
        """Put vectors into some modes, which then are gone; into all of them: a number."""
        if len(vectors) == self.ndim:
            return self.evaluate([vectors[mode] for mode in range(self.ndim)])
        base = self._evened()
        parts, carriers, rows, total = base.parameters(), self._carriers(), {}, 0
        for mode, vector in vectors.items():
            rows[mode], exponent = scaled_product(vector, parts[carriers[mode][0]])
            total += exponent
        return base._without(rows, total)._eased()

    def permute(self, order: Sequence[int]) -> Self:
        """The tensor with mode `order[t]` as mode t, as `np.transpose` does it.

        CP and HT keep their ranks, for every ξ. The bonds of a train run to the new places of their cores, so a rank
        becomes the product of those that cross it; `round` finds smaller ones if there are any. For ξ = multiply.

        >>> import tnalgebra as tna
        >>> tna.TTTensor.random((2, 3, 5), rank=(2, 3), seed=0).permute((1, 0, 2))
        TTTensor(shape=(3, 2, 5), ranks=(1, 6, 3, 1), dtype=float64)
        """
        modes = as_modes(order, self.ndim)
        if sorted(modes) != list(range(self.ndim)):
            raise IndexRangeError(f"order {tuple(modes)} must name each of the modes 0, …, {self.ndim - 1} once")
        return self if modes == list(range(self.ndim)) else self._permuted(modes)

    def diagonal(self, first: int, second: int) -> Self:
        """The entries at which two modes have the same index, as mode `first`; mode `second` is gone.

        In TT and HT the bonds between the two carry the index, and their ranks grow by its size. For ξ = multiply.

        >>> import tnalgebra as tna
        >>> t = tna.CPTensor.random((3, 2, 3), rank=2, seed=0)
        >>> t.diagonal(0, 2)
        CPTensor(shape=(3, 2), ranks=(2,), dtype=float64)
        """
        require_multiply(self.xi, "diagonal", "gather gives entries for every ξ")
        one, two = as_mode(first, self.ndim), as_mode(second, self.ndim)
        if one == two:
            raise IndexRangeError(f"a diagonal needs two different modes; got {first} and {second}")
        if self.shape[one] != self.shape[two]:
            raise AxisMismatchError(f"mode {one} has size {self.shape[one]}, but mode {two} has {self.shape[two]}")
        return self._evened()._diagonal(one, two)

    def matricize(
        self, rows: int | Sequence[int], cols: Sequence[int] | None = None, *, memory_limit: MemoryLimit = None
    ) -> Array:
        """The dense matrix whose rows run over some modes and whose columns over the others, in C order.

        rows, cols: mode numbers; cols are all others, rising, if not given.
        Raises `FormatError` where rows and cols do not share the modes out, `MemoryLimitError`.

        >>> import tnalgebra as tna
        >>> tna.TTTensor.random((2, 3, 5), rank=2, seed=0).matricize([0, 2]).shape
        (10, 3)
        """
        left, right = as_sides(rows, cols, self.ndim)
        names = numbered("i", self.ndim)
        node = self._graph(self._leaves(), mode_labels(self.ndim), tuple(names[mode] for mode in [*left, *right]))
        parts = (self._evened() if self.xi.name == "multiply" else self).parameters()
        dense = evaluate(node, parts, memory_limit=memory_limit)
        return dense.reshape(prod(self.shape[mode] for mode in left), -1)


def scaled_product(factor: Array, part: Array) -> tuple[Array, int]:
    """The product of a matrix or a vector with a part along its mode, at a moderate scale, and an exponent of 2."""
    if factor.dtype != part.dtype:
        factor = factor.astype(namespace_of([factor, part]).result_type(factor, part))
    (factor, one), (part, two) = normalised(factor), normalised(part)
    product, three = normalised(mode_product(factor, part))
    return product, one + two + three
