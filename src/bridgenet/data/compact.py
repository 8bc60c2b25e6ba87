"""Targets in the smallest exact dtype: uint8 from the file to the device where possible, else float32.

A uint8 target (H, W, C) holds the values themselves, 255 where unknown. Normals are an exception: they are stored values v,
n = 2·v/255 − 1, and white (255 in all three channels) is unknown. All other targets are float32: NaN where unknown, 255 in
class maps.
"""

from __future__ import annotations

import numpy as np

from bridgenet import tasks as task_registry
from bridgenet.tasks import Task


def expanded(task: str | Task, array: np.ndarray) -> np.ndarray:
    """Convert a uint8 target of a task, or an ``"image"``, to float32 (unknown normals: zero vectors); others stay."""
    if array.dtype != np.uint8:
        return array
    return array.astype(np.float32) if task == "image" else task_registry.get(task).kind.expanded(array)
