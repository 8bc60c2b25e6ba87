"""The encoding of a task's label files, and checks that several kinds share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bridgenet.errors import UserError
from bridgenet.tasks.kinds.base import Kind

MOST_BANDS = 4
"""No label file has fewer rows, while an array with its channels first has up to so many."""


@dataclass(frozen=True, kw_only=True)
class LabelFormat:
    """The encoding of a task's label files.

    Attributes:
        kind: kind of the task.
        values: the stored value of each class, in the order of the class indices.
        ignore: stored values without a label (tuples for several channels); NaN means NaN and infinities.
        scale: factor for stored numbers; None: 1/255 for whole numbers of a probability, else 1.
        range: (smallest, largest) valid value after `scale`; others are unknown.
        axes: directions of the stored x, y and z of normals, see :data:`bridgenet.tasks.kinds.normals.DIRECTIONS`.
        channels: number of channels of a regression.
    """

    kind: Kind
    values: tuple[int, ...] = ()
    ignore: tuple[float | tuple[float, ...], ...] = ()
    scale: float | None = None
    range: tuple[float, float] | None = None
    axes: tuple[str, str, str] = ("right", "up", "towards")
    channels: int = 1

    @property
    def ignores_nan(self) -> bool:
        return any(isinstance(value, float) and math.isnan(value) for value in self.ignore)

    def ignored(self, array: np.ndarray) -> np.ndarray:
        """(h, w) bool mask of the pixels of a stored array (h, w, C) with an ignored value in all channels."""
        found = np.zeros(array.shape[:2], bool)
        for value in self.ignore:
            if not (isinstance(value, float) and math.isnan(value)):
                found |= (array == value).all(axis=2)
        if self.ignores_nan and array.dtype.kind == "f":
            found |= ~np.isfinite(array).all(axis=2)
        return found

    def finite(self, path: Path, array: np.ndarray) -> np.ndarray:
        """The array as float32. Raises UserError for values that are neither finite nor ignored, unless there is a range."""
        values = array.astype(np.float32)
        wrong = int((~np.isfinite(values)).sum())
        if wrong and not self.ignores_nan and self.range is None:
            raise UserError(
                f"{path}: {wrong} values are not finite (NaN or infinite), expected numbers, or `ignore: [nan]`"
            )
        return values


def single(path: Path, array: np.ndarray) -> np.ndarray:
    """A stored array of one channel, or of three equal ones (grey saved as RGB), as (h, w, 1). Raises UserError for others."""
    array = as_grey(array)
    if array.shape[2] != 1:
        raise UserError(
            f"{path}: found {channels_of(array)}, expected one"
            + (" (a grey or palette picture of indices, not of colours)" if array.dtype == np.uint8 else "")
        )
    return array


def as_grey(array: np.ndarray) -> np.ndarray:
    """A stored array (h, w, C) as (h, w, 1) if it is a grey picture saved as RGB, or with opaque alpha; others as they are."""
    array = without_opaque_alpha(array)
    return array[..., :1] if array.shape[2] == 3 and (array == array[..., :1]).all() else array


def without_opaque_alpha(array: np.ndarray) -> np.ndarray:
    """A stored array (h, w, C) without the last of two or four channels of whole numbers if it is the type's largest value."""
    if array.shape[2] in (2, 4) and array.dtype.kind == "u" and (array[..., -1] == np.iinfo(array.dtype).max).all():
        return array[..., :-1]
    return array


def channels_of(array: np.ndarray) -> str:
    """The number of channels of a stored array (h, w, C) in words, and what they may be."""
    number = array.shape[2]
    if array.shape[0] <= MOST_BANDS < number:
        return f"an array of shape {array.shape}, whose first axis looks like its channels (they come last)"
    transparency = ", of which the last may be transparency" if number in (2, 4) and array.dtype.kind == "u" else ""
    return f"{number} channel{'' if number == 1 else 's'}{transparency}"
