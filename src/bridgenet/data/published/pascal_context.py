"""PASCAL-Context: 4998 training and 5105 validation photographs, at most 500 a side, as published with ATRC.

Labels come from PASCAL VOC (semseg), PASCAL-Context (Mottaghi et al. 2014: `LabelMap` of 459 classes, boundaries),
PASCAL-Part (Chen et al. 2014: human parts) and, for saliency and normals, from networks ("distilled").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bridgenet.data.base import DenseDataset, Target, fit
from bridgenet.data.info import DataSetInfo, class_lists
from bridgenet.data.published.readers import read_classes, read_mat, read_png, reading
from bridgenet.errors import UserError
from bridgenet.imaging.thinning import thin
from bridgenet.tasks import IGNORE
from bridgenet.tasks.kinds.normals import compact_normals

NUM_CONTEXT_CLASSES = 459
PERSON = 15
"""The VOC class that has human parts."""

_CLASS_NAMES = tuple(class_lists()["voc21"])
_LABEL_MAP = "pascal-context/trainval/{id}.mat"


def read_label_map(path: Path) -> np.ndarray:
    """PASCAL-Context's label map, (H, W) integers 0..459, not to be changed. Raises UserError for other content."""
    with reading(path):
        status = path.stat()
    return _read_label_map(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)  # two targets of a sample are read from it in succession
def _read_label_map(path: Path, modified: int, num_bytes: int) -> np.ndarray:
    labels = read_mat(path, "LabelMap")
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise UserError(f"{path}: LabelMap has shape {labels.shape}, type {labels.dtype}, expected (H, W) of integers")
    if labels.min(initial=0) < 0 or labels.max(initial=0) > NUM_CONTEXT_CLASSES:
        raise UserError(f"{path}: LabelMap holds {labels.min()}..{labels.max()}, expected 0..{NUM_CONTEXT_CLASSES}")
    labels = np.ascontiguousarray(labels)  # Matlab stores arrays by columns
    labels.setflags(write=False)
    return labels


@cache
def _untrusted() -> np.ndarray:
    """(460,) bool mask of the classes whose normals are unknown."""
    untrusted = np.ones(NUM_CONTEXT_CLASSES + 1, bool)
    untrusted[class_lists()["normals_valid_context_ids"]] = False
    return untrusted


def _semseg(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    return read_classes(paths[0], highest=len(_CLASS_NAMES) - 1, ignore=IGNORE)[..., None]


def _edge(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    changes = cv2.Laplacian(read_label_map(paths[0]).astype(np.float32), cv2.CV_32F)
    return thin((changes != 0)[None])[0, ..., None].view(np.uint8)


def _normals(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    """Normals, unknown for classes whose normals are not reliable."""
    encoded = read_png(paths[0], channels=3)
    labels = read_label_map(paths[1]).astype(np.uint16)
    labels = fit(labels, (encoded.shape[0], encoded.shape[1]), "nearest", paths[1])
    return compact_normals(encoded, unknown=_untrusted().take(labels))


def _saliency(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    return (read_png(paths[0], channels=1) > 0.5 * 255)[..., None].view(np.uint8)


def _human_parts(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    path = paths[0]
    groups = class_lists()["human_parts_6"]
    annotation = read_mat(path, "anno")
    with reading(path):
        parts = list(_person_parts(annotation))
    target: np.ndarray | None = None  # (W, H), the memory layout of Matlab's masks
    for name, mask in parts:
        if name not in groups:
            raise UserError(f"{path}: '{name}' is not a part of a person (parts: {', '.join(groups)})")
        if target is None:
            target = np.zeros(mask.T.shape, np.uint8)
        elif mask.T.shape != target.shape:
            raise UserError(f"{path}: masks of {mask.shape} and {target.T.shape} pixels, expected one size")
        np.copyto(target, np.uint8(groups[name]), where=mask.T)
    return np.zeros((*size, 1), np.uint8) if target is None else np.ascontiguousarray(target.T)[..., None]


def _person_parts(annotation: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Name and (H, W) bool mask of every part of every person. Objects without parts have an empty array."""
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
    resized_as_published = True
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
