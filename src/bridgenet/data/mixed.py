"""Several data sets as one: each sample has the labels that its own set has, and no others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bridgenet import tasks as task_registry
from bridgenet.data.base import DenseDataset, unlabelled
from bridgenet.data.info import DataSetInfo, DataSource
from bridgenet.data.pipeline.transforms import Sample
from bridgenet.errors import UserError


class MixedSource(DataSource):
    """Opens the splits of several data sets together.

    Args:
        sources: what opens each of them.

    Raises:
        UserError: a task that two of them have is not of the same classes.
    """

    def __init__(self, sources: Sequence[DataSource]) -> None:
        self.sources = tuple(sources)

    @cached_property
    def info(self) -> DataSetInfo:
        """Tasks of all; the size that fits all."""
        infos = [source.info for source in self.sources]
        tasks = task_registry.in_order({task for info in infos for task in info.tasks})
        return DataSetInfo(
            name="+".join(_names(infos)),
            title=" + ".join(info.title for info in infos),
            folder="",
            tasks=tuple(tasks),
            class_names={task: names for task in tasks if (names := _class_names(task, infos))},
            size=(max(info.size[0] for info in infos), max(info.size[1] for info in infos)),
            needs_root=any(info.needs_root for info in infos),
        )

    def __call__(self, root: str | Path, split: str, tasks: Sequence[str] | None = None, **how: bool) -> MixedDataset:
        """A split. A data set that has none of the tasks gives images without labels, and is left out."""
        chosen = self.choose_tasks(tasks)
        members = {}
        for name, source in zip(_names([source.info for source in self.sources]), self.sources):
            if own := [task for task in chosen if task in source.info.tasks]:
                members[name] = source(root, split, own, **how)
        return MixedDataset(self.info, split, chosen, members)


def _of_member(name: str) -> Any:
    """The method of that name, called with a sample's index, of the data set that the sample is of."""

    def call(self: MixedDataset, index: int) -> Any:
        member, own = self._places[index]
        return getattr(member, name)(own)

    return call


class MixedDataset(DenseDataset):
    """One split of several data sets, one after another; ids are `NAME/ID`. It can be sent to other processes.

    Args:
        info: of all together.
        split, tasks: as of :class:`DenseDataset`.
        members: the data sets by name, each with those of the tasks that it has.
    """

    info: DataSetInfo  # type: ignore[misc]  # of an instance: there is one class for all mixtures

    def __init__(
        self, info: DataSetInfo, split: str, tasks: Sequence[str], members: Mapping[str, DenseDataset]
    ) -> None:
        self.info, self.split, self.tasks = info, split, list(tasks)
        self.members = dict(members)
        self.definitions = {name: task for member in members.values() for name, task in member.definitions.items()}
        self.partial = True
        self.targets = {}
        self.folder = next(iter(self.members.values())).folder
        self.ids = [f"{name}/{own}" for name, member in self.members.items() for own in member.ids]
        self._places = [(member, index) for member in self.members.values() for index in range(len(member))]

    # Of the sample's own data set:
    load_image = _of_member("load_image")
    image_size = _of_member("image_size")
    image_path = _of_member("image_path")
    boundary_file = _of_member("boundary_file")
    boundary_reader = _of_member("boundary_reader")
    boundary_distance = _of_member("boundary_distance")

    @property
    def parts(self) -> tuple[int, ...]:
        """Numbers of samples of the members."""
        return tuple(len(member) for member in self.members.values())

    @property
    def is_synthetic(self) -> bool:
        """Whether `bridgenet data generate` made any of the images."""
        return any(member.is_synthetic for member in self.members.values())

    @property
    def read_as(self) -> str:  # type: ignore[override]
        """Differs between mixtures that a cache must keep apart."""
        return " ".join(
            f"{name} {type(member).__qualname__} {member.folder.absolute()} {member.read_as}"
            for name, member in self.members.items()
        )

    def compact(self, index: int) -> Sample:
        """As of :class:`DenseDataset`."""
        member, own = self._places[index]
        found = member.compact(own)
        size = (found["image"].shape[0], found["image"].shape[1])
        return {
            "image": found["image"],
            **{task: found[task] if task in found else unlabelled(self.task(task), size) for task in self.tasks},
        }

    def compact_target(self, task: str, index: int, size: tuple[int, int]) -> np.ndarray:
        """As of :class:`DenseDataset`."""
        member, own = self._places[index]
        return member.compact_target(task, own, size) if task in member.tasks else unlabelled(self.task(task), size)

    def has_label(self, task: str, index: int) -> bool:
        """As of :class:`DenseDataset`."""
        member, own = self._places[index]
        return task in member.tasks and member.has_label(task, own)

    def target_paths(self, task: str, index: int) -> list[Path]:
        """As of :class:`DenseDataset`; none of a task that the sample's data set has not."""
        member, own = self._places[index]
        return member.target_paths(task, own) if task in member.tasks else []

    def boundary_indices(self) -> list[int]:
        """Those that the members' protocols score."""
        found, first = [], 0
        for member in self.members.values():
            if "edge" in member.tasks:
                found += [first + index for index in member.boundary_indices()]
            first += len(member)
        return found

    def missing_files(self) -> Iterator[tuple[str, list[str]]]:
        """As of :class:`DenseDataset`, of each member."""
        for member in self.members.values():
            yield from member.missing_files()

    @staticmethod
    def read_boundary_labels(path: Path) -> np.ndarray:
        """Not used: the members' own readers are, see :meth:`boundary_reader`."""
        raise NotImplementedError


def _names(infos: Sequence[DataSetInfo]) -> list[str]:
    """One for each, numbered where two are alike."""
    twice = Counter(info.name for info in infos)
    return [
        info.name if twice[info.name] == 1 else f"{info.name}{number}" for number, info in enumerate(infos, start=1)
    ]


def _class_names(task: str, infos: Sequence[DataSetInfo]) -> tuple[str, ...]:
    """Names of a task's classes; UserError if two data sets have others."""
    found: dict[tuple[str, ...], str] = {}
    for info in infos:
        if task in info.tasks:
            found.setdefault(tuple(info.class_names.get(task, ())), info.title)
    if len(found) > 1:
        told = "; ".join(f"{title}: {_shown(names)}" for names, title in found.items())
        raise UserError(
            f"data sets that are joined have other classes of {task} ({told}). Give one of the tasks another name, or bring "
            "both to the same classes in the same order"
        )
    return next(iter(found), ())


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f", … ({len(names)})" if len(names) > 4 else "") if names else "none named"
