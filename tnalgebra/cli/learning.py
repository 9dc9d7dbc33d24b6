"""Networks: ``tnalgebra train``, ``tnalgebra predict``, ``tnalgebra experiment``."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..experiments import EXPERIMENTS, run_experiment
from ..formats.archive import write_whole
from ..training import Adam, History, Steps, load_data, load_model, load_tensor, train_model
from ..training.dataset import Kind
from ..training.patches import ORDERS
from ..training.steps import KINDS
from .app import app, check_folder, err, escaped, out, table_of

__all__ = ["experiment", "predict", "train"]

DATA = "A data set by name (moons, circles, digits, mnist5k, fashion-mnist), a folder of one, or an .npz file"
COLUMNS = ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "gradient_norm", "seconds")


@app.command()
def train(
    data: Annotated[str, typer.Argument(help=f"{DATA} with X_train, y_train, X_test and y_test.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Write the network, and what its samples are.")],
    kind: Annotated[str, typer.Option(help=f"Of the network: {', '.join(KINDS)}.")] = "tt",
    samples: Annotated[Kind | None, typer.Option(help="What those of an .npz file are.")] = None,
    xi: Annotated[str, typer.Option(help="In place of the product.")] = "rectifier",
    rank: Annotated[int, typer.Option(help="Of the network.")] = 16,
    features: Annotated[int, typer.Option(help="M, of one step.")] = 16,
    patch: Annotated[int | None, typer.Option(help="Side of the patches of images; rows if not given.")] = None,
    stride: Annotated[int | None, typer.Option(help="From one patch to the next; the side if not given.")] = None,
    order: Annotated[str, typer.Option(help=f"Of the patches: {', '.join(ORDERS)}.")] = "rows",
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Samples of a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.")] = 0.004,
    dropout: Annotated[float, typer.Option(help="Share of the steps that are left out.")] = 0.0,
    clip: Annotated[float, typer.Option(help="Largest norm of a gradient.")] = 1.0,
    validation: Annotated[float | None, typer.Option(help="Share of the training samples.")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without progress on them.")] = None,
    train_samples: Annotated[int | None, typer.Option("--train", help="How many; all if not given.")] = None,
    test_samples: Annotated[int | None, typer.Option("--test", help="How many; all if not given.")] = None,
    seed: Annotated[int, typer.Option(help="Of data, network and training.")] = 0,
    checkpoint: Annotated[Path | None, typer.Option(help="Go on from this file, and write it every epoch.")] = None,
) -> None:
    """Train a network on a data set, and print the history and the test accuracy."""
    check_folder(output)
    check_folder(checkpoint)
    loaded = load_data(data, train=train_samples, test=test_samples, kind=samples, seed=seed)
    model, history = train_model(
        loaded, kind, rank=rank, features=features, xi=xi, steps=Steps(patch, stride, order), seed=seed,
        epochs=epochs, batch_size=batch_size, optimizer=Adam(learning_rate), dropout=dropout, clip=clip,
        validation=validation, patience=patience, checkpoint=checkpoint, progress=err.is_terminal,
    )  # fmt: skip
    model.save(output)
    out.print(f"[bold]{escaped(repr(loaded))}[/]", highlight=False, soft_wrap=True)
    out.print(escaped(repr(model.network)), highlight=False, soft_wrap=True)
    out.print(_history(history))
    accuracy = model.accuracy(loaded.X_test, loaded.y_test)
    out.print(f"test accuracy {accuracy:.4f} ({len(loaded.y_test)} samples)", highlight=False)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="What `tnalgebra train` wrote.")],
    data: Annotated[str, typer.Argument(help=f"An .npy file; {DATA}: then its test samples.")],
    output: Annotated[Path | None, typer.Option("--out", help="Write the labels: .npy. Else they are printed.")] = None,
    key: Annotated[str | None, typer.Option(help="Which array of an .npz file holds the samples.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of a data set; that of the training if not given.")] = None,
) -> None:
    """Predict the classes of samples with a trained network."""
    check_folder(output)
    trained = load_model(model)
    if key is not None or data.endswith(".npy"):
        labels = trained.predict(load_tensor(data, key))
    else:
        samples = trained.data(data, seed=seed)
        labels = trained.predict(samples.X_test)
        accuracy = float((labels == samples.y_test).mean())
        err.print(f"test accuracy {accuracy:.4f} ({len(labels)} samples)", highlight=False)
    names = np.array(trained.classes)[labels]
    if output is None:
        out.print("\n".join(names), highlight=False, markup=False, soft_wrap=True)
        return
    write_whole(output, lambda file: np.save(file, labels))
    counts = Counter(names.tolist())
    out.print(table_of(("class", "samples"), [(name, str(counts[name])) for name in trained.classes]))


@app.command()
def experiment(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(EXPERIMENTS)}.")],
    config: Annotated[Path | None, typer.Option(help="A TOML file in place of the one in the package.")] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Where results are; results/NAME if not given.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Little data, small networks, few samples.")] = False,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 1,
) -> None:
    """Reproduce a table or figure of the papers; what was stopped goes on where it was."""
    folder = folder or Path("results") / (f"{name}-quick" if quick else name)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("")

        def show(done: int, total: int, last: str) -> None:
            bar.update(task, completed=done, total=total, description=last)

        result = run_experiment(name, folder, config=config, quick=quick, jobs=jobs, progress=show)
    out.print(str(result), highlight=False, markup=False, soft_wrap=True)
    written = ", ".join(str(folder / part) for part in ("results.json", "table.json", "table.txt", "picture.png"))
    out.print(f"written: {written}", highlight=False, markup=False, soft_wrap=True)


def _history(history: History) -> Any:
    """The columns of a history that hold numbers."""
    data = history.to_dict()
    names = [name for name in COLUMNS if any(value is not None for value in data[name])]
    rows = [
        ["" if value is None else f"{value:.4g}" for value in row] for row in zip(*map(data.get, names), strict=True)
    ]
    return table_of([name.replace("_", " ") for name in names], rows)
