"""Lines through measured points: whether a cost grows in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bridgenet.errors import UserError


@dataclass(frozen=True)
class Line:
    """y = intercept + slope·x, by least squares.

    Attributes:
        r2: share of the points' variance that the line explains.
        deviation: largest distance of a point from the line, as a share of the point's value.
    """

    slope: float
    intercept: float
    r2: float
    deviation: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def fit(x: Sequence[float], y: Sequence[float]) -> Line:
    """The line through points; UserError for fewer than three, through which there is always one."""
    if len(set(x)) < 3:
        raise UserError(f"a line needs three points or more to be shown, there are {len(set(x))}")
    xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
    slope, intercept = np.polyfit(xs, ys, 1)
    rest = ys - (intercept + slope * xs)
    spread = ((ys - ys.mean()) ** 2).sum()
    r2 = 1 - (rest**2).sum() / spread if spread > 0 else 1.0
    return Line(float(slope), float(intercept), float(r2), float(np.abs(rest / ys).max()))
