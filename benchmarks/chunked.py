"""What a careful user of NumPy would write: blocks of rows, one buffer, no array of all products."""

import numpy as np

__all__ = ["matrices", "unit"]

ENTRIES = 1 << 17


def _xi(name: str, x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    if name == "rectifier":
        np.maximum(np.maximum(x, y, out=out), 0, out=out)
    else:
        getattr(np, name)(x, y, out=out)


def _reduce(name: str, block: np.ndarray, out: np.ndarray) -> None:
    if name == "logaddexp":
        top = block.max(axis=0)
        np.exp(np.subtract(block, top, out=block), out=block)
        np.log(block.sum(axis=0), out=out)
        out += top
    else:
        getattr(np, name).reduce(block, axis=0, out=out)


def matrices(a: np.ndarray, b: np.ndarray, xi: str, reduce: str) -> np.ndarray:
    """⊕_j ξ(a[ij], b[jk]), a row of `a` at a time; for Σ of sums, the identity that every user sees."""
    if xi == reduce == "add":
        return np.add(a.sum(axis=1)[:, None], b.sum(axis=0))
    out, buffer = np.empty((len(a), b.shape[1]), a.dtype), np.empty_like(b)
    for row, place in zip(a, out, strict=True):
        _xi(xi, row[:, None], b, buffer)
        _reduce(reduce, buffer, place)
    return out


def unit(x: np.ndarray, y: np.ndarray, weight: np.ndarray, xi: str) -> np.ndarray:
    """Σ_ij ξ(x[bi], y[bj]) weight[ijk]: ξ of as many rows as fit the buffer, then one matrix product."""
    left, right, outputs = weight.shape
    step = max(1, min(len(x), ENTRIES // (left * right)))
    out, buffer = np.empty((len(x), outputs), x.dtype), np.empty((step, left, right), x.dtype)
    matrix = weight.reshape(left * right, outputs)
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        block = buffer[: rows.stop - start]
        _xi(xi, x[rows, :, None], y[rows, None, :], block)
        np.matmul(block.reshape(len(block), -1), matrix, out=out[rows])
    return out
