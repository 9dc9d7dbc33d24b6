"""How things are timed: results checked first, warm-up, interleaved samples, medians, ratios within a round."""

import gc
import importlib.metadata
import os
import platform
import tracemalloc
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import Any

import numpy as np
import psutil

__all__ = ["ASLEEP", "check", "compare", "machine", "peak_mib", "relative_error"]

ROUNDS = 11
FEWEST_ROUNDS = 7
SAMPLE_SECONDS = 0.01
BUDGET_SECONDS = 8.0
SLOW_ROUNDS, SLOW_SECONDS = 3, 30.0
ATTEMPTS = 3
QUIET = 0.15
QUIET_PERCENT = 15
PATIENCE_SECONDS = 10.0
ASLEEP = 0.25
"""Seconds after which threads of all libraries sleep: OpenBLAS's look for work for 90 ms, PyTorch's for 0.2 s."""
LIMIT = "BLAS alone"
LIBRARIES = (
    "numpy",
    "opt_einsum",
    "cotengra",
    "jax",
    "numba",
    "quimb",
    "teneva",
    "tensap",
    "tensorly",
    "tntorch",
    "torch",
    "torchTT",
)

Contestants = Mapping[str, Callable[[], Any]]


def check(contestants: Contestants, truth: Any, tolerance: float) -> None:
    """Refuse to time a wrong result: the largest error, relative to the largest entry."""
    truth = np.asarray(truth)
    for name, call in contestants.items():
        found = np.asarray(call())
        assert found.shape == truth.shape, f"{name}: shape {found.shape}, not {truth.shape}"
        error = relative_error(found, truth)
        assert error <= tolerance, f"{name}: relative error {error:.1e}, more than {tolerance:.0e}"


def relative_error(found: Any, truth: Any) -> float:
    """The largest error by the largest entry."""
    scale = float(np.max(np.abs(truth))) or 1.0
    return float(np.max(np.abs(found - truth))) / scale


def compare(
    contestants: Contestants, ours: str = "tnalgebra", pause: float = 0.002, budget: float = BUDGET_SECONDS
) -> dict[str, Any]:
    """Time all contestants; again where other work on the machine disturbed them, and keep the quietest attempt.

    pause: seconds before each sample; `ASLEEP` where contestants have threads of their own.
    budget: seconds of an attempt after which seven rounds are enough.

    seconds: median of a call. ratio: median over the rounds of our time by the peer's; below 1, we are faster.
    spread: the widest middle half of a contestant's samples, by their median. It alone decides between attempts.
    """
    attempts: list[dict[str, Any]] = []
    start = perf_counter()
    while not attempts or (
        attempts[-1]["spread"] > QUIET and len(attempts) < ATTEMPTS and perf_counter() - start < SLOW_SECONDS
    ):
        attempts.append(_attempt(contestants, ours, pause, budget))
    return min(attempts, key=lambda attempt: attempt["spread"]) | {"attempts": len(attempts)}


def _attempt(contestants: Contestants, ours: str, pause: float, budget: float) -> dict[str, Any]:
    """Samples of all contestants in turn, round after round; the order turns around with each round."""
    _wait_for_quiet()
    repeats = {name: _repeats(call) for name, call in contestants.items()}
    names = list(contestants)
    samples: dict[str, list[float]] = {name: [] for name in names}
    start = perf_counter()
    gc.collect()
    gc.disable()
    try:
        for number in range(ROUNDS):
            spent = perf_counter() - start
            if (number >= FEWEST_ROUNDS and spent > budget) or (number >= SLOW_ROUNDS and spent > SLOW_SECONDS):
                break
            for name in names if number % 2 == 0 else reversed(names):
                sleep(pause)
                samples[name].append(_sample(contestants[name], repeats[name]))
    finally:
        gc.enable()
    mine = samples[ours]
    return {
        "rounds": len(mine),
        "seconds": {name: median(times) for name, times in samples.items()},
        "ratio": {
            name: median(a / b for a, b in zip(mine, times, strict=True))
            for name, times in samples.items()
            if name != ours
        },
        "spread": max(map(_spread, samples.values())),
    }


def _wait_for_quiet() -> None:
    """Until other programs leave the cores alone for a moment, or patience ends: BLAS threads wait for each other."""
    end = perf_counter() + PATIENCE_SECONDS
    while psutil.cpu_percent(interval=0.3) > QUIET_PERCENT and perf_counter() < end:
        pass


def _spread(times: list[float]) -> float:
    first, middle, third = quantiles(times, n=4)
    return (third - first) / middle


def _sample(call: Callable[[], Any], repeats: int) -> float:
    begin = perf_counter()
    for _ in range(repeats):
        call()
    return (perf_counter() - begin) / repeats


def _repeats(call: Callable[[], Any]) -> int:
    """Calls that make up one sample, counted on warm calls."""
    once = _sample(call, 1)
    if once < 1.0:
        once = min(_sample(call, 1) for _ in range(3))
    return max(1, round(SAMPLE_SECONDS / once))


def peak_mib(call: Callable[[], Any]) -> float:
    """MiB allocated at the worst moment of a warm call, the result not counted."""
    call()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return (peak - before - getattr(result, "nbytes", 0)) / 2**20


def machine() -> dict[str, Any]:
    """Where and with what the numbers were measured."""
    return {
        "date": date.today().isoformat(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "blas": np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"],
        **{name: version for name in LIBRARIES if (version := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    """Model and widest vectors, which say more about speed than the name alone."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    vectors = next((name for name in ("avx512f", "avx2") if name in fields.get("flags", "").split()), "")
    return f"{fields.get('model name', platform.machine())} {vectors}".strip()
