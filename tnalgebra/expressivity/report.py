"""`compare_ranks`: the CP, TT and HT ranks of one tensor side by side, and what each format costs at equal error."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ..errors import ConvergenceWarning
from ..formats import CPTensor, DimensionTree, Format, HTTensor, TTTensor
from ..formats.parts import check_eps
from ..formats.tree import modes_of
from .bounds import CPBounds, cp_bounds, predicted_widths
from .ranks import Matricizations, RankEstimate

__all__ = ["Compressed", "RankReport", "compare_ranks"]

Array = Any
Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Compressed:
    """One format at the tolerance of the report: `error` is measured on the dense tensor, not promised."""

    name: str
    tensor: Format
    error: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankReport:
    """Ranks of one tensor in every format.

    multilinear, tt, ht: numerical ranks with their evidence, by mode, bond and node; ht by the name of the tree.
    cp: bounds. compressed: each format at relative error eps. predicted: ERNN Table 2 for the measured widths.
    `str()` is the tables, `.to_dict()` plain numbers, `.plot(path)` a picture.
    """

    shape: tuple[int, ...]
    dtype: str
    eps: float
    multilinear: Mapping[str, RankEstimate]
    tt: Mapping[str, RankEstimate]
    ht: Mapping[str, Mapping[str, RankEstimate]]
    cp: CPBounds
    compressed: tuple[Compressed, ...]
    predicted: Mapping[str, Mapping[str, str]]

    def tables(self) -> list[Table]:
        """Title, header and rows of every table."""
        rows: list[tuple[str, ...]] = [
            (f"{cut} | {rest}", str(e.rank), str(e.possible), _number(e.gap), f"{e.tol:.1e}", ", ".join(roles))
            for (cut, rest), (e, roles) in self._cuts().items()
        ]
        sizes: list[tuple[str, ...]] = [
            (c.name, _ranks(c.tensor), str(c.tensor.n_params), f"{c.tensor.compression:.3g}", f"{c.error:.3g}", c.note)
            for c in self.compressed
        ]
        widths: list[tuple[str, ...]] = [
            (f"{given} of width {_width(row, given)}", row["TT"], row["HT"], row["CP"])
            for given, row in self.predicted.items()
        ]
        bounds: list[tuple[str, ...]] = [
            ("at least", str(self.cp.lower), self.cp.lower_by),
            ("at most", str(self.cp.upper), self.cp.upper_by),
        ]
        return [
            ("Ranks of matricizations", ("cut", "rank", "possible", "gap", "tol", "seen by"), rows),
            ("CP rank", ("bound", "rank", "by"), bounds),
            (f"At relative error {self.eps:g}", ("format", "ranks", "parameters", "compression", "error", ""), sizes),
            ("Widths that theory predicts (ERNN Table 2)", ("given", "TT", "HT", "CP"), widths),
        ]

    def _cuts(self) -> dict[tuple[str, str], tuple[RankEstimate, list[str]]]:
        """Every cut once, with the bonds that it stands for."""
        ndim = len(self.shape)
        seen = [(name, f"mode {name}", e) for name, e in self.multilinear.items()]
        seen += [(" ".join(map(str, range(int(name.split("|")[1])))), f"TT {name}", e) for name, e in self.tt.items()]
        seen += [(name, f"HT {tree}", e) for tree, nodes in self.ht.items() for name, e in nodes.items()]
        cuts: dict[tuple[str, str], tuple[RankEstimate, list[str]]] = {}
        for name, role, estimate in seen:
            modes = [int(mode) for mode in name.split()]
            rest = " ".join(str(mode) for mode in range(ndim) if mode not in modes)
            key = (name, rest) if 0 in modes else (rest, name)
            roles = cuts.setdefault(key, (estimate, []))[1]
            if role not in roles:
                roles.append(role)
        return cuts

    def __str__(self) -> str:
        title = f"{' × '.join(map(str, self.shape))} tensor, {self.dtype}, {prod(self.shape)} entries"
        return "\n".join([title, *(_text(*table) for table in self.tables())])

    def to_dict(self) -> dict[str, Any]:
        """Everything but the tensors, as numbers and strings that JSON can hold (an infinite gap is None)."""

        def plain(estimate: RankEstimate) -> dict[str, Any]:
            gap = estimate.gap if np.isfinite(estimate.gap) else None
            return {"rank": estimate.rank, "possible": estimate.possible, "tol": estimate.tol, "gap": gap}

        return {
            "shape": list(self.shape),
            "dtype": self.dtype,
            "eps": self.eps,
            "multilinear": {name: plain(estimate) for name, estimate in self.multilinear.items()},
            "tt": {name: plain(estimate) for name, estimate in self.tt.items()},
            "ht": {tree: {name: plain(e) for name, e in nodes.items()} for tree, nodes in self.ht.items()},
            "cp": {name: getattr(self.cp, name) for name in ("lower", "lower_by", "upper", "upper_by")},
            "compressed": [
                {"format": c.name, "ranks": list(c.tensor.ranks), "parameters": c.tensor.n_params,
                 "compression": c.tensor.compression, "error": c.error, "note": c.note}
                for c in self.compressed
            ],
            "predicted": {given: dict(row) for given, row in self.predicted.items()},
        }  # fmt: skip

    def plot(self, path: Any = None) -> Any:
        """Draw singular values of the cuts, parameters of each format; save as PNG, SVG or PDF if a path is given."""
        from .picture import draw_report

        return draw_report(self, path)


def compare_ranks(
    x: Any, eps: float = 0.1, *, tol: float | None = None, seed: Any = 0, progress: Progress = lambda stage: None
) -> RankReport:
    """Compare the CP, TT and HT ranks of a tensor, exact and at a relative error.

    x: an array or a format (it is made dense). eps: relative Frobenius error at which the formats are compressed.
    tol: of the numerical ranks, as in `matricization_rank`. seed: of the CP fits. progress: called with each stage.

    CP is fitted by ALS up to the rank at which it stores as much as the dense tensor; where that does not reach eps,
    its row says so.
    Raises `NonFiniteError`, `ToleranceError`, `FormatError`, `DTypeError`.

    >>> import numpy as np, tnalgebra as tna
    >>> i = np.arange(1.0, 5.0)
    >>> report = tna.compare_ranks(np.sin(i[:, None, None] + i[:, None] + i), eps=1e-6)
    >>> report.cp.lower, [estimate.rank for estimate in report.tt.values()]
    (2, [2, 2])
    """
    eps = check_eps(eps) or 0.0
    progress("ranks of matricizations")
    cuts = Matricizations(x, tol)
    array, ndim = cuts.array, cuts.ndim
    trees = {"balanced": DimensionTree.balanced(ndim), "linear": DimensionTree.linear(ndim)}
    if trees["balanced"] == trees["linear"]:
        del trees["linear"]
    tt = {f"{bond - 1}|{bond}": cuts.rank(range(bond)) for bond in range(1, ndim)}
    ht = {
        name: {" ".join(map(str, modes_of(node))): cuts.rank(modes_of(node)) for node in tree.nodes[:-1]}
        for name, tree in trees.items()
    }
    progress("bounds on the CP rank")
    bounds = cp_bounds(x if isinstance(x, Format) else cuts, tol, seed=seed)
    widths = {"TT": _widest(tt), "HT": _widest(ht["balanced"]), "CP": bounds.lower}
    return RankReport(
        shape=tuple(array.shape),
        dtype=str(np.asarray(x).dtype if not isinstance(x, Format) else x.dtype),
        eps=eps,
        multilinear={str(mode): cuts.rank([mode]) for mode in range(ndim)},
        tt=tt,
        ht=ht,
        cp=bounds,
        compressed=tuple(_compress(array, eps, trees, seed, progress)),
        predicted={given: predicted_widths(given, width, ndim, min(array.shape)) for given, width in widths.items()},
    )


def _compress(
    array: Array, eps: float, trees: Mapping[str, DimensionTree], seed: Any, progress: Progress
) -> list[Compressed]:
    """Every format at the same tolerance, with the error measured."""
    cap = max(1, array.size // sum(array.shape))
    jobs: dict[str, Callable[[], Format]] = {
        "TT": partial(TTTensor.from_dense, array, eps=eps),
        **{f"HT {name}": partial(HTTensor.from_dense, array, eps=eps, tree=tree) for name, tree in trees.items()},
        "CP": partial(CPTensor.from_dense, array, eps=eps, max_rank=cap, seed=seed),
    }
    found = []
    norm = np.linalg.norm(array.reshape(-1)) or 1.0
    for name, job in jobs.items():
        progress(f"{name} at relative error {eps:g}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the note says it
            tensor = job()
        error = float(np.linalg.norm((tensor.to_dense() - array).reshape(-1)) / norm)
        is_missed = tensor.truncation is not None and not tensor.truncation.is_reached
        found.append(Compressed(name, tensor, error, f"eps not reached up to rank {cap}" if is_missed else ""))
    return found


def _widest(estimates: Mapping[str, RankEstimate]) -> int:
    return max((estimate.rank for estimate in estimates.values()), default=1)


def _width(row: Mapping[str, str], given: str) -> str:
    return row[given]


def _ranks(tensor: Format) -> str:
    inner = (
        tensor.ranks
        if isinstance(tensor, CPTensor)
        else tensor.ranks[1:-1]
        if isinstance(tensor, TTTensor)
        else tensor.ranks[:-1]
    )
    return " ".join(map(str, inner))


def _number(gap: float) -> str:
    """Two digits, but none of a gap down to the rounding errors: they differ from machine to machine."""
    return "∞" if np.isinf(gap) else "> 1e+12" if gap > 1e12 else f"{gap:.1e}"


def _text(title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in characters: text to the left, numbers to the right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    is_number = [all(cell[:1].isdigit() or cell[:1] in ("∞", ">", "") for cell in column[1:]) for column in columns]

    def line(cells: tuple[str, ...]) -> str:
        padded = (
            cell.rjust(w) if right else cell.ljust(w) for cell, w, right in zip(cells, widths, is_number, strict=True)
        )
        return "  ".join(padded).rstrip()

    return "\n".join(["", title, line(header), "  ".join("─" * width for width in widths).rstrip(), *map(line, rows)])
