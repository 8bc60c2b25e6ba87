"""Resize stored targets by interpolation, but never across pixels without a label."""

from __future__ import annotations

import cv2
import numpy as np

from bridgenet.data.pipeline.views import resize
from bridgenet.tasks import Task


def interpolated(task: Task, target: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """A target (h, w, C) float32 in another size: cubic among labels, its nearest neighbours by pixels without one.

    `nearest`: the target in the new size (H, W, C) by nearest neighbours.
    """
    size = (nearest.shape[0], nearest.shape[1])
    if target.shape == nearest.shape:
        return target
    unknown = task.kind.is_unknown(task.kind.mark_unknown(task, target)).any(axis=2)
    # OpenCV takes two pixels on either side, and its nearest neighbour is not the one in the middle.
    reach = 2 + int(max(target.shape[0] / size[0], target.shape[1] / size[1])) // 2
    by_unknown = cv2.dilate(unknown.view(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    smooth = resize(np.where(unknown[..., None], np.float32(0), target), size, cv2.INTER_CUBIC)
    smooth = task.kind.interpolated(smooth)
    usable = (resize(by_unknown, size, cv2.INTER_NEAREST) == 0) & np.isfinite(smooth).all(axis=2)
    return np.where(usable[..., None], smooth, nearest)
