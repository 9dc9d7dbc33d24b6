"""The measurements: each suite yields one row a case, made of numbers and of what was compared."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from os import environ
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import opt_einsum

import tnalgebra as tna

from . import batches, chunked, formats, grids, networks, small, starts
from .cases import LARGE, TINY, UNITS, XI, operands, random_matrix
from .harness import ASLEEP, check, compare, peak_mib
from .units import matrix_peers, unit_peers

__all__ = ["SUITES", "missing_peers"]

Row = dict[str, Any]
OPTIONAL = ("cotengra",)
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}


def missing_peers() -> list[str]:
    """Optional peers that are not installed, and so are left out."""
    return [name for name in OPTIONAL if find_spec(name) is None]


def large_products() -> Iterator[Row]:
    """One call of `contract` and one of a planned expression, on operands of which BLAS sees most."""
    for dtype in ("float64", "float32"):
        for name, (equation, sizes) in LARGE.items():
            arrays = operands(equation, sizes, dtype)
            truth = opt_einsum.contract(equation, *(array.astype("float64") for array in arrays))
            for how, contestants in (("contract", _calls(equation, arrays)), ("planned", _planned(equation, arrays))):
                check(contestants, truth, TOLERANCE[dtype])
                yield {"case": name, "equation": equation, "dtype": dtype, "how": how, **compare(contestants)}


def tiny_products() -> Iterator[Row]:
    """The same on operands so small that only the overhead of a call is seen."""
    for name, (equation, sizes) in TINY.items():
        arrays = operands(equation, sizes, "float64")
        calls = _calls(equation, arrays) | {
            "np.einsum": partial(np.einsum, equation, *arrays),
            "np.einsum, optimize": partial(np.einsum, equation, *arrays, optimize=True),
        }
        planned = _planned(equation, arrays) | _compiled(equation, arrays)
        for how, contestants in (("contract", calls), ("planned", planned)):
            check(contestants, np.einsum(equation, *arrays), 1e-12)
            yield {"case": name, "equation": equation, "dtype": "float64", "how": how, **compare(contestants)}


def _calls(equation: str, arrays: list[np.ndarray]) -> dict[str, Callable[[], Any]]:
    """`contract` as a user calls it; tnalgebra finds the plan of the warm-up again, opt_einsum keeps none."""
    return {
        "tnalgebra": partial(tna.contract, equation, *arrays),
        "opt_einsum": partial(opt_einsum.contract, equation, *arrays),
    }


def _planned(equation: str, arrays: list[np.ndarray]) -> dict[str, Callable[[], Any]]:
    shapes = [array.shape for array in arrays]
    made = {
        "tnalgebra": tna.contract_expression(equation, *shapes),
        "opt_einsum": opt_einsum.contract_expression(equation, *shapes),
    }
    if find_spec("cotengra"):
        import cotengra

        terms, output = equation.split("->")
        inputs = [tuple(term) for term in terms.split(",")]
        sizes = {
            label: n for term, shape in zip(inputs, shapes, strict=True) for label, n in zip(term, shape, strict=True)
        }
        made["cotengra"] = cotengra.array_contract_expression(inputs, tuple(output), size_dict=sizes)
    return {name: partial(call, *arrays) for name, call in made.items()}


def _compiled(equation: str, arrays: list[np.ndarray]) -> dict[str, Callable[[], Any]]:
    """JAX compiles the equation for these shapes; PyTorch keeps nothing between calls."""
    made: dict[str, Callable[[], Any]] = {}
    if find_spec("jax"):
        import jax

        jax.config.update("jax_enable_x64", True)
        compiled, held = jax.jit(partial(jax.numpy.einsum, equation)), jax.device_put(arrays)
        made["JAX"] = lambda: compiled(*held).block_until_ready()
    if find_spec("torch"):
        import torch

        made["PyTorch"] = partial(torch.einsum, equation, *map(torch.from_numpy, arrays))
    return made


def generalized_matrices() -> Iterator[Row]:
    """out[ik] = ⊕_j ξ(A[ij], B[jk]), as a call of `contract` and compiled, against the same algebra elsewhere."""
    for dtype, n in (("float64", 256), ("float32", 256), ("float32", 1024)):
        a, b = random_matrix(n, n, dtype, 0), random_matrix(n, n, dtype, 1)
        wide_a, wide_b = a.astype("float64"), b.astype("float64")
        for xi, reduce in XI:
            planned = tna.contract_expression("ij,jk->ik", a.shape, b.shape, xi=xi, reduce=reduce)
            plain, fast = partial(tna.contract, "ij,jk->ik", a, b, xi=xi, reduce=reduce), tna.compile(planned)
            contestants = {"tnalgebra": partial(fast, a, b), "not compiled": plain} | matrix_peers(a, b, xi, reduce)
            if n == 256 or not {xi, reduce} & {"logaddexp", "hypot"}:  # bound by the same slow ufunc at every size
                contestants["chunked NumPy"] = partial(chunked.matrices, a, b, xi, reduce)
            check(contestants, chunked.matrices(wide_a, wide_b, xi, reduce), TOLERANCE[dtype])
            row = {
                "case": f"{xi} over {reduce}",
                "n": n,
                "dtype": dtype,
                "peak_mib": peak_mib(contestants["tnalgebra"]),
            }
            yield {**row, **compare(contestants, pause=ASLEEP)}


def bilinear_units() -> Iterator[Row]:
    """out[bk] = Σ_ij ξ(a[bi], h[bj]) G[ijk], the step of a recurrent network, compiled and not."""
    a, h, g = tna.leaf("a", "bi"), tna.leaf("h", "bj"), tna.leaf("G", "ijk")
    for dtype in ("float64", "float32"):
        for batch, left, right, outputs in UNITS:
            x, y = random_matrix(batch, left, dtype, 0), random_matrix(batch, right, dtype, 1)
            weight = random_matrix(left * right, outputs, dtype, 2).reshape(left, right, outputs)
            wide = [array.astype("float64") for array in (x, y, weight)]
            for xi in ("multiply", "rectifier", "logaddexp", "add", "hypot"):
                unit = tna.contract("bij,ijk->bk", tna.contract("bi,bj->bij", a, h, xi=xi), g)
                ours, plain = (partial(call, a=x, h=y, G=weight) for call in (tna.compile(unit), unit.evaluate))
                contestants = {"tnalgebra": ours, "not compiled": plain} | unit_peers(x, y, weight, xi)
                contestants["chunked NumPy"] = partial(chunked.unit, x, y, weight, xi)
                check(contestants, chunked.unit(*wide, xi), TOLERANCE[dtype])
                size = f"{batch} × {left} × {right} × {outputs}"
                row = {"case": xi, "size": size, "dtype": dtype, "peak_mib": peak_mib(ours)}
                yield {**row, **compare(contestants, pause=ASLEEP)}


def import_time() -> Iterator[Row]:
    """Fresh processes that import the package, less fresh processes that import nothing."""
    codes = {"tnalgebra": "import tnalgebra", "numpy": "import numpy", "nothing": "pass"}
    samples: dict[str, list[float]] = {name: [] for name in codes}
    with TemporaryDirectory() as cache:  # bytecode is cached, as it is for an installed package
        kept = {name: value for name, value in environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = {**kept, "PYTHONPYCACHEPREFIX": cache}
        for round_ in range(12):
            for name, code in codes.items():
                begin = perf_counter()
                subprocess.run([sys.executable, "-c", code], check=True, env=environment)
                if round_:  # the first one compiles
                    samples[name].append(perf_counter() - begin)
    yield {"case": "process", "rounds": 11, "seconds": {name: median(times) for name, times in samples.items()}}


SUITES = {
    "large products": large_products,
    "tiny products": tiny_products,
    "generalized matrix products": generalized_matrices,
    "bilinear units": bilinear_units,
    "decompositions": formats.decompositions,
    "rounding": formats.roundings,
    "inner products": formats.inner_products,
    "entries": formats.gathered_entries,
    "small calls": small.small_calls,
    "CP fits": formats.cp_fits,
    "training steps": networks.training_steps,
    "batches of networks": batches.batches_of_networks,
    "grid tensors": grids.grid_tensors,
    "first calls": starts.first_calls,
    "import": import_time,
}
