"""Rank certificates.

A recurrent network with random weights scores all sequences of six steps, each one of ten templates: its grid tensor
has a million entries. The rank of a matricization of it, odd against even steps, bounds the width of every shallow
network that does the same. But the rank of floating-point numbers is a decision, so it comes with what it rests on: the
tolerance, and the gap, which is the last singular value that counts over the next one. A large gap certifies the rank.
With the tolerance of single precision the gap is near 1: that rank is one of the tolerance, not of the network.

![Singular values for three widths of the recurrent network, on a logarithmic scale. The curves of widths 1 and 2 end in
a cliff, which the line of double precision crosses; that of single precision crosses the slopes of all
three.](rank_certificates.png)
"""

from matplotlib.figure import Figure

import tnalgebra as tna


def main(steps: int = 6, size: int = 10) -> None:
    """Print ranks and bounds for growing widths of the recurrent network, and draw the singular values."""
    templates = tna.networks.random_templates(size, size, seed=1)
    axes = (figure := Figure(figsize=(8, 4.4), layout="constrained")).subplots()
    print("           double precision                    single precision")
    print("recurrent  rank      gap  shallow, at least    rank       gap")
    for width in (1, 2, 3):
        network = tna.RecurrentNetwork.random(
            steps=steps, inputs=size, features=size, rank=width, classes=1, xi="rectifier", seed=0
        )
        bound = tna.shallow_width_lower_bound(network, templates=templates)
        double, grid = bound.estimate, tna.grid_tensor(network, templates)[..., 0]
        single = tna.matricization_rank(grid.astype("float32"), range(0, steps, 2))
        print(f"{width:9}{double.rank:6}{double.gap:9.2g}{bound.width:19}{single.rank:8}{single.gap:10.2f}")
        axes.semilogy(double.singular_values / double.singular_values[0], label=f"width {width}")
    for name, tol in (("double", double.tol), ("single", single.tol)):
        axes.axhline(tol, color="black", linestyle=":")
        axes.annotate(
            f"tolerance, {name} precision", (0.98, tol), xycoords=("axes fraction", "data"), ha="right", va="bottom"
        )
    axes.set(xlabel="index", ylabel="singular value / largest", ylim=(1e-17, 2))
    axes.legend(loc="lower left")
    figure.savefig("rank_certificates.png", dpi=120)


if __name__ == "__main__":
    main()
