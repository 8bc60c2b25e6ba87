"""Cityscapes preprocessed by MTAN's authors (Liu et al. 2019): arrays of 128×256, 7 or 19 classes, inverse depth.

Scores compare only with others on these arrays, see :mod:`bridgenet.data.published.cityscapes`.

Assumptions, as nothing is published: the 7 classes are in the order of Cityscapes' categories without the first (void); the
inverse depth is a normalised disparity of unknown unit; the archive is in
`DATA/cityscapes_mtan/{train,val}/{image,label_7,label,depth}/N.npy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bridgenet.data.base import DataSetInfo, DenseDataset, Target
from bridgenet.data.published.cityscapes import CLASS_NAMES
from bridgenet.data.published.readers import reading
from bridgenet.errors import UserError
from bridgenet.tasks import IGNORE

CATEGORIES = ("flat", "construction", "object", "nature", "sky", "human", "vehicle")
"""Names of the 7 classes in the assumed order."""
CATEGORY_OF = (0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 5, 6, 6, 6, 6, 6, 6)
"""Category by train id."""
LARGEST = 255
"""Inverse depths from this value on are considered to have another unit."""


def _read_array(path: Path, expected: str) -> np.ndarray:
    """Read an array of real, finite numbers. Raises UserError for anything else."""
    with reading(path):
        array = np.load(path, allow_pickle=False)
    if array.dtype.kind not in "fiub":
        raise UserError(f"{path}: found numbers of type {array.dtype}, expected {expected}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(f"{path}: {(~np.isfinite(array)).sum()} values are not finite, expected {expected}")
    return array


def _plane(path: Path, expected: str) -> np.ndarray:
    """Read an array (H, W) or (H, W, 1) as (H, W)."""
    array = _read_array(path, expected)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2:
        raise UserError(f"{path}: found an array of shape {array.shape}, expected {expected}")
    return array


def _semseg(num_classes: int, paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    """Class indices; −1 and other values that are no class are ignored."""
    labels = _plane(paths[0], "(H, W) class indices")
    known = (labels >= 0) & (labels < num_classes)
    return np.where(known, labels, IGNORE).astype(np.uint8)[..., None]


def _inverse_depth(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    """Inverse depth, 0 where unknown."""
    expected = f"(H, W) inverse depths of 0 (unknown) to {LARGEST}"
    values = _plane(paths[0], expected).astype(np.float32, copy=False)
    if values.min(initial=0) < 0 or values.max(initial=0) >= LARGEST:
        raise UserError(f"{paths[0]}: found {values.min():g}..{values.max():g}, expected {expected}")
    return values[..., None]


class CityscapesMTAN(DenseDataset):
    """MTAN's arrays with semantic segmentation (7 classes) and inverse depth. Ids are `SPLIT/N`."""

    info = DataSetInfo(
        name="cityscapes_mtan",
        title="Cityscapes, MTAN's arrays, 7 classes",
        folder="cityscapes_mtan",
        tasks=("semseg", "inverse_depth"),
        class_names={"semseg": CATEGORIES},
        size=(128, 256),
        counts={"train": 2975, "val": 500},
        image_size=(128, 256),
    )
    split_file = "{split}/image"
    image_file = "{split}/image/{id}.npy"
    targets = {
        "semseg": Target((("{split}/label_7/{id}.npy",),), partial(_semseg, len(CATEGORIES))),
        "inverse_depth": Target((("{split}/depth/{id}.npy",),), _inverse_depth),
    }

    def _read_ids(self) -> list[str]:
        folder = self.require_folder(self.folder.parent, self.split)
        numbers = sorted(int(path.stem) for path in folder.glob("*.npy") if path.stem.isdecimal())
        if not numbers:
            raise UserError(f"{folder} holds no N.npy. Unpack the archive again")
        return [f"{self.split}/{number}" for number in numbers]

    def file_name(self, pattern: str, sample_id: str) -> str:
        split, _, number = sample_id.partition("/")  # both splits have a 0
        return pattern.format(split=split, id=number)

    def load_image(self, index: int) -> np.ndarray:
        """The stored values in [0, 1] as (H, W, 3) uint8 RGB."""
        path = self.image_path(index)
        expected = "(H, W, 3) RGB in [0, 1]"
        image = _read_array(path, expected)
        if image.ndim != 3 or image.shape[2] != 3:
            raise UserError(f"{path}: found an array of shape {image.shape}, expected {expected}")
        if image.min(initial=0) < 0 or image.max(initial=0) > 1:
            raise UserError(f"{path}: found values {image.min():g}..{image.max():g}, expected {expected}")
        return np.rint(image * 255).astype(np.uint8)

    @staticmethod
    def read_boundary_labels(path: Path) -> np.ndarray:
        """Cityscapes has no boundary evaluation."""
        raise UserError("Cityscapes has no boundary evaluation")


class CityscapesMTAN19(CityscapesMTAN):
    """The same with the 19 classes of the folder `label`, assumed to be in the order of the train ids."""

    info = replace(
        CityscapesMTAN.info,
        name="cityscapes_mtan19",
        title="Cityscapes, MTAN's arrays, 19 classes",
        class_names={"semseg": CLASS_NAMES},
    )
    targets = {
        **CityscapesMTAN.targets,
        "semseg": Target((("{split}/label/{id}.npy",),), partial(_semseg, len(CLASS_NAMES))),
    }
