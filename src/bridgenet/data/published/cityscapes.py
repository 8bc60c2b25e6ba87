"""Cityscapes: 2975 training and 500 validation photographs of streets, 1024×2048 (Cordts et al. 2016), official layout.

The protocol of the BridgeNet paper is not known from public text. This is the one of its code family (TaskPrompter,
MTMamba++): 19 classes by train id, and disparity; see :data:`DataSetInfo.shrink` for the sizes. :mod:`bridgenet.data.published.cityscapes_mtan` has the
other common protocol, on arrays of 128×256, with which scores do not compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bridgenet.data.base import DataSetInfo, DenseDataset, Target, fit
from bridgenet.data.published.readers import read_classes, read_png16
from bridgenet.errors import UserError
from bridgenet.tasks import IGNORE

LABELS: dict[str, tuple[int, int]] = {
    "unlabeled": (0, IGNORE),
    "ego vehicle": (1, IGNORE),
    "rectification border": (2, IGNORE),
    "out of roi": (3, IGNORE),
    "static": (4, IGNORE),
    "dynamic": (5, IGNORE),
    "ground": (6, IGNORE),
    "road": (7, 0),
    "sidewalk": (8, 1),
    "parking": (9, IGNORE),
    "rail track": (10, IGNORE),
    "building": (11, 2),
    "wall": (12, 3),
    "fence": (13, 4),
    "guard rail": (14, IGNORE),
    "bridge": (15, IGNORE),
    "tunnel": (16, IGNORE),
    "pole": (17, 5),
    "polegroup": (18, IGNORE),
    "traffic light": (19, 6),
    "traffic sign": (20, 7),
    "vegetation": (21, 8),
    "terrain": (22, 9),
    "sky": (23, 10),
    "person": (24, 11),
    "rider": (25, 12),
    "car": (26, 13),
    "truck": (27, 14),
    "bus": (28, 15),
    "caravan": (29, IGNORE),
    "trailer": (30, IGNORE),
    "train": (31, 16),
    "motorcycle": (32, 17),
    "bicycle": (33, 18),
}
"""Label id and train id of every label in the official list; 255: not evaluated. (The license plate, −1, is never stored.)"""

TRAIN_IDS = np.full(256, IGNORE, np.uint8)
"""(256,) uint8: train id by label id."""
for _label_id, _train_id in LABELS.values():
    TRAIN_IDS[_label_id] = _train_id

CLASS_NAMES = tuple(name for name, (_, train_id) in LABELS.items() if train_id != IGNORE)
SKY = CLASS_NAMES.index("sky")
_LABEL_FILES = ("gtFine/{split}/{id}_gtFine_labelTrainIds.png", "gtFine/{split}/{id}_gtFine_labelIds.png")


def read_labels(path: Path) -> np.ndarray:
    """Read train ids 0..18 or IGNORE, (H, W) uint8, from a picture of train ids or label ids.

    Official scripts create the files of train ids; the name of a file decides which ids it has.
    """
    if path.name.endswith("_labelTrainIds.png"):
        return read_classes(path, highest=len(CLASS_NAMES) - 1, ignore=IGNORE)
    return TRAIN_IDS[read_classes(path, highest=len(LABELS) - 1, ignore=IGNORE)]


def read_disparity(path: Path) -> np.ndarray:
    """Read disparity (v − 1)/256 [pixels of the full width], (H, W) float32, NaN where v is 0 (not measured)."""
    stored = read_png16(path, "256·disparity + 1, 0 where it is not measured")
    disparity = (stored.astype(np.float32) - np.float32(1)) / np.float32(256)
    disparity[stored == 0] = np.nan
    return disparity


def _semseg(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    return read_labels(paths[0])[..., None]


def _disparity(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    """Disparity with 0 in the sky, which is infinitely far away and cannot be measured."""
    disparity = read_disparity(paths[0])
    labels = fit(read_labels(paths[1]), (disparity.shape[0], disparity.shape[1]), "nearest", paths[1])
    disparity[labels == SKY] = 0
    return disparity[..., None]


class Cityscapes(DenseDataset):
    """Cityscapes with semantic segmentation (19 classes) and disparity [pixels of the full width].

    There are no lists of samples: a split has the files in `leftImg8bit/SPLIT/CITY/`, with ids `CITY/NAME`.
    """

    info = DataSetInfo(
        name="cityscapes",
        title="Cityscapes",
        folder="cityscapes",
        tasks=("semseg", "disparity"),
        class_names={"semseg": CLASS_NAMES},
        class_values={"semseg": tuple(label_id for label_id, train_id in LABELS.values() if train_id != IGNORE)},
        size=(1024, 2048),
        shrink=2,
        counts={"train": 2975, "val": 500},
        image_size=(1024, 2048),
    )
    split_file = "leftImg8bit/{split}"
    image_file = "leftImg8bit/{split}/{id}_leftImg8bit.png"
    targets = {
        "semseg": Target((_LABEL_FILES,), _semseg),
        "disparity": Target((("disparity/{split}/{id}_disparity.png",), _LABEL_FILES), _disparity),
    }

    def _read_ids(self) -> list[str]:
        folder = self.require_folder(self.folder.parent, self.split)
        ending = "_leftImg8bit.png"
        found = sorted(folder.glob(f"*/*{ending}"))
        if not found:
            raise UserError(f"{folder} holds no CITY/*{ending}. Unpack leftImg8bit_trainvaltest.zip there again")
        return [f"{path.parent.name}/{path.name.removesuffix(ending)}" for path in found]

    @staticmethod
    def read_boundary_labels(path: Path) -> np.ndarray:
        """Cityscapes has no boundary evaluation."""
        raise UserError("Cityscapes has no boundary evaluation")
