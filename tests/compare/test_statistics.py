"""Means, deviations and paired bootstrap intervals over seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bridgenet.compare.statistics import paired, spread


def test_spread() -> None:
    found = spread([1.0, 2.0, 6.0])
    assert (found.mean, found.count) == (3.0, 3)
    assert found.deviation == pytest.approx(math.sqrt(7))
    assert math.isnan(spread([1.0]).deviation)
    assert math.isnan(spread([]).mean)


def test_pairs_count_not_means() -> None:
    """A difference that every seed shows is seen through what seeds differ by."""
    seeds = [0.1, 0.5, 0.9]
    found = paired([x + 0.01 for x in seeds], seeds)
    assert found.verdict == "better"
    assert (found.mean, found.low) == (pytest.approx(0.01), pytest.approx(0.01))
    assert paired(seeds, [x + 0.01 for x in seeds]).verdict == "worse"
    unpaired = paired([0.11, 0.91, 0.51], [0.1, 0.5, 0.9])
    assert unpaired.verdict == "inconclusive"


def test_three_seeds_must_agree() -> None:
    """All 27 resamples of three are taken: the interval is their range."""
    found = paired([3.0, 1.0, -0.1], [0.0, 0.0, 0.0])
    assert (found.low, found.high) == (pytest.approx(-0.1), pytest.approx(3.0))
    assert (found.in_favour, found.verdict) == (2, "inconclusive")
    assert paired([3.0, 1.0, 0.1], [0.0, 0.0, 0.0]).verdict == "better"


@pytest.mark.parametrize("count", [1, 2])
def test_no_winner_of_few_seeds(count: int) -> None:
    assert paired([1.0] * count, [0.0] * count).verdict == "too few seeds"
    assert paired([], []).verdict == "–"


def test_interval_of_many_seeds_holds_what_it_should() -> None:
    """Of 200 draws of 20 pairs the interval holds the true difference in about 95 %, and is the same each time."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        values = rng.normal(0.5, 1, 20).tolist()
        found = paired(values, [0.0] * 20)
        held += found.low <= 0.5 <= found.high
    assert 175 <= held <= 199
    assert paired(values, [0.0] * 20) == found


def test_missing_numbers_are_left_out() -> None:
    found = paired([1.0, math.nan, 2.0, 3.0], [0.0, 1.0, 1.0, 0.0])
    assert (found.seeds, found.mean) == (3, pytest.approx(5 / 3))


def test_three_seeds_have_their_range() -> None:
    """As the text below the tables says; more seeds have less."""
    three, four = paired([1.0, 2.0, 5.0], [0.0] * 3), paired([1.0, 2.0, 5.0, 9.0], [0.0] * 4)
    assert (three.low, three.high) == (1, 5)
    assert four.low > 1 and four.high < 9
