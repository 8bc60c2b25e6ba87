"""A custom folder as a data set: pictures, and one folder of labels per task, matched by name.

The id of an image is its path below the folder of images without the suffix; its labels have the same id. Labels of any task
may be missing. :mod:`bridgenet.data.folders.description` reads the description of such a folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bridgenet import tasks as task_registry
from bridgenet.data.base import SPLITS, DenseDataset, Target, fit
from bridgenet.data.compact import expanded
from bridgenet.data.folders.description import Description, read_description
from bridgenet.data.folders.files import FilesById, files_by_id
from bridgenet.data.folders.labels import SUFFIXES, Labels
from bridgenet.data.folders.lists import listed_ids
from bridgenet.data.folders.task_entries import TaskFiles
from bridgenet.data.info import DataSetInfo, DataSource
from bridgenet.data.pipeline.transforms import Sample
from bridgenet.errors import UserError, nearest
from bridgenet.imaging import reading
from bridgenet.imaging.orientation import orientation
from bridgenet.system.text_files import composed
from bridgenet.system.validation import LONGEST_SIDE

SIZE_STEP = 32
"""Sides of a size that is fitted to the images are multiples of this [pixels]."""
BOUNDARY_DISTANCE = 0.0075


def by_chance(ids: Sequence[str], ratio: float, seed: int) -> dict[str, list[str]]:
    """Split ids at random: those of the smallest hashes are for validation, at least one is in each split.

    Images keep their rank when others are added, so that few ids change their split.
    """
    ranked = sorted(ids, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    val = set(ranked[: min(max(1, round(ratio * len(ids))), len(ids) - 1)])
    return {"train": [name for name in ids if name not in val], "val": [name for name in ids if name in val]}


class FolderSource(DataSource):
    """Open the splits of a described folder.

    Args:
        path: path of the description.

    Raises:
        UserError: the description has mistakes; all are listed.
    """

    def __init__(self, path: str | Path) -> None:
        self.description = read_description(Path(path))

    @cached_property
    def info(self) -> DataSetInfo:
        """Raises UserError if no size is given and no image can be read."""
        said = self.description
        return DataSetInfo(
            name=said.name,
            title=said.name,
            folder=str(said.images.parent),
            tasks=tuple(task_registry.in_order(entry.task for entry in said.tasks)),
            class_names={entry.task: entry.class_names for entry in said.tasks if entry.class_names},
            class_values={entry.task: entry.labels.values for entry in said.tasks if entry.class_names},
            swap={entry.task: entry.swap for entry in said.tasks if entry.swap},
            meaning={entry.task: _meaning(entry) for entry in said.tasks},
            size=said.size or self._fitting_size(),
            boundary_distance=BOUNDARY_DISTANCE,
            needs_root=False,
        )

    def __call__(
        self,
        root: str | Path = "",
        split: str = "train",
        tasks: Sequence[str] | None = None,
        *,
        look_for_files: bool = True,
        partial: bool = True,
    ) -> FolderDataset:
        """Open a split. `root` and `partial` have no effect: the description has the folders, and labels may be missing."""
        return FolderDataset(self, split, tasks, look_for_files=look_for_files)

    def images(self) -> FilesById:
        """The pictures by id, each counted once; an id with several pictures is a mistake."""
        said = self.description
        return files_by_id(said.images, said.image_suffix, reading.SUFFIXES, each_once=True)

    def labels(self, task: str) -> FilesById:
        """The label files of a task by id; images may share one."""
        entry = self.description.entry(task)
        return files_by_id(entry.folder, entry.suffix, SUFFIXES)

    def ids(self, split: str, pictures: FilesById) -> list[str]:
        """The ids of a split of the pictures; ids of a list are not checked. Raises UserError if there are none."""
        said, known = self.description, pictures.files
        about = f"{said.path.name}: {said.images}"
        if not known:
            why = "".join(f". {reason}" for reason in [*pictures.odd.values(), *pictures.unread][:1])
            raise UserError(f"{about} holds no picture ({', '.join(sorted(reading.SUFFIXES))}){why}")
        if not said.lists:
            if len(known) < len(SPLITS):
                raise UserError(f"{about} holds one picture, training and validation need two")
            return by_chance(list(known), said.ratio, said.seed)[split]
        place = said.lists[split]
        if place.is_dir():
            prefix = composed(f"{place.relative_to(said.images).as_posix()}/")
            ids = [name for name in known if name.startswith(prefix)]
        else:
            listed = listed_ids(place, said.images, said.image_suffix, {*known, *pictures.odd, *pictures.again})
            ids = [pictures.again.get(name, name) for name in listed]
        if not ids:
            raise UserError(f"{said.path.name}: the split {split} is empty ({place})")
        return ids

    def _fitting_size(self) -> tuple[int, int]:
        """The smallest (height, width) that all readable images fit into, rounded up. Raises UserError if there are none."""
        height = width = 0
        for paths in self.images().files.values():
            try:
                size = reading.picture_size(paths[0])
            except UserError:
                continue
            height, width = max(height, size[0]), max(width, size[1])
        if not height:
            raise UserError(
                f"{self.description.path.name}: {self.description.images} holds no picture that can be read"
            )
        return -(-height // SIZE_STEP) * SIZE_STEP, -(-width // SIZE_STEP) * SIZE_STEP


def _meaning(entry: TaskFiles) -> dict[str, Any]:
    """What the description says of the labels of a task, as JSON types."""
    labels, names = entry.labels, [field.name for field in fields(entry.labels)]
    said = {key: getattr(labels, key) for key in names if key in ("ignore", *labels.kind.label_keys)}
    said |= {"kind": labels.kind.name, "scale": labels.scale, "swap": entry.swap}
    said["classes"] = [f"{value}: {name}" for value, name in zip(labels.values, entry.class_names)]
    said["ignore"] = ["nan" if value != value else value for value in labels.ignore]
    return json.loads(json.dumps({key: value for key, value in said.items() if value not in (None, [], ())}))


@dataclass(frozen=True)
class BoundaryMap:
    """Reader of edge files as maps of boundaries, in the `size` (H, W) of their image."""

    labels: Labels
    size: tuple[int, int]

    def __call__(self, path: Path) -> np.ndarray:
        """The probability of a boundary, (H, W) float32, NaN where unknown. Raises UserError for a faulty file."""
        target = fit(self.labels([path], self.size), self.size, "nearest", path)
        return expanded("edge", target)[..., 0]


class FolderDataset(DenseDataset):
    """One split of a custom folder. It can be sent to other processes.

    Args:
        source: the source of the folder.
        split, tasks, look_for_files: see :class:`DenseDataset`.

    Raises:
        UserError: the split is empty, images of its list are missing, two files have one id, or a task is not offered.
    """

    info: DataSetInfo  # type: ignore[misc]  # of an instance: there is one class for all folders

    def __init__(
        self, source: FolderSource, split: str, tasks: Sequence[str] | None = None, *, look_for_files: bool = True
    ) -> None:
        if split not in SPLITS:
            raise UserError(f"'{split}' is not a split{nearest(split, SPLITS)} (splits: {', '.join(SPLITS)})")
        said = source.description
        self.description: Description = said
        self.definitions = {entry.task: task_registry.get(entry.task) for entry in said.tasks}
        self.info = source.info
        self.folder = said.images.parent
        self.split = split
        self.partial = True
        self.read_as = said.digest
        self.tasks = source.choose_tasks(tasks)
        self.targets = {entry.task: Target((), entry.labels) for entry in said.tasks if entry.task in self.tasks}
        pictures = source.images()
        self.ids = source.ids(split, pictures)
        labels = {task: source.labels(task) for task in self.tasks}
        wanted = set(self.ids)
        if look_for_files:
            for what, found in [("images", pictures), *labels.items()]:
                _one_file_each(said, what, found, wanted)
            self._check_listed(pictures.files)
        self._pictures = _first(pictures, wanted)
        self._labels = {task: _first(found, wanted) for task, found in labels.items()}

    def compact(self, index: int) -> Sample:
        try:
            return super().compact(index)
        except UserError as error:
            how = f"To find all faults: bridgenet data check {self.description.path}"
            raise UserError(f"{error}. {how}") from error

    def load_image(self, index: int) -> np.ndarray:
        """The picture of a sample, (H, W, 3) uint8 RGB, rotated by its EXIF orientation as in prediction."""
        return self.noted_image(index)[0]

    def noted_image(self, index: int) -> tuple[np.ndarray, list[str]]:
        """The picture of :meth:`load_image`, and notes about what was left out in it. Raises UserError if it cannot be read."""
        path = self.image_path(index)
        if not path.is_file():
            raise UserError(f"no image at {path}")
        picture, notes = reading.read_encoded(path, str(path))
        if max(picture.shape) > LONGEST_SIDE:
            height, width = picture.shape[:2]
            raise UserError(
                f"{path}: found {height}×{width} pixels (height×width), expected sides of at most {LONGEST_SIDE}. Cut it into parts"
            )
        return picture, notes

    def image_size(self, index: int) -> tuple[int, int]:
        return reading.picture_size(self.image_path(index))

    def orientation(self, index: int) -> int:
        """The EXIF orientation by which a picture is turned, 1 for none."""
        return orientation(self.image_path(index))

    def fit_target(self, task: str, index: int, target: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        try:
            return super().fit_target(task, index, target, size)
        except UserError as error:
            if (turned := self.orientation(index)) == 1:
                raise
            raise UserError(
                f"{error} The image is turned by its EXIF orientation ({turned}): labels are to lie on the turned image"
            ) from None

    def image_path(self, index: int) -> Path:
        """The picture of a sample; a path that does not exist if it is missing."""
        name = self.ids[index]
        return self._pictures.get(name, self.description.images / name)

    def target_paths(self, task: str, index: int) -> list[Path]:
        """The label file of a sample; a path that does not exist if there is none."""
        name = self.ids[index]
        entry = self.description.entry(task)
        return [self._labels[task].get(name, entry.folder / f"{name}{entry.suffix or '.*'}")]

    def has_label(self, task: str, index: int) -> bool:
        return self.ids[index] in self._labels[task]

    @staticmethod
    def read_boundary_labels(path: Path) -> np.ndarray:
        """Not used: :meth:`boundary_reader` returns a reader with the description of the files."""
        raise NotImplementedError

    def boundary_reader(self, index: int) -> BoundaryMap:
        return BoundaryMap(self.description.entry("edge").labels, self.image_size(index))

    def missing_files(self) -> Iterator[tuple[str, list[str]]]:
        """Only images: labels may be missing."""
        if missing := [name for name in dict.fromkeys(self.ids) if name not in self._pictures]:
            yield "image", missing

    def _check_listed(self, pictures: Mapping[str, Any]) -> None:
        if missing := [name for name in self.ids if name not in pictures]:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise UserError(
                f"{self.description.path.name}: {len(missing)} of {len(self.ids)} images that "
                f"{self.description.lists[self.split]} lists are not in {self.description.images}: "
                f"{', '.join(missing[:3])}{more}{nearest(missing[0], pictures)}"
            )


def _first(found: FilesById, wanted: Collection[str]) -> dict[str, Path]:
    return {name: paths[0] for name, paths in found.files.items() if name in wanted}


def _one_file_each(said: Description, what: str, found: FilesById, wanted: Collection[str]) -> None:
    """Raises UserError, naming the files, if a wanted id has several, or something else in the place of a file."""
    for name, reason in found.odd.items():
        if name in wanted or (what == "images" and not said.lists):
            raise UserError(f"{said.path.name}: {what}: {reason}. To find all faults: bridgenet data check {said.path}")
    twice = [paths for name, paths in found.files.items() if name in wanted and len(paths) > 1]
    if twice:
        named = " and ".join(str(path) for path in twice[0])
        more = f" (and {len(twice) - 1} more such ids)" if len(twice) > 1 else ""
        raise UserError(
            f"{said.path.name}: {what}: two files for one id: {named}{more}. Remove one, or state the suffix of the files "
            f"to take (`{'image_suffix' if what == 'images' else 'suffix'}: {twice[0][0].suffix}`)"
        )
