"""Targets in the smallest type that holds them exactly: uint8 from the file to the device, float32 where it must be.

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
    """A task's target, or the ``"image"``, in float32, unknown normals the zero vector; an array that is no uint8 as it is."""
    if array.dtype != np.uint8:
        return array
    return array.astype(np.float32) if task == "image" else task_registry.get(task).kind.expanded(array)
