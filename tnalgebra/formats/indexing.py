"""Entries, slices and values: what is put into the modes of a format."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..errors import AlgebraError, AxisMismatchError, FormatError, IndexRangeError
from ..execute.expression import evaluate
from ..execute.namespace import are_plain, as_array, concatenate, namespace_of
from ..execute.scaling import at_one, columns_at_one, each_shifted, is_ordinary
from .graphs import leaf
from .structure import Structure, as_index

__all__ = ["CHUNK_BYTES", "Indexing"]

Array = Any
CHUNK_BYTES = 1 << 26
"""What one batch of gathered entries may take."""
POINTS = 1 << 18
"""Points that are gathered at once where none needs a matrix of its own."""


class Indexing(Structure):
    """Substitutions into the modes: one-hot rows give entries, vectors give values, slices give smaller tensors."""

    __slots__ = ()

    def evaluate(self, vectors: Sequence[Any]) -> Array:
        """Put one vector into every mode: W(x₁, …, x_d), a number for each row of a batch.

        vectors: one array a mode, (B, n_t) for a batch or (n_t,) alone. Returns (B,), or a number.
        For ξ = multiply this is ⟨W, x₁ ⊗ … ⊗ x_d⟩; for other ξ it is the score of a network with
        these features (GTM, eq. 21–23), and one-hot vectors give entries for every ξ.
        """
        if not isinstance(vectors, Sequence):
            raise FormatError(f"evaluate needs a sequence of one vector a mode; got {type(vectors).__name__}")
        arrays = [as_array(vector) for vector in vectors]
        self._check_vectors(arrays)
        if arrays[0].ndim == 1:
            return self.evaluate([array[None, :] for array in arrays])[0]
        found = self._values(arrays)
        if self._is_safe(found):
            return found
        xp = namespace_of(arrays)
        dtype = xp.result_type(self.dtype, *arrays)
        columns, exponents = zip(*(columns_at_one(array.astype(dtype).T, xp) for array in arrays), strict=True)
        return each_shifted(self._evened()._values([array.T for array in columns]), sum(exponents), xp)

    def _values(self, arrays: Sequence[Array]) -> Array:
        """The values for batches of vectors, a chunk of them at a time."""
        parts, chunk = self.parameters(), self._chunk()
        xp = namespace_of([*parts.values(), *arrays])
        pieces = []
        for start in range(0, len(arrays[0]), chunk):
            rows = []
            for (name, axis), array in zip(self._carriers(), arrays, strict=True):
                weighed = xp.tensordot(array[start : start + chunk, :], parts[name], axes=((1,), (axis,)))
                rows.append(xp.moveaxis(weighed, 0, axis))
            with np.errstate(over="ignore", invalid="ignore"):
                pieces.append(self._batched(rows))
        return self._joined(pieces, *arrays)

    def _joined(self, pieces: Sequence[Array], *vectors: Array) -> Array:
        """The pieces in a row; where there is none, in the dtype of the tensor and the vectors."""
        if len(pieces) == 1:
            return pieces[0]
        xp = namespace_of([*self.parameters().values(), *vectors])
        return concatenate(pieces, 0, xp) if pieces else xp.empty(0, dtype=xp.result_type(*vectors, self.dtype))

    def _is_safe(self, values: Array) -> bool:
        """Whether values are no sign of extreme scales on the way: none infinite, zero or denormal, or ξ ≠ multiply."""
        return self.xi.name != "multiply" or is_ordinary(values)

    def _check_vectors(self, arrays: Sequence[Array]) -> None:
        if len(arrays) != self.ndim:
            raise FormatError(f"evaluate needs one vector (or batch) a mode: {self.ndim}; got {len(arrays)}")
        for mode, (array, size) in enumerate(zip(arrays, self.shape, strict=True)):
            expected = (*arrays[0].shape[:-1], size)
            if array.ndim not in (1, 2):
                raise FormatError(f"vectors of mode {mode} must be (n,) or (B, n); got shape {tuple(array.shape)}")
            if tuple(array.shape) != expected:
                raise AxisMismatchError(
                    f"vectors of mode {mode} have shape {tuple(array.shape)}, but {expected} is needed: "
                    f"mode {mode} has size {size}"
                )

    def gather(self, indices: Any) -> Array:
        """Entries at many multi-indices at once, never densifying.

        indices: (B, d) integers, negative ones count from the end. Returns (B,).
        Raises `IndexRangeError` with the mode, the index and the size.
        """
        points = checked_points(indices, self.shape)
        found = self._gathered(points)
        even = self if self._is_safe(found) else self._evened()
        return found if even is self else even._gathered(points)

    def _gathered(self, points: Array) -> Array:
        """The entries, a chunk of them at a time."""
        chunk = POINTS if self._is_plain else self._chunk()
        with np.errstate(over="ignore", invalid="ignore"):
            pieces = [self._entries(points[start : start + chunk]) for start in range(0, len(points), chunk)]
        return self._joined(pieces)

    @property
    def _is_plain(self) -> bool:
        """Whether entries are products of NumPy's arrays, which need no plan."""
        return self.xi.name == "multiply" and are_plain(self.parameters().values())

    def _entries(self, points: Array) -> Array:
        """Entries at a few points, indices from 0."""
        parts = self.parameters()
        xp = namespace_of(list(parts.values()))
        at = xp.asarray(points)
        rows = [xp.take(parts[name], at[:, t], axis=axis) for t, (name, axis) in enumerate(self._carriers())]
        return self._batched(rows)

    def _chunk(self) -> int:
        """Points whose rows of all carriers take `CHUNK_BYTES`."""
        parts = self.parameters()
        width: int = sum(prod(parts[name].shape) // parts[name].shape[axis] for name, axis in self._carriers())
        return max(1, CHUNK_BYTES // (width * 16))

    def _batched(self, rows: Sequence[Array]) -> Array:
        """Value of the graph for a batch: `rows[t]` is mode t's carrier with the batch in place of the mode."""
        names = [name for name, _ in self._carriers()]
        carriers = [leaf(name, row.ndim) for name, row in zip(names, rows, strict=True)]
        node = self._graph(carriers, (("b",),) * self.ndim, ("b",))
        arrays = {**self.parameters(), **dict(zip(names, rows, strict=True))}
        return evaluate(node, arrays, optimize=self._batch_path())

    def _batch_path(self) -> Any:
        return "auto"

    def __getitem__(self, key: Any) -> Any:
        """An entry for d integers; otherwise the format of the slice, integers dropping their modes."""
        keys = expanded(key, self.shape)
        dropped = {mode: item for mode, item in enumerate(keys) if isinstance(item, int)}
        if len(dropped) == self.ndim:
            return self.gather([keys])[0]
        if self.xi.name != "multiply" and dropped:
            raise AlgebraError(
                f"an integer index drops a mode, which is defined for ξ = multiply, not {self.xi}; "
                "slices such as t[2:3] keep the mode, and d integers give an entry"
            )
        if dropped:
            return self._evened()._sliced(keys)
        return self._sliced(keys)

    def _sliced(self, keys: Sequence[int | slice]) -> Any:
        parts, rows, total = self.parameters(), {}, 0
        for mode, ((name, axis), item) in enumerate(zip(self._carriers(), keys, strict=True)):
            at = (*(slice(None),) * axis, item, ...)
            if isinstance(item, slice):
                parts[name] = parts[name][at]
            else:
                rows[mode], exponent = at_one(parts[name][at])
                total += exponent
        result = self._rebuild(parts)
        return result._without(rows, total)._eased() if rows else result

    def __iter__(self) -> Any:
        raise FormatError("a format is not a sequence; use to_dense(), or index it")


def checked_points(indices: Any, shape: tuple[int, ...]) -> Array:
    """Multi-indices as an array of (B, d) integers from 0."""
    try:
        points = np.asarray(indices)
    except ValueError:
        raise FormatError(f"indices must be integers of shape (B, {len(shape)}); rows have different lengths") from None
    if points.ndim != 2 or points.shape[1] != len(shape) or points.dtype.kind not in "iu":
        raise FormatError(
            f"indices must be integers of shape (B, {len(shape)}); got {points.dtype} of shape {points.shape}"
        )
    if points.dtype == np.intp and (points.view(np.uintp) < np.array(shape, np.uintp)).all():
        return points
    sizes = np.array(shape)
    outside = (points < -sizes) | (points >= sizes)
    if outside.any():
        row, mode = np.argwhere(outside)[0]
        raise IndexRangeError(f"index {points[row, mode]} is outside mode {mode} of size {shape[mode]}")
    points = points.astype(np.intp, copy=False)  # products of unsigned and of short indices would wrap
    return np.where(points < 0, points + sizes, points)


def expanded(key: Any, shape: tuple[int, ...]) -> list[int | slice]:
    """One integer from 0, or one slice that is not empty, for every mode."""
    keys, ndim = list(key) if isinstance(key, tuple) else [key], len(shape)
    dots = [position for position, item in enumerate(keys) if item is Ellipsis]
    if len(dots) > 1 or len(keys) - len(dots) > ndim:
        raise IndexRangeError(f"{len(keys) - len(dots)} indices for a tensor with {ndim} modes, of shape {shape}")
    at = dots[0] if dots else len(keys)
    keys[at : at + 1] = [slice(None)] * (ndim - len(keys) + len(dots))
    return [_checked(item, mode, size) for mode, (item, size) in enumerate(zip(keys, shape, strict=True))]


def _checked(item: Any, mode: int, size: int) -> int | slice:
    if isinstance(item, slice):
        try:
            count = len(range(*item.indices(size)))
        except (TypeError, ValueError) as error:
            raise FormatError(f"slice {item} of mode {mode} cannot be taken: {error}") from None
        if not count:
            raise IndexRangeError(f"slice {item} of mode {mode} is empty; mode {mode} has size {size}")
        return item
    index = as_index(item)
    if index is None:
        raise FormatError(
            f"index {item!r} of mode {mode} must be an integer, a slice or …; gather takes arrays of indices"
        )
    if not -size <= index < size:
        raise IndexRangeError(f"index {index} is outside mode {mode} of size {size}")
    return index % size


def checked_rows(rows: Sequence[int] | None, ndim: int) -> list[int]:
    """Modes of the rows of a matricization, every other one if not given.

    Raises `FormatError` for an odd number of modes then, and for rows that are none or all of them.
    """
    if rows is None and (ndim % 2 or not ndim):
        raise FormatError(f"the odd/even matricization needs an even number of modes; got {ndim}: say which rows=…")
    rows = list(range(0, ndim, 2)) if rows is None else [int(mode) for mode in rows]
    if not rows or len(set(rows)) < len(rows) or not set(rows) < set(range(ndim)):
        raise FormatError(f"rows {rows} must be some, but not all, of the modes 0, …, {ndim - 1}, each once")
    return rows
