"""Means and deviations over seeds, and whether a difference between two configurations is more than chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EXHAUSTIVE = 6
"""Number of seeds up to which all resamples are used."""
RESAMPLES = 20_000
FEWEST = 3
"""Number of seeds below which there is no verdict."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Mean and sample deviation (NaN for a single value)."""

    mean: float
    deviation: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Mean and deviation of values; NaN if there are none."""
    if not values:
        return Spread(math.nan, math.nan, 0)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Spread(float(np.mean(values)), deviation, len(values))


@dataclass(frozen=True)
class Difference:
    """A paired difference over seeds, with its percentile bootstrap interval, which needs two seeds.

    Attributes:
        mean: mean difference, in the unit of the values.
        low, high: ends of the interval of :data:`CONFIDENCE`; NaN for fewer than two seeds.
        seeds: number of pairs.
        in_favour: number of pairs with a positive difference.
    """

    mean: float
    low: float
    high: float
    seeds: int
    in_favour: int

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `inconclusive`, `too few seeds`, or `–` without any pair."""
        if self.seeds == 0:
            return "–"
        if self.seeds < FEWEST:
            return "too few seeds"
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "inconclusive"


def paired(values: Sequence[float], others: Sequence[float]) -> Difference:
    """The difference values − others, paired by seed, with a deterministic bootstrap over seeds.

    Pairs with a value that is not finite are left out. Up to :data:`EXHAUSTIVE` seeds all resamples are used, else
    :data:`RESAMPLES` random ones.
    """
    differences = np.array([a - b for a, b in zip(values, others) if math.isfinite(a) and math.isfinite(b)])
    count = len(differences)
    if count == 0:
        return Difference(math.nan, math.nan, math.nan, 0, 0)
    low = high = math.nan
    if count > 1:
        means = _resampled_means(differences)
        low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="inverted_cdf").tolist()
    return Difference(float(differences.mean()), low, high, count, int((differences > 0).sum()))


def _resampled_means(values: np.ndarray) -> np.ndarray:
    if len(values) <= EXHAUSTIVE:
        chosen = np.array(list(itertools.product(range(len(values)), repeat=len(values))))
    else:
        chosen = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    return values[chosen].mean(axis=1)
