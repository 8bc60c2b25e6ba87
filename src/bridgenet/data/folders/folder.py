"""A custom folder as a data set: pictures, and one folder of labels per task, matched by name.

The id of an image is its path below the folder of images without the suffix; its labels have the same id. Labels of any task
may be missing. :mod:`bridgenet.data.folders.description` reads the description of such a folder.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bridgenet import tasks as task_registry
from bridgenet.data.base import SPLITS, DenseDataset, Target
from bridgenet.data.folders.description import Description, read_description
from bridgenet.data.folders.labels import SUFFIXES, read_array
from bridgenet.data.info import DataSetInfo, DataSource
from bridgenet.data.pipeline.transforms import Sample
from bridgenet.data.pipeline.views import LARGEST_SIDE
from bridgenet.errors import UserError, nearest
from bridgenet.imaging import reading
from bridgenet.tasks.kinds.labels import single

SIZE_STEP = 32
"""Sides of a size that is fitted to the images are multiples of this [pixels]."""
BOUNDARY_DISTANCE = 0.0075


def files_by_id(folder: Path, suffix: str, suffixes: Collection[str]) -> dict[str, list[Path]]:
    """The files below a folder by id (their path without suffix), sorted; hidden files are skipped.

    Args:
        suffix: the part of the names after the id; empty: any of `suffixes`.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or not (name.endswith(suffix) if suffix else path.suffix.lower() in suffixes):
                continue
            place = path.with_name(name.removesuffix(suffix)) if suffix else path.with_suffix("")
            found[place.relative_to(folder).as_posix()].append(path)
    return dict(sorted(found.items()))


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

    def images(self) -> dict[str, list[Path]]:
        """The pictures by id; an id with several pictures is a mistake."""
        return files_by_id(self.description.images, self.description.image_suffix, reading.SUFFIXES)

    def labels(self, task: str) -> dict[str, list[Path]]:
        """The label files of a task by id."""
        entry = self.description.entry(task)
        return files_by_id(entry.folder, entry.suffix, SUFFIXES)

    def ids(self, split: str, known: Mapping[str, Any]) -> list[str]:
        """The ids of a split of the `known` images; ids of a list are not checked. Raises UserError if there are none."""
        said = self.description
        about = f"{said.path.name}: {said.images}"
        if not known:
            raise UserError(f"{about} holds no picture ({', '.join(sorted(reading.SUFFIXES))})")
        if not said.lists:
            if len(known) < len(SPLITS):
                raise UserError(f"{about} holds one picture, training and validation need two")
            return by_chance(list(known), said.ratio, said.seed)[split]
        place = said.lists[split]
        if place.is_dir():
            prefix = f"{place.relative_to(said.images).as_posix()}/"
            ids = [name for name in known if name.startswith(prefix)]
        else:
            lines = [line.strip() for line in place.read_text(encoding="utf-8-sig", errors="replace").splitlines()]
            ids = [_id_of(line, known) for line in lines if line]
        if not ids:
            raise UserError(f"{said.path.name}: the split {split} is empty ({place})")
        return ids

    def _fitting_size(self) -> tuple[int, int]:
        """The smallest (height, width) that all readable images fit into, rounded up. Raises UserError if there are none."""
        height = width = 0
        for paths in self.images().values():
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


def _id_of(line: str, known: Mapping[str, Any]) -> str:
    """The id in a line of a list, which may be followed by the suffix of the picture."""
    stem = Path(line).with_suffix("").as_posix()
    return stem if line not in known and stem in known else line


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
            for what, files in [("images", pictures), *labels.items()]:
                _one_file_each(said, what, {name: paths for name, paths in files.items() if name in wanted})
            self._check_listed(pictures)
        self._pictures = {name: paths[0] for name, paths in pictures.items() if name in wanted}
        self._labels = {
            task: {name: paths[0] for name, paths in files.items() if name in wanted} for task, files in labels.items()
        }

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
        if max(picture.shape) > LARGEST_SIDE:
            height, width = picture.shape[:2]
            raise UserError(
                f"{path}: found {height}×{width} pixels (height×width), expected sides of at most {LARGEST_SIDE}. Cut it into parts"
            )
        return picture, notes

    def image_size(self, index: int) -> tuple[int, int]:
        return reading.picture_size(self.image_path(index))

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
        """The edge file read as a label map, (H, W), which is the protocol of NYUD-v2's published numbers."""
        return single(path, read_array(path))[..., 0]

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


def _one_file_each(said: Description, what: str, files: Mapping[str, Sequence[Path]]) -> None:
    """Raises UserError, naming the files, if an id has several."""
    twice = [paths for paths in files.values() if len(paths) > 1]
    if twice:
        named = " and ".join(str(path) for path in twice[0])
        more = f" (and {len(twice) - 1} more such ids)" if len(twice) > 1 else ""
        raise UserError(
            f"{said.path.name}: {what}: two files for one id: {named}{more}. Remove one, or state the suffix of the files "
            f"to take (`{'image_suffix' if what == 'images' else 'suffix'}: {twice[0][0].suffix}`)"
        )
