"""First calls, each in a fresh process: of kernels that are new to the machine, and of those that are on its disk.

`python -m benchmarks.starts CASE LIBRARY` is such a process: it prints the seconds of the first call and of a warm one.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from os import environ
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

import tnalgebra as tna

from . import networks, units
from .cases import random_matrix

__all__ = ["CASES", "first_calls", "main"]

Row = dict[str, Any]
Make = Callable[[], Callable[[], Any]]
ROUNDS, WARM = 3, 21
LIBRARIES = {"tnalgebra": "tnalgebra", "JAX": "jax"}
CALLS = ("new to the machine", "kept on the disk", "warm")


def first_calls() -> Iterator[Row]:
    """The first call with an empty cache and with a filled one, and a warm call."""
    names = [name for name, module in LIBRARIES.items() if find_spec(module)]
    for case in CASES:
        samples = [{name: _sample(case, name) for name in names} for _ in range(ROUNDS)]
        for i, how in enumerate(CALLS):
            seconds = {name: median(sample[name][i] for sample in samples) for name in names}
            ratio = {
                name: median(sample["tnalgebra"][i] / sample[name][i] for sample in samples)
                for name in names
                if name != "tnalgebra"
            }
            row = {"case": case, "dtype": "float32", "how": how}
            yield {**row, "rounds": ROUNDS, "seconds": seconds, "ratio": ratio}


def _sample(case: str, library: str) -> tuple[float, float, float]:
    """Seconds of the calls in two processes that share a cache, which is empty for the first."""
    with TemporaryDirectory() as cache:
        (new, _), (kept, warm) = _process(case, library, cache), _process(case, library, cache)
    return new, kept, warm


def _process(case: str, library: str, cache: str) -> list[float]:
    """What a fresh process prints; JAX, too, may keep on the disk whatever it compiles."""
    jax = {
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.starts", case, library],
        env={**environ, **jax, "TNALGEBRA_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: list[float] = json.loads(done.stdout)
    return found


# --- in the process ----------------------------------------------------------------------------------------------


def main(case: str, library: str) -> None:
    """Print the seconds of the first call, from arrays to the result, and of a warm one."""
    makers = CASES[case]()
    import_module(LIBRARIES[library])
    print(json.dumps(timed(makers[library])))


def timed(make: Make) -> tuple[float, float]:
    """Seconds to make a function and to call it once, and the median of later calls."""
    begin = perf_counter()
    call = make()
    call()
    first, times = perf_counter() - begin, []
    for _ in range(WARM):
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return first, median(times)


def _unit() -> dict[str, Make]:
    x, y = random_matrix(256, 64, "float32", 0), random_matrix(256, 64, "float32", 1)
    weight = random_matrix(64 * 64, 64, "float32", 2).reshape(64, 64, 64)

    def ours() -> Callable[[], Any]:
        tile = tna.contract("bi,bj->bij", tna.leaf("a", "bi"), tna.leaf("h", "bj"), xi="rectifier")
        return partial(tna.compile(tna.contract("bij,ijk->bk", tile, tna.leaf("G", "ijk"))), a=x, h=y, G=weight)

    return {"tnalgebra": ours, "JAX": lambda: units.unit_peers(x, y, weight, "rectifier")["JAX"]}


def _product() -> dict[str, Make]:
    a, b = random_matrix(256, 256, "float32", 0), random_matrix(256, 256, "float32", 1)

    def ours() -> Callable[[], Any]:
        return partial(tna.compile(tna.contract_expression("ij,jk->ik", a.shape, b.shape, xi="rectifier")), a, b)

    return {"tnalgebra": ours, "JAX": lambda: units.matrix_peers(a, b, "rectifier", "add")["JAX"]}


def _training() -> dict[str, Make]:
    steps, inputs, features, width, rank, classes, batch = networks.SIZES["mnist"]
    sizes = {"steps": steps, "inputs": inputs, "features": features, "classes": classes, "rank": rank, "width": width}
    net = tna.RecurrentNetwork.random(**sizes, xi="rectifier", seed=0, dtype="float32")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((batch, steps, inputs)).astype("float32"), rng.integers(0, classes, batch)
    return {
        "tnalgebra": lambda: networks.our_step(net, x, y),
        "JAX": lambda: networks.jax_step(net, x, y),
    }


CASES: dict[str, Callable[[], dict[str, Make]]] = {
    "bilinear unit, 256 × 64 × 64 × 64": _unit,
    "rectifier over add, 256": _product,
    "training step, recurrent, mnist": _training,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
