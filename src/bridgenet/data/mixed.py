"""A mixture of data sets: each sample has the labels of its own data set; other targets are unknown."""

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
    """Open the splits of several data sets together.

    Args:
        sources: the sources of the data sets.

    Raises:
        UserError: two data sets have different classes of one task.
    """

    def __init__(self, sources: Sequence[DataSource]) -> None:
        self.sources = tuple(sources)

    @cached_property
    def info(self) -> DataSetInfo:
        """The tasks of all data sets, and the size that fits all."""
        infos = [source.info for source in self.sources]
        tasks = task_registry.in_order({task for info in infos for task in info.tasks})
        return DataSetInfo(
            name="+".join(_names(infos)),
            title=" + ".join(info.title for info in infos),
            folder="",
            tasks=tuple(tasks),
            class_names={task: names for task in tasks if (names := _class_names(task, infos))},
            class_values={task: values for task in tasks if (values := _class_values(task, infos))},
            swap={task: pairs for task in tasks if (pairs := _swap(task, infos))},
            meaning={
                f"{name}.{task}": said
                for name, info in zip(_names(infos), infos)
                for task, said in info.meaning.items()
            },
            size=(max(info.size[0] for info in infos), max(info.size[1] for info in infos)),
            needs_root=any(info.needs_root for info in infos),
        )

    def __call__(self, root: str | Path, split: str, tasks: Sequence[str] | None = None, **how: bool) -> MixedDataset:
        """Open a split. Data sets without any of the tasks are left out."""
        chosen = self.choose_tasks(tasks)
        members = {}
        for name, source in zip(_names([source.info for source in self.sources]), self.sources):
            if own := [task for task in chosen if task in source.info.tasks]:
                members[name] = source(root, split, own, **how)
        return MixedDataset(self.info, split, chosen, members)


def _of_member(name: str) -> Any:
    """A method that calls the method of that name of a sample's own data set with the sample's index."""

    def call(self: MixedDataset, index: int) -> Any:
        member, own = self._places[index]
        return getattr(member, name)(own)

    return call


class MixedDataset(DenseDataset):
    """One split of several data sets, one after another; ids are `NAME/ID`. It can be sent to other processes.

    Args:
        info: properties of the mixture.
        split, tasks: see :class:`DenseDataset`.
        members: the data sets by name, each opened with its own tasks.
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

    load_image = _of_member("load_image")
    image_size = _of_member("image_size")
    image_path = _of_member("image_path")
    boundary_file = _of_member("boundary_file")
    boundary_reader = _of_member("boundary_reader")
    boundary_distance = _of_member("boundary_distance")

    @property
    def parts(self) -> tuple[int, ...]:
        return tuple(len(member) for member in self.members.values())

    @property
    def is_synthetic(self) -> bool:
        """Whether any of the images are synthetic."""
        return any(member.is_synthetic for member in self.members.values())

    @property
    def read_as(self) -> str:  # type: ignore[override]
        return " ".join(
            f"{name} {type(member).__qualname__} {member.folder.absolute()} {member.read_as}"
            for name, member in self.members.items()
        )

    def compact(self, index: int) -> Sample:
        member, own = self._places[index]
        found = member.compact(own)
        size = (found["image"].shape[0], found["image"].shape[1])
        return {
            "image": found["image"],
            **{task: found[task] if task in found else unlabelled(self.task(task), size) for task in self.tasks},
        }

    def compact_target(self, task: str, index: int, size: tuple[int, int]) -> np.ndarray:
        member, own = self._places[index]
        return member.compact_target(task, own, size) if task in member.tasks else unlabelled(self.task(task), size)

    def has_label(self, task: str, index: int) -> bool:
        member, own = self._places[index]
        return task in member.tasks and member.has_label(task, own)

    def target_paths(self, task: str, index: int) -> list[Path]:
        """Empty for a task without labels in the sample's data set."""
        member, own = self._places[index]
        return member.target_paths(task, own) if task in member.tasks else []

    def boundary_indices(self) -> list[int]:
        found, first = [], 0
        for member in self.members.values():
            if "edge" in member.tasks:
                found += [first + index for index in member.boundary_indices()]
            first += len(member)
        return found

    def missing_files(self) -> Iterator[tuple[str, list[str]]]:
        for member in self.members.values():
            yield from member.missing_files()

    @staticmethod
    def read_boundary_labels(path: Path) -> np.ndarray:
        """Not used: :meth:`boundary_reader` returns the readers of the members."""
        raise NotImplementedError


def _names(infos: Sequence[DataSetInfo]) -> list[str]:
    """The names of the data sets, numbered if they are equal."""
    twice = Counter(info.name for info in infos)
    return [
        info.name if twice[info.name] == 1 else f"{info.name}{number}" for number, info in enumerate(infos, start=1)
    ]


def _class_names(task: str, infos: Sequence[DataSetInfo]) -> tuple[str, ...]:
    """Class names of a task. Raises UserError if two data sets differ."""
    found: dict[tuple[str, ...], str] = {}
    for info in infos:
        if task in info.tasks:
            found.setdefault(tuple(info.class_names.get(task, ())), info.title)
    if len(found) > 1:
        found_names = "; ".join(f"{title}: {_shown(names)}" for names, title in found.items())
        raise UserError(
            f"data sets that are joined have different classes of {task} ({found_names}). Give one of the tasks another name, or bring "
            "both to the same classes in the same order"
        )
    return next(iter(found), ())


def _class_values(task: str, infos: Sequence[DataSetInfo]) -> tuple[int, ...]:
    """Stored values of the classes of a task; empty, so that they are the indices, if two data sets differ."""
    found = {tuple(info.stored_values(task)) for info in infos if info.class_names.get(task)}
    return found.pop() if len(found) == 1 else ()


def _swap(task: str, infos: Sequence[DataSetInfo]) -> tuple[tuple[str, str], ...]:
    """Pairs of classes that any of the data sets swaps; all have the same classes."""
    return tuple({frozenset(pair): pair for info in infos for pair in info.swap.get(task, ())}.values())


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f", … ({len(names)})" if len(names) > 4 else "") if names else "none named"
