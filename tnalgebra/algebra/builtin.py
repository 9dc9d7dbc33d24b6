"""The operators of the generalized networks, orders and truth values: one definition each."""

from math import inf

from .operator import Operator

__all__ = ["BUILTIN"]

ORDER = frozenset({"maximum", "minimum"})  # what is monotone in each argument distributes over these
FALL = "exp(minimum(x, y) - maximum(x, y))"

BUILTIN = (
    Operator(
        name="multiply", value="x * y", partial="y", unit=1.0, reduction="prod", is_complex=True,
        tie="logical_or(x == 0, isinf(x))",
        share="where(n == 0, t / x, where(logical_and(n == 1, logical_or(x == 0, isinf(x))), p, t * sign(x)))",
        distributes_over=frozenset({"add"}), distributes_over_nonnegative=ORDER | {"hypot", "rectifier"},
    ),
    Operator(
        name="add", value="x + y", partial="1", unit=0.0, repeat="x * n", reduction="sum", is_complex=True,
        share="1",
        distributes_over=ORDER | {"logaddexp"}, distributes_over_nonnegative=frozenset({"rectifier"}),
    ),
    Operator(
        name="rectifier", value="maximum(maximum(x, y), 0)", unit=0.0, unit_is_strict=False, repeat="maximum(x, 0)",
        partial="where(t > 0, where(x < y, 0, where(x > y, 1, where(x == y, 0.5, t))), 0 * t)",
        tie="x == t", share="where(t > 0, where(x == t, 1 / n, 0), 0 * t)", breakpoint="maximum(y, 0)",
        distributes_over=ORDER | {"rectifier"},
    ),
    Operator(
        name="logaddexp", value="logaddexp(x, y)", unit=-inf, repeat="x + log(n)", reduction="logsumexp",
        generator=("exp(x)", "log(x)"), is_translative=True,
        partial=f"where(logical_and(isinf(x), x == y), where(x < 0, 0, 0.5 * sign(x)), "
        f"where(x < y, {FALL}, 1) / (1 + {FALL}))",
        tie="logical_and(x == t, t == inf)",
        share="where(isinf(t), where(t < 0, 0, where(x == t, 1 / n, 0)), exp(x - t))",
        distributes_over=ORDER, distributes_over_nonnegative=frozenset({"rectifier"}),
    ),
    Operator(
        name="hypot", value="hypot(x, y)", unit=0.0, unit_is_strict=False, repeat="abs(x) * sqrt(n)",
        generator=("x * x", "sqrt(x)"),
        partial="where(isinf(x), where(isinf(y), 0.7071067811865476 * sign(x), sign(x)), x / where(t == 0, 1, t))",
        tie="abs(x) == t", share="where(isinf(t), where(isinf(x), sign(x) / sqrt(n), 0), x / where(t == 0, 1, t))",
        distributes_over_nonnegative=ORDER | {"rectifier"},
    ),
    Operator(
        name="maximum", value="maximum(x, y)", unit=-inf, repeat="x", reduction="max",
        partial="where(x > y, 1, where(x < y, 0, where(x == y, 0.5, t)))", distributes_over=ORDER | {"rectifier"},
        tie="x == t", share="where(x == t, 1 / n, where(t == t, 0, t))", breakpoint="y",
    ),
    Operator(
        name="minimum", value="minimum(x, y)", unit=inf, repeat="x", reduction="min",
        partial="where(x < y, 1, where(x > y, 0, where(x == y, 0.5, t)))", distributes_over=ORDER,
        tie="x == t", share="where(x == t, 1 / n, where(t == t, 0, t))", breakpoint="y",
        distributes_over_nonnegative=frozenset({"rectifier"}),
    ),
    Operator(
        name="logical_or", value="logical_or(x, y)", unit=0.0, repeat="x != 0", reduction="any",
        distributes_over=frozenset({"logical_and", "logical_or"}), samples=(0.0, 1.0),
    ),
    Operator(
        name="logical_and", value="logical_and(x, y)", unit=1.0, repeat="x != 0", reduction="all",
        distributes_over=frozenset({"logical_and", "logical_or"}), samples=(0.0, 1.0),
    ),
)  # fmt: skip
