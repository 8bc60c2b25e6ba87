"""PASCAL-Context: 4998 training and 5105 validation photographs, at most 500 a side, as published with ATRC.

Labels come from PASCAL VOC (semseg), PASCAL-Context (Mottaghi et al. 2014: `LabelMap` of 459 classes, boundaries),
PASCAL-Part (Chen et al. 2014: human parts) and, for saliency and normals, from networks ("distilled").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bridgenet.data.base import DataSetInfo, DenseDataset, Target, class_lists, fit
from bridgenet.data.readers import read_classes, read_mat, read_normals, read_png, reading
from bridgenet.errors import UserError
from bridgenet.tasks import IGNORE

NUM_CONTEXT_CLASSES = 459
PERSON = 15
"""The VOC class whose parts make the human parts."""

_CLASS_NAMES = tuple(class_lists()["voc21"])
_LABEL_MAP = "pascal-context/trainval/{id}.mat"


def read_label_map(path: Path) -> np.ndarray:
    """PASCAL-Context's label map, (H, W) integers 0..459; UserError if the file holds anything else."""
    labels = read_mat(path, "LabelMap")
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise UserError(f"{path}: LabelMap has shape {labels.shape}, type {labels.dtype}, expected (H, W) of integers")
    if labels.min(initial=0) < 0 or labels.max(initial=0) > NUM_CONTEXT_CLASSES:
        raise UserError(f"{path}: LabelMap holds {labels.min()}..{labels.max()}, expected 0..{NUM_CONTEXT_CLASSES}")
    return labels


def _semseg(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    labels = read_classes(paths[0], highest=len(_CLASS_NAMES) - 1, ignore=IGNORE)
    return labels[..., None].astype(np.float32)


def _edge(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    from skimage.morphology import thin

    changes = cv2.Laplacian(read_label_map(paths[0]).astype(np.float32), cv2.CV_32F)
    return thin(changes != 0)[..., None].astype(np.float32)


def _normals(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    """Only classes whose normals are to be trusted keep theirs; elsewhere the zero vector, unknown."""
    normals = read_normals(paths[0])
    labels = read_label_map(paths[1]).astype(np.uint16)
    labels = fit(labels, (normals.shape[0], normals.shape[1]), "nearest", paths[1])
    valid = np.zeros(NUM_CONTEXT_CLASSES + 1, bool)
    valid[class_lists()["normals_valid_context_ids"]] = True
    normals[~valid[labels]] = 0
    return normals


def _saliency(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    return (read_png(paths[0], channels=1) > 0.5 * 255)[..., None].astype(np.float32)


def _human_parts(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    path = paths[0]
    groups = class_lists()["human_parts_6"]
    annotation = read_mat(path, "anno")
    with reading(path):
        parts = list(_person_parts(annotation))
    target: np.ndarray | None = None
    for name, mask in parts:
        if name not in groups:
            raise UserError(f"{path}: '{name}' is not a part of a person (parts: {', '.join(groups)})")
        if target is None:
            target = np.zeros((*mask.shape, 1), np.float32)
        elif mask.shape != target.shape[:2]:
            raise UserError(f"{path}: masks of {mask.shape} and {target.shape[:2]} pixels, expected one size")
        target[mask] = groups[name]
    return np.zeros((*size, 1), np.float32) if target is None else target


def _person_parts(annotation: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Name and (H, W) bool mask of every part of every person. An object without parts has an empty array for them."""
    for item in annotation[0, 0]["objects"].flat:
        if int(item["class_ind"].item()) == PERSON:
            for part in item["parts"].flat:
                yield str(part["part_name"].item()), part["mask"] > 0


class PASCALContext(DenseDataset):
    """PASCAL-Context with semantic segmentation (21 classes), human parts, saliency, surface normals and boundaries."""

    info = DataSetInfo(
        name="pascal",
        title="PASCAL-Context",
        folder="PASCALContext",
        tasks=("semseg", "human_parts", "sal", "normals", "edge"),
        class_names={"semseg": _CLASS_NAMES, "human_parts": tuple(class_lists()["human_part_names"])},
        size=(512, 512),
        boundary_distance=0.0075,
        boundary_list="pascal_boundary_ids.txt",
        archives=("https://data.vision.ee.ethz.ch/brdav/atrc/PASCALContext.tar.gz",),
        counts={"train": 4998, "val": 5105},
    )
    split_file = "ImageSets/Context/{split}.txt"
    image_file = "JPEGImages/{id}.jpg"
    targets = {
        "semseg": Target((("semseg/VOC12/{id}.png", "semseg/pascal-context/{id}.png"),), _semseg),
        "human_parts": Target((("human_parts/{id}.mat",),), _human_parts),
        "sal": Target((("sal_distill/{id}.png",),), _saliency),
        "normals": Target((("normals_distill/{id}.png",), (_LABEL_MAP,)), _normals),
        "edge": Target(((_LABEL_MAP,),), _edge),
    }

    @staticmethod
    def read_boundary_labels(path: Path) -> np.ndarray:
        """The label map of 459 classes, (H, W) integers."""
        return read_label_map(path)
