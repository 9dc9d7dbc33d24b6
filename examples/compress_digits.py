"""Compress a data set.

1797 handwritten digits are one tensor: digit × row × column. How many numbers do TT, HT and CP need to store it with a
relative error of 0.3? That depends on the data and on the error, so it is measured. Here TT and CP are close. HT needs
more: it compresses digits, rows and columns each by itself, and shares the error out among more parts.

![Left: singular values of three matricizations, falling slowly for the digits and fast for rows and columns. Right:
numbers stored by TT, HT and CP, all far left of the line of the dense tensor.](compress_digits_ranks.png)

![Four rows of ten digits: the data, and what TT, HT and CP keep of them. Most can still be read.](compress_digits.png)
"""

from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import tnalgebra as tna


def main(digits: int = 1797, eps: float = 0.3) -> None:
    """Print what each format stores at the same error; draw the report, and ten digits of each."""
    x = load_digits().images[:digits]
    report = tna.compare_ranks(x, eps=eps)
    report.draw("compress_digits_ranks.png")
    print(f"{' × '.join(map(str, x.shape))} tensor: {x.size} numbers")
    kept = {"data": x}
    for c in report.compressed:
        kept[c.name] = c.tensor.to_dense()
        print(f"{c.name:12}{c.tensor.n_params:6} numbers, error {c.error:.3f}, ranks {c.tensor.ranks}")

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for line, (name, images) in zip(figure.subplots(4, 10), kept.items(), strict=True):
        line[0].set_ylabel(name)
        for axes, image in zip(line, images, strict=False):
            axes.imshow(image, cmap="Greys", vmin=0, vmax=16)
            axes.set(xticks=[], yticks=[])
    figure.savefig("compress_digits.png", dpi=120)


if __name__ == "__main__":
    main()
