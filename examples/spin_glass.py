"""Import a graph of TensorNetwork.

The spins of a square grid point up or down, and each pair of neighbours likes to agree, or to disagree, at random. The
sum over all states is a graph of small tensors, built here with the library TensorNetwork: a copy tensor a spin, and a
2 × 2 matrix a bond. `from_nodes` makes an expression of it, which is planned, contracted, and then differentiated: the
gradient by the matrices says how often two neighbours agree.

![A grid of spins. Bonds are blue where the two spins mostly agree, red where they mostly disagree, and pale where their
other neighbours pull both ways.](spin_glass.png)
"""

import numpy as np
import tensornetwork as tn
from matplotlib.figure import Figure

import tnalgebra as tna
from tnalgebra import interop

AGREE = np.array([[1.0, -1.0], [-1.0, 1.0]])


def main(size: int = 8, beta: float = 1.0) -> None:
    """Print the logarithm of the sum over all states, and draw the correlation of every pair of neighbours."""
    rng = np.random.default_rng(0)
    spots = [(x, y) for x in range(size) for y in range(size)]
    bonds = [(a, b) for a in spots for b in ((a[0] + 1, a[1]), (a[0], a[1] + 1)) if b in spots]
    spins = {a: tn.CopyNode(sum(a in bond for bond in bonds), dimension=2, name="spin") for a in spots}
    ends = {a: iter(spin.edges) for a, spin in spins.items()}
    matrices = [tn.Node(np.exp(beta * rng.choice([-1, 1]) * AGREE), name=f"bond{i}") for i in range(len(bonds))]
    for matrix, pair in zip(matrices, bonds, strict=True):
        for axis, spot in enumerate(pair):
            tn.connect(matrix[axis], next(ends[spot]))
    nodes = [*spins.values(), *matrices]

    expression = interop.from_nodes(nodes)
    total, slopes = tna.value_and_grad(expression, list(expression.bound))()
    print(f"{size**2} spins, {len(bonds)} bonds, {2.0**size**2:.1e} states: {expression.plan().flops} operations")
    print(f"logarithm of the sum: {np.log(total):.10f}")
    print(f"by TensorNetwork:     {np.log(tn.contractors.greedy(nodes).tensor):.10f}")
    correlation = [np.sum(slope * expression.bound[name] * AGREE) / total for name, slope in slopes.items()]
    print(f"correlations of neighbours: {min(correlation):.3f} to {max(correlation):.3f}")

    axes = (figure := Figure(figsize=(4.6, 4.6), layout="constrained")).subplots()
    for pair, value in zip(bonds, correlation, strict=True):
        color = "tab:blue" if value > 0 else "tab:red"
        axes.plot(*zip(*pair, strict=True), color=color, alpha=abs(value), linewidth=7)
    axes.scatter(*zip(*spots, strict=True), s=60, color="black", zorder=2)
    axes.set_axis_off()
    figure.savefig("spin_glass.png", dpi=120)


if __name__ == "__main__":
    main()
