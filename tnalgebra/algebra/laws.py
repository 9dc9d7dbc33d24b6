"""Every law that an operator declares, checked on its samples before a planner may rely on it."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ..errors import LawError
from .operator import REDUCTIONS, Operator
from .scalar import compile_arrays

__all__ = ["check_laws"]

STEP = 1e-6
Function = Callable[..., Any]


def check_laws(op: Operator, known: Mapping[str, Operator]) -> None:
    """Raise `LawError` with the law and the sample where `op` breaks what it declares.

    >>> import tnalgebra as tna
    >>> tna.register_operator(tna.Operator(name="minus", value="x - y", unit=0.0))
    Traceback (most recent call last):
    tnalgebra.errors.LawError: operator 'minus' is not commutative: ξ(-2.5, -1.0) = -1.5 but ξ(-1.0, -2.5) = 1.5
    """
    f = op.function(np)
    if not op.samples:
        raise LawError(f"operator {op.name!r} has no samples, on which its laws are checked; give Operator(samples=…)")
    x, y, z = (np.array(column) for column in zip(*product(op.samples, repeat=3), strict=True))
    u = np.full_like(x, op.unit)
    with np.errstate(all="ignore"):
        _check(op, "is not commutative", "ξ({0}, {1})", f(x, y), "ξ({1}, {0})", f(y, x), (x, y))
        _check(
            op,
            "is not associative",
            "ξ(ξ({0}, {1}), {2})",
            f(f(x, y), z),
            "ξ({0}, ξ({1}, {2}))",
            f(x, f(y, z)),
            (x, y, z),
        )
        unit = f"unit {op.unit}"
        _check(op, f"does not have the {unit}", "ξ({0}, {1}, u)", f(f(x, y), u), "ξ({0}, {1})", f(x, y), (x, y))
        if op.unit_is_strict:
            _check(op, f"does not have the strict {unit}", "ξ({0}, u)", f(x, u), "the value", x, (x,))
        _check_folds(op, x, y, z)
        if op.partial is not None:
            _check_slope(op, "partial", lambda x, y: op.partials(x, y)[0])
        _check_pieces(op)
        if op.is_translative:
            sides = f(x + z, y + z), f(x, y) + z
            _check(
                op, "is not translative", "ξ({0} + {2}, {1} + {2})", sides[0], "ξ({0}, {1}) + {2}", sides[1], (x, y, z)
            )
        if op.generator is not None:
            g, inverse = (compile_arrays(text, ("x",), np) for text in op.generator)
            law = "is not what its generator makes"
            _check(op, law, "ξ({0}, {1})", f(x, y), "g⁻¹(g({0}) + g({1}))", inverse(g(x) + g(y)), (x, y))
        _check_share(op, x, y)
        if op.distributes_over_nonnegative:  # values stay where that law holds
            a, b = (column[(x >= 0) & (y >= 0)] for column in (x, y))
            value = f(a, b)
            _check(op, "is negative for numbers that are not", "ξ({0}, {1})", value, "|ξ|", np.abs(value), (a, b))
        for name in sorted(op.distributes_over | op.distributes_over_nonnegative):
            if name != op.name and name not in known:
                raise LawError(f"operator {op.name!r} says it distributes over {name!r}, which is not registered")
            keep = np.full(x.shape, True) if name in op.distributes_over else (x >= 0) & (y >= 0) & (z >= 0)
            _check_distributes(op, op if name == op.name else known[name], x[keep], y[keep], z[keep])


def _check(op: Operator, law: str, left: str, lhs: Any, right: str, rhs: Any, at: Iterable[Any]) -> None:
    lhs, rhs = np.asarray(lhs, float), np.asarray(rhs, float)
    close = np.isclose(lhs, rhs, rtol=1e-9, atol=1e-12) | (np.isnan(lhs) & np.isnan(rhs))
    if not close.all():
        i = int(np.argmin(close))
        sample = [float(v[i]) for v in at]
        raise LawError(
            f"operator {op.name!r} {law}: {left.format(*sample)} = {lhs[i]:.6g} "
            f"but {right.format(*sample)} = {rhs[i]:.6g}"
        )


def _check_distributes(op: Operator, over: Operator, x: Any, y: Any, z: Any) -> None:
    f, g = op.function(np), over.function(np)
    law = f"does not distribute over {over.name!r}"
    _check(op, law, "ξ({0}, {1} ⊕ {2})", f(x, g(y, z)), "ξ({0}, {1}) ⊕ ξ({0}, {2})", g(f(x, y), f(x, z)), (x, y, z))
    start = np.full_like(x, over.unit)  # a reduction starts from the unit, so this must pass through ξ too
    _check(op, law, "ξ({0}, u ⊕ {1})", f(x, g(start, y)), "u ⊕ ξ({0}, {1})", g(start, f(x, y)), (x, y))


def _check_folds(op: Operator, x: Any, y: Any, z: Any) -> None:
    """The n-fold value, and the library's reduction, of three numbers are ξ of them."""
    f = op.function(np)
    if op.repeat is not None:
        law, triple = "has another n-fold value than `repeat`", op.times(x, 3, np)
        _check(op, law, "repeat({0}, 3)", triple, "ξ({0}, {0}, {0})", f(f(x, x), x), (x,))
    if op.reduction is not None:
        if op.reduction not in REDUCTIONS:
            raise LawError(f"operator {op.name!r} has the reduction {op.reduction!r}; known: {', '.join(REDUCTIONS)}")
        law, folded = f"is not what {op.reduction!r} folds", REDUCTIONS[op.reduction].reduce([x, y, z])
        _check(op, law, "ξ(ξ({0}, {1}), {2})", f(f(x, y), z), f"{op.reduction} of them", folded, (x, y, z))


def _check_share(op: Operator, x: Any, y: Any) -> None:
    """The share of one of two terms is ∂ξ/∂x: ⊕ over two terms is ξ of them."""
    if op.share is None:
        return
    shares = partial(_share, op, op.share)
    if op.partial is None:
        _check_slope(op, "share", shares)
        return
    share, slope = np.broadcast_arrays(shares(x, y), op.partials(x, y)[0])
    _check(op, "has another share than its partial", "share({0}) of {0}, {1}", share, "∂ξ/∂x", slope, (x, y))


def _share(op: Operator, text: str, x: Any, y: Any) -> Any:
    """The share of x in ⊕ of x and y."""
    terms, t = (x, y), op.function(np)(x, y)
    ties = [np.zeros_like(x) if op.tie is None else compile_arrays(op.tie, ("x", "t"), np)(term, t) for term in terms]
    rest = op.function(np)(*(np.where(tie, op.unit, term) for tie, term in zip(ties, terms, strict=True)))
    return compile_arrays(text, ("x", "t", "n", "p"), np)(x, t, sum(np.asarray(tie, float) for tie in ties), rest)


def _check_pieces(op: Operator) -> None:
    """ξ(·, y) is a line below the breakpoint and a line above it."""
    if op.breakpoint is None:
        return
    y = np.array(op.samples)
    bend = np.asarray(compile_arrays(op.breakpoint, ("y",), np)(y))
    for side in (-1e6, -1e3, -1.0, 1.0, 1e3, 1e6):
        near, middle, far = (op.function(np)(bend + side * step, y) for step in (0.0, 1.0, 2.0))
        law = "is not linear on either side of its breakpoint"
        _check(op, law, "ξ(b ± h, {0})", middle, "the mean of ξ(b, {0}) and ξ(b ± 2 h, {0})", (near + far) / 2, (y,))


def _check_slope(op: Operator, field: str, slope: Function) -> None:
    """∂ξ/∂x as a field gives it against a central difference, where the one-sided ones agree (away from kinks)."""
    f = op.function(np)
    x, y = (
        np.array(column) + shift
        for column, shift in zip(zip(*product(op.samples, repeat=2), strict=True), (0.0, 0.0131), strict=True)
    )
    forward, backward = (f(x + STEP, y) - f(x, y)) / STEP, (f(x, y) - f(x - STEP, y)) / STEP
    smooth = np.abs(forward - backward) < 1e-3 * (1 + np.abs(forward))
    found = np.where(smooth, slope(x, y), 0.0)
    central = np.where(smooth, np.round((forward + backward) / 2, 5), 0.0)
    close = np.isclose(found, central, rtol=1e-4, atol=2e-5)
    if not close.all():
        i = int(np.argmin(close))
        raise LawError(
            f"operator {op.name!r} has another slope than `{field}`: ∂ξ/∂x({x[i]:.6g}, {y[i]:.6g}) = {found[i]:.6g} "
            f"but a finite difference gives {central[i]:.6g}"
        )
