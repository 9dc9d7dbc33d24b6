"""Tensors and contractions: ``tnalgebra compare``, ``tnalgebra path``, ``tnalgebra info``."""

import json
import sys
from collections import Counter
from importlib import metadata
from os import cpu_count
from pathlib import Path
from typing import Annotated, Any
from zipfile import ZipFile, is_zipfile

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import tnalgebra as tna

from ..canvas import check_path
from ..errors import DataError, EquationError
from ..expressivity import RankReport
from ..formats import Format
from ..graph.parse import parse
from ..training.data import DATASETS, load_tensor
from .app import app, check_folder, err, out, table_of, write

__all__ = ["compare", "info", "path"]

PACKAGES = (
    "numpy",
    "scipy",
    "opt_einsum",
    "cotengra",
    "array-api-compat",
    "numba",
    "torch",
    "jax",
    "dask",
    "matplotlib",
)
STAGES = 6


@app.command()
def compare(
    tensor: Annotated[str, typer.Argument(help=f"A saved tensor, .npy or .npz file, or one of {', '.join(DATASETS)}.")],
    eps: Annotated[float, typer.Option(help="Relative Frobenius error at which the formats are compared.")] = 0.1,
    key: Annotated[str | None, typer.Option(help="Which array of an .npz file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the picture: .png, .svg or .pdf.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the numbers.")] = None,
    seed: Annotated[int, typer.Option(help="Of the CP fits.")] = 0,
) -> None:
    """Compare the CP, TT and HT ranks of a tensor, and what each format costs at equal error."""
    given = _loaded(tensor, key)
    check_folder(plot)
    check_path(plot)
    check_folder(json_)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("start", total=STAGES)
        report = tna.compare_ranks(
            given, eps, seed=seed, progress=lambda stage: bar.update(task, description=stage, advance=1)
        )
    _print(report)
    if json_ is not None:
        write(json_, json.dumps(report.to_dict(), indent=1) + "\n")
    if plot is not None:
        report.draw(plot)


@app.command()
def path(
    equation: Annotated[str, typer.Argument(help='For example "ij,jk,kl->il".')],
    sizes: Annotated[str, typer.Option(help='Label sizes: "i=3,j=4,k=5,l=6", or one number for all.')],
    xi: Annotated[str, typer.Option(help="In place of the product.")] = "multiply",
    reduce: Annotated[str, typer.Option(help="In place of the sum.")] = "add",
    optimize: Annotated[str, typer.Option(help="An opt_einsum optimizer.")] = "auto",
    memory_limit: Annotated[str | None, typer.Option(help='Such as "2GiB" or "50%".')] = None,
    explain: Annotated[bool, typer.Option("--explain", help="In words, with the equivalent loop.")] = False,
) -> None:
    """Plan a contraction from its sizes: the steps, what they cost, and which sums could not move."""
    limit = int(memory_limit) if memory_limit and memory_limit.isdecimal() else memory_limit
    plan = tna.contract_path(
        equation, *_shapes(equation, sizes), xi=xi, reduce=reduce, optimize=optimize, memory_limit=limit
    )
    out.print(plan.explain() if explain else str(plan), highlight=False, markup=False, soft_wrap=True)


@app.command()
def info() -> None:
    """Versions, devices, and what is compiled."""
    table = Table("part", "what is here", box=None, pad_edge=False)
    table.add_row("tnalgebra", tna.__version__)
    table.add_row("Python", sys.version.split()[0])
    for package in PACKAGES:
        try:
            table.add_row(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            table.add_row(package, "not installed")
    table.add_row("CPU", f"{cpu_count()} cores")
    table.add_row("CUDA", _cuda())
    table.add_row("compiled kernels", _compiled())
    out.print(table)


def _loaded(source: str, key: str | None) -> Any:
    """A format that `save` wrote, or an array."""
    if source in DATASETS or key is not None or not Path(source).is_file() or not _is_saved(Path(source)):
        return load_tensor(source, key)
    found = tna.load(source)
    if not isinstance(found, Format):
        raise DataError(f"{source!r} holds a {type(found).__name__}; compare takes tensors: networks have grid_tensor")
    return found


def _is_saved(path: Path) -> bool:
    if not is_zipfile(path):
        return False
    with ZipFile(path) as archive:
        return "header.json" in archive.namelist()


def _shapes(equation: str, sizes: str) -> list[tuple[int, ...]]:
    """Shape of every term from label sizes."""
    if "..." in equation:
        raise EquationError(f"`{equation}` has axes without labels, which have no size: write a label for every `...`")
    terms = equation.replace(" ", "").split("->")[0].split(",")
    inputs, _ = parse(equation, tuple(map(len, terms)))
    labels = dict.fromkeys(label for term in inputs for label in term)
    if sizes.strip().isdecimal():
        known = dict.fromkeys(labels, int(sizes))
    else:
        pairs = [item.partition("=") for item in sizes.split(",")]
        if not all(label.strip() and size.strip().isdecimal() for label, _, size in pairs):
            raise EquationError(f"--sizes must be a number, or label=number pairs such as i=3,j=4; got {sizes!r}")
        counts = Counter(label.strip() for label, _, _ in pairs)
        if twice := [label for label, count in counts.items() if count > 1]:
            raise EquationError(f"--sizes gives {', '.join(twice)} more than once; give one size a label")
        known = {label.strip(): int(size) for label, _, size in pairs}
    unknown = [label for label in known if label not in labels]
    if unknown:
        raise EquationError(f"--sizes gives a size for {', '.join(unknown)}, which `{equation}` does not have")
    missing = [label for label in labels if label not in known]
    if missing:
        raise EquationError(f"--sizes gives no size for {', '.join(missing)} of `{equation}`")
    return [tuple(known[label] for label in term) for term in inputs]


def _print(report: RankReport) -> None:
    shape = " × ".join(map(str, report.shape))
    out.print(f"[bold]{shape} tensor[/], {report.dtype}", highlight=False)
    for title, header, rows in report.tables():
        out.print(f"\n[bold]{title}[/]", highlight=False)
        out.print(table_of(header, rows))


def _compiled() -> str:
    try:
        return f"Numba {metadata.version('numba')} makes them"
    except metadata.PackageNotFoundError:
        return "none: NumPy and BLAS do the work"


def _cuda() -> str:
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed (extras cuda12, cuda13)"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        names = [cupy.cuda.runtime.getDeviceProperties(i)["name"].decode() for i in range(count)]
        return f"CuPy {cupy.__version__}: {', '.join(names)}"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy {cupy.__version__}, no device: {error}"
