"""Targets in the smallest exact dtype: uint8 from the file to the device where possible, else float32.

A target (H, W, C) of type uint8 holds its values as they are, 255 where unknown. Normals are the exception: they stay as
they are stored, n = 2·v/255 − 1, and white (255 in all three channels) marks an unknown one. Whatever that cannot express
is float32. What unknown pixels are there, as they are read and later, is told by
:meth:`bridgenet.tasks.Kind.mark_unknown`.
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
