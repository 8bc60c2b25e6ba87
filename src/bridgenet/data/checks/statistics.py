"""What the labels of a task look like over many images: share of known pixels, range, classes; and what is odd in it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from bridgenet import tasks as task_registry
from bridgenet.data.pipeline.transforms import mark_unknown
from bridgenet.tasks import IGNORE

LENGTH_TOLERANCE = 0.1
"""A normal stored in 8 bit is at most 0.01 off unit length; resizing shortens some at the borders of surfaces."""
MOST_OFF_LENGTH = 0.05
"""Share of the normals that may be off unit length."""
NEAREST_MEAN_DEPTH = 0.5
"""No set of photographs has a smaller mean depth [m]."""


@dataclass
class Statistics:
    """The labels of one task.

    Attributes:
        pixels: pixels in all.
        known: pixels that have a label.
        low, high, total: smallest, largest and sum of the known values; for normals of the vectors' lengths.
        off_length: known normals whose length is not 1.
        classes: class indices found.
        resized: number of labels of each (height, width) that are stored in another size than their image.
    """

    pixels: int = 0
    known: int = 0
    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    off_length: int = 0
    classes: set[int] = field(default_factory=set)
    resized: Counter[tuple[int, int]] = field(default_factory=Counter)

    @classmethod
    def of(cls, task: str, target: np.ndarray, *, resized: bool = False) -> Statistics:
        """The statistics of one target as it is loaded, (H, W, C) float32."""
        kind = task_registry.get(task).kind
        known = mark_unknown(task, target)[..., 0] != IGNORE
        values = np.linalg.norm(target, axis=-1)[known] if kind == "normals" else target[..., 0][known]
        return cls(
            pixels=known.size,
            known=values.size,
            low=float(values.min(initial=math.inf)),
            high=float(values.max(initial=-math.inf)),
            total=float(values.sum(dtype=np.float64)),
            off_length=int((abs(values - 1) > LENGTH_TOLERANCE).sum()) if kind == "normals" else 0,
            classes={int(value) for value in np.unique(values)} if kind == "classes" else set(),
            resized=Counter([(target.shape[0], target.shape[1])] if resized else []),
        )

    def add(self, other: Statistics) -> None:
        """Take in the statistics of other images."""
        self.pixels += other.pixels
        self.known += other.known
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        self.total += other.total
        self.off_length += other.off_length
        self.classes |= other.classes
        self.resized.update(other.resized)

    @property
    def mean(self) -> float:
        return self.total / self.known if self.known else math.nan


def describe(task: str, found: Statistics, num_classes: int) -> str:
    """The range of the labels in words, with units."""
    if not found.known:
        return ""
    kind = task_registry.get(task).kind
    if kind == "classes":
        return f"{len(found.classes)} of {num_classes} classes"
    if kind == "depth":
        return f"{found.low:.2f} to {found.high:.2f} m, mean {found.mean:.2f} m"
    if kind == "regression":
        unit = f" {task_registry.get(task).unit}".rstrip()
        return f"{found.low:.4g} to {found.high:.4g}{unit}, mean {found.mean:.4g}{unit}"
    if kind == "normals":
        return f"{100 * (1 - found.off_length / found.known):.1f} % of unit length"
    return f"{100 * found.mean:.1f} % positive"


def implausible(task: str, found: Statistics) -> str:
    """What cannot be right about the labels of all images together, in words; empty if nothing."""
    kind = task_registry.get(task).kind
    if not found.known:
        return "no pixel of any image has a label"
    if kind == "depth" and found.mean < NEAREST_MEAN_DEPTH:
        return (
            f"the mean depth is {found.mean:.3g} m (up to {found.high:.3g} m), expected metres. Was it divided by the "
            "largest depth, or is it in another unit?"
        )
    if kind == "normals" and found.off_length > MOST_OFF_LENGTH * found.known:
        return (
            f"{100 * found.off_length / found.known:.1f} % of the normals are not of unit length (lengths {found.low:.2f} to "
            f"{found.high:.2f}), expected n = 2·v/255 − 1 of unit vectors. Is it another encoding?"
        )
    if kind == "probability" and found.high < 0.5:
        return "no pixel of any image is positive. Is it stored as 0 and 1 instead of 0 and 255?"
    return ""
