"""One tensor in every format at one relative error: of an array by decomposition, of a large format by rounding."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..decompose.cp_fit import at_norm_one
from ..decompose.cp_search import least_rank
from ..errors import ConvergenceWarning, MemoryLimitError
from ..formats import CPTensor, DimensionTree, Format, HTTensor, TTTensor
from ..formats.network import chain, embedded_size, on_tree

__all__ = ["Compressed", "Progress", "compress_array", "compress_format"]

Array = Any
Progress = Callable[[str], None]
FIT_UNKNOWNS = 2000
"""Largest R·Σn for which a CP tensor is fitted to a format."""
NUMBERS = 1 << 25
"""Most numbers that a format may take in another format before it is rounded."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """One format at the tolerance of the report: `error` is measured, on the dense tensor or as a distance of formats.

    tensor: None where the format was not tried; `note` says why, and the error is NaN then.
    """

    name: str
    tensor: Format | None
    error: float
    note: str = ""


def compress_array(
    array: Array, eps: float, trees: Mapping[str, DimensionTree], seed: Any, progress: Progress
) -> Iterator[Compressed]:
    """Every format at the same tolerance, with the error measured."""
    cap = max(1, array.size // sum(array.shape))
    jobs: dict[str, Callable[[], Format]] = {
        "TT": partial(TTTensor.from_dense, array, eps=eps),
        **{f"HT {name}": partial(HTTensor.from_dense, array, eps=eps, tree=tree) for name, tree in trees.items()},
        "CP": partial(CPTensor.from_dense, array, eps=eps, max_rank=cap, seed=seed),
    }
    norm = np.linalg.norm(array.reshape(-1)) or 1.0
    for name, job in jobs.items():
        progress(f"{name} at relative error {eps:g}")
        tensor = _quietly(job)
        error = float(np.linalg.norm((tensor.to_dense() - array).reshape(-1)) / norm)
        yield Compressed(name, tensor, error, _missed(tensor, cap))


def compress_format(
    x: Format, eps: float, trees: Mapping[str, DimensionTree], seed: Any, progress: Progress
) -> Iterator[Compressed]:
    """The same for a format that is too large for its entries: exact conversion, rounding, and the distance."""
    unit, mantissa, exponent = at_norm_one(x.to_device("cpu"))
    network: Any = unit.to_tt() if isinstance(unit, CPTensor) else unit
    layouts = {"TT": chain(x.ndim), **{f"HT {name}": on_tree(tree) for name, tree in trees.items()}}
    for name, layout in layouts.items():
        progress(f"{name} at relative error {eps:g}")
        size = embedded_size(network.network(), layout)
        if size > NUMBERS:
            yield Compressed(name, None, float("nan"), f"not tried: the exact conversion takes {size:.2g} numbers")
            continue
        exact = unit.to_tt() if name == "TT" else unit.to_ht(trees[name.removeprefix("HT ")])
        tensor = exact.round(eps=eps)
        yield _measured(name, exact, tensor, (mantissa, exponent), "")
    progress(f"CP at relative error {eps:g}")
    yield _fitted(unit, eps, (mantissa, exponent), seed)


def _fitted(unit: Any, eps: float, scale: tuple[float, int], seed: Any) -> Compressed:
    """A fit, or the CP tensor given, where the rank that eps needs at least leaves few unknowns."""
    cap = FIT_UNKNOWNS // sum(unit.shape)
    if isinstance(unit, CPTensor):
        cap = min(cap, unit.rank)
    try:
        least = least_rank(unit, eps) if scale[0] else 1
        if least > cap:
            return Compressed("CP", None, float("nan"), f"not tried: it needs a rank of {least} or more")
        if isinstance(unit, CPTensor):
            return _measured("CP", unit, _quietly(partial(unit.round, eps=eps or None)), scale, "")
        tensor = _quietly(partial(unit.fit_cp, eps=eps, max_rank=cap, seed=seed, restarts=1, sweeps=100))
        return _measured("CP", unit, tensor, scale, _missed(tensor, cap))
    except MemoryLimitError as error:
        return Compressed("CP", None, float("nan"), f"not tried: {error}")


def _measured(name: str, exact: Format, tensor: Format, scale: tuple[float, int], note: str) -> Compressed:
    """The tensor at the scale of what was given, and its distance from the exact one of norm one."""
    mantissa, exponent = scale
    error = exact.distance(tensor) if mantissa else 0.0
    return Compressed(name, tensor._scaled(mantissa)._evened(exponent) if mantissa else tensor, error, note)


def _quietly(job: Callable[[], Format]) -> Format:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the note says it
        return job()


def _missed(tensor: Format, cap: int) -> str:
    is_missed = tensor.truncation is not None and not tensor.truncation.is_reached
    return f"eps not reached up to rank {cap}" if is_missed else ""
