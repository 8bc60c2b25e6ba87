"""Statistics of a task's labels over many images: share of known pixels, range, classes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bridgenet.tasks.task import Task


@dataclass
class Statistics:
    """The labels of one task.

    Attributes:
        pixels: number of pixels.
        known: number of pixels with a label.
        low, high, total: smallest, largest and sum of the known values; for normals, of the lengths of the vectors.
        off_length: number of known normals whose length is not 1.
        classes: class indices found.
        example: the known values of one pixel; None if there is none.
        varies: whether other pixels have other values.
        resized: number of labels by their (height, width), if it differs from that of the image.
    """

    pixels: int = 0
    known: int = 0
    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    off_length: int = 0
    classes: set[int] = field(default_factory=set)
    example: tuple[float, ...] | None = None
    varies: bool = False
    resized: Counter[tuple[int, int]] = field(default_factory=Counter)

    @classmethod
    def of(cls, task: Task, target: np.ndarray, *, resized: bool = False) -> Statistics:
        """The statistics of one loaded target, (H, W, C) float32."""
        kind = task.kind
        known = ~kind.is_unknown(kind.mark_unknown(task, target)[..., 0])
        labels = target[known]
        values = kind.measured(labels)
        return cls(
            pixels=known.size,
            known=values.size,
            low=float(values.min(initial=math.inf)),
            high=float(values.max(initial=-math.inf)),
            total=float(values.sum(dtype=np.float64)),
            off_length=kind.off_length(values),
            classes={int(value) for value in np.unique(values)} if kind.has_classes else set(),
            example=tuple(labels[0].tolist()) if len(labels) else None,
            varies=bool((labels != labels[:1]).any()),
            resized=Counter([(target.shape[0], target.shape[1])] if resized else []),
        )

    def add(self, other: Statistics) -> None:
        """Add the statistics of other images."""
        self.pixels += other.pixels
        self.known += other.known
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        self.total += other.total
        self.off_length += other.off_length
        self.classes |= other.classes
        self.varies |= other.varies or (None not in (self.example, other.example) and self.example != other.example)
        self.example = self.example or other.example
        self.resized.update(other.resized)

    @property
    def mean(self) -> float:
        return self.total / self.known if self.known else math.nan

    def constant(self, task: Task, names: Sequence[str] = ()) -> str:
        """A text on labels that are the same in all pixels, e.g. of a class; empty if they vary or there are none."""
        if self.varies or self.example is None:
            return ""
        value = ", ".join(f"{number:.4g}" for number in self.example)
        if task.kind.has_classes and names:
            value = names[int(self.example[0])]
        return f"every pixel with a label has the same: {value}. There is nothing to learn"

    def describe(self, task: Task, num_classes: int) -> str:
        """A text with the range of the labels and units; empty if no pixel is known."""
        return task.kind.describe(task, self, num_classes) if self.known else ""

    def implausible(self, task: Task) -> str:
        """A text about what is implausible in the labels of all images together; empty if nothing is."""
        return task.kind.implausible(self) if self.known else "no pixel of any image has a label"
