"""Singular values of cuts, and rank reports."""

from collections.abc import Mapping
from typing import Any

from ..canvas import check_path, finish, new_figure
from ..errors import PictureError
from ..expressivity import RankEstimate, RankReport, compare_ranks
from ..expressivity.picture import draw_spectra
from ..expressivity.ranks import Matricizations
from ..formats import Format, HTTensor, TTTensor
from ..formats.tree import modes_of

__all__ = ["ranks", "singular_values"]


def singular_values(
    x: Any, path: Any = None, *, truncated: Format | None = None, tol: float | None = None, axes: Any = None
) -> Any:
    """Singular values at every bond, and where they are cut off. Returns the axes.

    x: an array or a format, whose bonds are those of a train; or a `RankEstimate`, a mapping from names to them, or a
        `RankReport`.
    truncated: a train or tree made from x by `from_dense` or `round`. Bonds, and cuts, are then its own, and the legend
        has what its `truncation` says that each lost.
    tol: of the ranks, as in `matricization_rank`. axes: where to draw, in a figure of its own if not given.
    Raises `PictureError` for another format or shape of `truncated`.

    >>> import numpy as np, tnalgebra as tna
    >>> x = 1 / (1 + np.add.outer(np.arange(6), np.arange(5)))
    >>> axes = tna.plot.singular_values(x, truncated=tna.TTTensor.from_dense(x, eps=1e-2))
    >>> axes.get_legend().get_texts()[0].get_text()[:12]
    '0|1: 2 of 5,'
    """
    check_path(path)
    cuts, kept, notes = _cuts(x, tol), dict[str, int](), dict[str, str]()
    if truncated is not None:
        bonds = _bonds(truncated)
        found = Matricizations(x, tol)
        if found.shape != truncated.shape:
            raise PictureError(f"`truncated` has shape {truncated.shape}, but x has {found.shape}: it is made from x")
        cuts = {name: found.rank(modes) for name, (modes, _) in bonds.items()}
        kept = {name: rank for name, (_, rank) in bonds.items()}
        lost = truncated.truncation.discarded if truncated.truncation else {}
        notes = {name: f"{value:.1e} lost" for name, value in lost.items()}
    if axes is None:
        axes = new_figure(6.4, 4).subplots()
    draw_spectra(axes, cuts, {name: estimate.rank for name, estimate in cuts.items()} | kept, notes)
    finish(axes.figure, path, "singular values", "; ".join(f"{name}: {e!r}" for name, e in cuts.items()))
    return axes


def _cuts(x: Any, tol: float | None) -> Mapping[str, RankEstimate]:
    match x:
        case RankEstimate():
            return {"cut": x}
        case RankReport():
            return x.tt
        case Mapping():
            return x
    found = Matricizations(x, tol)
    return {f"{bond - 1}|{bond}": found.rank(range(bond)) for bond in range(1, found.ndim)}


def _bonds(tensor: Format) -> dict[str, tuple[tuple[int, ...], int]]:
    """For every bond, by the name that its truncation report has, the modes on one side, and the rank."""
    if isinstance(tensor, TTTensor):
        return {f"{b - 1}|{b}": (tuple(range(b)), tensor.ranks[b]) for b in range(1, tensor.ndim)}
    if isinstance(tensor, HTTensor):
        below = [modes_of(node) for node in tensor.tree.nodes[:-1]]
        return {" ".join(map(str, modes)): (modes, rank) for modes, rank in zip(below, tensor.ranks, strict=False)}
    raise PictureError(
        f"bonds are cut in a TTTensor or an HTTensor; a {type(tensor).__name__} has none: its fit says how well it does"
    )


def ranks(x: Any, path: Any = None, *, eps: float = 0.1) -> tuple[Any, Any]:
    """Ranks of the matricizations, and what CP, TT and HT store at equal error. Returns both axes.

    x: a `RankReport`, or what `compare_ranks` takes, which is then called with eps.

    >>> import numpy as np, tnalgebra as tna
    >>> spectra, sizes = tna.plot.ranks(np.ones((2, 3, 4)))
    >>> sizes.get_title()
    'Parameters at relative error 0.1'
    """
    check_path(path)
    return (x if isinstance(x, RankReport) else compare_ranks(x, eps)).draw(path)
