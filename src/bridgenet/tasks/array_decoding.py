"""NumPy versions of :mod:`bridgenet.tasks.decoding` for one image, without PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bridgenet.errors import UserError

if TYPE_CHECKING:
    from bridgenet.tasks.task import Task

Array = NDArray[Any]


def decoding_of(task: Task) -> Callable[[Array], Array]:
    """The task's decoding in NumPy, (n, h, w) → (channels of the prediction, h, w). Raises UserError if there is none."""
    known: dict[Any, Callable[[Array], Array]] = {**DECODINGS, **task.kind.array_decodings}
    if task.decode not in known:
        raise UserError(
            f"task '{task.name}' is decoded by {task.decode}, which only a network with PyTorch does: predict with the weights, "
            "or leave the task out (--tasks)"
        )
    return known[task.decode]


def unit(vectors: Array) -> Array:
    """Vectors along the first axis, divided by their length; a zero vector stays zero."""
    squared_length = np.square(vectors).sum(axis=0, keepdims=True)
    return vectors / np.sqrt(np.where(squared_length > 0, squared_length, np.float32(1)))


def resized(channel: Array, size: tuple[int, int]) -> Array:
    """(h, w) → `size`, bilinear, with pixel centres at halves like PyTorch's align_corners=False."""
    if channel.shape == tuple(size):
        return channel
    return cv2.resize(np.ascontiguousarray(channel), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


DECODINGS: dict[str, Callable[[Array], Array]] = {
    "bridgenet.tasks.decoding:class_index": lambda logits: logits.argmax(axis=0)[None],
    "bridgenet.tasks.decoding:foreground_probability": lambda logits: expit(logits[1:2] - logits[0:1]),
    "bridgenet.tasks.decoding:probability": lambda logits: expit(logits[:1]),
    "bridgenet.tasks.decoding:depth": lambda logits: np.maximum(logits[:1], 0),
    "bridgenet.tasks.decoding:unit_vector": unit,
    "bridgenet.tasks.decoding:regression": lambda logits: logits,
}
"""The decodings by the name of their PyTorch version."""
