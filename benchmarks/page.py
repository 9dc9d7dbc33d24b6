"""`python -m benchmarks.page`: the results as docs/benchmarks.md; every number on that page comes from the files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .__main__ import RESULTS
from .harness import LIBRARIES, LIMIT, QUIET
from .picture import draw_ratios, told

CUDA = RESULTS.with_name("cuda.json")
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PICTURES = PAGE.parent / "assets" / "benchmarks"

INTRODUCTION = """# Benchmarks

`make bench` measures and writes `benchmarks/results/contract.json`; `python -m benchmarks.page` makes this page and its
pictures of that file. Nothing here is typed by hand.

All contestants of a row run in one process, one after the other, round after round, with the same BLAS and its own
number of threads. Results are checked before anything is timed. Times are medians over at least seven rounds (three
where a round of all takes long); a ratio is the median over the rounds of our time divided by the peer's, so **below 1
tnalgebra is faster**. On a machine that does other work as well, ratios within 1.1 of each other are ties. A row is
measured again, at most twice, when the middle half of some contestant's samples spans more than 15 % of their median,
and the attempt with the least span is kept; where that is still so, the row is marked with ~, and its ratios are good
for one digit.

*BLAS alone* is the time of the BLAS and LAPACK calls at the heart of the work, as NumPy makes them: the limit of what
can be reached. A library whose result is farther off than the tolerance is not timed, and its error stands in place of
the ratio.
"""

ABOUT = {
    "large products": "`contract` is one call from an equation: tnalgebra finds again the plan that it made for these "
    "shapes before, opt_einsum looks for its path each time. *Planned* is `contract_expression`.",
    "tiny products": "Operands of a few entries: what is left is the cost of a call. `np.einsum` without `optimize` "
    "is one loop in C, without any plan. JAX has compiled the equation; PyTorch keeps nothing between calls.",
    "generalized matrix products": "out[ik] = ⊕ⱼ ξ(A[ij], B[jk]) for n × n matrices, ours by `tna.compile`. *Not "
    "compiled* is `tna.contract`. *Chunked NumPy* is the loop that a careful user writes: one row at a time into a "
    "buffer. JAX is given the same algebra: logarithms of products of eight, the log semiring as a matrix product of "
    "shifted exponentials (without a guard), and updates of rank one, which it compiles best. *Scratch* is the most "
    "memory in use beside operands and result.",
    "bilinear units": "out[bk] = Σᵢⱼ ξ(a[bi], h[bj]) G[ijk], the step of a recurrent network, for b × i × j × k, ours "
    "by `tna.compile`.",
    "decompositions": "1 / (1 + x₁ + … + x_d) on a grid: with noise of 1e-10 at eps 1e-6, without at 1e-12; HT on a "
    "balanced tree. TensorLy takes no tolerance and gets our ranks.",
    "rounding": "A sum of two trains of rank 50 cut to half its rank, at 1e-10 where nothing can be cut, and the sum "
    "of two parallel trains; an entrywise product that is cut at once. *Seed* is our randomized variant, *eig* that of "
    "tntorch with Gram matrices.",
    "inner products": "tntorch and torchTT use the BLAS of PyTorch (MKL), JAX its own, the others that of "
    "NumPy. *NumPy* is the loop over modes that a careful user writes; JAX has compiled it.",
    "entries": "At random indices. *NumPy* is one einsum a mode.",
    "small calls": "Trains of shape 4 × 5 × 6 × 3 × 4 and rank 3, three entries of one, the scores of one input of a "
    "recurrent network with ξ = rectifier, and Σ A[ij] B[jk] C[ki] with its derivative by A. *NumPy* is the same "
    "written out for these arrays, without a check of them.",
    "CP fits": "Alternating least squares with a tenth of noise: until it converges (ours tries two starts), and 50 "
    "sweeps of every library.",
    "training steps": "Loss, gradient and Adam of one batch in float32. Steps × features × width × rank × classes are "
    "2 × 8 × 8 × 8 × 2 (moons), 16 × 16 × 16 × 16 × 10 (mnist) and 49 × 64 × 64 × 64 × 10 (long and wide); batches of "
    "32, or 256 there and where it says so. Ours with Numba's kernels, as `fit` takes them where an epoch is long. "
    "*NumPy by hand* is backpropagation written out for these networks; JAX is compiled, PyTorch is not.",
    "batches of networks": "1000 networks of 4 steps, 2 inputs, 4 features, rank 3 and 2 classes on the same 8 "
    "sequences: their scores, and a step of gradient descent for each. Ours is batched and compiled; *not compiled* "
    "is the same without Numba, *one by one* the compiled step of one network for each, *JAX* its `vmap`, compiled.",
    "grid tensors": "Every score of a recurrent network with N(0, 1) parameters on all sequences of its templates, as "
    "one array. *NumPy in chunks* is the loop over steps that a careful user writes, prefixes shared; the same "
    "in PyTorch, plain and compiled, and JAX; opt_einsum has the whole graph. Below, lower bounds on the width of "
    "shallow networks, grid tensors included, beside the singular values of their matricizations alone.",
    "first calls": "From arrays to the result in a fresh process that has imported the library: with kernels to "
    "compile (*new to the machine*), with those that an earlier process left (*kept on the disk*), and a *warm* call "
    "later in that process. Ours by `tna.compile`, which also imports Numba; JAX traces and compiles, and has a cache "
    "on the disk as well. Medians of three pairs of processes.",
    "import": "Seconds of a fresh process, start of the interpreter included.",
}
ON_A_GPU = {
    "generalized matrix products": "out[ik] = ⊕ⱼ ξ(A[ij], B[jk]) for n × n matrices. *Share*: of the instructions of "
    "float32 that the chip can do at its highest clock, were ξ and ⊕ one each. What the others compile is written as "
    "an array over i, j and k that is folded; cuBLAS multiplies and adds.",
    "training steps": "The networks of the table above, on the device; the loss of every step comes to the host. Ours "
    "is one CUDA graph, or *launched one by one*. JAX multiplies in float32, and as it does by itself in TF32.",
    "bilinear units": "out[bk] = Σᵢⱼ ξ(a[bi], h[bj]) G[ijk], for b × i × j × k.",
    "small plans": "Operands of a few entries, as one CUDA graph: the cost of a call.",
}
COLUMNS = {"case": "", "size": "sizes", "n": "n", "dtype": "dtype", "how": "call"}
MORE = {"peak_mib": ("scratch", "{:.2g} MiB"), "share": ("share", "{:.2f}")}


def main() -> None:
    """Write the page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    parts = [INTRODUCTION, *sections(RESULTS, ABOUT, ""), *sections(CUDA, ON_A_GPU, " on a GPU")]
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def sections(path: Path, about: dict[str, str], where: str) -> Iterator[str]:
    """Headings, texts, pictures and tables of the suites that a file has."""
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in filter(results.__contains__, about):
        rows, heading = results[name]["rows"], f"{name[0].upper()}{name[1:]}{where}"
        yield f"## {heading}\n"
        yield f"{about[name]}\n"
        if any(row.get("ratio") for row in rows):
            picture = PICTURES / f"{heading.replace(' ', '-').lower()}.svg"
            draw_ratios(rows, heading, picture)
            yield f"![{told(rows)}]({picture.relative_to(PAGE.parent).as_posix()})\n"
        yield table(rows)
        yield f"\n{described(results[name]['machine'])}\n"


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table: what was measured, our time, the ratio to each peer."""
    words = [key for key in COLUMNS if key in rows[0]]
    peers = list(dict.fromkeys(peer for row in rows for part in ("ratio", "failed") for peer in row.get(part, {})))
    peers.sort(key=lambda peer: peer == LIMIT)
    others = [] if peers else [name for name in rows[0]["seconds"] if name != "tnalgebra"]
    more = [key for key in MORE if key in rows[0]]
    head = [
        *(COLUMNS[key] for key in words),
        "tnalgebra",
        *others,
        *(f"/ {peer}" for peer in peers),
        *(MORE[key][0] for key in more),
    ]
    lines = [head, ["---"] * len(words) + ["---:"] * (len(head) - len(words))]
    for row in rows:
        seconds, ratio = row["seconds"], row.get("ratio", {})
        mark = "~ " if row.get("spread", 0.0) > QUIET else ""
        errors = {
            peer: what if isinstance(what, str) else f"error {what:.0e}" for peer, what in row.get("failed", {}).items()
        }
        numbers = [f"{mark}{ratio[peer]:.2f}" if peer in ratio else errors.get(peer, "") for peer in peers]
        lines.append(
            [
                *(str(row[key]) for key in words),
                *(duration(seconds[key]) for key in ("tnalgebra", *others)),
                *numbers,
                *(MORE[key][1].format(row[key]) for key in more),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def duration(seconds: float) -> str:
    """Three digits in the unit that fits."""
    unit, scale = next((pair for pair in (("s", 1.0), ("ms", 1e-3)) if seconds >= pair[1]), ("µs", 1e-6))
    return f"{float(f'{seconds / scale:.3g}'):g} {unit}"


def described(machine: dict[str, Any]) -> str:
    """Where and when, in one line."""
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", *LIBRARIES) if name in machine)
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['blas']}"
    if "device" in machine:
        where = f"{machine['device']} behind {where}; CuPy {machine['cupy']}, CUDA {machine['cuda']}"
    return f"*{where}; {versions}; {machine['date']}.*"


if __name__ == "__main__":
    main()
