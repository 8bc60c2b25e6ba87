"""The YAML file that describes a custom data folder. It is read strictly; all mistakes are reported together.

    name: roofs
    images: images
    split: {val: 0.1}
    tasks:
      semseg: {folder: labels, classes: [road, roof, tree], ignore: [255]}
      depth: {folder: depth, unit: mm, range: [0.1, 80]}
      height: {kind: regression, folder: height, unit: m}

docs/own-data.md explains all keys.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from annotated_types import Gt, Lt, MinLen

from bridgenet.data.folders.task_entries import TaskEntries, TaskFiles
from bridgenet.errors import UserError
from bridgenet.system.text_files import as_on_disk, decoded, read_bytes
from bridgenet.system.validation import Size, Words, lines, said, strict, validated
from bridgenet.system.yaml_text import load_yaml

FILE = "data.yaml"
"""A folder that holds such a file can be given instead of the file."""


@strict
@dataclass
class _File:
    """The keys of the file; :class:`_Reader` checks whether the folders exist."""

    tasks: Annotated[dict[str, Any], MinLen(1), Words("at least one, like `semseg: {folder: labels, classes: […]}`")]
    name: str = ""
    root: Annotated[str, MinLen(1), Words("the name of a folder")] = "."
    images: Annotated[str, MinLen(1), Words("the name of a folder")] = "images"
    image_suffix: str = ""
    split: Annotated[dict[str, Any], Words("{train: train.txt, val: val.txt} or {val: 0.1, seed: 0}")] = field(
        default_factory=lambda: {"val": 0.1}
    )
    size: Size | None = None


@strict
@dataclass
class _Lists:
    train: Annotated[str, Words("a file with one id a line, or a sub-folder/ of images")]
    val: Annotated[str, Words("a file with one id a line, or a sub-folder/ of images")]


@strict
@dataclass
class _Share:
    val: Annotated[float, Gt(0), Lt(1), Words("a share between 0 and 1")]
    seed: int = 0


@dataclass(frozen=True)
class Description:
    """The content of the file.

    Attributes:
        path: path of the file.
        name: name of the data set.
        images: folder of the pictures; `image_suffix` as of :class:`TaskFiles`.
        lists: file with the ids, or sub-folder of `images`, by split; empty: a random split.
        ratio: share of validation images in a random split.
        seed: seed of a random split.
        size: (height, width) of training crop and evaluation canvas [pixels]; None: fitted to the images.
        tasks: tasks in the order of the file.
        digest: SHA-256 of the file's content.
    """

    path: Path
    name: str
    images: Path
    image_suffix: str
    lists: Mapping[str, Path]
    ratio: float
    seed: int
    size: tuple[int, int] | None
    tasks: tuple[TaskFiles, ...]
    digest: str

    def entry(self, task: str) -> TaskFiles:
        """The entry of a task."""
        return next(entry for entry in self.tasks if entry.task == task)


def read_description(path: Path) -> Description:
    """Read a description and register its custom tasks (:mod:`bridgenet.tasks`).

    Raises:
        UserError: the file is missing, is no YAML, or has mistakes; all of them are listed, one per line.
    """
    path = Path(path).expanduser().absolute()
    try:
        path.stat()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}. `bridgenet data init FOLDER` writes a description") from None
    content = read_bytes(path)
    try:
        values = load_yaml(decoded(content, path))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    reader = _Reader(path)
    description = reader.description(values, hashlib.sha256(content).hexdigest())
    if reader.problems or description is None:
        raise UserError(lines(reader.problems, f"{path.name}: "))
    return description


class _Reader(TaskEntries):
    """Parser of the file that collects all its mistakes."""

    def description(self, values: Any, digest: str) -> Description | None:
        if not isinstance(values, dict):
            self.problems.append(f"holds {said(values)}, expected keys like `images: images` and `tasks: …`")
            return None
        file, problems = validated(_File, values)
        self.problems += problems
        if file is None:  # other mistakes are reported, too
            wrong = {problem.split()[0].partition(".")[0] for problem in problems}
            read = {key: values[key] for key in ("root", "images", "split") if key in values and key not in wrong}
            file = _File({}, **read)
        root = self._folder(file.root, "root", self.path.parent)
        images = root and self._folder(file.images, "images", root)
        lists, ratio, seed = self._split(file.split, root, images)
        tasks = self._tasks(values.get("tasks"), root)  # whose keys may be numbers
        if self.problems or root is None or images is None:
            return None
        folder_name = self.path.parent.name if self.path.name == FILE else self.path.stem
        name = file.name or folder_name
        return Description(
            self.path, name, images, file.image_suffix, lists, ratio, seed, file.size, tuple(tasks), digest
        )

    def _split(
        self, value: dict[str, Any], root: Path | None, images: Path | None
    ) -> tuple[dict[str, Path], float, int]:
        if isinstance(value.get("val"), int | float):
            share, problems = validated(_Share, value, "split.")
            self.problems += problems
            return {}, share.val if share else 0.1, share.seed if share else 0
        named, problems = validated(_Lists, value, "split.")
        self.problems += problems
        lists = {}
        for split, place in dataclasses.asdict(named).items() if named else ():
            is_folder = place.endswith("/")
            if is_folder:
                places = [images / place] if images else []
            else:
                places = [self.path.parent / place, *([root / place] if root else [])]
            found = None
            with suppress(OSError):  # a name that is too long
                found = next((x for x in map(as_on_disk, places) if (x.is_dir() if is_folder else x.is_file())), None)
            if found is not None:
                lists[split] = found
            elif places:
                looked = " or ".join(map(str, dict.fromkeys(places)))
                self.wrong(f"split.{split}", f"is {place}, but {looked} is no {'folder' if is_folder else 'file'}")
        return lists, 0.1, 0
