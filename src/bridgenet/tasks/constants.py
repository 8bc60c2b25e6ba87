"""The constant prediction that scores best on given targets."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

EDGE_POSITIVE_WEIGHT = 0.95
NUM_DIRECTIONS = 500
SAMPLES_PER_IMAGE = 200


class Constant(Protocol):
    """Collects targets and returns the logits of the best constant."""

    def add(self, values: NDArray[np.float32]) -> None:
        """Add the known pixels of one image, (N, C)."""

    def logits(self) -> list[float]:
        """The logits, one for each channel."""


class MostFrequent:
    """The most frequent class: the best mIoU of a constant."""

    def __init__(self, num_classes: int) -> None:
        self.counts = np.zeros(num_classes, np.int64)

    def add(self, values: NDArray[np.float32]) -> None:
        self.counts += np.bincount(values[:, 0].astype(np.int64), minlength=len(self.counts))

    def logits(self) -> list[float]:
        return np.eye(len(self.counts))[self.counts.argmax()].tolist()


class Mean:
    """The mean of each channel: the best root of the mean squared error."""

    def __init__(self, channels: int) -> None:
        self.sums = np.zeros((2, channels))

    def add(self, values: NDArray[np.float32]) -> None:
        self.sums += (values.sum(axis=0), np.full(values.shape[1], len(values)))

    def logits(self) -> list[float]:
        return (self.sums[0] / self.sums[1].clip(min=1)).tolist()


class Share(Mean):
    """The share of positives at the weights of the edge loss: the best weighted cross entropy."""

    def __init__(self) -> None:
        super().__init__(channels=1)

    def logits(self) -> list[float]:
        share = min(max(super().logits()[0], 1e-6), 1 - 1e-6)
        weighted = EDGE_POSITIVE_WEIGHT * share, (1 - EDGE_POSITIVE_WEIGHT) * (1 - share)
        return [float(np.log(weighted[0] / weighted[1]))]


class Foreground:
    """All pixels foreground, as logits of two channels."""

    def add(self, values: NDArray[np.float32]) -> None:
        pass

    def logits(self) -> list[float]:
        return [-10.0, 10.0]


class Direction:
    """The direction of the least mean angle to some pixels of each image, among evenly spread ones and the mean."""

    def __init__(self) -> None:
        self.seen: list[NDArray[np.float32]] = []

    def add(self, values: NDArray[np.float32]) -> None:
        self.seen.append(values[:: max(1, len(values) // SAMPLES_PER_IMAGE)])

    def logits(self) -> list[float]:
        normals = np.concatenate(self.seen)
        index = np.arange(NUM_DIRECTIONS) + 0.5
        azimuth, z = np.pi * (1 + 5**0.5) * index, 1 - 2 * index / NUM_DIRECTIONS
        radius = np.sqrt(1 - z**2)
        candidates = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=1)
        mean = normals.mean(axis=0)
        candidates = np.concatenate([candidates, mean[None] / max(float(np.linalg.norm(mean)), 1e-12)])
        angles = [np.arccos(np.clip(normals @ candidate, -1, 1)).mean() for candidate in candidates]
        return candidates[int(np.argmin(angles))].tolist()
