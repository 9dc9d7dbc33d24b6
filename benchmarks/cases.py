"""What is measured: equations with their sizes, and the operands for them."""

from zlib import crc32

import numpy as np

__all__ = ["LARGE", "TINY", "UNITS", "XI", "operands", "random_matrix"]

LARGE = {
    "matrix chain": ("ab,bc,cd,de->ae", {"a": 800, "b": 600, "c": 200, "d": 1000, "e": 300}),
    "matrix chain, thin": ("ab,bc,cd,de->ae", {"a": 400, "b": 300, "c": 20, "d": 500, "e": 60}),
    "batched bilinear": ("bi,bj,ijk->bk", dict.fromkeys("ijk", 48) | {"b": 256}),
    "batched bilinear, wide": ("bi,bj,ijk->bk", dict.fromkeys("ijk", 128) | {"b": 1024}),
    "matrix product states": (
        "abc,dbe,cfg,efh,gij,hik->adjk",
        dict.fromkeys("acdeghjk", 32) | dict.fromkeys("bfi", 4),
    ),
    "Tucker": ("abc,ai,bj,ck->ijk", dict.fromkeys("abc", 60) | dict.fromkeys("ijk", 40)),
    "MTTKRP": ("ijk,jr,kr->ir", dict.fromkeys("ijk", 120) | {"r": 24}),
    "integral transformation": ("pi,qj,pqrs,rk,sl->ijkl", dict.fromkeys("pqrs", 24) | dict.fromkeys("ijkl", 16)),
    "four legs": ("ea,fb,abcd,gc,hd->efgh", dict.fromkeys("efgh", 20) | dict.fromkeys("abcd", 24)),
    "lattice 2 × 3": ("abi,bcdj,cek,afl,fdgm,gen->ijklmn", dict.fromkeys("abcdefg", 10) | dict.fromkeys("ijklmn", 3)),
    "attention scores": ("bhqd,bhkd->bhqk", {"b": 4, "h": 8, "q": 256, "k": 256, "d": 64}),
    "attention": ("bhqd,bhkd,bhkv->bhqv", {"b": 4, "h": 8, "q": 128, "k": 128, "d": 32, "v": 32}),
    "ring of four": ("abm,bcn,cdo,dap->mnop", dict.fromkeys("abcd", 40) | dict.fromkeys("mnop", 8)),
}

TINY = {
    "ring of four matrices": ("ab,bc,cd,da->", {"a": 4, "b": 5, "c": 6, "d": 3}),
    "chain of four matrices": ("ab,bc,cd,de->ae", {"a": 4, "b": 5, "c": 6, "d": 3, "e": 4}),
    "bilinear": ("bi,bj,ijk->bk", {"b": 4, "i": 3, "j": 3, "k": 2}),
    "matrix product": ("ij,jk->ik", {"i": 3, "j": 4, "k": 5}),
}

XI = (
    ("rectifier", "add"),
    ("logaddexp", "add"),
    ("hypot", "add"),
    ("add", "add"),
    ("add", "maximum"),
    ("add", "minimum"),
    ("add", "logaddexp"),
)

UNITS = ((32, 8, 8, 8), (32, 32, 32, 32), (256, 64, 64, 64), (1024, 128, 128, 128))


def operands(equation: str, sizes: dict[str, int], dtype: str) -> list[np.ndarray]:
    """Normal entries, scaled so that the result stays near 1; the same ones in every run."""
    rng = np.random.default_rng(crc32(equation.encode()))
    shapes = [tuple(sizes[label] for label in term) for term in equation.split("->")[0].split(",")]
    return [(rng.standard_normal(shape) / np.prod(shape) ** 0.25).astype(dtype) for shape in shapes]


def random_matrix(rows: int, columns: int, dtype: str, seed: int) -> np.ndarray:
    """Normal entries; the same ones in every run."""
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(dtype)
