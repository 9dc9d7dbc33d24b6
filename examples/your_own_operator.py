"""Your own operator.

Each link between two stations works with some probability. How probable is a connection over a third station? ξ is the
product, as both links must work, and ⊕ is the probability that at least one of two independent things happens. This ⊕
is not built in: two scalar expressions and a unit define it. Its laws and its slope are checked on samples before it is
used; then it is planned, run and differentiated as any other. The gradient says which link it pays most to improve: not
a strong one, but the partner of a strong one.

![Ten stations on a circle, joined by grey links. Those of stations 0 and 1 that lead to the other one over a third
station are red, and thicker the more they are worth.](your_own_operator.png)
"""

import numpy as np
from matplotlib.figure import Figure

import tnalgebra as tna

EITHER = tna.Operator(
    name="either", value="x + y - x * y", unit=0.0, samples=(0.0, 0.125, 0.5, 0.75, 1.0), tie="x == 1",
    share="where(n == 0, (1 - t) / (1 - x), where(logical_and(n == 1, x == 1), 1 - p, 0))",
)  # fmt: skip


def main(stations: int = 10, trials: int = 100_000) -> None:
    """Print how probable a connection of stations 0 and 1 is, and draw what each link is worth to it."""
    tna.register_operator(EITHER)
    rng = np.random.default_rng(2)
    links = np.triu(rng.random((stations, stations)) * (rng.random((stations, stations)) < 0.8), 2)
    links += links.T
    ways = tna.contract("ij,jk->ik", tna.leaf("links", "ij"), tna.leaf("links", "jk"), reduce="either")
    works = rng.random((trials, 2, stations)) < links[:2]
    print(f"connected with probability {ways.evaluate(links=links)[0, 1]:.4f}", end=", ")
    print(f"in {works.all(axis=1).any(axis=1).mean():.1%} of {trials} simulations")

    pair = np.zeros_like(links)
    pair[0, 1] = 1
    worth = ways.gradients("links", seed="pair")["links"].evaluate(links=links, pair=pair)
    worth += worth.T  # a link is two entries
    one, other = np.unravel_index(worth.argmax(), worth.shape)
    print(f"worth most: {one}–{other}, works with probability {links[one, other]:.2f}", end="; ")
    print(f"its partner {1 - one}–{other}: {links[1 - one, other]:.2f}")
    try:
        tna.register_operator(tna.Operator(name="mean", value="(x + y) / 2", unit=0.0))
    except tna.TnAlgebraError as error:
        print(error)

    axes = (figure := Figure(figsize=(4.6, 4.6), layout="constrained")).subplots()
    x, y = np.cos(angles := 2 * np.pi * np.arange(stations) / stations), np.sin(angles)
    for i, j in np.argwhere(np.triu(links)):
        axes.plot(x[[i, j]], y[[i, j]], color="tab:red" if worth[i, j] else "lightgrey", linewidth=1 + 12 * worth[i, j])
    axes.scatter(x, y, s=300, color="white", edgecolors="black", zorder=2)
    for i in range(stations):
        axes.text(x[i], y[i], i, ha="center", va="center")
    axes.set_axis_off()
    figure.savefig("your_own_operator.png", dpi=120)


if __name__ == "__main__":
    main()
