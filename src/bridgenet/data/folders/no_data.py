"""Numbers that often stand for no measurement: usual marks of no data, and the ends of a type, where sensors saturate."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

MARKS = (-32768, -9999, 65535, 65.535)
"""Usual in files of any type that holds them; the last is 65535 mm in metres."""


class Mark(NamedTuple):
    """A number, and what it usually is."""

    value: float
    why: str

    def __str__(self) -> str:
        return f"{self.value:.7g}, {self.why}"


def marks_in(stored: np.ndarray) -> Counter[Mark]:
    """The number of pixels of stored numbers (…, C) that hold such a number in any channel, if there are any."""
    counts = {mark: int((stored == mark.value).any(axis=-1).sum()) for mark in _marks_of(stored.dtype)}
    return Counter({mark: count for mark, count in counts.items() if count})


def _marks_of(dtype: np.dtype) -> list[Mark]:
    bits = 8 * dtype.itemsize
    if dtype.kind == "f":
        edge = float(np.finfo(np.float32 if bits > 16 else dtype).max)
        ends = [Mark(value, f"an end of the numbers of {min(bits, 32)} bits") for value in (-edge, edge)]
        with np.errstate(over="ignore"):
            usual = [value.item() for value in np.array(MARKS, dtype) if np.isfinite(value)]
    else:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        ends = [Mark(high, f"the largest value of {bits} bits")]
        ends += [Mark(low, f"the smallest value of {bits} bits")] if low < 0 else []
        usual = [value for value in MARKS if low < value < high and value == int(value)]
    return ends + [Mark(value, "a usual mark of no data") for value in usual]
