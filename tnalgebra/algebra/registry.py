"""Operators by name: normalised once, refused twice, listed when asked for in vain."""

from ..errors import LawError, UnknownNameError
from .builtin import BUILTIN
from .laws import check_laws
from .operator import Operator

__all__ = ["known_operators", "operator", "register_operator"]

_OPERATORS: dict[str, Operator] = {op.name: op for op in BUILTIN}


def operator(name: str | Operator) -> Operator:
    """Return the registered operator of that name; an `Operator` that is registered is returned as it is.

    Raises `UnknownNameError` with the known names.

    >>> import tnalgebra as tna
    >>> tna.operator("rectifier").unit
    0.0
    """
    if isinstance(name, Operator):
        known = _OPERATORS.get(name.name.casefold())
        if known is name or known == name:
            return name
        raise UnknownNameError(
            f"operator {name.name!r} is not registered; check its laws with register_operator(op) first"
        )
    found = _OPERATORS.get(name) if isinstance(name, str) else None
    if found is None and isinstance(name, str):
        found = _OPERATORS.get(name.casefold())
    if found is None:
        from difflib import get_close_matches  # takes longer to import than this module; only a misspelt name needs it

        close = get_close_matches(str(name), _OPERATORS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UnknownNameError(f"unknown operator {name!r}; known: {', '.join(sorted(_OPERATORS))}{hint}")
    return found


def register_operator(op: Operator) -> Operator:
    """Check every law that `op` declares on its samples, then make it known by its name; the same again is no harm.

    Raises `LawError` with the law and the sample that fail, or if another operator has the name.

    >>> import tnalgebra as tna
    >>> op = tna.Operator(name="p4norm", value="(x**4 + y**4) ** 0.25", unit=0.0, unit_is_strict=False)
    >>> tna.register_operator(op).name
    'p4norm'
    """
    key = op.name.casefold()
    if key in _OPERATORS and _OPERATORS[key] != op:
        raise LawError(
            f"operator {key!r} is already registered with another definition; known: {', '.join(sorted(_OPERATORS))}"
        )
    check_laws(op, _OPERATORS)
    _OPERATORS[key] = op
    return op


def known_operators() -> tuple[Operator, ...]:
    """Return all registered operators, builtins first."""
    return tuple(_OPERATORS.values())
