"""Write rendered scenes in the published folder layouts; the bytes of a file depend only on the scene."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import scipy.io

from bridgenet.data.info import class_lists
from bridgenet.data.published import cityscapes, cityscapes_mtan
from bridgenet.imaging.thinning import thin
from bridgenet.tasks import IGNORE

from .description import KINDS
from .raycast import Scene

Array = np.ndarray
_PERSON = 15  # PASCAL VOC's class index
_SMALLEST_SUBJECT = 0.004  # smallest share of the image for a salient person


@functools.cache
def _index(label_set: str) -> dict[str, int]:
    """Kind → label value: "nyu" 1..40, "voc" 0..20, "context" 1..459; kinds outside the set are 0."""
    classes = class_lists()
    if label_set == "context":
        names = {name: int(i) for i, name in classes["pascal_context_459"].items()}
    else:
        listed, first = {"nyu": ("nyu40", 1), "voc": ("voc21", 0)}[label_set]
        names = {name: i for i, name in enumerate(classes[listed], start=first)}
    return {kind: names[name] if (name := getattr(entry, label_set)) else 0 for kind, entry in KINDS.items()}


def label_map(scene: Scene, label_set: str) -> Array:
    """(H, W) uint16 label values of a label set: "nyu" (0 unlabelled, class + 1), "voc" or "context"."""
    values = _index(label_set)
    table = np.zeros(max(scene.kinds) + 1, np.uint16)
    for instance, kind in scene.kinds.items():
        table[instance] = values[kind]
    return table[scene.instances]


def boundaries(ids: Array) -> Array:
    """(H, W) bool, one pixel wide: where the 4-neighbour Laplacian of an id map is not zero, thinned."""
    return thin((cv2.Laplacian(ids.astype(np.float32), cv2.CV_32F) != 0)[None])[0]


def salient(scene: Scene) -> Array:
    """(H, W) bool: people if one is large enough, else the most salient object by kind, size and position."""
    height, width = scene.instances.shape
    people = [i for i, kind in scene.kinds.items() if kind == "person"]
    subject = np.isin(scene.instances, people)
    if people and subject.mean() >= _SMALLEST_SUBJECT:
        return subject
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    central = np.exp(-1.5 * (x * x + y * y))
    weight = np.bincount(scene.instances.ravel(), central.ravel(), minlength=max(scene.kinds) + 1)
    best = max(scene.kinds, key=lambda i: weight[i] * KINDS[scene.kinds[i]].salience)
    return (scene.instances == best) & (KINDS[scene.kinds[best]].salience > 0)


def _write_image(path: Path, image: Array, *options: int) -> None:
    """PNG or JPEG by the name's suffix; RGB or one channel."""
    channels = image if image.ndim == 2 else np.ascontiguousarray(image[..., ::-1])
    _, data = cv2.imencode(path.suffix, channels, list(options))
    path.write_bytes(data.tobytes())


def _write_png(path: Path, image: Array) -> None:
    _write_image(path, image, cv2.IMWRITE_PNG_COMPRESSION, 2)


def _write_mat(path: Path, content: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, content, do_compression=True)
    data = bytearray(buffer.getvalue())
    data[:116] = b"MATLAB 5.0 MAT-file, written by bridgenet".ljust(116)  # SciPy writes the time there
    path.write_bytes(bytes(data))


def _encoded(normals: Array) -> Array:
    return np.rint((normals + 1) * np.float32(127.5)).astype(np.uint8)


class NYUD:
    """`NYUDv2/`: images, segmentation (class + 1), depth, normals, edge (0 or 255), gt_sets."""

    folder = "NYUDv2"
    folders = ("images", "segmentation", "depth", "normals", "edge", "gt_sets")
    lists = "gt_sets"

    @staticmethod
    def name(split: str, index: int) -> str:
        """Odd numbers train, even ones validate, so that more images of one split never rename the other's."""
        return f"{2 * index + (1 if split == 'train' else 2):04d}"

    @staticmethod
    def write(root: Path, name: str, scene: Scene, index: int) -> None:
        _write_png(root / "images" / f"{name}.png", scene.rgb)
        _write_png(root / "segmentation" / f"{name}.png", label_map(scene, "nyu").astype(np.uint8))
        np.save(root / "depth" / f"{name}.npy", scene.depth)
        _write_png(root / "normals" / f"{name}.png", _encoded(scene.normals))
        _write_png(root / "edge" / f"{name}.png", boundaries(scene.instances).astype(np.uint8) * 255)


class PASCAL:
    """`PASCALContext/`: photographs as JPEG, semseg in VOC12 (even images) or pascal-context (odd ones), .mat files."""

    folder = "PASCALContext"
    folders = (
        "JPEGImages",
        "semseg/VOC12",
        "semseg/pascal-context",
        "human_parts",
        "pascal-context/trainval",
        "normals_distill",
        "sal_distill",
        "ImageSets/Context",
    )
    lists = "ImageSets/Context"

    @staticmethod
    def name(split: str, index: int) -> str:
        return f"{'2008' if split == 'train' else '2010'}_{index + 1:06d}"

    @staticmethod
    def write(root: Path, name: str, scene: Scene, index: int) -> None:
        _write_image(root / "JPEGImages" / f"{name}.jpg", scene.rgb, cv2.IMWRITE_JPEG_QUALITY, 95)
        source = "VOC12" if index % 2 == 0 else "pascal-context"
        _write_png(root / "semseg" / source / f"{name}.png", label_map(scene, "voc").astype(np.uint8))
        _write_mat(root / "pascal-context/trainval" / f"{name}.mat", {"LabelMap": label_map(scene, "context")})
        _write_mat(root / "human_parts" / f"{name}.mat", {"anno": _annotation(name, scene)})
        _write_png(root / "normals_distill" / f"{name}.png", _encoded(scene.normals))
        _write_png(root / "sal_distill" / f"{name}.png", salient(scene).astype(np.uint8) * 255)


def label_ids(scene: Scene) -> Array:
    """(H, W) uint8 label ids of Cityscapes."""
    ids = np.zeros(max(scene.kinds) + 1, np.uint8)
    for instance, kind in scene.kinds.items():
        ids[instance] = cityscapes.LABELS[kind][0]
    return ids[scene.instances]


class CITYSCAPES:
    """`cityscapes/`: left images, gtFine's label ids and train ids, disparity of 16 bits, in folders of invented cities.

    Disparity is that of Cityscapes' cameras: baseline · focal length / depth, which grows with the image's width. It is not
    measured in the sky, on the camera's own car, and where the right camera would not see the place.
    """

    folder = "cityscapes"
    folders = ()
    lists = None
    cities: ClassVar = {
        "train": ("aldermoor", "brackwater", "corvenburg", "dunholt"),
        "val": ("eastmere", "farnhausen"),
    }
    baseline = 0.209313
    """Distance of the two cameras [m]."""

    @classmethod
    def name(cls, split: str, index: int) -> str:
        """Split, city and frame: the cities take turns, so that more images never rename the others."""
        cities = cls.cities[split]
        city = cities[index % len(cities)]
        return f"{split}/{city}/{city}_{index // len(cities):06d}_000019"

    @classmethod
    def write(cls, root: Path, name: str, scene: Scene, index: int) -> None:
        labels = label_ids(scene)
        files = {
            "leftImg8bit": {"leftImg8bit": scene.rgb},
            "gtFine": {"gtFine_labelIds": labels, "gtFine_labelTrainIds": cityscapes.TRAIN_IDS[labels]},
            "disparity": {"disparity": cls.disparity(scene, labels)},
        }
        for folder, images in files.items():
            (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
            for suffix, image in images.items():
                _write_png(root / folder / f"{name}_{suffix}.png", image)

    @classmethod
    def disparity(cls, scene: Scene, labels: Array) -> Array:
        """(H, W) uint16: 256 · disparity [pixels] + 1, rounded; 0 where it is not measured."""
        width = labels.shape[1]
        focal = width / 2 / np.tan(scene.fov[0] / 2)
        disparity = cls.baseline * focal / scene.depth.astype(np.float64)
        value = np.rint(disparity * 256) + 1
        unseen = [cityscapes.LABELS[kind][0] for kind in ("sky", "ego vehicle")]
        known = (np.arange(width) >= disparity) & ~np.isin(labels, unseen) & (value <= np.iinfo(np.uint16).max)
        return np.where(known, value, 0).astype(np.uint16)


class CITYSCAPES_MTAN:
    """`cityscapes_mtan/`: MTAN's arrays, images in [0, 1], −1 for what is no class, inverse depth in 1/m, 0 in the sky."""

    folder = "cityscapes_mtan"
    folders = tuple(f"{split}/{kind}" for split in ("train", "val") for kind in ("image", "label", "label_7", "depth"))
    lists = None

    @staticmethod
    def name(split: str, index: int) -> str:
        return f"{split}/{index}"

    @staticmethod
    def write(root: Path, name: str, scene: Scene, index: int) -> None:
        train_ids = cityscapes.TRAIN_IDS[label_ids(scene)]
        is_class = train_ids != IGNORE
        classes = np.where(is_class, train_ids, 0)
        arrays = {
            "image": scene.rgb.astype(np.float32) / np.float32(255),
            "label": np.where(is_class, classes, -1).astype(np.int8),
            "label_7": np.where(is_class, np.array(cityscapes_mtan.CATEGORY_OF)[classes], -1).astype(np.int8),
            "depth": np.where(train_ids == cityscapes.SKY, 0, 1 / scene.depth).astype(np.float32),
        }
        split, number = name.split("/")
        for kind, array in arrays.items():
            np.save(root / split / kind / f"{number}.npy", array)


def _annotation(name: str, scene: Scene) -> Array:
    """PASCAL-Part's `anno`: every visible object of a VOC class with its mask; persons with the visible parts' masks."""
    values, voc = _index("voc"), class_lists()["voc21"]
    objects = []
    for instance in np.unique(scene.instances).tolist():
        index = values[scene.kinds[instance]]
        if index == 0:
            continue
        mask = scene.instances == instance
        parts = _struct(("part_name", "mask"), _parts(scene, mask) if index == _PERSON else [])
        objects.append((voc[index], np.uint8(index), mask.astype(np.uint8), parts))
    annotation = np.empty((1, 1), [("imname", object), ("objects", object)])
    annotation[0, 0] = (name, _struct(("class", "class_ind", "mask", "parts"), objects))
    return annotation


def _parts(scene: Scene, mask: Array) -> list[tuple[str, Array]]:
    found = np.unique(scene.parts[mask]).tolist()
    return [(scene.part_names[i], (mask & (scene.parts == i)).astype(np.uint8)) for i in found if i]


def _struct(fields: tuple[str, ...], rows: list[Any]) -> Array:
    """A MATLAB struct array (1, N); without rows MATLAB's empty matrix []."""
    if not rows:
        return np.zeros((0, 0))
    array = np.empty((1, len(rows)), [(field, object) for field in fields])
    for i, row in enumerate(rows):
        array[0, i] = row
    return array


WRITERS: dict[str, type[NYUD] | type[PASCAL] | type[CITYSCAPES] | type[CITYSCAPES_MTAN]] = {
    "nyud": NYUD,
    "pascal": PASCAL,
    "cityscapes": CITYSCAPES,
    "cityscapes_mtan": CITYSCAPES_MTAN,
}
