"""Expressions of vectors in the instructions of LLVM. Imported by the texts of kernels alone."""

from typing import Any

import numpy as np
from llvmlite import ir

from ...algebra.schedule import Tree

__all__ = ["called", "expression"]

ARITHMETIC = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}


def expression(builder: Any, tree: Tree, given: dict[str, Any]) -> Any:
    """An expression of vectors in arithmetic, roots and orders."""
    if isinstance(tree, str):
        return given[tree]
    if not isinstance(tree, tuple):
        kind = next(iter(given.values())).type
        return ir.Constant(kind, [float(tree)] * kind.count)
    head, parts = tree[0], [expression(builder, child, given) for child in tree[1]]
    if head in ("maximum", "minimum"):
        return builder.select(builder.fcmp_ordered(">" if head == "maximum" else "<", *parts), *parts)
    if head == "root":
        return _root(builder, *parts)
    if head in ("abs", "sqrt"):
        return called(builder, "fabs" if head == "abs" else "sqrt", *parts)
    return getattr(builder, ARITHMETIC[head])(*parts)


def _root(builder: Any, x: Any) -> Any:
    """√x, for 0 and numbers in the range of float32, by multiplications.

    s (1 − d/2 + 3d²/8) with an estimate r of 1/√x, s = x r and d = s r − 1; for float64, r is corrected so before.
    The error is below one unit in the last place, as that of the estimate is below 2⁻¹¹.
    """

    def number(value: float) -> Any:
        return ir.Constant(x.type, [value] * x.type.count)

    most, is_double = number(float(np.finfo("float32").max)), x.type.element == ir.DoubleType()
    r = _inverse_root(builder, x)
    r = builder.select(builder.fcmp_ordered(">", r, most), most, r)  # where it is 1/√0, so that s is 0
    for is_last in (False, True) if is_double else (True,):
        s = builder.fmul(x, r)
        d = called(builder, "fmuladd", s, r, number(-1.0))
        more, r = called(builder, "fmuladd", d, number(0.375), number(-0.5)), s if is_last else r
        r = called(builder, "fmuladd", builder.fmul(r, d), more, r)
    return r


def _inverse_root(builder: Any, x: Any) -> Any:
    """1/√x to 11 bits, in the range of float32, by an instruction for four or eight numbers."""
    vector, index = x.type, ir.IntType(32)
    if vector.element == ir.DoubleType():
        single = ir.VectorType(ir.FloatType(), vector.count)
        return builder.fpext(_inverse_root(builder, builder.fptrunc(x, single)), vector)
    width = min(8, vector.count)
    part = ir.VectorType(vector.element, width)
    name = {4: "llvm.x86.sse.rsqrt.ps", 8: "llvm.x86.avx.rsqrt.ps.256"}[width]
    estimate = builder.module.declare_intrinsic(name, (), ir.FunctionType(part, [part]))

    def places(start: int, stop: int) -> Any:
        return ir.Constant(ir.VectorType(index, stop - start), [*range(start, stop)])

    parts = [builder.shuffle_vector(x, x, places(i, i + width)) for i in range(0, vector.count, width)]
    found = [builder.call(estimate, [part]) for part in parts]
    return found[0] if len(found) == 1 else builder.shuffle_vector(*found, places(0, vector.count))


def called(builder: Any, function: str, *vectors: Any) -> Any:
    """A function of LLVM's own of vectors of one kind."""
    vector = vectors[0].type
    name = f"llvm.{function}.v{vector.count}{vector.element.intrinsic_name}"
    kind = ir.FunctionType(vector, [vector] * len(vectors))
    return builder.call(builder.module.declare_intrinsic(name, (), kind), vectors)
