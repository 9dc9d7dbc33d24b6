"""See a wrong reordering: three matrices from the left, from the right, and as the equation says."""

import numpy as np

import tnalgebra as tna


def main() -> None:
    """Print how far the two nested orders are from the equation, for several operators."""
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(shape) for shape in ((5, 7), (7, 11), (11, 3)))
    print("relative distance from the equation  ij,jk,kl->il")
    print(f"{'ξ':12}{'from left':>12}{'from right':>12}   the planner says")
    for xi in ("multiply", "rectifier", "logaddexp", "hypot", "maximum"):
        exact = tna.contract("ij,jk,kl->il", a, b, c, xi=xi)
        left = tna.contract("ik,kl->il", tna.contract("ij,jk->ik", a, b, xi=xi), c, xi=xi)
        right = tna.contract("ij,jl->il", a, tna.contract("jk,kl->jl", b, c, xi=xi), xi=xi)
        away = [np.linalg.norm(wrong - exact) / np.linalg.norm(exact) for wrong in (left, right)]
        plan = tna.contract_path("ij,jk,kl->il", a, b, c, xi=xi)
        word = "sums may move" if plan.is_reorderable else "sums stay"
        print(f"{xi:12}{away[0]:12.1%}{away[1]:12.1%}   {word}")


if __name__ == "__main__":
    main()
