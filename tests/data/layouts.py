"""Tiny data folders in the layouts of the real archives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

NYUD_IDS = {"train": ["0001", "0002", "0003"], "val": ["0004", "0005"]}
PASCAL_IDS = {"train": ["2008_000002"], "val": ["2008_000003"]}


def write(path: Path, array: np.ndarray) -> Path:
    """Write a picture (uint8) or an array (.npy), with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        Image.fromarray(array).save(path)
    return path


def write_mat(path: Path, **variables: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, variables)
    return path


def write_list(path: Path, ids: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{sample_id}\n" for sample_id in ids))


def parts_annotation(objects: Sequence[tuple[int, Mapping[str, np.ndarray]]]) -> dict[str, object]:
    """PASCAL-Part's `anno`: objects of (class, masks by part name); no parts are an empty array, as in the archive."""
    entries = np.empty((1, len(objects)), dtype=[("class", "O"), ("class_ind", "O"), ("mask", "O"), ("parts", "O")])
    for place, (class_index, masks) in enumerate(objects):
        parts = np.empty((1, len(masks)), dtype=[("part_name", "O"), ("mask", "O")])
        for part, (name, mask) in enumerate(masks.items()):
            parts[0, part] = (name, mask.astype(np.uint8))
        entries[0, place] = ("thing", class_index, np.zeros((2, 2), np.uint8), parts if masks else np.zeros((0, 0)))
    return {"imname": "image", "objects": entries}


def make_nyud(root: Path, size: tuple[int, int] = (8, 10)) -> Path:
    """Three training and two validation samples; the folder NYUDv2."""
    folder = root / "NYUDv2"
    rng = np.random.default_rng(0)
    for split, ids in NYUD_IDS.items():
        write_list(folder / f"gt_sets/{split}.txt", ids)
        for sample_id in ids:
            write(folder / f"images/{sample_id}.png", rng.integers(0, 256, (*size, 3), np.uint8))
            write(folder / f"segmentation/{sample_id}.png", rng.integers(0, 41, size, np.uint8))
            write(folder / f"depth/{sample_id}.npy", rng.uniform(1, 9, size).astype(np.float32))
            write(folder / f"normals/{sample_id}.png", rng.integers(0, 256, (*size, 3), np.uint8))
            write(folder / f"edge/{sample_id}.png", rng.integers(0, 2, size, np.uint8) * np.uint8(255))
    return folder


def make_pascal(root: Path, size: tuple[int, int] = (8, 10)) -> Path:
    """One training and one validation sample without people; the folder PASCALContext."""
    folder = root / "PASCALContext"
    rng = np.random.default_rng(0)
    for split, ids in PASCAL_IDS.items():
        write_list(folder / f"ImageSets/Context/{split}.txt", ids)
        for sample_id in ids:
            write(folder / f"JPEGImages/{sample_id}.jpg", rng.integers(0, 256, (*size, 3), np.uint8))
            write(folder / f"semseg/VOC12/{sample_id}.png", rng.integers(0, 21, size, np.uint8))
            write(folder / f"sal_distill/{sample_id}.png", rng.integers(0, 256, size, np.uint8))
            write(folder / f"normals_distill/{sample_id}.png", rng.integers(0, 256, (*size, 3), np.uint8))
            write_mat(
                folder / f"pascal-context/trainval/{sample_id}.mat", LabelMap=rng.integers(0, 460, size, np.uint16)
            )
            write_mat(folder / f"human_parts/{sample_id}.mat", anno=parts_annotation([(3, {})]))
    return folder


CITYSCAPES_IDS = {
    "train": ["ulm/ulm_000000_000019", "ulm/ulm_000001_000019", "zug/zug_000000_000019"],
    "val": ["bonn/bonn_000000_000019", "bonn/bonn_000001_000019"],
}


def make_cityscapes(root: Path, size: tuple[int, int] = (8, 16)) -> Path:
    """Three training and two validation samples, of label ids without train ids; the folder cityscapes."""
    folder = root / "cityscapes"
    rng = np.random.default_rng(0)
    for split, ids in CITYSCAPES_IDS.items():
        for sample_id in ids:
            write(
                folder / f"leftImg8bit/{split}/{sample_id}_leftImg8bit.png", rng.integers(0, 256, (*size, 3), np.uint8)
            )
            write(folder / f"gtFine/{split}/{sample_id}_gtFine_labelIds.png", rng.integers(0, 34, size, np.uint8))
            write(folder / f"disparity/{split}/{sample_id}_disparity.png", rng.integers(0, 20000, size, np.uint16))
    return folder


def make_cityscapes_mtan(root: Path, size: tuple[int, int] = (8, 16)) -> Path:
    """Two training samples and one validation sample; the folder cityscapes_mtan."""
    folder = root / "cityscapes_mtan"
    rng = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 1)):
        for number in range(count):
            write(folder / f"{split}/image/{number}.npy", rng.random((*size, 3)))
            write(folder / f"{split}/label_7/{number}.npy", rng.integers(-1, 7, size).astype(np.float64))
            write(folder / f"{split}/label/{number}.npy", rng.integers(-1, 19, size).astype(np.float64))
            write(folder / f"{split}/depth/{number}.npy", rng.uniform(0.01, 0.5, (*size, 1)))
    return folder
