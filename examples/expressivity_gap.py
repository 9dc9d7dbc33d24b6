"""The width that a shallow network needs to do what a recurrent network of width 3 does."""

import numpy as np

import tnalgebra as tna

WIDTH = 3


def main() -> None:
    """Print bounds on both sides for growing numbers of steps."""
    print("steps  recurrent  shallow, at least  at most")
    for steps in (2, 4, 6, 8):
        network = tna.theory.exponential_separation(M=WIDTH, R=WIDTH, T=steps)
        bounds = tna.shallow_width_bounds(network, np.eye(WIDTH))
        print(f"{steps:5}  {WIDTH:9}  {bounds.lower.width:17}  {bounds.upper:7}")


if __name__ == "__main__":
    main()
