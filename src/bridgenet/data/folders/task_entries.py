"""Parse the tasks of a description (:mod:`bridgenet.data.folders.description`): their label files and definitions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from bridgenet import extensions
from bridgenet import tasks as task_registry
from bridgenet.data.folders.labels import UNITS, Labels
from bridgenet.errors import UserError, nearest
from bridgenet.system.text_files import as_on_disk
from bridgenet.system.validation import said
from bridgenet.tasks import IGNORE, Task, kinds
from bridgenet.tasks.kinds.normals import DIRECTIONS
from bridgenet.tasks.naming import check_names

OF_EVERY_TASK = ("kind", "task", "folder", "suffix", "ignore")
OF_OWN_TASKS = ("title", "weight", "loss", "metric")
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
    """

    task: str
    folder: Path
    suffix: str
    labels: Labels
    class_names: tuple[str, ...] = ()


class TaskEntries:
    """Parser of entries that collects their mistakes in `problems`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []

    def wrong(self, key: str, problem: str) -> None:
        self.problems.append(f"{key} {problem}")

    def _known_keys(self, values: Mapping[Any, Any], known: Sequence[str], prefix: str) -> None:
        for key in values:
            if key not in known:
                hint = nearest(str(key), known) or f" (known: {', '.join(known)})"
                self.problems.append(f"unknown key {prefix}{key}{hint}")

    def _text(self, values: Mapping[str, Any], key: str, prefix: str) -> str:
        value = values.get(key, "")
        if not isinstance(value, str):
            self.wrong(prefix + key, f"is {said(value)}, expected text")
            return ""
        return value

    def _folder(self, value: Any, key: str, parent: Path) -> Path | None:
        if not isinstance(value, str) or not value:
            self.wrong(key, f"is {said(value)}, expected the name of a folder")
            return None
        folder = as_on_disk(parent / Path(value).expanduser())
        if not folder.is_dir():
            beside = [entry.name for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []
            self.wrong(key, f"is {value}, but {folder} is no folder{nearest(value, beside)}")
            return None
        return folder

    def _tasks(self, values: Any, root: Path | None) -> list[TaskFiles]:
        if not isinstance(values, dict):
            return []  # already reported
        try:
            check_names(values)
        except UserError as error:
            self.wrong("tasks:", str(error))
            return []
        found = [self._task(name, entry, root) for name, entry in values.items()]
        definitions = [entry[1] for entry in found if entry]
        if not self.problems:
            for definition in definitions:
                try:
                    task_registry.ensure(definition)
                except UserError as error:
                    other = _DEFINED_IN.get(definition.name)
                    self.wrong("tasks:", f"{error} ({other} has it, and {self.path})" if other else str(error))
                else:
                    _DEFINED_IN.setdefault(definition.name, self.path)
        return [entry[0] for entry in found if entry]

    def _task(self, name: str, entry: Any, root: Path | None) -> tuple[TaskFiles, Task] | None:
        prefix, before = f"tasks.{name}.", len(self.problems)
        if not isinstance(entry, dict):
            self.wrong(f"tasks.{name}", f"is {said(entry)}, expected keys like {{folder: {name}}}")
            return None
        task = self._definition(name, entry, prefix)
        known = [*OF_EVERY_TASK, *OF_OWN_TASKS, *(task.kind.label_keys if task else _keys_of_all_kinds())]
        self._known_keys(entry, known, prefix)
        folder = self._folder(entry.get("folder", name), f"{prefix}folder", root) if root else None
        suffix = self._text(entry, "suffix", prefix)
        if task is None:
            return None
        values, class_names = self._classes(task, entry, prefix)
        labels = Labels(
            kind=task.kind,
            values=values,
            ignore=self._ignore(entry, prefix),
            scale=self._scale(task, entry, prefix),
            range=self._range(entry, prefix),
            axes=self._axes(entry, prefix),
            channels=task.target_channels if "channels" in task.kind.label_keys else 1,
        )
        if folder is None or len(self.problems) > before:
            return None
        return TaskFiles(name, folder, suffix, labels, class_names), task

    def _definition(self, name: str, entry: Mapping[str, Any], prefix: str) -> Task | None:
        """The task of an entry: a published one, a custom one by dotted path, or one of the stated kind."""
        if name in task_registry.BUILT_IN:
            for key in ("kind", "task", *OF_OWN_TASKS):
                if key in entry:
                    instead = {"weight": "loss.weights", "loss": "loss.functions", "metric": "metrics"}.get(key)
                    how = f"set {instead} in the run's configuration, or " if instead else ""
                    self.wrong(prefix + key, f"is given, but {name} is a published task: {how}give yours another name")
            return task_registry.get(name)
        if "task" in entry:
            return self._imported(name, entry["task"], prefix)
        kind = entry.get("kind")
        if kind not in kinds.names():
            what = "is missing" if kind is None else f"is {said(kind)}{nearest(str(kind), kinds.names())}"
            published = nearest(name, task_registry.BUILT_IN)
            self.wrong(f"{prefix}kind", f"{what}: own tasks need one of {', '.join(kinds.names())}{published}")
            return None
        changes: dict[str, Any] = {}
        if title := self._text(entry, "title", prefix):
            changes["title"] = title
        if "weight" in entry:
            changes["loss_weight"] = self._positive(entry["weight"], f"{prefix}weight", 1.0)
        for key in ("loss", "metric"):
            if key in entry:
                changes[key] = entry[key]
                _load(self, entry[key], prefix + key, extensions.is_loss if key == "loss" else extensions.is_metric)
        if "channels" in kinds.get(kind).label_keys:
            changes["unit"] = self._text(entry, "unit", prefix)
            channels = entry.get("channels", 1)
            if type(channels) is not int or channels < 1:
                self.wrong(f"{prefix}channels", f"is {said(channels)}, expected a number of channels of 1 or more")
                return None
            changes["num_outputs"] = channels
        return task_registry.of_kind(name, kind, **changes)

    def _imported(self, name: str, where: Any, prefix: str) -> Task | None:
        task = _load(self, where, f"{prefix}task", _is_task)
        if task is not None and task.name != name:
            self.wrong(f"{prefix}task", f"is {where}, the task '{task.name}', expected one named '{name}'")
            return None
        return task

    def _classes(self, task: Task, entry: Mapping[str, Any], prefix: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
        if not task.kind.has_classes:
            return (), ()
        key, classes = f"{prefix}classes", entry.get("classes")
        if isinstance(classes, list):
            classes = dict(enumerate(classes))
        if not isinstance(classes, dict) or not classes:
            self.wrong(
                key, f"is {said(classes)}, expected names in the order of the values 0, 1, …, or {{value: name}}"
            )
            return (), ()
        if bad := [value for value in classes if type(value) is not int or not 0 <= value < 65536]:
            self.wrong(key, f"has the value {said(bad[0])}, expected whole numbers from 0 to 65535")
        if len(classes) > IGNORE:
            self.wrong(key, f"has {len(classes)} classes, expected at most {IGNORE}")
        names = tuple(str(name) for name in classes.values())
        if twice := [name for number, name in enumerate(names) if name in names[:number]]:
            self.wrong(key, f"names {twice[0]} twice")
        values = tuple(value for value in classes if type(value) is int)
        if both := [value for value in self._as_list(entry.get("ignore")) if value in values]:
            self.wrong(f"{prefix}ignore", f"has {both[0]}, which is a class as well ({classes[both[0]]})")
        return values, names

    def _ignore(self, entry: Mapping[str, Any], prefix: str) -> tuple[float | tuple[float, ...], ...]:
        found: list[float | tuple[float, ...]] = []
        for value in self._as_list(entry.get("ignore")):
            if (isinstance(value, str) and value.lower() == "nan") or (isinstance(value, float) and math.isnan(value)):
                found.append(math.nan)
            elif _is_number(value):
                found.append(value)
            elif isinstance(value, list) and value and all(_is_number(part) for part in value):
                found.append(tuple(value))
            else:
                self.wrong(f"{prefix}ignore", f"has {said(value)}, expected stored values, lists of them, or nan")
        return tuple(found)

    @staticmethod
    def _as_list(value: Any) -> list[Any]:
        return [] if value is None else value if isinstance(value, list) else [value]

    def _scale(self, task: Task, entry: Mapping[str, Any], prefix: str) -> float | None:
        if task.kind.needs_unit:
            unit = entry.get("unit")
            if isinstance(unit, str) and unit in UNITS:
                return UNITS[unit]
            if _is_number(unit) and unit > 0:
                return float(unit)
            what = "is missing" if unit is None else f"is {said(unit)}"
            self.wrong(f"{prefix}unit", f"{what}: expected m, cm, mm, or the metres of one unit, like 0.001")
            return None
        if "scale" not in entry:
            return None
        if not _is_number(entry["scale"]) or entry["scale"] == 0:
            self.wrong(
                f"{prefix}scale", f"is {said(entry['scale'])}, expected the number that values are multiplied with"
            )
            return None
        return float(entry["scale"])

    def _range(self, entry: Mapping[str, Any], prefix: str) -> tuple[float, float] | None:
        value = entry.get("range")
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 2 or not all(map(_is_number, value)) or value[0] >= value[1]:
            self.wrong(f"{prefix}range", f"is {said(value)}, expected [smallest, largest]")
            return None
        return float(value[0]), float(value[1])

    def _axes(self, entry: Mapping[str, Any], prefix: str) -> tuple[str, str, str]:
        value = entry.get("axes", ["right", "up", "towards"])
        is_known = (
            isinstance(value, list) and len(value) == 3 and all(isinstance(v, str) and v in DIRECTIONS for v in value)
        )
        if not is_known or len({DIRECTIONS[axis][0] for axis in value}) != 3:
            self.wrong(
                f"{prefix}axes",
                f"is {said(value)}, expected where x, y and z point to: right or left, up or down, towards or away (from "
                "the camera), each once",
            )
            return "right", "up", "towards"
        return value[0], value[1], value[2]

    def _positive(self, value: Any, key: str, instead: float) -> float:
        if _is_number(value) and value > 0:
            return float(value)
        self.wrong(key, f"is {said(value)}, expected a number above 0")
        return instead


def _is_task(found: Any) -> str:
    return "" if isinstance(found, Task) else f"{extensions.describe(found)}, expected a bridgenet.Task"


def _load(reader: TaskEntries, where: Any, key: str, check: extensions.Check) -> Any:
    """Load the object of a dotted path `package.module:name`; None, and a problem, if that fails."""
    try:
        return extensions.load_object(str(where), key, check)
    except UserError as error:
        reader.problems.append(str(error))
        return None


def _keys_of_all_kinds() -> list[str]:
    return [key for kind in kinds.names() for key in kinds.get(kind).label_keys]


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
