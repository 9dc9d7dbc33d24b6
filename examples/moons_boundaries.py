"""Decision boundaries of five operators.

A recurrent network reads a point of the plane in two steps, a coordinate a step, and says on which of two half moons it
lies. Only ξ, by which a step joins its input to the state, is another one in each picture. Where there are points, all
five do about equally well. Where there are none, each goes on in its own way.

![Five panels with the same two interlaced half moons of points. In all of them the black boundary between the two
colours winds between the moons. It leaves the picture steeply for multiply, obliquely for the
others.](moons_boundaries.png)
"""

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import make_moons

import tnalgebra as tna


def main(points: int = 400, epochs: int = 50, resolution: int = 100) -> None:
    """Print accuracies on new points, and draw the probabilities, for five operators."""
    X, y = make_moons(2 * points, noise=0.2, random_state=0)
    across, up = np.meshgrid(np.linspace(-1.7, 2.7, resolution), np.linspace(-1.2, 1.7, resolution))
    plane = np.stack([across.ravel(), up.ravel()], axis=1)
    figure = Figure(figsize=(12.5, 2.8), layout="constrained")
    for axes, xi in zip(figure.subplots(1, 5), ("multiply", "add", "rectifier", "logaddexp", "hypot"), strict=True):
        model = tna.TensorNetworkClassifier("tt", xi=xi, rank=16, features=16, epochs=epochs, random_state=0)
        model.fit(X[:points], y[:points])
        accuracy = model.score(X[points:], y[points:])
        print(f"{xi:10}training {model.score(X[:points], y[:points]):.1%}, new points {accuracy:.1%}")
        probability = model.predict_proba(plane)[:, 1].reshape(resolution, resolution)
        axes.contourf(across, up, probability, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.7)
        axes.contour(across, up, probability, levels=[0.5], colors="black")
        axes.scatter(*X[points:].T, c=y[points:], cmap="RdBu", s=8, edgecolors="black", linewidths=0.3)
        axes.set(title=f"{xi}: {accuracy:.1%}", xticks=[], yticks=[])
    figure.savefig("moons_boundaries.png", dpi=120)


if __name__ == "__main__":
    main()
