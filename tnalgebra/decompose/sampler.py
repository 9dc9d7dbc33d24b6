"""A function on multi-indices that is asked once for every point, and for many points at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import BudgetError, FormatError, NonFiniteError

__all__ = ["OutOfCalls", "Sampler"]

Array = Any


TESTED, SHARE = 1000, 20
"""Points on which a result is judged, and the share of a budget that they may take."""


class OutOfCalls(Exception):
    """The budget of calls does not cover the points that are asked for."""


class Sampler:
    """f on batches of points, with a cache of what was evaluated and a budget.

    f takes an integer array of shape (B, d) and returns B numbers. order: its modes, as the points here have them; in
    their own order if not given. calls: the points that f was asked for. tested: the number of points on which a
    result is to be judged; so many are kept in reserve for the last judgement.
    """

    def __init__(
        self,
        f: Callable[[Array], Any],
        shape: Sequence[int],
        max_calls: int | None,
        order: Sequence[int] | None = None,
    ) -> None:
        if max_calls is not None and (not isinstance(max_calls, int | np.integer) or max_calls < 1):
            raise BudgetError(f"max_calls must be a positive integer or None; got {max_calls!r}")
        self.f, self.shape, self.max_calls = f, tuple(shape), max_calls
        self.places = None if order is None else np.argsort(order)
        self.calls, self.tested = 0, TESTED if max_calls is None else max(1, min(TESTED, max_calls // SHARE))
        self.dtype: Any = None
        self._known: dict[bytes, Any] = {}

    def __call__(self, points: Array, reserve: int | None = None) -> Array:
        """Values at (B, d) points; raises `OutOfCalls` before f is asked for more than is left beside the reserve."""
        reserve = self.tested if reserve is None else reserve
        points = np.ascontiguousarray(points, dtype=np.int64)
        keys = points.view(np.dtype((np.void, points.itemsize * points.shape[1]))).reshape(-1).tolist()
        new = dict[bytes, int]()
        for row, key in enumerate(keys):
            if key not in self._known and key not in new:
                new[key] = row
        if new:
            if self.max_calls is not None and self.calls + len(new) + reserve > self.max_calls:
                raise OutOfCalls
            values = self._asked(points[list(new.values())])
            self._known.update(zip(new, values.tolist(), strict=True))
        return np.array([self._known[key] for key in keys], dtype=self.dtype)

    def _asked(self, points: Array) -> Array:
        points = points if self.places is None else points[:, self.places]
        self.calls += len(points)
        values = np.asarray(self.f(points))
        if values.shape != (len(points),):
            raise FormatError(
                f"the function must return one number a point: got shape {values.shape} for {len(points)} points of "
                f"{points.shape[1]} indices each, an array of shape {points.shape}"
            )
        if values.dtype.kind not in "biufc":
            raise FormatError(f"the function must return numbers; got dtype {values.dtype}")
        if not np.isfinite(values).all():
            worst = int(np.argmin(np.isfinite(values)))
            raise NonFiniteError(f"the function is {values[worst]} at the indices {tuple(points[worst].tolist())}")
        kind = np.result_type(values.dtype, np.float64) if values.dtype.kind in "biu" else values.dtype
        self.dtype = kind if self.dtype is None else np.result_type(self.dtype, kind)
        return values
