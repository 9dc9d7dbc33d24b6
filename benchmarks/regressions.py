"""Calls that stand for the others, timed over and over: `make regressions` compares them with the last run.

Not of the tests: pytest finds them only where it is given this file.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import tnalgebra as tna

from .cases import LARGE, TINY, operands
from .starts import CASES


def _planned(equation: str, sizes: dict[str, int]) -> Callable[[], Any]:
    arrays = operands(equation, sizes, "float64")
    return partial(tna.contract_expression(equation, *(array.shape for array in arrays)), *arrays)


def _contracted(equation: str, sizes: dict[str, int]) -> Callable[[], Any]:
    return partial(tna.contract, equation, *operands(equation, sizes, "float64"))


def _trains() -> tuple[tna.TTTensor, tna.TTTensor]:
    first, second = (tna.TTTensor.random((4,) * 20, 10, seed=seed) for seed in (0, 1))
    return first, second


CALLS: dict[str, Callable[[], Callable[[], Any]]] = {
    "contract, bilinear, tiny": lambda: _contracted(*TINY["bilinear"]),
    "planned, bilinear, tiny": lambda: _planned(*TINY["bilinear"]),
    "planned, batched bilinear": lambda: _planned(*LARGE["batched bilinear"]),
    **{f"compiled, {name}": lambda make=make: make()["tnalgebra"]() for name, make in CASES.items()},
    "plan of eight matrices": lambda: partial(tna.contract_path, "ab,bc,cd,de,ef,fg,gh,hi->ai", *[(5, 5)] * 8),
    "inner product of trains": lambda: partial(tna.TTTensor.inner, *_trains()),
    "sum of trains, rounded": lambda: partial((_trains()[0] + _trains()[1]).round, eps=1e-10),
    "entries of a train": lambda: partial(_trains()[0].gather, np.random.default_rng(0).integers(0, 4, (1000, 20))),
}


@pytest.mark.parametrize("name", CALLS)
def test_call(name: str, benchmark: Any) -> None:
    call = CALLS[name]()
    call()  # plans and compiles
    benchmark(call)
