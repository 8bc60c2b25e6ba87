"""Parse the tasks of a description (:mod:`bridgenet.data.folders.description`): their label files and definitions."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MinLen, Predicate

from bridgenet import extensions
from bridgenet import tasks as task_registry
from bridgenet.data.folders.labels import UNITS, Labels
from bridgenet.errors import UserError, nearest
from bridgenet.system.text_files import as_on_disk, composed
from bridgenet.system.validation import Count, Positive, Words, said, strict, validated
from bridgenet.tasks import IGNORE, Kind, Task, kinds
from bridgenet.tasks.kinds.classes import pairs_of_indices
from bridgenet.tasks.kinds.normals import DIRECTIONS
from bridgenet.tasks.naming import check_names

_Value = Annotated[int, Ge(0), Le(65535)]
_Direction = Literal["right", "left", "up", "down", "towards", "away"]
_KEYS: dict[str, tuple[Any, ...]] = {
    "folder": (Annotated[str, MinLen(1), Words("the name of a folder")],),
    "suffix": (str, ""),
    "ignore": (
        Annotated[
            list[Literal["nan"] | int | float | tuple[float, ...]], Words("stored values, lists of them, or nan")
        ],
        field(default_factory=list),
    ),
    "title": (str, ""),
    "weight": (Positive, None),
    "loss": (str, ""),
    "metric": (str, ""),
    "classes": (
        Annotated[
            Annotated[list[str], MinLen(1)] | Annotated[dict[_Value, str], MinLen(1)],
            Words("names in the order of the values 0, 1, …, or {value: name} with values from 0 to 65535"),
        ],
    ),
    "swap": (
        Annotated[list[tuple[str, str]], Words("pairs of class names, like [[left_hand, right_hand]]")],
        field(default_factory=list),
    ),
    "unit": (str, ""),
    "metres": (
        Annotated[Literal["m", "cm", "mm"] | Positive, Words("m, cm, mm, or the metres of one unit, like 0.001")],
    ),
    "channels": (Count, 1),
    "scale": (Annotated[float, Predicate(bool), Words("the number that values are multiplied with, not 0")], None),
    "range": (
        Annotated[tuple[float, float], Predicate(lambda pair: pair[0] < pair[1]), Words("[smallest, largest]")],
        None,
    ),
    "negate_on_flip": (tuple[Annotated[int, Ge(0)], ...], ()),
    "multiply_by_scale": (bool, False),
    "axes": (
        Annotated[
            tuple[_Direction, _Direction, _Direction],
            Predicate(lambda axes: len({DIRECTIONS[axis][0] for axis in axes}) == len(axes)),
            Words("where x, y and z point to: right or left, up or down, towards or away (from the camera), each once"),
        ],
        ("right", "up", "towards"),
    ),
}
"""Type of each key of an entry, and its default unless it must be given. `metres` is the `unit` of depth."""
OF_EVERY_TASK = ("folder", "suffix", "ignore")
OF_OWN_TASKS = ("title", "weight", "loss", "metric")
SET_ELSEWHERE = {"weight": "loss.weights", "loss": "loss.functions", "metric": "metrics"}
"""Settings of a run in place of keys that published tasks do not have."""
ONE_CLASS = "name what is around it as a class, too, or make it a task of `kind: probability`"
_DEFINED_IN: dict[str, Path] = {}
"""The first description that defined each task."""


@dataclass(frozen=True)
class TaskFiles:
    """The labels of one task.

    Attributes:
        task: name of the task.
        folder: folder of its files, one per image with a label.
        suffix: the part of file names after the id of the image; empty: any suffix of a picture or array.
        labels: the reader of its files.
        class_names: names in the order of the class indices, or empty.
        swap: pairs of class names that change places in a mirrored picture.
    """

    task: str
    folder: Path
    suffix: str
    labels: Labels
    class_names: tuple[str, ...] = ()
    swap: tuple[tuple[str, str], ...] = ()


@functools.cache
def _keys_of(kind: Kind, further: tuple[str, ...]) -> type:
    """The type of an entry of this kind."""
    names = dict.fromkeys((*OF_EVERY_TASK, *further, *kind.label_keys))
    types = {name: _KEYS["metres" if name == "unit" and kind.needs_unit else name] for name in names}
    return strict(make_dataclass("Entry", [(name, *found) for name, found in types.items()], kw_only=True))


class TaskEntries:
    """Parser of entries that collects their mistakes in `problems`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []

    def wrong(self, key: str, problem: str) -> None:
        self.problems.append(f"{key} {problem}")

    def _folder(self, value: str, key: str, parent: Path) -> Path | None:
        folder = parent / value
        with suppress(OSError, RuntimeError):  # a name that is too long, or the home of nobody
            folder = as_on_disk(parent / Path(value).expanduser())
            if folder.is_dir():
                return folder
        beside = [entry.name for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []
        self.wrong(key, f"is {value}, but {folder} is no folder{nearest(value, beside)}")
        return None

    def _tasks(self, values: Any, root: Path | None) -> list[TaskFiles]:
        if not isinstance(values, dict):
            return []  # already reported
        try:
            check_names(values)
        except UserError as error:
            self.wrong("tasks:", str(error))
            return []
        found = [entry for name, keys in values.items() if (entry := self._task(name, keys, root))]
        if self.problems:
            return []
        for _, task in found:
            try:
                task_registry.ensure(task)
            except UserError as error:
                other = _DEFINED_IN.get(task.name)
                self.wrong("tasks:", f"{error} ({other} has it, and {self.path})" if other else str(error))
            else:
                _DEFINED_IN.setdefault(task.name, self.path)
        return [files for files, _ in found]

    def _task(self, name: str, keys: Any, root: Path | None) -> tuple[TaskFiles, Task] | None:
        prefix, before = f"tasks.{name}.", len(self.problems)
        if not isinstance(keys, dict):
            self.wrong(f"tasks.{name}", f"is {said(keys)}, expected keys like {{folder: {name}}}")
            return None
        given = {"folder": name, **{str(key): value for key, value in keys.items()}}
        if "ignore" in given:
            given["ignore"] = _listed(given["ignore"])
        chosen = self._kind(name, given, prefix)
        if chosen is None:
            return None
        entry: Any
        kind, task, further = chosen
        entry, problems = validated(_keys_of(kind, further), given, prefix)
        self.problems += problems
        folder = None
        if root and not any(problem.startswith(f"{prefix}folder ") for problem in problems):
            folder = self._folder(given["folder"], f"{prefix}folder", root)
        if entry is None:
            return None
        values, names = self._classes(getattr(entry, "classes", ()), entry.ignore, prefix)
        pairs = [(composed(one), composed(other)) for one, other in getattr(entry, "swap", ())]
        swap = self._swap(pairs, names, prefix)
        if task is None:
            task = self._made(name, kind, entry, prefix)
            if swap:
                task = replace(task, swap_on_flip=pairs_of_indices(names, swap))
        has = {key: getattr(entry, key) for key in ("range", "axes", "scale") if hasattr(entry, key)}
        if kind.needs_unit:
            has["scale"] = UNITS.get(entry.unit, entry.unit)
        labels = Labels(
            kind=kind,
            values=values,
            ignore=tuple(math.nan if value == "nan" else value for value in entry.ignore),
            channels=task.target_channels if "channels" in kind.label_keys else 1,
            **has,
        )
        if folder is None or len(self.problems) > before:
            return None
        return TaskFiles(name, folder, entry.suffix, labels, names, swap), task

    def _kind(self, name: str, given: dict[str, Any], prefix: str) -> tuple[Kind, Task | None, tuple[str, ...]] | None:
        """Kind, task if it is defined elsewhere (published, or by a dotted path), and further keys of an entry."""
        if name in task_registry.BUILT_IN:
            for key in {"kind", "task", *OF_OWN_TASKS} & given.keys():
                how = f"set {SET_ELSEWHERE[key]} in the run's configuration, or " if key in SET_ELSEWHERE else ""
                self.wrong(prefix + key, f"is given, but {name} is a published task: {how}give yours another name")
                del given[key]
            task = task_registry.get(name)
            return task.kind, task, ()
        if "task" in given:
            where = given.pop("task")
            task = self._load(where, f"{prefix}task", is_task)
            if task is not None and task.name != name:
                self.wrong(f"{prefix}task", f"is {where}, the task '{task.name}', expected one named '{name}'")
            return task and (task.kind, task, ())
        kind = given.pop("kind", None)
        if kind not in kinds.names():
            what = "is missing" if kind is None else f"is {said(kind)}{nearest(str(kind), kinds.names())}"
            published = nearest(name, task_registry.BUILT_IN)
            self.wrong(f"{prefix}kind", f"{what}: own tasks need one of {', '.join(kinds.names())}{published}")
            return None
        return kinds.get(kind), None, OF_OWN_TASKS

    def _made(self, name: str, kind: Kind, entry: Any, prefix: str) -> Task:
        """The task of an entry."""
        for key, check in {"loss": extensions.is_loss, "metric": extensions.is_metric}.items():
            if where := getattr(entry, key):
                self._load(where, prefix + key, check)
        changes = {"title": entry.title, "loss_weight": entry.weight, "loss": entry.loss, "metric": entry.metric}
        if "channels" in kind.label_keys:
            changes |= {"unit": entry.unit, "num_outputs": entry.channels}
        if "negate_on_flip" in kind.label_keys:
            changes |= {"negate_on_flip": entry.negate_on_flip, "multiply_by_scale": entry.multiply_by_scale}
            if beyond := [channel for channel in entry.negate_on_flip if channel >= entry.channels]:
                self.wrong(
                    f"{prefix}negate_on_flip", f"has {beyond[0]}, expected channels from 0 to {entry.channels - 1}"
                )
        return task_registry.of_kind(name, kind, **{key: value for key, value in changes.items() if value})

    def _classes(
        self, classes: Sequence[str] | Mapping[int, str], ignore: Sequence[Any], prefix: str
    ) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Stored values and names of the classes."""
        by_value = dict(classes) if isinstance(classes, Mapping) else dict(enumerate(classes))
        names = tuple(map(composed, by_value.values()))
        if len(names) == 1:
            self.wrong(f"{prefix}classes", f"has {names[0]} alone, which needs no learning: {ONE_CLASS}")
        if len(names) > IGNORE:
            self.wrong(f"{prefix}classes", f"has {len(names)} classes, expected at most {IGNORE}")
        if twice := [name for number, name in enumerate(names) if name in names[:number]]:
            self.wrong(f"{prefix}classes", f"names {twice[0]} twice")
        if both := [value for value in ignore if not isinstance(value, tuple) and value in by_value]:
            self.wrong(f"{prefix}ignore", f"has {both[0]}, which is a class as well ({by_value[both[0]]})")
        return tuple(by_value), names

    def _swap(self, pairs: Sequence[tuple[str, str]], names: Sequence[str], prefix: str) -> tuple[tuple[str, str], ...]:
        named = [name for pair in pairs for name in pair]
        for number, name in enumerate(named):
            if name not in names:
                self.wrong(f"{prefix}swap", f"has {name}, which is no class{nearest(name, names)}")
            elif name in named[:number]:
                self.wrong(f"{prefix}swap", f"has {name} twice")
        return tuple(pair for pair in pairs if set(pair) <= set(names))

    def _load(self, where: Any, key: str, check: extensions.Check) -> Any:
        """Load the object of a dotted path `package.module:name`; None, and a problem, if that fails."""
        try:
            return extensions.load_object(str(where), key, check)
        except UserError as error:
            self.problems.append(str(error))
            return None


def is_task(found: Any) -> str:
    """Check a task of the user's code, see :data:`bridgenet.extensions.Check`."""
    return "" if isinstance(found, Task) else f"{extensions.describe(found)}, expected a bridgenet.Task"


def _listed(values: Any) -> list[Any]:
    """The values of `ignore`: one alone needs no list; NaN, which JSON does not have, as text."""
    return [
        "nan" if str(value).lower() == "nan" else value for value in (values if isinstance(values, list) else [values])
    ]
