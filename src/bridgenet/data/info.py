"""What is said of a data set, and what opens it."""

from __future__ import annotations

import json
import os
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
"""Of the environment: the data root where none is given."""


@dataclass(frozen=True, kw_only=True)
class DataSetInfo:
    """What one must know of a data set without opening it.

    Attributes:
        name: its name in configurations, ``"nyud"``.
        title: its name in texts, ``"NYUD-v2"``.
        folder: its folder below the data root, ``"NYUDv2"``.
        tasks: the tasks it has labels for, in the canonical order.
        class_names: names of the classes by task, in the order of the class indices.
        size: (height, width) of the training crop and of the evaluation canvas [pixels].
        archives: addresses of the published .tar.gz archive, in the order to try them.
        archive_sha256: the archive's checksum where its publishers tell one, else empty.
        counts: published number of samples by split.
        image_size: (height, width) of every published image [pixels]; None where they differ.
        other_copies: sizes of images, (height, width), by which another copy that goes round is known, and what to
            say of it.
        boundary_distance: largest distance of a predicted and a true boundary pixel that match, as a share of the
            image's diagonal.
        needs_root: it lies below the data root; a folder that is described by a YAML file does not.
        shrink: the network sees images at 1/shrink of `size`, resized bilinearly; labels keep theirs, and predictions are
            resized to them, bilinearly, in losses and metrics.
        boundary_list: file beside this one with the ids that the boundary evaluation scores; empty: all of a split.
    """

    name: str
    title: str
    folder: str
    tasks: tuple[str, ...]
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
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
        """The ids that the boundary evaluation scores; empty: all of a split."""
        if not self.boundary_list:
            return frozenset()
        return frozenset((Path(__file__).parent / self.boundary_list).read_text(encoding="utf-8").split())

    @property
    def num_outputs(self) -> dict[str, int]:
        """Channels of the logits of each task, n_t."""
        return {
            name: len(self.class_names[name]) if name in self.class_names else task_registry.get(name).num_outputs or 1
            for name in self.tasks
        }


class DataSource(Protocol):
    """What opens the splits of a data set: a subclass of :class:`DenseDataset`, or an object that stands for one."""

    @property
    def info(self) -> DataSetInfo: ...

    def choose_tasks(self, tasks: Sequence[str] | None = None) -> list[str]:
        """The tasks in the canonical order, all that the data set offers if None; UserError for one it has not."""
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
    """The lists of classes.json: class names, groups of human parts, classes with valid normals."""
    return json.loads((Path(__file__).parent / "classes.json").read_text(encoding="utf-8"))


def data_root(root: str | Path | None = None, *, flag: str = "--data.root") -> Path:
    """The folder that holds one folder per data set: the argument, else the environment's BRIDGENET_DATA.

    Raises UserError if neither is given; `flag` is how the command at hand calls the argument.
    """
    chosen = root or os.environ.get(DATA_VARIABLE)
    if not chosen:
        raise UserError(
            f"no data folder is given. Give {flag} or set BRIDGENET_DATA; to try without data: bridgenet demo"
        )
    return Path(chosen).expanduser()
