"""Means and deviations over seeds, and whether a difference between two configurations is more than chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EXHAUSTIVE = 6
"""Up to so many seeds all resamples are taken."""
RESAMPLES = 20_000
FEWEST = 3
"""Seeds below which nothing is said of which is better."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Mean and sample deviation (NaN for a single value)."""

    mean: float
    deviation: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Of all values; NaN for none."""
    if not values:
        return Spread(math.nan, math.nan, 0)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Spread(float(np.mean(values)), deviation, len(values))


@dataclass(frozen=True)
class Difference:
    """A paired difference over seeds, with its bootstrap interval (percentiles); one seed has none.

    Attributes:
        mean: of the differences, in the unit of the values.
        low, high: ends of the interval of :data:`CONFIDENCE`; NaN for fewer than two seeds.
        seeds: number of pairs.
        in_favour: pairs whose difference is positive.
    """

    mean: float
    low: float
    high: float
    seeds: int
    in_favour: int

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `not told apart`, `too few seeds` for that, or `–` without any pair."""
        if self.seeds == 0:
            return "–"
        if self.seeds < FEWEST:
            return "too few seeds"
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not told apart"


def paired(values: Sequence[float], others: Sequence[float]) -> Difference:
    """values − others, seed by seed, resampled over seeds; always the same result for the same values.

    Pairs without a number on either side are left out. Of up to :data:`EXHAUSTIVE` seeds all resamples are taken, else
    :data:`RESAMPLES` at random.
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
