"""A stand-in for CuPy on the CPU: what CuPy 13 offers and nothing else, on arrays that NumPy cannot touch.

CuPy differs from NumPy where kernels notice: its arrays are not converted to NumPy's without being asked, its ufuncs
reduce by add and multiply alone, `where` takes no buffer, `max` and `any` take no dtype, `asarray` takes no device,
and the names of the array standard (`concat`, `astype`, `isdtype`, `bool`, …) came with version 14. It compiles no
kernels; `cuda_sources` does.
"""

import operator
from contextlib import nullcontext
from operator import attrgetter
from types import ModuleType, SimpleNamespace

import numpy as np

__all__ = ["CuPyArray", "make"]

UFUNCS = """
    abs absolute add subtract multiply divide power less less_equal greater greater_equal equal not_equal maximum
    minimum logical_and logical_or logaddexp hypot exp expm1 log log1p sqrt sign sin cos tanh isfinite isinf isnan
""".split()  # noqa: SIM905
FUNCTIONS = {  # name → keywords that CuPy knows
    "all": "axis out keepdims", "any": "axis out keepdims", "max": "axis out keepdims", "min": "axis out keepdims",
    "sum": "axis dtype out keepdims", "prod": "axis dtype out keepdims", "asarray": "dtype order",
    "ascontiguousarray": "dtype", "broadcast_to": "", "concatenate": "axis out dtype", "dot": "out", "einsum": "",
    "empty": "dtype order", "full": "dtype order", "matmul": "out", "moveaxis": "", "result_type": "",
    "squeeze": "axis", "tensordot": "axes", "transpose": "axes", "where": "", "zeros": "dtype order",
    "append": "axis", "arange": "dtype", "argmax": "axis dtype out keepdims", "mean": "axis dtype out keepdims", "argsort": "axis", "conj": "", "count_nonzero": "axis", "eye": "dtype", "frexp": "",
    "imag": "", "indices": "dtype", "ldexp": "", "lexsort": "", "meshgrid": "indexing", "nonzero": "", "ones": "dtype order", "ones_like": "dtype", "real": "",
    "repeat": "axis", "stack": "axis", "take": "axis", "tile": "", "trace": "", "vdot": "", "zeros_like": "dtype",
}  # fmt: skip
LINALG = {"eigh": "", "norm": "ord axis keepdims", "qr": "mode", "solve": "", "svd": "full_matrices"}
SCALARS = (bool, int, float, complex, str, type, slice, np.dtype, np.generic, type(None), type(Ellipsis))


class CuPyArray:
    """An array on a device that NumPy does not see."""

    __module__ = "cupy"
    __array_ufunc__ = None

    def __init__(self, array):
        self.array = np.asarray(array)

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_function__(self, function, types, args, kwargs):
        if function in (np.ndim, np.shape):  # CuPy has its own, which NumPy's call
            return function(self.array)
        raise TypeError(f"numpy.{function.__name__} of an array on the device")

    __array_priority__ = 1000  # as CuPy's: NumPy's numbers on the left leave the operation to it
    device = SimpleNamespace(id=0)
    flags = property(lambda self: self.array.flags)
    real, imag, T = (
        property(lambda self, name=name: wrap(getattr(self.array, name))) for name in ("real", "imag", "T")
    )
    dtype, shape, strides, size, ndim, itemsize, nbytes = (
        property(lambda self, name=name: getattr(self.array, name))
        for name in ("dtype", "shape", "strides", "size", "ndim", "itemsize", "nbytes")
    )

    def get(self):
        return self.array

    def __getitem__(self, index):
        return CuPyArray(self.array[unwrap(index)])

    def __setitem__(self, index, value):
        assert isinstance(value, (CuPyArray, *SCALARS)), f"{type(value).__name__} written into an array on the device"
        self.array[unwrap(index)] = unwrap(value)

    def __bool__(self):
        return bool(self.array)

    def __len__(self):
        return len(self.array)

    def __float__(self):
        return float(self.array)

    def __int__(self):
        return int(self.array)

    def __complex__(self):
        return complex(self.array)

    def __abs__(self):
        return wrap(abs(self.array))

    def __matmul__(self, other):
        return wrap(self.array @ unwrap(other))

    def item(self):
        return self.array.item()


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
    return CuPyArray(value) if isinstance(value, np.ndarray | np.generic) else value


def _method(name):
    return lambda self, *args, **kwargs: wrap(getattr(self.array, name)(*unwrap(args), **kwargs))


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
    setattr(CuPyArray, f"__{name}__", lambda x, y, f=function: wrap(f(x.array, unwrap(y))))
    setattr(CuPyArray, f"__r{name}__", lambda x, y, f=function: wrap(f(unwrap(y), x.array)))
CuPyArray.__neg__ = lambda x: wrap(-x.array)


class Ufunc:
    """A ufunc that reduces only where CuPy's does."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *args, out=None, dtype=None):
        result = getattr(np, self.name)(*unwrap(args), out=unwrap(out), dtype=dtype)
        return wrap(result) if out is None else out

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        if self.name not in ("add", "multiply"):
            raise NotImplementedError(f"`cupy_{self.name}.reduce` is not supported yet")
        return wrap(getattr(np, self.name).reduce(array.array, axis=axis, dtype=dtype, keepdims=keepdims))


def _function(name, known):
    def call(*args, **kwargs):
        wrong = set(kwargs) - set(known.split())
        if wrong:
            raise TypeError(f"cupy.{name} takes no {', '.join(sorted(wrong))}")
        found = attrgetter(name)(np)(*unwrap(args), **{key: unwrap(value) for key, value in kwargs.items()})
        return type(found)(*map(wrap, found)) if isinstance(found, tuple) and hasattr(found, "_fields") else wrap(found)

    return call


def make():
    """Return the module, to be put in place of ``cupy``."""
    module = ModuleType("cupy")
    module.ndarray, module.float64, module.int64, module.inf = CuPyArray, np.float64, np.int64, np.inf
    for name in UFUNCS:
        setattr(module, name, Ufunc(name))
    for name, known in FUNCTIONS.items():
        setattr(module, name, _function(name, known))
    as_array = module.asarray
    module.asarray = lambda array, **kwargs: as_array(wrap(array), **kwargs)  # it copies NumPy's arrays to the device
    module.RawModule = _no_compiler
    runtime = SimpleNamespace(CUDARuntimeError=type("CUDARuntimeError", (RuntimeError,), {}))
    module.cuda = SimpleNamespace(runtime=runtime, Device=lambda number=0: nullcontext())
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
