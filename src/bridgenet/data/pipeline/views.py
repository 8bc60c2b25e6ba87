"""Scaling, cropping, mirroring and padding of samples as one step.

A :class:`View` first computes indices and then fetches each pixel of the result once: no cropped pixel is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from bridgenet import tasks as task_registry
from bridgenet.data.compact import expanded
from bridgenet.tasks import Task

LARGEST_SIDE = 32_736
"""Longest side of images and canvases [pixels]: a multiple of 32 below the limit of OpenCV's `remap`."""
_MOST_CHANNELS = 4  # limit of OpenCV's border value


def resize(array: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
    """OpenCV's resize of (h, w) or (h, w, C) to `size` (height, width), the channel axis kept."""
    resized = cv2.resize(array, (size[1], size[0]), interpolation=interpolation)
    return resized.reshape(*size, *array.shape[2:])


def scaled_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """int(side·factor) of both sides, at least 1."""
    return max(1, int(size[0] * factor)), max(1, int(size[1] * factor))


def nearest(length: int, scaled: int) -> np.ndarray:
    """(scaled,) int16: the pixel of `length` ones at each position after OpenCV's nearest-neighbour scaling to `scaled`."""
    ramp = np.arange(length, dtype=np.float32)[None]
    return cv2.resize(ramp, (scaled, 1), interpolation=cv2.INTER_NEAREST)[0].astype(np.int16)


def centre_offset(size: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """(top, left) of an image of `size` centred on `canvas`; an odd remainder is at the bottom and right."""
    return (canvas[0] - size[0]) // 2, (canvas[1] - size[1]) // 2


@dataclass(frozen=True)
class View:
    """A window of a scaled and possibly mirrored sample, centred on a canvas. Lengths are in [pixels].

    Attributes:
        source: (height, width) of the sample.
        factor: scale factor; sides become int(side·factor).
        corner: (top, left) of the window in the scaled sample, before it is mirrored.
        window: (height, width) of the window.
        mirrored: whether the window is mirrored left to right.
        canvas: (height, width) of the result, no smaller than the window.
    """

    source: tuple[int, int]
    factor: float
    corner: tuple[int, int]
    window: tuple[int, int]
    mirrored: bool
    canvas: tuple[int, int]

    @classmethod
    def whole(
        cls,
        source: tuple[int, int],
        *,
        factor: float = 1.0,
        mirrored: bool = False,
        canvas: tuple[int, int] | None = None,
    ) -> View:
        """The whole scaled sample, by default on a canvas of its size."""
        size = scaled_size(source, factor)
        return cls(source, factor, (0, 0), size, mirrored, canvas or size)

    @property
    def place(self) -> tuple[int, int, int, int]:
        """(top, left, height, width) of the window on the canvas."""
        return (*centre_offset(self.window, self.canvas), *self.window)

    @cached_property
    def _map(self) -> np.ndarray:
        """(*canvas, 2) int16: column and row of the source for each pixel, −1 outside of the window."""
        (height, width), (top, left) = self.window, self.corner
        scaled = scaled_size(self.source, self.factor)
        rows = nearest(self.source[0], scaled[0])[top : top + height]
        columns = nearest(self.source[1], scaled[1])[left : left + width]
        is_full = self.window == self.canvas
        places = np.empty((*self.canvas, 2), np.int16) if is_full else np.full((*self.canvas, 2), -1, np.int16)
        top, left = self.place[:2]
        inside = places[top : top + height, left : left + width]
        inside[..., 0] = columns[::-1] if self.mirrored else columns
        inside[..., 1] = rows[:, None]
        return places

    def image(self, image: np.ndarray) -> np.ndarray:
        """The window of an image (H, W, 3), (h, w, 3): bilinear, in float32 without rounding if its size changes."""
        size = scaled_size(self.source, self.factor)
        if size != self.source:
            image = resize(image.astype(np.float32, copy=False), size, cv2.INTER_LINEAR)
        (top, left), (height, width) = self.corner, self.window
        image = image[top : top + height, left : left + width]
        return cv2.flip(image, 1) if self.mirrored else image

    def on_canvas(self, window: np.ndarray) -> np.ndarray:
        """The window of an image, (h, w, 3), on the canvas: (3, *canvas), 0 around it."""
        top, left, height, width = self.place
        canvas = (np.empty if self.window == self.canvas else np.zeros)((3, *self.canvas), window.dtype)
        canvas[:, top : top + height, left : left + width] = cv2.split(window)
        return canvas

    def target(self, task: str | Task, target: np.ndarray) -> np.ndarray:
        """A task's target (H, W, C) on the canvas, (*canvas, C): nearest neighbours, the task's `pad_value` around them.

        Depth is divided by the factor, disparity multiplied by it; mirroring changes the sign of horizontal components. For
        uint8 normals, :func:`bridgenet.data.pipeline.batches.to_device` changes the sign.
        """
        task = task_registry.get(task)
        is_compact = target.dtype == np.uint8 and task.kind.stays_compact(task)
        if not is_compact:
            target = expanded(task, target)
        seen = self._fetched(target, task.kind.outside(task, is_compact))
        if is_compact:
            return seen
        if task.divide_by_scale and self.factor != 1:
            np.divide(seen, np.float32(self.factor), out=seen)
        if task.multiply_by_scale and self.factor != 1:
            np.multiply(seen, np.float32(self.factor), out=seen)
        for channel in task.negate_on_flip if self.mirrored else ():
            values = seen[..., channel]
            np.negative(values, out=values)
        return seen

    def _fetched(self, array: np.ndarray, outside: float) -> np.ndarray:
        """(H, W, C) → (*canvas, C) in the same dtype."""
        channels = array.shape[2]
        if channels > _MOST_CHANNELS:
            parts = [
                self._fetched(np.ascontiguousarray(array[..., first : first + _MOST_CHANNELS]), outside)
                for first in range(0, channels, _MOST_CHANNELS)
            ]
            return np.concatenate(parts, axis=2)
        seen = cv2.remap(  # type: ignore[call-overload]  # which does not know that the second map may be None
            array, self._map, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(outside,) * 4
        )
        return seen.reshape(*self.canvas, channels)
