"""Methods of formats whose functions live in a later layer, which registers them."""

from collections.abc import Callable
from typing import Any

from ..errors import FormatError

__all__ = ["implements", "later"]

_LATER: dict[tuple[str, type], Callable[..., Any]] = {}


def implements(method: str, *kinds: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the function behind a method such as ``kind.from_dense``."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for kind in kinds:
            _LATER[method, kind] = function
        return function

    return register


def later(method: str, kind: type) -> Callable[..., Any]:
    """Return the function that was registered; a format without one says so."""
    if (method, kind) not in _LATER:
        raise FormatError(f"{kind.__name__} has no {method}; from_dense(t.to_dense(), …) decomposes it anew")
    return _LATER[method, kind]
