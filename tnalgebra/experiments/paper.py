"""Numbers and formulas of the papers, to set beside ours.

GTM: Generalized tensor models for recurrent neural networks, semester project, 2020. ERNN: Khrulkov, Novikov and
Oseledets, Expressive power of recurrent neural networks, 2018.
"""

__all__ = ["FORMULAS", "NAMES", "TABLE1", "table1"]

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


def table1(kind: str, data: str | None, xi: str) -> float | None:
    """The number of GTM's Table 1, None where it has none."""
    row = TABLE1.get((kind, data or ""))
    return None if row is None or xi not in XI else row[XI.index(xi)]
