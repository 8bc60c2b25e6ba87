"""NYUD-v2: 795 training and 654 validation photographs of rooms, 425×560, as published with ATRC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bridgenet.data.base import DenseDataset, Target
from bridgenet.data.info import DataSetInfo, class_lists
from bridgenet.data.published.readers import read_classes, read_depth, read_png, read_probability
from bridgenet.tasks.kinds.normals import compact_normals

_CLASS_NAMES = tuple(class_lists()["nyu40"])


def _semseg(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    stored = read_classes(paths[0], highest=len(_CLASS_NAMES))
    return (stored - np.uint8(1))[..., None]  # 0, unlabelled, becomes 255, ignored


def _depth(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    return read_depth(paths[0])


def _normals(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    return compact_normals(read_png(paths[0], channels=3))


def _edge(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    return read_probability(paths[0])


class NYUDv2(DenseDataset):
    """NYUD-v2 (Silberman et al. 2012) with semantic segmentation (40 classes), depth [m], normals and boundaries."""

    info = DataSetInfo(
        name="nyud",
        title="NYUD-v2",
        folder="NYUDv2",
        tasks=("semseg", "depth", "normals", "edge"),
        class_names={"semseg": _CLASS_NAMES},
        class_values={"semseg": tuple(range(1, len(_CLASS_NAMES) + 1))},
        size=(448, 576),
        boundary_distance=0.011,
        archives=("https://data.vision.ee.ethz.ch/brdav/atrc/NYUDv2.tar.gz",),
        counts={"train": 795, "val": 654},
        image_size=(425, 560),
        other_copies={
            (480, 640): "This is the widespread copy of NYUD-v2 with the camera's whole frame. Scores on it do not "
            "compare with published ones, and the evaluation canvas of 448×576 is too small for it "
            "(--data.eval-size '[480, 640]'). For the published data: ATRC's archive"
        },
    )
    resized_as_published = True
    split_file = "gt_sets/{split}.txt"
    image_file = "images/{id}.png"
    targets = {
        "semseg": Target((("segmentation/{id}.png",),), _semseg),
        "depth": Target((("depth/{id}.npy",),), _depth),
        "normals": Target((("normals/{id}.png",),), _normals),
        "edge": Target((("edge/{id}.png",),), _edge),
    }

    @staticmethod
    def read_boundary_labels(path: Path) -> np.ndarray:
        """The edge picture read as a label map, (H, W) uint8, which is the protocol of the published numbers."""
        return read_png(path, channels=1)
