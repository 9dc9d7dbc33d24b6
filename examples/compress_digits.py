"""Compare what CP, TT and HT store of 100 handwritten digits at the same error."""

import numpy as np
from sklearn.datasets import load_digits

import tnalgebra as tna


def main() -> None:
    """Print ranks, stored numbers and the measured error of each format."""
    x = load_digits().images[:100]  # (digit, row, column)
    print(f"{x.shape[0]} digits of {x.shape[1]} × {x.shape[2]} pixels: {x.size} numbers")
    for kind in (tna.CPTensor, tna.TTTensor, tna.HTTensor):
        t = kind.from_dense(x, eps=0.3)
        error = np.linalg.norm(t.to_dense() - x) / np.linalg.norm(x)
        print(f"{kind.__name__:9}{t.n_params:5} numbers, relative error {error:.2f}, ranks {t.ranks}")


if __name__ == "__main__":
    main()
