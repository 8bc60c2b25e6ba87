"""The properties of a data set, and the protocol of its source."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bridgenet import tasks as task_registry
from bridgenet.errors import UserError

if TYPE_CHECKING:
    from bridgenet.data.base import DenseDataset

DATA_VARIABLE = "BRIDGENET_DATA"
"""Environment variable with the default data root."""


@dataclass(frozen=True, kw_only=True)
class DataSetInfo:
    """Properties of a data set that are known without opening it.

    Attributes:
        name: its name in configurations, ``"nyud"``.
        title: its name in texts, ``"NYUD-v2"``.
        folder: its folder below the data root, ``"NYUDv2"``.
        tasks: its labelled tasks in the order of registration.
        class_names: names of the classes by task, in the order of the class indices.
        class_values: stored value of each class in label files, by task; of other tasks it is the index.
        swap: pairs of class names by task that change places in a mirrored picture, e.g. left and right hands.
        meaning: how labels are read, by task and key, as JSON types; a run is not resumed with another one.
        size: (height, width) of the training crop and of the evaluation canvas [pixels].
        archives: URLs of the published .tar.gz archive in the order of trials.
        archive_sha256: the published checksum of the archive, or empty.
        counts: published number of samples by split.
        image_size: (height, width) of all published images [pixels]; None if they differ.
        other_copies: messages about other widespread copies, by the (height, width) of their images.
        boundary_distance: largest distance of matching predicted and true boundary pixels as a share of the image's
            diagonal.
        needs_root: whether it is below the data root; custom folders are not.
        shrink: the network's images have 1/shrink of `size`, resized bilinearly; labels keep their size, and losses and
            metrics resize predictions to it, bilinearly.
        boundary_list: file in this package with the ids that the boundary evaluation scores; empty: all ids.
    """

    name: str
    title: str
    folder: str
    tasks: tuple[str, ...]
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    class_values: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    swap: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    meaning: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    size: tuple[int, int]
    archives: tuple[str, ...] = ()
    archive_sha256: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    image_size: tuple[int, int] | None = None
    other_copies: Mapping[tuple[int, int], str] = field(default_factory=dict)
    boundary_distance: float = 0.0075
    boundary_list: str = ""
    shrink: int = 1
    needs_root: bool = True

    @property
    def boundary_ids(self) -> frozenset[str]:
        """The ids that the boundary evaluation scores; empty: all ids."""
        if not self.boundary_list:
            return frozenset()
        return frozenset((Path(__file__).parent / self.boundary_list).read_text(encoding="utf-8").split())

    def stored_values(self, task: str) -> list[int]:
        """The stored value of each class of a task."""
        return list(self.class_values.get(task, range(len(self.class_names[task]))))

    @property
    def file_name(self) -> str:
        """Its name as part of the names of files: whatever a description calls itself, it is no path."""
        return re.sub(r"[^\w-]", "_", self.name)[:64] or "_"

    @property
    def num_outputs(self) -> dict[str, int]:
        """Channels of the logits of each task, n_t."""
        return {
            name: len(self.class_names[name]) if name in self.class_names else task_registry.get(name).num_outputs or 1
            for name in self.tasks
        }


class DataSource(Protocol):
    """Opens the splits of a data set: a subclass of :class:`DenseDataset`, or an object with the same interface."""

    @property
    def info(self) -> DataSetInfo: ...

    def choose_tasks(self, tasks: Sequence[str] | None = None) -> list[str]:
        """The tasks (None: all) in the order of registration. Raises UserError for a task without labels."""
        return choose_tasks(self.info, tasks)

    def __call__(
        self,
        root: str | Path,
        split: str,
        tasks: Sequence[str] | None = None,
        *,
        look_for_files: bool = True,
        partial: bool = False,
    ) -> DenseDataset: ...


def choose_tasks(info: DataSetInfo, tasks: Sequence[str] | None = None) -> list[str]:
    """See :meth:`DenseDataset.choose_tasks`."""
    chosen = task_registry.in_order(info.tasks if tasks is None else tasks)
    for task in chosen:
        if task not in info.tasks:
            raise UserError(f"{info.title} has no {task} (it offers {', '.join(info.tasks)})")
    return chosen


@cache
def class_lists() -> dict[str, Any]:
    """The content of classes.json: class names, groups of human parts, classes with valid normals."""
    return json.loads((Path(__file__).parent / "classes.json").read_text(encoding="utf-8"))


def data_root(root: str | Path | None = None, *, flag: str = "--data.root") -> Path:
    """The folder that holds one folder per data set: the argument, else the environment's BRIDGENET_DATA.

    Raises UserError if neither is given; `flag` is the name of the argument in the message.
    """
    chosen = root or os.environ.get(DATA_VARIABLE)
    if not chosen:
        raise UserError(
            f"no data folder is given. Give {flag} or set BRIDGENET_DATA; to try without data: bridgenet demo"
        )
    return Path(chosen).expanduser()
