"""Lines through points."""

from __future__ import annotations

import pytest

from bridgenet import UserError
from bridgenet.benchmark.lines import fit


def test_points_on_a_line() -> None:
    line = fit([1, 2, 4], [5, 7, 11])
    assert (line.slope, line.intercept, line.r2) == pytest.approx((2, 3, 1))
    assert line.deviation == pytest.approx(0, abs=1e-12)


def test_a_parabola_is_no_line() -> None:
    line = fit([0, 1, 2], [1, 2, 5])
    assert (line.slope, line.intercept) == pytest.approx((2, 2 / 3))
    assert line.r2 == pytest.approx(12 / 13)
    assert line.deviation == pytest.approx(1 / 3)  # 2/3 away from 2


def test_two_points_show_nothing() -> None:
    with pytest.raises(UserError, match="there are 2"):
        fit([1, 2, 2], [1, 2, 3])
