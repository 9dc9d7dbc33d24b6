"""Sums of products, products of sums, and ⊕ of ξ, for a few rows and vectors of columns that stay in registers.

They are the cores of C += A B, of Σ log(a + b), and of what is put together of arithmetic and orders, in the vectors of
LLVM, whose own vectoriser leaves no sum of a loop over rows in a register. All places are addresses, all strides are in
bytes. Imported by the texts of kernels, and so only where Numba is.
"""

from collections.abc import Callable, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

from ...algebra.schedule import Tree
from .fused import ROWS, lanes
from .intrinsics import FLOATS, pointer
from .vectors import called, expression

__all__ = ["factors", "terms", "tiles"]

WORD = ir.IntType(64)
Combine = Callable[[Any, Any, Any, Any, int], Any]
"""What is made of an entry of A, a vector of B, and the vector of C that there is, the so many'th in registers."""


@cache
def tiles(name: str, vectors: int) -> SimpleNamespace:
    """The functions pack and multiply of numbers of a dtype, for so many vectors of columns, compiled once for all.

    multiply(rows, …) is C[u, v] += Σ_k A[u, k] B[k, v] for u < rows and all v in registers; the depth is positive, and
    C is 0 if it is said to be first, whatever is there.
    """
    return SimpleNamespace(
        pack=_pack(name, vectors), multiply=_of_rows([_tile(name, rows, vectors) for rows in range(1, ROWS + 1)])
    )


@cache
def factors(name: str, vectors: int, group: int) -> SimpleNamespace:
    """The functions pack and multiply, here for Π (a + b), of which so many factors have one exponent.

    multiply(rows, …) is C[u, v] · 2^E[u, v] *= Π_k (A[u, k] + B[k, v]) for u < rows, at most four, and all v in
    registers; A lies along k.
    """
    tiles = [_factors(name, rows, vectors, group) for rows in range(1, 5)]
    return SimpleNamespace(pack=_pack(name, vectors), multiply=_of_rows(tiles))


@cache
def terms(name: str, vectors: int, value: Tree, fold: Tree) -> SimpleNamespace:
    """The functions pack and multiply, here for ⊕ of ξ: `value` of x0 and x1, `fold` of x and y, no order of a NaN.

    multiply(rows, …) is C[u, v] = C[u, v] ⊕ ⊕_k ξ(A[u, k], B[k, v]) for u < rows and all v in registers. Every
    other root is an instruction: it takes long, and leaves time for a root by multiplications beside it.
    """
    values: tuple[Tree, ...] = (value,)
    if isinstance(value, tuple) and value[0] == "root":
        values = ("sqrt", value[1]), value

    def combine(builder: Any, entry: Any, part: Any, total: Any, place: int) -> Any:
        term = expression(builder, values[place % len(values)], {"x0": entry, "x1": part})
        return expression(builder, fold, {"x": total, "y": term})

    tiles = [_tile(name, rows, vectors, combine) for rows in range(1, ROWS + 1)]
    return SimpleNamespace(pack=_pack(name, vectors), multiply=_of_rows(tiles))


def _of_rows(tiles: Sequence[Any]) -> Any:
    """One function of how many rows there are, and what the tile for so many is given."""
    *fewer, tile = tiles
    count, others = len(tiles), _of_rows(fewer) if fewer else None
    if others is None:
        return _compiled(lambda rows, *args: tile(*args))

    @_compiled
    def multiply(rows, *args):  # type: ignore[no-untyped-def]
        if rows == count:
            tile(*args)
        else:
            others(rows, *args)

    return multiply


def _pack(name: str, vectors: int) -> Any:
    """Copy columns of B to where they lie together, row after row, with zeros for those that are missing."""
    number, size = np.dtype(name).type, np.dtype(name).itemsize
    count_of, zero, move = lanes(size), number(0), _move(name)
    width = vectors * count_of

    @_compiled
    def pack(to, b, b_row, b_column, depth, count):  # type: ignore[no-untyped-def]
        if b_column == size:
            for k in range(depth):
                for v in range(0, width, count_of):
                    move(to + size * (width * k + v), b + k * b_row + size * v, count - v)
        else:
            for first in range(0, depth, count_of):
                for v in range(width):
                    for k in range(first, min(depth, first + count_of)):
                        line = carray(pointer(to + size * width * k), width, number)
                        line[v] = carray(pointer(b + k * b_row + v * b_column), 1, number)[0] if v < count else zero

    return pack


def _move(name: str) -> Any:
    """Copy a vector of which so many numbers are there, and zeros for the others."""
    vector, size = _vector(name), np.dtype(name).itemsize
    index, mask = (ir.VectorType(kind, vector.count) for kind in (WORD, ir.IntType(1)))
    kind = ir.FunctionType(vector, [vector.as_pointer(), ir.IntType(32), mask, vector])
    name = f"v{vector.count}{vector.element.intrinsic_name}"

    @intrinsic  # type: ignore[untyped-decorator]
    def move(_: Any, to: Any, source: Any, count: Any) -> Any:
        def code(context: Any, builder: Any, _s: Any, args: Any) -> Any:
            places = ir.Constant(index, [*range(vector.count)])
            is_there = builder.icmp_signed("<", places, _spread(builder, args[2], index))
            load = builder.module.declare_intrinsic(f"llvm.masked.load.{name}.p0{name}", (), kind)
            spot = _place(builder, args[1], vector)
            found = builder.call(load, [spot, ir.IntType(32)(size), is_there, ir.Constant(vector, None)])
            builder.store(found, _place(builder, args[0], vector), align=size)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), code

    return move


def _compiled(function: Any) -> Any:
    return njit(error_model="numpy", forceinline=True)(function)


def _coded(write: Callable[[Any, Any], None]) -> Any:
    """A function of eight addresses or numbers and of whether C is new, whose instructions another one writes."""

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(_: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, is_first: Any) -> Any:
        def code(context: Any, builder: Any, _s: Any, args: Any) -> Any:
            write(builder, args)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8, types.boolean), code

    return tile


def _vector(name: str) -> Any:
    size = np.dtype(name).itemsize
    return ir.VectorType(FLOATS[8 * size][2], lanes(size))


def _tile(name: str, rows: int, vectors: int, combine: Combine | None = None) -> Any:
    """C += A B for one number of rows, or what else is made of C and of entries of A and B."""
    size, combine = np.dtype(name).itemsize, combine or _multiply_add
    return _coded(lambda builder, args: _loop(builder, _vector(name), size, rows, vectors, combine, args))


def _multiply_add(builder: Any, entry: Any, part: Any, total: Any, _: int) -> Any:
    return called(builder, "fmuladd", entry, part, total)


def _loop(builder: Any, vector: Any, itemsize: int, rows: int, vectors: int, combine: Combine, args: Any) -> None:
    c, c_row, b, b_row, a, a_row, a_column, depth, is_first = args
    width = itemsize * vector.count
    heads = [builder.add(a, builder.mul(a_row, WORD(u))) for u in range(rows)]
    lines = [builder.add(c, builder.mul(c_row, WORD(u))) for u in range(rows)]
    spots = [_place(builder, line, vector, width * v) for line in lines for v in range(vectors)]
    before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
    nothing = ir.Constant(vector, None)
    start = [builder.select(is_first, nothing, builder.load(spot, align=itemsize)) for spot in spots]
    builder.branch(loop)
    builder.position_at_end(loop)
    count, row, *sums = [builder.phi(kind) for kind in (WORD, WORD, *[vector] * len(spots))]
    parts = [builder.load(_place(builder, row, vector, width * v), align=itemsize) for v in range(vectors)]
    step, ends = builder.mul(count, a_column), []
    for u, head in enumerate(heads):
        entry = _spread(
            builder, builder.load(_place(builder, builder.add(head, step), vector.element), align=itemsize), vector
        )
        totals = sums[u * vectors : (u + 1) * vectors]
        ends += [combine(builder, entry, parts[v], total, u * vectors + v) for v, total in enumerate(totals)]
    following = [builder.add(count, WORD(1)), builder.add(row, b_row), *ends]
    for phi, first, then in zip((count, row, *sums), (WORD(0), b, *start), following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(then, loop)
    builder.cbranch(builder.icmp_signed("<", following[0], depth), loop, after)
    builder.position_at_end(after)
    for spot, end in zip(spots, ends, strict=True):
        builder.store(end, spot, align=itemsize)


def _factors(name: str, rows: int, vectors: int, group: int) -> Any:
    """C[u, v] · 2^E[u, v] *= Π_k (A[u, k] + B[k, v]), A along k; E has the exponent of a number of each group more.

    is_first: C is 1 and E is 0, whatever is there. E lies as C does, in integers of the same size.
    """
    return _coded(lambda builder, args: _product(builder, _vector(name), name, (rows, vectors, group), args))


def _product(builder: Any, vector: Any, name: str, shape: tuple[int, int, int], args: Any) -> None:
    (rows, vectors, group), info = shape, np.finfo(name)
    c, e, c_row, b, b_row, a, a_row, groups, is_first = args
    itemsize, whole = info.bits // 8, ir.VectorType(ir.IntType(info.bits), vector.count)
    width, shift, bias = itemsize * vector.count, info.nmant, info.maxexp - 1
    one = ir.Constant(vector, [1.0] * vector.count)

    def number(value: int) -> Any:
        return ir.Constant(whole, [value] * vector.count)

    starts = [builder.mul(c_row, WORD(u)) for u in range(rows)]
    places = [(builder.add(c, start), builder.add(e, start), width * v) for start in starts for v in range(vectors)]
    spots = [(_place(builder, line, vector, at), _place(builder, powers, whole, at)) for line, powers, at in places]
    heads = [builder.add(a, builder.mul(a_row, WORD(u))) for u in range(rows)]
    before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
    start = [builder.select(is_first, one, builder.load(spot, align=itemsize)) for spot, _ in spots]
    start += [builder.select(is_first, number(0), builder.load(spot, align=itemsize)) for _, spot in spots]
    builder.branch(loop)
    builder.position_at_end(loop)
    count, row, *held = [builder.phi(kind) for kind in (WORD, WORD, *[vector] * len(spots), *[whole] * len(spots))]
    products, powers, line = held[: len(spots)], held[len(spots) :], row
    step = builder.mul(count, WORD(group * itemsize))
    for k in range(group):
        parts = [builder.load(_place(builder, line, vector, width * v), align=itemsize) for v in range(vectors)]
        for u, head in enumerate(heads):
            spot = _place(builder, builder.add(head, step), vector.element, itemsize * k)
            entry = _spread(builder, builder.load(spot, align=itemsize), vector)
            for v, part in enumerate(parts, u * vectors):
                products[v] = builder.fmul(products[v], builder.fadd(entry, part))
        line = builder.add(line, b_row)
    found = [builder.bitcast(product, whole) for product in products]
    powers = [builder.add(power, builder.lshr(word, number(shift))) for power, word in zip(powers, found, strict=True)]
    found = [builder.or_(builder.and_(word, number((1 << shift) - 1)), number(bias << shift)) for word in found]
    ends = [*(builder.bitcast(word, vector) for word in found), *powers]
    following = [builder.add(count, WORD(1)), line, *ends]
    for phi, first, then in zip((count, row, *held), (WORD(0), b, *start), following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(then, loop)
    builder.cbranch(builder.icmp_signed("<", following[0], groups), loop, after)
    builder.position_at_end(after)
    for end, spot in zip(ends, [*(spot for spot, _ in spots), *(spot for _, spot in spots)], strict=True):
        builder.store(end, spot, align=itemsize)


def _place(builder: Any, address: Any, kind: Any, offset: int = 0) -> Any:
    """The pointer to a number or vector at an address."""
    return builder.inttoptr(builder.add(address, WORD(offset)), kind.as_pointer())


def _spread(builder: Any, entry: Any, vector: Any) -> Any:
    """A vector of which all numbers are this one."""
    nothing, index = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    return builder.shuffle_vector(
        builder.insert_element(nothing, entry, index(0)),
        nothing,
        ir.Constant(ir.VectorType(index, vector.count), [0] * vector.count),
    )
