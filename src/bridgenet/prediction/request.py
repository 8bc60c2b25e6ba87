"""Options and picture sizes that all predictors share. Without PyTorch."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bridgenet import tasks as task_registry
from bridgenet.errors import UserError, nearest


def check_request(
    predicted: Collection[str], tasks: Sequence[str] | None, max_pixels: int | None = None, batch_size: int = 1
) -> None:
    """UserError for a task that the network does not predict, or a `max_pixels` or `batch_size` below 1."""
    for task in predicted:
        if task not in task_registry.names():
            raise UserError(
                f"this network predicts '{task}', which is not registered; call bridgenet.register_task first"
            )
    for task in tasks or ():
        if task not in predicted:
            known = ", ".join(predicted)
            raise UserError(f"this network does not predict '{task}'{nearest(task, predicted)} (it predicts {known})")
    if max_pixels is not None and max_pixels < 1:
        raise UserError(f"max_pixels is {max_pixels}, expected at least 1")
    if batch_size < 1:
        raise UserError(f"batch size is {batch_size}, expected at least 1")


def check_smoothing(share: float) -> None:
    """UserError unless the weight of past frames is in [0, 1)."""
    if not 0 <= share < 1:
        raise UserError(f"smoothing is {share:g}, expected 0 (none) to below 1")


def size_within(size: tuple[int, int], max_pixels: int | None) -> tuple[int, int]:
    """(height, width), shrunk to `max_pixels` if it has more."""
    height, width = size
    if max_pixels is None or height * width <= max_pixels:
        return height, width
    factor = math.sqrt(max_pixels / (height * width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def shrunk(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[Any]:
    """Shrink a picture (H, W, 3) uint8 to (height, width); each pixel is the mean of those it covers."""
    if picture.shape[:2] == size:
        return picture
    return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
