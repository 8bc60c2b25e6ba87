"""The encoding of a task's label files, and checks that several kinds share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bridgenet.errors import UserError
from bridgenet.tasks.kinds.base import Kind


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
        """The array as float32. Raises UserError for values that are neither finite nor ignored."""
        values = array.astype(np.float32)
        wrong = int((~np.isfinite(values)).sum())
        if wrong and not self.ignores_nan:
            raise UserError(
                f"{path}: {wrong} values are not finite (NaN or infinite), expected numbers, or `ignore: [nan]`"
            )
        return values


def single(path: Path, array: np.ndarray) -> np.ndarray:
    """A stored array of one channel, or of three equal ones (grey saved as RGB), as (h, w, 1). Raises UserError for others."""
    if array.shape[2] == 3 and (array == array[..., :1]).all():
        return array[..., :1]
    if array.shape[2] != 1:
        raise UserError(
            f"{path}: found {array.shape[2]} channels, expected one"
            + (" (a grey or palette picture of indices, not of colours)" if array.dtype == np.uint8 else "")
        )
    return array
