"""Numbers and formulas of the papers, to set beside ours.

GTM: Generalized tensor models for recurrent neural networks, semester project, 2020. ERNN: Khrulkov, Novikov and
Oseledets, Expressive power of recurrent neural networks, 2018.
"""

__all__ = ["FIGURE5", "FIGURE5_AGAIN", "FORMULAS", "NAMES", "TABLE1", "table1"]

XI = ("multiply", "rectifier", "logaddexp", "add", "hypot")
FORMULAS = dict(zip(XI, ("xy", "max(x, y, 0)", "ln(eˣ + eʸ)", "x + y", "√(x² + y²)"), strict=True))
"""How GTM's Table 1 writes ξ."""
NAMES = {"cp": "CP", "tt": "TT", "ht": "HT"}

TABLE1: dict[tuple[str, str], tuple[float, ...]] = {
    ("cp", "Moons"): (1.00, 1.00, 1.00, 1.00, 1.00),
    ("cp", "Circles"): (1.00, 1.00, 1.00, 1.00, 1.00),
    ("cp", "MNIST"): (0.9727, 0.9426, 0.9127, 0.9503, 0.9557),
    ("cp", "CIFAR-10"): (0.4398, 0.4522, 0.455, 0.5001, 0.509),
    ("cp", "IMDB"): (0.738, 0.756, 0.754, 0.738, 0.754),
    ("tt", "Moons"): (1.00, 1.00, 1.00, 1.00, 1.00),
    ("tt", "Circles"): (1.00, 1.00, 1.00, 1.00, 1.00),
    ("tt", "MNIST"): (0.9593, 0.9632, 0.9154, 0.9503, 0.9598),
    ("tt", "CIFAR-10"): (0.4355, 0.4463, 0.4220, 0.4726, 0.4336),
    ("tt", "IMDB"): (0.814, 0.748, 0.82, 0.814, 0.794),
}
"""GTM, Table 1: best test accuracies over several runs, in the order of `FORMULAS`."""


FIGURE5 = {1: (1.3, 0.7), 2: (7.6, 7.8), 4: (11.4, 8.5), 8: (16.2, 8.0)}
"""GTM, Figure 5: mean and standard deviation, by rank, of lower bounds on the shallow width; 20 networks a rank."""
FIGURE5_AGAIN = {1: (2.8, 5.2), 2: (10.2, 8.5), 4: (15.1, 8.4), 8: (14.6, 4.9)}
"""The same from an independent computation in NumPy with L = 10, no code of which is here."""


def table1(kind: str, data: str | None, xi: str) -> float | None:
    """The number of GTM's Table 1, None where it has none."""
    row = TABLE1.get((kind, data or ""))
    return None if row is None or xi not in XI else row[XI.index(xi)]
