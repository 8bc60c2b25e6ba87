"""From pictures to what a network takes, and from its logits to maps: :mod:`bridgenet.tasks.decoding` in NumPy, for one image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bridgenet.errors import UserError
from bridgenet.tasks import Task

Array = NDArray[Any]


def normalise(picture: NDArray[np.uint8], mean: list[float], std: list[float]) -> NDArray[np.float32]:
    """(H, W, 3) uint8 RGB → (3, H, W) float32, (v/255 − mean)/std."""
    values = picture.astype(np.float32) / np.float32(255)
    values -= np.array(mean, np.float32)
    values /= np.array(std, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def full_size(task: Task, logits: NDArray[np.float32], size: tuple[int, int]) -> Array:
    """The decoded map (H, W[, C]) of one image's logits (n, h, w) at `size`, in the units of the task's kind.

    Raises UserError for a task with a decoding of its own, which is PyTorch's.
    """
    if task.kind == "classes":
        return _largest_class(logits, size)
    channels = np.stack([_resized(channel, size) for channel in decoded(task, logits)])
    if task.kind == "normals":
        return _unit(channels).transpose(1, 2, 0)
    return channels[0] if len(channels) == 1 else channels.transpose(1, 2, 0)


def decoded(task: Task, logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, h, w) → (channels of the prediction, h, w), for all kinds but classes."""
    return decoding_of(task)(logits)


def decoding_of(task: Task) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """The task's decoding in NumPy. UserError if there is none."""
    if task.decode not in DECODINGS:
        raise UserError(
            f"task '{task.name}' is decoded by {task.decode}, which only a network with PyTorch does: predict with the weights, "
            "or leave the task out (--tasks)"
        )
    return DECODINGS[task.decode]


def _foreground_probability(logits: Array) -> Array:
    return expit(logits[1:2] - logits[0:1])


def _unit(vectors: Array) -> Array:
    squared_length = np.square(vectors).sum(axis=0, keepdims=True)
    return vectors / np.sqrt(np.where(squared_length > 0, squared_length, np.float32(1)))


DECODINGS: dict[Any, Callable[[Array], Array]] = {
    "bridgenet.tasks.decoding:class_index": lambda logits: logits.argmax(axis=0)[None],
    "bridgenet.tasks.decoding:foreground_probability": _foreground_probability,
    "bridgenet.tasks.decoding:probability": lambda logits: expit(logits[:1]),
    "bridgenet.tasks.decoding:depth": lambda logits: np.maximum(logits[:1], 0),
    "bridgenet.tasks.decoding:unit_vector": _unit,
    "bridgenet.tasks.decoding:regression": lambda logits: logits,
}
"""By the name of what they are in PyTorch."""


def _largest_class(logits: Array, size: tuple[int, int]) -> NDArray[np.int64]:
    """arg max of the resized logits, one class at a time: all at once would need gigabytes for a photograph."""
    largest = _resized(logits[0], size).copy()
    index = np.zeros(size, np.int64)
    for number, channel in enumerate(logits[1:], start=1):
        values = _resized(channel, size)
        is_larger = values > largest
        index[is_larger] = number
        np.maximum(largest, values, out=largest)
    return index


def _resized(channel: Array, size: tuple[int, int]) -> Array:
    """(h, w) → `size`, bilinear, pixels' centres at halves, as PyTorch's align_corners=False."""
    if channel.shape == tuple(size):
        return channel
    return cv2.resize(np.ascontiguousarray(channel), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
