"""Targets in the smallest type that holds them exactly: uint8 from the file to the device, float32 where it must be.

A target (H, W, C) of type uint8 holds its values as they are, 255 = ignore. Normals are the exception: they stay as they
are stored, n = 2·v/255 − 1, and white (255 in all three channels) marks an unknown one. Whatever that cannot express is
float32.
"""

from __future__ import annotations

import cv2
import numpy as np

from bridgenet import tasks as task_registry
from bridgenet.tasks import IGNORE, Task

WHITE = (255, 255, 255)
_NORMAL = np.float32(2) * np.arange(256, dtype=np.float32) / np.float32(255) - np.float32(1)


def compact_normals(encoded: np.ndarray, unknown: np.ndarray | None = None) -> np.ndarray:
    """Normals as stored, (H, W, 3) uint8, without those that are `unknown`, (H, W) bool.

    Returns:
        (H, W, 3) uint8; float32, the zero vector where unknown, if the file itself holds a white pixel.
    """
    white = cv2.inRange(encoded, WHITE, WHITE)
    if unknown is None:
        return _expanded_normals(encoded, None) if cv2.countNonZero(white) else encoded
    mask = unknown.view(np.uint8) * np.uint8(255)
    if cv2.countNonZero(cv2.bitwise_and(white, cv2.bitwise_not(mask))):
        return _expanded_normals(encoded, unknown)
    return cv2.bitwise_or(encoded, cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB))


def expanded(name: str, array: np.ndarray) -> np.ndarray:
    """The image or a task's target in float32, unknown normals the zero vector; an array that is no uint8 as it is."""
    if array.dtype != np.uint8:
        return array
    if name != "image" and task_registry.get(name).kind == "normals":
        return _expanded_normals(array, (array == IGNORE).all(axis=2))
    return array.astype(np.float32)


def may_stay(task: Task, array: np.ndarray) -> bool:
    """Whether a target can go through scaling, mirroring and padding without becoming float32."""
    if array.dtype != np.uint8:
        return False
    if task.kind == "normals":  # outside of the image they are white, which is what an unknown one is
        return task.unknown == "zero" and task.pad_value == 0
    is_8_bit = task.pad_value in range(256)
    return is_8_bit and not task.divide_by_scale and not task.multiply_by_scale and not task.negate_on_flip


def _expanded_normals(encoded: np.ndarray, unknown: np.ndarray | None) -> np.ndarray:
    normals = _NORMAL[encoded]
    if unknown is not None:
        normals[unknown] = 0
    return normals
