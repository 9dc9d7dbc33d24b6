"""Confidence intervals, at 95 percent."""

from collections.abc import Sequence

import numpy as np

__all__ = ["LEVEL", "of_chance", "of_mean"]

LEVEL = 0.95


def of_chance(count: int, trials: int) -> tuple[float, float]:
    """Of the probability of what was seen `count` times in independent trials   (Clopper & Pearson 1934)."""
    from scipy.stats import binomtest

    low, high = binomtest(count, trials).proportion_ci(LEVEL, method="exact")
    return float(low), float(high)


def of_mean(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Of the mean, by bootstrap (BCa): the values need not be normal. Both ends are the mean where all are equal."""
    from scipy.stats import bootstrap

    if len(set(values)) < 2 or np.ptp(values) < np.finfo(float).tiny / np.finfo(float).eps:
        return float(np.mean(values)), float(np.mean(values))
    found = bootstrap(
        (values,), np.mean, confidence_level=LEVEL, n_resamples=2000, rng=np.random.default_rng(seed), batch=200
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
