"""The YAML file that describes a folder of one's own: read strictly, all mistakes told together.

    name: roofs
    images: images
    split: {val: 0.1}
    tasks:
      semseg: {folder: labels, classes: [road, roof, tree], ignore: [255]}
      depth: {folder: depth, unit: mm, range: [0.1, 80]}
      height: {kind: regression, folder: height, unit: m}

All keys are told in docs/own-data.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bridgenet.data.folders.task_entries import TaskEntries, TaskFiles, said
from bridgenet.errors import UserError
from bridgenet.system.yaml_text import load_yaml

FILE = "data.yaml"
"""A folder that holds such a file can be named in its place."""
KEYS = ("name", "root", "images", "image_suffix", "split", "size", "tasks")


@dataclass(frozen=True)
class Description:
    """What the file says.

    Attributes:
        path: of the file.
        name: of the data set.
        images: folder of the pictures; `image_suffix` as of :class:`TaskFiles`.
        lists: by split the file with its ids, or the sub-folder of `images` that makes it; empty: by chance.
        ratio: share of the images that validate, where there are no lists.
        seed: of the chance.
        size: (height, width) of training crop and evaluation canvas [pixels]; None: what fits the images.
        tasks: in the order of the file.
        digest: of the file's content.
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


def read_description(path: Path) -> Description:
    """The content of a description; its own tasks become known (:mod:`bridgenet.tasks`).

    Raises:
        UserError: the file is missing, is no YAML, or has mistakes: one line for each of them, all of them.
    """
    path = Path(path).expanduser().absolute()
    try:
        content = path.read_bytes()
        values = load_yaml(content.decode("utf-8", errors="replace"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}. `bridgenet data init FOLDER` writes a description") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    reader = _Reader(path)
    description = reader.description(values, hashlib.sha256(content).hexdigest())
    if reader.problems or description is None:
        raise UserError("\n       ".join(f"{path.name}: {problem}" for problem in reader.problems))
    return description


class _Reader(TaskEntries):
    """One pass over the file that collects what is wrong with it."""

    def description(self, values: Any, digest: str) -> Description | None:
        if not isinstance(values, dict):
            self.problems.append(f"holds {said(values)}, expected keys like `images: images` and `tasks: …`")
            return None
        self._known_keys(values, KEYS, "")
        root = self._folder(values.get("root", "."), "root", self.path.parent)
        images = root and self._folder(values.get("images", "images"), "images", root)
        lists, ratio, seed = self._split(values.get("split", {"val": 0.1}), root, images)
        tasks = self._tasks(values.get("tasks"), root)
        folder_name = self.path.parent.name if self.path.name == FILE else self.path.stem
        name = self._text(values, "name", "") or folder_name
        image_suffix = self._text(values, "image_suffix", "")
        size = self._size(values.get("size"))
        if self.problems or root is None or images is None:
            return None
        return Description(self.path, name, images, image_suffix, lists, ratio, seed, size, tuple(tasks), digest)

    def _split(self, value: Any, root: Path | None, images: Path | None) -> tuple[dict[str, Path], float, int]:
        nothing: tuple[dict[str, Path], float, int] = {}, 0.1, 0
        if not isinstance(value, dict):
            self.wrong(
                "split", f"is {said(value)}, expected {{train: train.txt, val: val.txt}} or {{val: 0.1, seed: 0}}"
            )
            return nothing
        share = value.get("val")
        if isinstance(share, int | float) and not isinstance(share, bool):
            self._known_keys(value, ("val", "seed"), "split.")
            seed = value.get("seed", 0)
            if not 0 < share < 1:
                self.wrong("split.val", f"is {share}, expected a share between 0 and 1")
            if type(seed) is not int:
                self.wrong("split.seed", f"is {said(seed)}, expected a whole number")
            return {}, float(share), seed
        self._known_keys(value, ("train", "val"), "split.")
        lists = {}
        for split in ("train", "val"):
            named = value.get(split)
            if not isinstance(named, str):
                self.wrong(
                    f"split.{split}",
                    f"is {said(named)}, expected a file with one id a line, or a sub-folder/ of images",
                )
                continue
            if named.endswith("/"):
                places = [images / named] if images else []
            else:
                places = [self.path.parent / named, *([root / named] if root else [])]
            found = next(
                (place for place in places if (place.is_dir() if named.endswith("/") else place.is_file())), None
            )
            if found is None and places:
                kind = "folder" if named.endswith("/") else "file"
                self.wrong(
                    f"split.{split}", f"is {named}, but {' or '.join(map(str, dict.fromkeys(places)))} is no {kind}"
                )
            elif found is not None:
                lists[split] = found
        return lists, 0.1, 0

    def _size(self, value: Any) -> tuple[int, int] | None:
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 2 or not all(type(v) is int and v > 0 for v in value):
            self.wrong("size", f"is {said(value)}, expected [height, width] in pixels")
            return None
        return value[0], value[1]
