"""C += A B for a few rows and one or two vectors of columns that stay in registers: the core of a matrix product.

Written in the vectors of LLVM, for its own vectoriser leaves no number of a loop of variable length in a register.
Imported by the texts of kernels, and so only where Numba is.
"""

from functools import lru_cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .intrinsics import FLOATS

__all__ = ["register_tile"]

WORD = ir.IntType(64)


@lru_cache(maxsize=64)
def register_tile(rows: int, vectors: int, lanes: int, bits: int) -> Any:
    """The function of addresses and strides in bytes: C and its rows', B and its rows', A and its rows', and the depth.

    C[u, v] += Σ_k A[u, k] B[k, v] for u < rows and v < vectors · lanes; A and B lie along k and along v, and the depth
    is 1 at least.
    """
    number = FLOATS[bits][2]
    vector, itemsize = ir.VectorType(number, lanes), bits // 8

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(_: Any, c: Any, c_row: Any, b: Any, b_row: Any, a: Any, a_row: Any, depth: Any) -> Any:
        def code(context: Any, builder: Any, _s: Any, args: Any) -> Any:
            _loop(builder, vector, itemsize, rows, vectors, args)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), code

    return tile


def _loop(builder: Any, vector: Any, itemsize: int, rows: int, vectors: int, args: Any) -> None:
    c, c_row, b, b_row, a, a_row, depth = args
    width = itemsize * vector.count
    name = f"llvm.fmuladd.v{vector.count}{vector.element.intrinsic_name}"
    multiply_add = builder.module.declare_intrinsic(name, (), ir.FunctionType(vector, [vector] * 3))

    def place(address: Any, kind: Any, offset: int = 0) -> Any:
        return builder.inttoptr(builder.add(address, WORD(offset)), kind.as_pointer())

    heads = [builder.add(a, builder.mul(a_row, WORD(u))) for u in range(rows)]
    spots = [
        place(builder.add(c, builder.mul(c_row, WORD(u))), vector, width * v)
        for u in range(rows)
        for v in range(vectors)
    ]
    before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
    start = [builder.load(spot, align=itemsize) for spot in spots]
    builder.branch(loop)
    builder.position_at_end(loop)
    count, line, *sums = [builder.phi(kind) for kind in (WORD, WORD, *[vector] * len(spots))]
    parts = [builder.load(place(line, vector, width * v), align=itemsize) for v in range(vectors)]
    step, ends = builder.mul(count, WORD(itemsize)), []
    for u, head in enumerate(heads):
        entry = _spread(builder, builder.load(place(builder.add(head, step), vector.element), align=itemsize), vector)
        ends += [
            builder.call(multiply_add, [entry, part, total])
            for part, total in zip(parts, sums[u * vectors : (u + 1) * vectors], strict=True)
        ]
    following = [builder.add(count, WORD(1)), builder.add(line, b_row), *ends]
    for phi, first, then in zip((count, line, *sums), (WORD(0), b, *start), following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(then, loop)
    builder.cbranch(builder.icmp_signed("<", following[0], depth), loop, after)
    builder.position_at_end(after)
    for spot, end in zip(spots, ends, strict=True):
        builder.store(end, spot, align=itemsize)


def _spread(builder: Any, entry: Any, vector: Any) -> Any:
    """A vector of which all numbers are this one."""
    nothing, index = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    return builder.shuffle_vector(
        builder.insert_element(nothing, entry, index(0)),
        nothing,
        ir.Constant(ir.VectorType(index, vector.count), [0] * vector.count),
    )
