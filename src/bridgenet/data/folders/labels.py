"""Read custom label files as targets: pictures, .npy and EXR arrays of classes, depth, normals, or any numbers.

How a task's files are to be read is said by :class:`Labels`; :mod:`bridgenet.data.folders.description` makes it from a YAML file.
What is done with the values, which are unknown and which a fault, is decided by `read` of the task's kind
(:mod:`bridgenet.tasks.kinds`).
A file that is damaged, of another shape, or holds values that are not allowed for is a UserError naming it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bridgenet.data.published.readers import reading
from bridgenet.errors import UserError
from bridgenet.imaging.orientation import orientation
from bridgenet.imaging.reading import SUFFIXES as PICTURE_SUFFIXES
from bridgenet.imaging.stored import read_stored
from bridgenet.tasks import kinds
from bridgenet.tasks.kinds.labels import LabelFormat, without_opaque_alpha

SUFFIXES = PICTURE_SUFFIXES | {".npy", ".exr"}
"""Suffixes of label files."""
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Units of depth in metres."""


@dataclass(frozen=True, kw_only=True)
class Labels(LabelFormat):
    """Reader of the label files of a task. The kind may be given by its name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", kinds.get(str(self.kind)))

    def __call__(self, paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
        """The target in `paths[0]` for :class:`bridgenet.data.base.Target`, (h, w, C) uint8 or float32."""
        return self.kind.read(self, paths[0], self.stored(paths[0]))

    def stored(self, path: Path) -> np.ndarray:
        """The stored numbers of a file, (h, w, C), without a channel of transparency that is opaque everywhere.

        Raises UserError if the file cannot be read, or has an orientation of its own.
        """
        check_upright(path)
        array = read_array(path)
        return array if array.shape[2] == self.channels else without_opaque_alpha(array)


def check_upright(path: Path) -> None:
    """UserError for a picture with an orientation of its own: labels lie on the image as it is shown."""
    if path.suffix.lower() in PICTURE_SUFFIXES and (turned := orientation(path)) != 1:
        raise UserError(
            f"{path} has the EXIF orientation {turned}, expected labels without one, on the pixels of the image as it is "
            "shown. Store the pixels turned, or remove the entry if they are right as they are"
        )


def read_array(path: Path) -> np.ndarray:
    """Read a picture (palettes as indices) or array as stored, (h, w, C). Raises UserError if that is impossible."""
    with reading(path, is_published=False):
        array = read_stored(path)
    if array.ndim not in (2, 3) or array.size == 0 or array.dtype.kind not in "biuf":
        raise UserError(
            f"{path}: found an array of shape {array.shape} and type {array.dtype}, expected (H, W) numbers"
        )
    dtype = np.uint8 if array.dtype == bool else array.dtype.newbyteorder("=")
    return np.ascontiguousarray(array[..., None] if array.ndim == 2 else array, dtype)
