"""The expressivity gap.

A recurrent network of width 3 says whether all pairs of its steps agree. How wide must a shallow network be to do the
same? For ξ = `multiply` as wide as the rank of one matrix, which is exponential in the number of steps. For ξ =
`rectifier` that rank is known to be a bound only when it is divided by a
[constant](../guide/grids.md#bounds-on-the-width), and a construction bounds the width from above. What lies between is
the gap: it is not known.

![Widths against the number of steps, on a logarithmic scale. The width of the recurrent network is flat at 3. That of a
shallow network is a straight line upwards for multiply, and in a climbing band for rectifier.](expressivity_gap.png)
"""

import numpy as np
from matplotlib.figure import Figure

import tnalgebra as tna

WIDTH = 3


def main(longest: int = 12) -> None:
    """Print and draw the widths for growing numbers of steps."""
    rows = []
    print("steps  recurrent  shallow, multiply  shallow, rectifier: at least  at most")
    for steps in range(2, longest + 1, 2):
        train = tna.theory.maximal_cp_rank_train(steps, WIDTH, WIDTH)
        product = tna.matricization_rank(train, range(0, steps, 2)).rank  # odd against even steps
        network = tna.theory.exponential_separation(M=WIDTH, R=WIDTH, T=steps)
        bounds = tna.shallow_width_bounds(network, np.eye(WIDTH))
        rows.append((steps, WIDTH, product, bounds.lower.width, bounds.upper))
        print("{:5}{:11}{:19}{:30}{:9}".format(*rows[-1]))

    steps, recurrent, product, lower, upper = zip(*rows, strict=True)
    axes = (figure := Figure(figsize=(7, 4.2), layout="constrained")).subplots()
    axes.semilogy(steps, product, marker="o", label="shallow, multiply")
    axes.fill_between(steps, lower, upper, alpha=0.3, color="tab:orange", label="shallow, rectifier")
    axes.semilogy(steps, recurrent, marker="o", color="tab:green", label="recurrent")
    axes.set(xlabel="steps", ylabel="width", ylim=1)
    axes.legend()
    figure.savefig("expressivity_gap.png", dpi=120)


if __name__ == "__main__":
    main()
