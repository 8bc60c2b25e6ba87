"""Normalisation of pictures for exported networks. The kind of a task defines how logits become maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def normalise(picture: NDArray[np.uint8], mean: list[float], std: list[float]) -> NDArray[np.float32]:
    """(H, W, 3) uint8 RGB → (3, H, W) float32, (v/255 − mean)/std."""
    values = picture.astype(np.float32) / np.float32(255)
    values -= np.array(mean, np.float32)
    values /= np.array(std, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1))
