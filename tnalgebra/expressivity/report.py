"""`compare_ranks`: the CP, TT and HT ranks of one tensor side by side, and what each format costs at equal error."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..canvas import Drawable
from ..execute.threads import one_thread
from ..formats import CPTensor, DimensionTree, Format, TTTensor
from ..formats.parts import check_eps, check_seed
from ..formats.tree import modes_of
from .bounds import CPBounds, cp_bounds, predicted_widths
from .compress import Compressed, Progress, compress_array, compress_format
from .grids import as_grid, one_class, value_of
from .known import KnownRank, generic_cp_rank, maximal_cp_rank
from .picture import draw_report, shape_text
from .ranks import Matricizations, RankEstimate, listed

__all__ = ["RankReport", "compare_ranks"]

Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankReport(Drawable):
    """Ranks of one tensor in every format.

    multilinear, tt, ht: numerical ranks with their evidence, by mode, bond and node; ht by the name of the tree.
    cp: bounds. generic, maximal: what the shape alone says of the CP rank.
    compressed: each format at relative error eps. predicted: ERNN Table 2 for the measured widths.
    `str()` is the tables, `.to_dict()` plain numbers, `.draw(path)` a picture.
    """

    shape: tuple[int, ...]
    dtype: str
    eps: float
    multilinear: Mapping[str, RankEstimate]
    tt: Mapping[str, RankEstimate]
    ht: Mapping[str, Mapping[str, RankEstimate]]
    cp: CPBounds
    generic: KnownRank
    maximal: KnownRank
    compressed: tuple[Compressed, ...]
    predicted: Mapping[str, Mapping[str, str]]

    def tables(self) -> list[Table]:
        """Title, header and rows of every table."""
        rows: list[tuple[str, ...]] = [
            (" | ".join(self._listed(side) for side in pair), *_evidence(e), ", ".join(roles))
            for pair, (e, roles) in self._cuts().items()
        ]
        sizes: list[tuple[str, ...]] = [
            (c.name, *(("",) * 4 if c.tensor is None else _size(c.tensor, c.error)), c.note) for c in self.compressed
        ]
        widths: list[tuple[str, ...]] = [
            (f"{given} of width {row[given]}", row["TT"], row["HT"], row["CP"]) for given, row in self.predicted.items()
        ]
        worst = "of the worst" if self.maximal.is_exact else "of the worst, at most"
        bounds: list[tuple[str, ...]] = [
            ("at least", _count(self.cp.lower), self.cp.lower_by),
            ("at most", _count(self.cp.upper), self.cp.upper_by),
            ("of almost all", _count(self.generic.rank), self.generic.by),
            (worst, _count(self.maximal.rank), self.maximal.by),
        ]
        return [
            ("Ranks of matricizations", ("cut", "rank", "possible", "gap", "tol", "seen by"), rows),
            ("CP rank", ("bound", "rank", "by"), bounds),
            (f"At relative error {self.eps:g}", ("format", "ranks", "parameters", "compression", "error", ""), sizes),
            ("Widths that theory predicts (ERNN Table 2)", ("given", "TT", "HT", "CP"), widths),
        ]

    def _listed(self, names: str) -> str:
        return listed([int(name) for name in names.split()], len(self.shape))

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
        title = f"{shape_text(self.shape)} tensor, {self.dtype}, {_count(prod(self.shape))} entries"
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
            "generic": {"rank": self.generic.rank, "is_exact": self.generic.is_exact, "by": self.generic.by},
            "maximal": {"rank": self.maximal.rank, "is_exact": self.maximal.is_exact, "by": self.maximal.by},
            "compressed": [
                {"format": c.name, "ranks": list(c.tensor.ranks), "parameters": c.tensor.n_params,
                 "compression": c.tensor.compression, "error": c.error, "note": c.note}
                if c.tensor is not None
                else {"format": c.name, "ranks": None, "parameters": None, "compression": None, "error": None,
                      "note": c.note}
                for c in self.compressed
            ],
            "predicted": {given: dict(row) for given, row in self.predicted.items()},
        }  # fmt: skip

    def draw(self, path: Any = None) -> tuple[Any, Any]:
        """Draw the singular values of the cuts, and the parameters of each format; save if a path is given.

        Returns both axes. Raises `PictureError` where Matplotlib is missing, or a path ends otherwise than in .png,
        .svg or .pdf.
        """
        return draw_report(self, path)

    plot = draw
    """The same, under the name that other libraries give it."""


def compare_ranks(
    x: Any,
    eps: float = 0.1,
    *,
    templates: Any = None,
    steps: int | None = None,
    tol: float | None = None,
    seed: Any = 0,
    progress: Progress = lambda stage: None,
) -> RankReport:
    """Compare the CP, TT and HT ranks of a tensor, exact and at a relative error.

    x: an array, a format, or a network with its templates (M, N), whose grid tensor is then computed in float64;
    several classes are its last mode. steps: T, where the network takes any number.
    A format of more than 4 million entries is not made dense: its ranks come from its parts, its CP rank is bounded by
    cheap matricizations and by what was given, and it is compressed by exact conversion and rounding, with the distance
    for the error; where a conversion would be too large, the row says so.
    eps: relative Frobenius error at which the formats are compressed.
    tol: of the numerical ranks, as in `matricization_rank`. seed: of the CP fits. progress: called with each stage.

    CP is fitted by least squares up to the rank at which it stores as much as the dense tensor; where that does not
    reach eps, its row says so.
    Raises `NonFiniteError`, `ToleranceError`, `FormatError`, `DTypeError`.

    >>> import numpy as np, tnalgebra as tna
    >>> i = np.arange(1.0, 5.0)
    >>> report = tna.compare_ranks(np.sin(i[:, None, None] + i[:, None] + i), eps=1e-6)
    >>> report.cp.lower, [estimate.rank for estimate in report.tt.values()]
    (2, [2, 2])
    """
    eps = check_eps(eps) or 0.0
    check_seed(seed)
    if (grid := as_grid(x, templates, steps)) is not None:
        progress("the grid tensor")
        x = one_class(value_of(grid))
    cuts = Matricizations(x, tol)
    with one_thread() if cuts.is_large else nullcontext():  # hundreds of small matrices, for which threads do not pay
        return _report(cuts, eps, seed, progress)


def _report(cuts: Matricizations, eps: float, seed: Any, progress: Progress) -> RankReport:
    progress("ranks of matricizations")
    x, ndim = cuts.source, cuts.ndim
    trees = {"balanced": DimensionTree.balanced(ndim), "linear": DimensionTree.linear(ndim)}
    if trees["balanced"] == trees["linear"]:
        del trees["linear"]
    tt = {f"{bond - 1}|{bond}": cuts.rank(range(bond)) for bond in range(1, ndim)}
    ht = {
        name: {" ".join(map(str, modes_of(node))): cuts.rank(modes_of(node)) for node in tree.nodes[:-1]}
        for name, tree in trees.items()
    }
    progress("bounds on the CP rank")
    bounds = cp_bounds(cuts, seed=seed)
    widths = {"TT": _widest(tt), "HT": _widest(ht["balanced"]), "CP": bounds.lower}
    return RankReport(
        shape=cuts.shape,
        dtype=str(np.asarray(x).dtype if not isinstance(x, Format) else x.dtype),
        eps=eps,
        multilinear={str(mode): cuts.rank([mode]) for mode in range(ndim)},
        tt=tt,
        ht=ht,
        cp=bounds,
        generic=generic_cp_rank(cuts.shape),
        maximal=maximal_cp_rank(cuts.shape),
        compressed=tuple(
            compress_format(x, eps, trees, seed, progress)
            if cuts.is_large
            else compress_array(cuts.array, eps, trees, seed, progress)
        ),
        predicted={given: predicted_widths(given, width, ndim, min(cuts.shape)) for given, width in widths.items()},
    )


def _widest(estimates: Mapping[str, RankEstimate]) -> int:
    return max((estimate.rank for estimate in estimates.values()), default=1)


def _ranks(tensor: Format) -> str:
    inner = (
        tensor.ranks
        if isinstance(tensor, CPTensor)
        else tensor.ranks[1:-1]
        if isinstance(tensor, TTTensor)
        else tensor.ranks[:-1]
    )
    return " ".join(map(str, inner)) if len(inner) <= 24 else f"up to {max(inner)}"


def _evidence(e: RankEstimate) -> tuple[str, str, str, str]:
    return str(e.rank), _count(e.possible), _number(e.gap), f"{e.tol:.1e}"


def _size(tensor: Format, error: float) -> tuple[str, str, str, str]:
    return _ranks(tensor), str(tensor.n_params), f"{tensor.compression:.3g}", f"{error:.3g}"


def _count(number: int) -> str:
    """The number, or three digits of a long one."""
    return str(number) if number < 10**12 else f"{float(number):.3g}"


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
