"""What Numba's language lacks: bits of numbers, rounding, addresses. Imported by the texts of kernels alone."""

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

__all__ = [
    "added", "as_integer", "as_number", "call", "fma", "loaded", "nearest", "pause", "pointer", "stored", "swapped",
    "total", "word", "yielded",
]  # fmt: skip

FLOATS = {32: (types.float32, types.int32, ir.FloatType()), 64: (types.float64, types.int64, ir.DoubleType())}


@intrinsic  # type: ignore[untyped-decorator]
def as_integer(_: Any, x: Any) -> Any:
    """The bits of a number."""
    return FLOATS[x.bitwidth][1](x), lambda _c, builder, _s, args: builder.bitcast(args[0], ir.IntType(x.bitwidth))


@intrinsic  # type: ignore[untyped-decorator]
def as_number(_: Any, bits: Any) -> Any:
    """The number that has these bits."""
    real, _, kind = FLOATS[bits.bitwidth]
    return real(bits), lambda _c, builder, _s, args: builder.bitcast(args[0], kind)


@intrinsic  # type: ignore[untyped-decorator]
def nearest(_: Any, x: Any) -> Any:
    """The nearest integer, as a number."""

    def call(_c: Any, builder: Any, _s: Any, args: Any) -> Any:
        return builder.call(builder.module.declare_intrinsic("llvm.rint", [args[0].type]), args)

    return x(x), call


@intrinsic  # type: ignore[untyped-decorator]
def fma(_: Any, x: Any, y: Any, z: Any) -> Any:
    """X · y + z, rounded once."""
    return x(x, y, z), lambda _c, builder, _s, args: builder.fma(*args)


@intrinsic  # type: ignore[untyped-decorator]
def total(_: Any, x: Any, y: Any) -> Any:
    """X + y in a sum whose terms may be added in any order."""
    return x(x, y), lambda _c, builder, _s, args: builder.fadd(*args, flags=("reassoc",))


@intrinsic  # type: ignore[untyped-decorator]
def pointer(_: Any, address: Any) -> Any:
    """The pointer to an address, for `carray`."""
    kind = ir.IntType(8).as_pointer()
    return types.voidptr(address), lambda _c, builder, _s, args: builder.inttoptr(args[0], kind)


@intrinsic  # type: ignore[untyped-decorator]
def call(_: Any, function: Any, first: Any, second: Any) -> Any:
    """Call the function at an address with two addresses."""

    def code(context: Any, builder: Any, _s: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64), ir.IntType(64)])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def word(_: Any, address: Any) -> Any:
    """The integer of eight bytes at an address."""
    kind = ir.IntType(64).as_pointer()
    return types.int64(address), lambda _c, builder, _s, args: builder.load(builder.inttoptr(args[0], kind))


@intrinsic  # type: ignore[untyped-decorator]
def loaded(_: Any, address: Any) -> Any:
    """The same, of what other threads store."""
    kind = ir.IntType(64).as_pointer()

    def code(_c: Any, builder: Any, _s: Any, args: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(args[0], kind), "seq_cst", 8)

    return types.int64(address), code


@intrinsic  # type: ignore[untyped-decorator]
def stored(_: Any, address: Any, value: Any) -> Any:
    """Put an integer at an address for other threads, which then see all that was written before."""
    kind = ir.IntType(64).as_pointer()

    def code(context: Any, builder: Any, _s: Any, args: Any) -> Any:
        builder.store_atomic(args[1], builder.inttoptr(args[0], kind), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def swapped(_: Any, address: Any, old: Any, new: Any) -> Any:
    """Put an integer in the place of another at an address, if that is still there; whether it was."""
    kind = ir.IntType(64).as_pointer()

    def code(_c: Any, builder: Any, _s: Any, args: Any) -> Any:
        found = builder.cmpxchg(builder.inttoptr(args[0], kind), args[1], args[2], "seq_cst", "seq_cst")
        return builder.extract_value(found, 1)

    return types.boolean(types.int64, types.int64, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def added(_: Any, address: Any, value: Any) -> Any:
    """Add to the integer at an address; what was there."""
    kind = ir.IntType(64).as_pointer()

    def code(_c: Any, builder: Any, _s: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", builder.inttoptr(args[0], kind), args[1], "seq_cst")

    return types.int64(types.int64, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def pause(_: Any) -> Any:
    """Tell the core that this is a loop that waits, where there is a word for it."""

    def code(context: Any, builder: Any, _s: Any, _a: Any) -> Any:
        if "86" in binding.get_default_triple().split("-")[0]:
            builder.call(
                builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), ir.FunctionType(ir.VoidType(), [])), []
            )
        return context.get_dummy_value()

    return types.void(), code


@intrinsic  # type: ignore[untyped-decorator]
def yielded(_: Any) -> Any:
    """Let another thread have the core, if one wants it."""
    name = "SwitchToThread" if "windows" in binding.get_default_triple() else "sched_yield"

    def code(_c: Any, builder: Any, _s: Any, _a: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        return builder.call(get_or_insert_function(builder.module, kind, name), [])

    return types.int32(), code
