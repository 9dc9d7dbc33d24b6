"""Read digits by patches.

Images of MNIST, cut into 16 patches of 7 × 7 pixels, are sequences of 16 steps. A shallow (CP), a recurrent (TT) and a
hierarchical (HT) network learn to read 4000 of them. Ranks are such that all have about as many parameters. They are
tested on 1000 other images, where a percent more or less may be chance. The recurrent network is last, also on the
images that it was trained on: it was trained worse, rather than too small.

![Ten handwritten digits that the best network misreads, each with the digit that it is and the one that was
read.](mnist_patches.png)
"""

import numpy as np
from matplotlib.figure import Figure

import tnalgebra as tna

RANKS = {"cp": 64, "tt": 6, "ht": 12}


def main(images: int = 4000, epochs: int = 12) -> None:
    """Print the accuracy of each network, and draw digits that the best one misreads."""
    data, best = tna.load_data("mnist5k"), 0.0
    print("network  rank  parameters  training    test")
    for kind, rank in RANKS.items():
        model = tna.TensorNetworkClassifier(
            kind, rank=rank, xi="multiply", features=32, patch_size=7, epochs=epochs, random_state=0
        )
        model.fit(data.X_train[:images], data.y_train[:images])
        training, test = model.score(data.X_train, data.y_train), model.score(data.X_test, data.y_test)
        print(f"{kind:7}{rank:6}{model.network_.n_params:12}{training:10.1%}{test:8.1%}")
        if test > best:
            best, read = test, model.predict(data.X_test)

    figure = Figure(figsize=(10, 1.6), layout="constrained")
    for axes, i in zip(figure.subplots(1, 10), np.flatnonzero(read != data.y_test), strict=False):
        axes.imshow(data.X_test[i], cmap="Greys")
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"{data.y_test[i]}, not {read[i]}", fontsize="medium")
    figure.savefig("mnist_patches.png", dpi=120)


if __name__ == "__main__":
    main()
