"""The base class of data sets: splits, the check of the folder, and samples with targets of the image's size."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import cv2
import numpy as np
from PIL import Image

from bridgenet import tasks as task_registry
from bridgenet.data.compact import expanded
from bridgenet.data.fitting import interpolated
from bridgenet.data.info import DataSetInfo, choose_tasks
from bridgenet.data.pipeline.transforms import Sample
from bridgenet.data.pipeline.views import resize
from bridgenet.data.published.readers import read_image
from bridgenet.errors import UserError
from bridgenet.imaging.reading import FORMATS
from bridgenet.system.text_files import read_text
from bridgenet.system.walking import why_no_file
from bridgenet.tasks import IGNORE, Task
from bridgenet.tasks.kinds.classes import pairs_of_indices

Interpolation = Literal["nearest", "cubic"]
SPLITS = ("train", "val")
SYNTHETIC = "scenes.json"
"""`bridgenet data generate` writes this file into its folder."""
MOST_ENLARGED = 16
"""Labels of so much smaller sides than their image's are resized; a pixel is no label of an image."""
ASPECT_TOLERANCE = 0.015
"""Stored targets may be smaller or larger than their image; sides may differ from its aspect ratio by this share or a pixel."""


@dataclass(frozen=True)
class Target:
    """The stored form of a task's target.

    Attributes:
        files: the files of a target, relative to the data set's folder, each as a tuple of alternatives, best first;
            ``{id}`` is the sample, ``{split}`` the split.
        read: ``(paths, image size (H, W)) -> (h, w, C)``, float32, or uint8 where that is exact (see
            :mod:`bridgenet.data.compact`), one path for each entry of `files`; (h, w) is the stored size. Raises
            UserError that names a faulty file.
    """

    files: tuple[tuple[str, ...], ...]
    read: Callable[[Sequence[Path], tuple[int, int]], np.ndarray]


class DenseDataset(ABC):
    """Images with one target per task. A subclass defines layout, splits and readers of a data set; see nyud.py.

    Args:
        root: folder that holds the data set's folder (``info.folder``). It is only read.
        split: ``"train"`` or ``"val"``.
        tasks: the tasks to load (all tasks of the data set if None); files of other tasks are not needed.
        look_for_files: raise if any file of the split is missing; without it, see :meth:`missing_files`.
        partial: label files of any task may be missing; all pixels of such a target are unknown.

    Raises:
        UserError: the folder, the split or files of the split are missing, or a task is not offered.
    """

    info: ClassVar[DataSetInfo]
    split_file: ClassVar[str]
    image_file: ClassVar[str]
    targets: Mapping[str, Target]
    definitions: Mapping[str, Task] = {}
    """Custom tasks of the data set by name, for processes in which they are not registered."""
    resized_as_published: ClassVar[bool] = False
    """Whether cubic interpolation goes across unknown pixels and changes the length of vectors, as in published numbers."""
    read_as: str = ""
    """A text that, with class, folder and tasks, identifies how files are read; part of the key of caches."""

    def __init__(
        self,
        root: str | Path,
        split: str,
        tasks: Sequence[str] | None = None,
        *,
        look_for_files: bool = True,
        partial: bool = False,
    ) -> None:
        self.folder = Path(root) / self.info.folder
        self.split = split
        self.partial = partial
        self.tasks = self.choose_tasks(tasks)
        if split not in SPLITS:
            raise UserError(f"'{split}' is not a split (splits: {', '.join(SPLITS)})")
        self.ids = self._read_ids()
        if look_for_files:
            self._check_files()

    def __len__(self) -> int:
        return len(self.ids)

    def load(self, index: int) -> Sample:
        """Load a sample before any transform.

        Returns:
            ``"image"`` (H, W, 3) float32 RGB in [0, 255] and, for every task, (H, W, C) float32 of the same size.

        Raises:
            UserError: a file is missing, damaged, of the wrong kind, shape or range of values.
        """
        return {
            name: expanded(name if name == "image" else self.task(name), array)
            for name, array in self.compact(index).items()
        }

    def task(self, name: str) -> Task:
        """The task of that name, from `definitions` or the registry, with the classes that the data set swaps in mirrors."""
        task = self.definitions.get(name) or task_registry.get(name)
        pairs = self.info.swap.get(name)
        return replace(task, swap_on_flip=pairs_of_indices(self.info.class_names[name], pairs)) if pairs else task

    def compact(self, index: int) -> Sample:
        """The sample of :meth:`load` in the smallest dtypes: the image uint8, targets uint8 where that is exact.

        See :mod:`bridgenet.data.compact`. The arrays must not be changed. Raises UserError as :meth:`load` does.
        """
        image = self.load_image(index)
        size = (image.shape[0], image.shape[1])
        return {"image": image, **{task: self.compact_target(task, index, size) for task in self.tasks}}

    def load_image(self, index: int) -> np.ndarray:
        """The picture of a sample, (H, W, 3) uint8 RGB. Raises UserError if it cannot be read."""
        return read_image(self.image_path(index))

    def compact_target(self, task: str, index: int, size: tuple[int, int]) -> np.ndarray:
        """The target of a task in the image's `size` (H, W), (H, W, C) uint8 or float32. Raises UserError as `load` does."""
        paths = self.target_paths(task, index)
        if self.partial and (absent := [path for path in paths if not path.is_file()]):
            if odd := next((path for path in absent if os.path.lexists(path)), None):
                raise UserError(why_no_file(odd))
            return unlabelled(self.task(task), size)
        target = self._read(task, paths, size)
        if target.shape[:2] != size and self.task(task).interpolation == "cubic":
            target = expanded(self.task(task), target)
        return self.fit_target(task, index, target, size)

    def stored_target(self, task: str, index: int, size: tuple[int, int]) -> np.ndarray:
        """The target of a task in its stored size, (h, w, C) float32, for an image of `size` (H, W)."""
        return expanded(self.task(task), self._read(task, self.target_paths(task, index), size))

    def _read(self, task: str, paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
        """Read a stored target. Raises UserError for indices that are none of the classes."""
        target = self.targets[task].read(paths, size)
        number = len(self.info.class_names.get(task, ()))
        if number and self.task(task).kind.has_classes:
            wrong = ((target < 0) | (target >= number)) & (target != IGNORE)
            if wrong.any():
                raise UserError(
                    f"{paths[0]}: found class {target[wrong][0]:g} of {task}, expected 0 to {number - 1}, or {IGNORE} for no "
                    "label. Are all classes named?"
                )
        return target

    def fit_target(self, task: str, index: int, target: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Resize a stored target (h, w, C) to the image's `size` (H, W), see :func:`fit`.

        Cubic interpolation leaves unit vectors unit vectors and never reaches across pixels without a label, but for sets
        that are resized as published.
        """
        chosen, path = self.task(task), self.target_paths(task, index)[0]
        if chosen.interpolation == "nearest" or self.resized_as_published:
            return fit(target, size, chosen.interpolation, path)
        return interpolated(chosen, target, fit(target, size, "nearest", path))

    @property
    def parts(self) -> tuple[int, ...]:
        """Numbers of samples of the data sets that are mixed in this one."""
        return (len(self),)

    def has_label(self, task: str, index: int) -> bool:
        """Whether a sample has the label files of a task; their content is not read."""
        return not self.partial or all(path.is_file() for path in self.target_paths(task, index))

    def labelled(self) -> np.ndarray:
        """:meth:`has_label` of all tasks and samples, (tasks, samples) bool."""
        if not self.partial:
            return np.ones((len(self.tasks), len(self)), bool)
        return np.array([[self.has_label(task, index) for index in range(len(self))] for task in self.tasks])

    @staticmethod
    @abstractmethod
    def read_boundary_labels(path: Path) -> np.ndarray:
        """Read an (H, W) map; the boundary evaluation takes changes of its labels as true boundaries.

        A map of real numbers is a map of boundaries, see :func:`bridgenet.metrics.boundary.true_boundaries`.
        """

    @property
    def is_synthetic(self) -> bool:
        """Whether the images were rendered by `bridgenet data generate`."""
        return (self.folder / SYNTHETIC).is_file()

    def boundary_file(self, index: int) -> Path:
        """The file that :meth:`read_boundary_labels` reads for a sample."""
        return self.target_paths("edge", index)[0]

    def boundary_reader(self, index: int) -> Callable[[Path], np.ndarray]:
        """The :meth:`read_boundary_labels` for a sample; it can be sent to other processes."""
        return self.read_boundary_labels

    def boundary_distance(self, index: int) -> float:
        """Largest distance of matching boundary pixels as a share of the image's diagonal."""
        return self.info.boundary_distance

    def boundary_labels(self, index: int) -> np.ndarray:
        """The label map of a sample, see :meth:`read_boundary_labels`."""
        return self.boundary_reader(index)(self.boundary_file(index))

    def boundary_indices(self) -> list[int]:
        """Indices of the samples that the boundary evaluation scores: those of the protocol, or all if it has none here."""
        wanted = self.info.boundary_ids
        chosen = [i for i, name in enumerate(self.ids) if name in wanted] or list(range(len(self)))
        return [index for index in chosen if self.has_label("edge", index)]

    def file_name(self, pattern: str, sample_id: str) -> str:
        """Name of a file of a sample, relative to the data set's folder; `pattern`: `image_file` or a file of a target."""
        return pattern.format(id=sample_id, split=self.split)

    def image_path(self, index: int) -> Path:
        """The picture of a sample."""
        return self.folder / self.file_name(self.image_file, self.ids[index])

    def image_size(self, index: int) -> tuple[int, int]:
        """(height, width) of a picture [pixels], from its header. Raises OSError or ValueError if it cannot be read."""
        with Image.open(self.image_path(index), formats=FORMATS) as image:
            return image.height, image.width

    def target_paths(self, task: str, index: int) -> list[Path]:
        """The files of a task's target; of alternatives, the first that exists."""
        found = []
        for alternatives in self.targets[task].files:
            paths = [self.folder / self.file_name(name, self.ids[index]) for name in alternatives]
            found.append(next((path for path in paths if path.is_file()), paths[-1]))
        return found

    @classmethod
    def choose_tasks(cls, tasks: Sequence[str] | None = None) -> list[str]:
        """See :meth:`DataSource.choose_tasks`."""
        return choose_tasks(cls.info, tasks)

    @classmethod
    def require_folder(cls, root: str | Path, split: str = "train", *, flag: str = "--data.root") -> Path:
        """The list of a split's samples below `root`, or their folder for data sets without lists.

        Raises UserError if it is missing. `flag`: see :func:`bridgenet.data.info.data_root`.
        """
        folder = Path(root) / cls.info.folder
        name = cls.split_file.format(split=split)
        if not (folder / name).exists():
            parent = folder.parent
            inside = parent.name == cls.info.folder and (parent / name).exists()
            hint = f" {parent} is that folder itself: give {parent.parent}." if inside else ""
            raise UserError(
                f"no {cls.info.title} data at {folder} (looked for {name}).{hint} "
                f"Give {flag} or set BRIDGENET_DATA; to try without data: bridgenet demo"
            )
        return folder / name

    def _read_ids(self) -> list[str]:
        path = self.require_folder(self.folder.parent, self.split)
        ids = [line.strip() for line in read_text(path).splitlines() if line.strip()]
        if not ids:
            raise UserError(f"{path} is empty, expected one id a line. Unpack the archive again")
        return ids

    def missing_files(self) -> Iterator[tuple[str, list[str]]]:
        """Missing files of the split: pairs of "image" or a task, and names relative to the folder.

        Lists each folder once. All alternatives are named.
        """
        needed = {"image": ((self.image_file,),), **{task: self.targets[task].files for task in self.tasks}}
        listings: dict[Path, set[str]] = {}
        for task, files in needed.items():
            for alternatives in files:
                missing = []
                for sample_id in self.ids:
                    names = [self.file_name(name, sample_id) for name in alternatives]
                    if not any(self._is_listed(name, listings) for name in names):
                        missing.append(" or ".join(names))
                if missing:
                    yield task, missing

    def _check_files(self) -> None:
        for task, missing in self.missing_files():
            if self.partial and task != "image":
                continue
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            leave_out = f", leave out the task {task}, or take what labels there are: --data.partial true"
            raise UserError(
                f"{self.info.title} at {self.folder}: {len(missing)} of {len(self.ids)} {self.split} files "
                f"for {task} are missing: {', '.join(missing[:3])}{more}. Unpack the archive again{'' if task == 'image' else leave_out}"
            )

    def _is_listed(self, name: str, listings: dict[Path, set[str]]) -> bool:
        path = self.folder / name
        if path.parent not in listings:
            listings[path.parent] = set()
            if path.parent.is_dir():
                with os.scandir(path.parent) as entries:  # neither broken links nor folders are files
                    listings[path.parent] = {entry.name for entry in entries if entry.is_file()}
        return path.name in listings[path.parent]


def unlabelled(task: Task, size: tuple[int, int]) -> np.ndarray:
    """A target without labels: (H, W, C) uint8, IGNORE in all pixels."""
    return np.full((*size, task.target_channels), IGNORE, np.uint8)


def fit(labels: np.ndarray, size: tuple[int, int], interpolation: Interpolation, path: Path) -> np.ndarray:
    """Resize labels (h, w) or (h, w, C) to the image's `size` (H, W); returned as they are if they have it.

    Raises UserError that names `path` if the aspect ratio differs by more than :data:`ASPECT_TOLERANCE`, or the labels are more
    than :data:`MOST_ENLARGED` times smaller.
    """
    (height, width), (found_height, found_width) = size, labels.shape[:2]
    if (found_height, found_width) == size:
        return labels
    expected_height = found_width * height / width
    is_tiny = min(found_height * MOST_ENLARGED / height, found_width * MOST_ENLARGED / width) < 1
    if is_tiny or abs(found_height - expected_height) > max(1.0, ASPECT_TOLERANCE * expected_height):
        raise UserError(
            f"{path}: found {found_height}×{found_width} pixels for an image of {height}×{width} (height×width), "
            "expected the same size or the same shape. Is it the label of another image?"
        )
    return resize(labels, size, cv2.INTER_CUBIC if interpolation == "cubic" else cv2.INTER_NEAREST)
