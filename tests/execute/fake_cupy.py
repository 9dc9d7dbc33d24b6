"""A stand-in for CuPy on the CPU: what CuPy 13 offers and nothing else, on arrays that NumPy cannot touch.

CuPy differs from NumPy where kernels notice: its arrays are not converted to NumPy's without being asked, its ufuncs
reduce by add and multiply alone, `where` takes no buffer, `max` and `any` take no dtype, `asarray` takes no device,
and the names of the array standard (`concat`, `astype`, `isdtype`, `bool`, …) came with version 14. It compiles no
kernels; `cuda_sources` does. While a stream captures, nothing is computed and what would wait for the device or call a
library is refused; launching the graph computes it, in the memory of then.
"""

import ctypes
import operator
from contextlib import nullcontext
from operator import attrgetter
from types import ModuleType, SimpleNamespace

import numpy as np

__all__ = ["CuPyArray", "MemoryPointer", "Stream", "make", "written"]

UFUNCS = """
    abs absolute add subtract multiply divide power less less_equal greater greater_equal equal not_equal maximum
    minimum logical_and logical_not logical_or logaddexp hypot exp expm1 log log1p sqrt sign sin cos tanh isfinite isinf isnan
""".split()  # noqa: SIM905
FUNCTIONS = {  # name → keywords that CuPy knows
    "all": "axis out keepdims", "any": "axis out keepdims", "max": "axis out keepdims", "min": "axis out keepdims",
    "sum": "axis dtype out keepdims", "prod": "axis dtype out keepdims", "asarray": "dtype order",
    "ascontiguousarray": "dtype", "broadcast_to": "", "concatenate": "axis out dtype", "copyto": "", "dot": "out", "einsum": "",
    "empty": "dtype order", "empty_like": "dtype", "full": "dtype order", "matmul": "out", "moveaxis": "", "result_type": "",
    "squeeze": "axis", "tensordot": "axes", "transpose": "axes", "where": "", "zeros": "dtype order",
    "append": "axis", "arange": "dtype", "argmax": "axis dtype out keepdims", "mean": "axis dtype out keepdims", "argsort": "axis", "conj": "", "count_nonzero": "axis", "eye": "dtype", "frexp": "",
    "imag": "", "indices": "dtype", "ldexp": "", "lexsort": "", "meshgrid": "indexing", "nonzero": "", "ones": "dtype order", "ones_like": "dtype", "real": "",
    "repeat": "axis", "stack": "axis", "take": "axis", "tile": "", "trace": "", "vdot": "", "zeros_like": "dtype",
}  # fmt: skip
LINALG = {"eigh": "", "norm": "ord axis keepdims", "qr": "mode", "solve": "", "svd": "full_matrices"}
CUBLAS = ("dot", "einsum", "matmul", "tensordot", "vdot")
SCALARS = (bool, int, float, complex, str, type, slice, np.dtype, np.generic, type(None), type(Ellipsis))


class CuPyArray:
    """An array on a device that NumPy does not see."""

    __module__ = "cupy"
    __array_ufunc__ = None

    def __init__(self, array, dtype=None, memptr=None):
        if memptr is None:
            self.array = np.asarray(array)
        else:  # a shape, and where the array lies
            memory = memptr.mem.reshape(-1).view(np.uint8)
            self.array = np.ndarray(array, dtype, memory, memptr.ptr - memory.ctypes.data)

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_function__(self, function, types, args, kwargs):
        if function in (np.ndim, np.shape):  # CuPy has its own, which NumPy's call
            return function(self.array)
        raise TypeError(f"numpy.{function.__name__} of an array on the device")

    __array_priority__ = 1000  # as CuPy's: NumPy's numbers on the left leave the operation to it
    device = SimpleNamespace(id=0)
    data = property(lambda self: MemoryPointer(owner(self.array), self.array.ctypes.data))
    flags = property(lambda self: self.array.flags)
    real, imag, T = (
        property(lambda self, name=name: wrap(getattr(self.array, name))) for name in ("real", "imag", "T")
    )
    dtype, shape, strides, size, ndim, itemsize, nbytes = (
        property(lambda self, name=name: getattr(self.array, name))
        for name in ("dtype", "shape", "strides", "size", "ndim", "itemsize", "nbytes")
    )

    def __getitem__(self, index):
        return computed(operator.getitem, self, index)

    def __setitem__(self, index, value):
        assert isinstance(value, (CuPyArray, *SCALARS)), f"{type(value).__name__} written into an array on the device"
        written(lambda: operator.setitem(self.array, unwrap(index), unwrap(value)))

    def __len__(self):
        return len(self.array)

    def __abs__(self):
        return computed(abs, self)

    def __matmul__(self, other):
        return library(operator.matmul, self, other)

    def get(self):
        return waited(lambda: self.array)

    def item(self):
        return waited(self.array.item)


class MemoryPointer:
    """An address in the memory of an array, which is copied from and to as bytes."""

    device_id = 0

    def __init__(self, mem, ptr):
        self.mem, self.ptr = mem, ptr

    def __add__(self, offset):
        return MemoryPointer(self.mem, self.ptr + offset)

    def copy_from_device_async(self, src, size, stream=None):
        assert stream in (None, Stream.current)
        for place in (self, src):
            low, high = np.lib.array_utils.byte_bounds(place.mem)
            assert low <= place.ptr <= place.ptr + size <= high, "a copy of bytes outside of the memory of an array"
        written(lambda: ctypes.memmove(self.ptr, src.ptr, size))


class Event:
    """What a stream had to do when it was recorded there last."""

    stream, after = None, frozenset()

    def __init__(self, disable_timing=False):
        pass

    def record(self, stream):
        self.stream, self.after = stream, frozenset(stream.after)


class Stream:
    """The order of what is done on a device: here everything is done at once, but for what is captured."""

    current = None
    graph = None

    def __init__(self, non_blocking=False):
        self.non_blocking, self.events, self.after = non_blocking, [], frozenset()

    def __enter__(self):
        self.outer, Stream.current = Stream.current, self
        return self

    def __exit__(self, *args):
        Stream.current = self.outer

    def record(self):
        event = Event()
        event.record(self)
        return event

    def wait_event(self, event):
        self.events.append(event.stream)
        self.after |= event.after

    def synchronize(self):
        assert Stream.graph is None

    def begin_capture(self):
        assert self.non_blocking
        assert Stream.graph is None
        Stream.graph = Graph()
        self.after = frozenset(Stream.graph.nodes)

    def end_capture(self):
        found, Stream.graph = Stream.graph, None
        if found is None:
            raise RuntimeError("cudaErrorIllegalState: the stream does not capture")
        assert self.after, "cudaErrorStreamCaptureWrongThread: another stream began the capture"
        if found.before(self.after) != {*found.nodes}:
            raise RuntimeError("cudaErrorStreamCaptureUnjoined: the stream did not wait for all that others captured")
        return found


Stream.current = Stream()


class Node:
    """Something to do when the nodes before are done."""

    def __init__(self, call, before):
        self.call, self.before = call, before


class Graph:
    """What was captured: a first node that does nothing, and one for everything else."""

    def __init__(self):
        self.nodes = [Node(lambda: None, frozenset())]

    def append(self, call):
        """Something more to do, on the current stream, which must wait for something that is captured."""
        before = Stream.current.after.intersection(self.nodes)
        assert before, "cudaErrorStreamCaptureImplicit: the stream is not captured, and would not wait"
        self.nodes.append(Node(call, before))
        Stream.current.after = frozenset(self.nodes[-1:])

    def before(self, nodes):
        """These nodes and all that they wait for."""
        found, rest = set(), list(nodes)
        while rest:
            node = rest.pop()
            if node not in found:
                found.add(node)
                rest += node.before
        return found & {*self.nodes}

    def launch(self, stream=None):
        """Do everything in the order that is least like the one of the capture."""
        assert stream in (None, Stream.current)
        rest, done = [*self.nodes], set()
        with np.errstate(all="ignore"):  # a device warns of nothing
            while rest:
                place = max(place for place, node in enumerate(rest) if node.before <= done)
                node = rest.pop(place)
                node.call()
                done.add(node)


def owner(array):
    """The array that has the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def computed(function, *args, **kwargs):
    """The value of a function of arrays. Views are views, and what is captured is not a number before it is launched."""
    call = lambda: function(*unwrap(args), **{key: unwrap(value) for key, value in kwargs.items()})  # noqa: E731
    found = call()
    given = [arg for arg in unwrap(args) if isinstance(arg, np.ndarray)]
    if Stream.graph is None or any(np.may_share_memory(found, array) for array in given):
        return wrap(found)
    place = np.full_like(found, np.nan if found.dtype.kind in "fc" else 0)
    Stream.graph.append(lambda: np.copyto(place, call()))
    return wrap(place)


def written(call):
    """Do something to the memory of arrays."""
    if Stream.graph is None:
        call()
    else:
        Stream.graph.append(call)


def waited(call):
    """A number for the host."""
    if Stream.graph is not None:
        raise RuntimeError("cudaErrorStreamCaptureUnsupported: the stream is capturing")
    return call()


def library(function, *args, **kwargs):
    """What CuPy leaves to cuBLAS or cuSOLVER."""
    if Stream.graph is not None:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    return computed(function, *args, **kwargs)


def unwrap(value):
    if isinstance(value, CuPyArray):
        return value.array
    if isinstance(value, tuple | list):
        return type(value)(map(unwrap, value))
    if isinstance(value, SCALARS):
        return value
    raise TypeError(f"Unsupported type {type(value)}")  # as CuPy says of NumPy's arrays


def wrap(value):
    if type(value) in (tuple, list):
        return type(value)(map(wrap, value))
    if isinstance(value, tuple):  # with names
        return type(value)(*map(wrap, value))
    return CuPyArray(value) if isinstance(value, np.ndarray | np.generic) else value


def _method(name):
    return lambda self, *args, **kwargs: computed(
        lambda array, *rest: getattr(array, name)(*rest, **kwargs), self, *args
    )


for name in (
    "reshape",
    "transpose",
    "diagonal",
    "copy",
    "astype",
    "squeeze",
    "all",
    "any",
    "sum",
    "prod",
    "max",
    "min",
    "conj",
    "argmax",
):
    setattr(CuPyArray, name, _method(name))
for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lt", "le", "gt", "ge", "eq", "ne", "and", "or"):
    function = getattr(operator, f"{name}_" if name in ("and", "or") else name)
    setattr(CuPyArray, f"__{name}__", lambda x, y, f=function: computed(f, x, y))
    setattr(CuPyArray, f"__r{name}__", lambda x, y, f=function: computed(f, y, x))
CuPyArray.__neg__ = lambda x: computed(operator.neg, x)
for kind in (bool, int, float, complex):
    setattr(CuPyArray, f"__{kind.__name__}__", lambda x, kind=kind: waited(lambda: kind(x.array)))


class Ufunc:
    """A ufunc that reduces only where CuPy's does."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *args, out=None, dtype=None):
        function = getattr(np, self.name)
        if out is None:
            return computed(function, *args, dtype=dtype)
        written(lambda: function(*unwrap(args), out=out.array, dtype=dtype))
        return out

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        if self.name not in ("add", "multiply"):
            raise NotImplementedError(f"`cupy_{self.name}.reduce` is not supported yet")
        return computed(getattr(np, self.name).reduce, array, axis=axis, dtype=dtype, keepdims=keepdims)


def _function(name, known):
    def call(*args, **kwargs):
        wrong = set(kwargs) - set(known.split())
        if wrong:
            raise TypeError(f"cupy.{name} takes no {', '.join(sorted(wrong))}")
        if name == "copyto":
            return written(lambda: np.copyto(*unwrap(args)))
        run = library if name in CUBLAS or name.startswith("linalg") else computed
        return run(attrgetter(name)(np), *args, **kwargs)

    return call


def make():
    """Return the module, to be put in place of ``cupy``."""
    module = ModuleType("cupy")
    module.ndarray, module.inf = CuPyArray, np.inf
    module.uint8, module.int64, module.float64 = np.uint8, np.int64, np.float64
    for name in UFUNCS:
        setattr(module, name, Ufunc(name))
    for name, known in FUNCTIONS.items():
        setattr(module, name, _function(name, known))
    as_array = module.asarray

    def asarray(array, **kwargs):
        """It copies NumPy's arrays to the device."""
        return as_array(array if isinstance(array, CuPyArray) else waited(lambda: wrap(array)), **kwargs)

    module.asarray = asarray
    module.RawModule = _no_compiler
    runtime = SimpleNamespace(CUDARuntimeError=type("CUDARuntimeError", (RuntimeError,), {}))
    module.cuda = SimpleNamespace(
        runtime=runtime, Device=lambda number=0: nullcontext(), Stream=Stream,
        Event=Event, get_current_stream=lambda: Stream.current, MemoryPool=lambda: SimpleNamespace(malloc=None),
        using_allocator=lambda allocator: nullcontext(),
    )  # fmt: skip
    module.linalg = SimpleNamespace(
        cholesky=_cholesky, **{name: _function(f"linalg.{name}", known) for name, known in LINALG.items()}
    )
    return module


def _no_compiler(code, options):
    raise RuntimeError("the stand-in compiles nothing")


def _cholesky(matrix):
    """CuPy does not raise where a matrix is not positive definite: what it returns is not finite."""
    try:
        return wrap(np.linalg.cholesky(matrix.array))
    except np.linalg.LinAlgError:
        return wrap(np.full_like(matrix.array, np.nan))
