"""Order is meaning.

A product of three matrices may be taken from the left or from the right. With another operator ξ in the place of the
product, these are two computations that both differ from the equation `ij,jk,kl->il`. No error is raised, and the
numbers look as good as the right ones. The planner therefore moves a sum only where ξ distributes over it, and says so.
[Contraction](../guide/contraction.md#order-is-meaning) works one such number out by hand.

![Two bars for each of five operators: how far the results from the left and from the right are from the equation. Those
of multiply have no height; those of the four others reach twenty to forty percent.](order_is_meaning.png)
"""

import numpy as np
from matplotlib.figure import Figure

import tnalgebra as tna


def main(size: int = 12) -> None:
    """Print and draw how far the two nested orders are from the equation, for several operators."""
    a, b, c = np.random.default_rng(0).standard_normal((3, size, size))
    away = {}
    for xi in ("multiply", "rectifier", "logaddexp", "hypot", "maximum"):
        exact = tna.contract("ij,jk,kl->il", a, b, c, xi=xi)
        left = tna.contract("ik,kl->il", tna.contract("ij,jk->ik", a, b, xi=xi), c, xi=xi)
        right = tna.contract("ij,jl->il", a, tna.contract("jk,kl->jl", b, c, xi=xi), xi=xi)
        away[xi] = [np.linalg.norm(other - exact) / np.linalg.norm(exact) for other in (left, right)]
        print(f"{xi}: {away[xi][0]:.1%} away from left, {away[xi][1]:.1%} from right; the planner says")
        print(f"  {tna.contract_path('ij,jk,kl->il', a, b, c, xi=xi).reason}")

    axes = (figure := Figure(figsize=(8, 3.6), layout="constrained")).subplots()
    for way, name in enumerate(("from left", "from right")):
        axes.bar(np.arange(5) + 0.4 * way, [100 * each[way] for each in away.values()], width=0.38, label=name)
    axes.set_xticks(np.arange(5) + 0.2, list(away))
    axes.set_ylabel("distance from the equation in percent")
    axes.legend()
    figure.savefig("order_is_meaning.png", dpi=120)


if __name__ == "__main__":
    main()
