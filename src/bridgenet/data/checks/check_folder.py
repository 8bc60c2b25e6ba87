"""Further checks of custom folders: files, splits, units and ranges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bridgenet import tasks as task_registry
from bridgenet.data.base import SPLITS, SYNTHETIC
from bridgenet.data.checks.report import Fault, Findings, Report
from bridgenet.data.folders.files import FilesById
from bridgenet.data.folders.folder import FolderDataset, FolderSource
from bridgenet.data.folders.labels import SUFFIXES, read_array
from bridgenet.data.folders.no_data import marks_in
from bridgenet.data.folders.task_entries import TaskFiles
from bridgenet.imaging import reading
from bridgenet.tasks.statistics import Statistics

SMALLEST_MEAN_DEPTH, LARGEST_MEAN_DEPTH = 0.1, 100.0
"""Mean depths outside of these bounds make the unit doubtful unless the stated range includes them [m]."""
MOST_LEFT_OUT = 0.05
"""A larger share of pixels that are left out of the labels without being named is a fault."""
SHOWN_IDS = 3


def opened(source: FolderSource, tasks: Sequence[str] | None) -> tuple[Report, list[FolderDataset]]:
    """A report of the faults of lists and files, and the splits that can be opened."""
    said, chosen = source.description, source.choose_tasks(tasks)
    folder = said.images.parent
    synthetic = (folder / SYNTHETIC).is_file()
    report = Report(info=source.info, folder=folder, chosen=chosen, synthetic=synthetic, description=said.path)
    datasets = []
    for split in SPLITS:
        with report.noting(split, "list", f"{said.path.name}: "):
            datasets.append(FolderDataset(source, split, chosen, look_for_files=False))
    pictures = source.images()
    labels = {task: source.labels(task) for task in chosen}
    report.faults += _of_files("image", pictures)
    for task, found in labels.items():
        report.faults += _of_files(task, found)
        report.faults += _without_image(task, found, pictures)
    report.faults += _without_label(pictures, labels)
    for task in chosen:
        report.labelled[task] = sum(dataset.has_label(task, i) for dataset in datasets for i in range(len(dataset)))
    labelled = {name for found in labels.values() for name in found.files}
    report.notes += _unread("image", said.images, pictures.files, labelled, reading.SUFFIXES)
    for task, found in labels.items():
        report.notes += _unread(task, said.entry(task).folder, found.files, pictures.files, SUFFIXES)
    listed = {name for dataset in datasets for name in dataset.ids}
    if said.lists and (unlisted := [name for name in pictures.files if name not in listed]):
        report.notes.append(f"{_ids(unlisted)} of {len(pictures.files)} images in no split")
    if pictures.again:
        report.notes.append(f"{_ids(list(pictures.again))} are links to other images here: each image counts once")
    return report, datasets


def _of_files(subject: str, found: FilesById) -> Iterator[Fault]:
    for paths in found.files.values():
        if len(paths) > 1:
            yield Fault("both", subject, f"two files for one id: {' and '.join(str(path) for path in paths)}")
    for reason in [*found.odd.values(), *found.unread]:
        yield Fault("both", subject, reason)


def _without_image(task: str, labels: FilesById, pictures: FilesById) -> Iterator[Fault]:
    known = {*pictures.files, *pictures.again, *pictures.odd}
    lonely = [paths[0] for name, paths in labels.files.items() if name not in known]
    if lonely and len(lonely) == len(labels.files):
        example = next(iter(pictures.files), "")
        text = f"none of the {len(lonely)} label files has an image of its name, e.g. {lonely[0]}; images are called like {example}"
        yield Fault("both", task, text)
        return
    for path in lonely:
        yield Fault("both", task, f"{path} has no image of its name")


def _without_label(pictures: FilesById, labels: Mapping[str, FilesById]) -> Iterator[Fault]:
    for name, paths in pictures.files.items():
        if not any(name in found.files for found in labels.values()):
            yield Fault("both", "image", f"{paths[0]} has no label of any task")


def _unread(
    what: str, folder: Path, known: Container[str], wanted: Container[str], suffixes: Collection[str]
) -> Iterator[str]:
    """A note about files of a wanted id that has no file in `known`, because their suffix is not read."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if path.suffix.lower() not in suffixes and name in wanted and name not in known and path.is_file():
            found.append(path.relative_to(folder.parent).as_posix())
    if found:
        read = ", ".join(sorted(suffixes))
        yield f"{what}: {_ids(found)} fit by name, but files of this suffix are not read ({read})"


def _ids(names: Sequence[str]) -> str:
    more = ", …" if len(names) > SHOWN_IDS else ""
    return f"{len(names)} ({', '.join(names[:SHOWN_IDS])}{more})"


def add_stored(found: Findings, dataset: FolderDataset, task: str, index: int, target: np.ndarray) -> None:
    """Add what the stored numbers of a label file tell beyond its `target` (h, w, C): marks of no data that are labels, and
    depths before the range is applied."""
    labels = dataset.description.entry(task).labels
    if not (labels.kind.has_classes or "range" in labels.kind.label_keys):
        return
    path = dataset.target_paths(task, index)[0]
    stored = labels.stored(path)
    if not labels.kind.has_classes or stored.dtype != np.uint8:  # where 255 is often the foreground
        kind = labels.kind
        known = ~kind.is_unknown(kind.mark_unknown(dataset.task(task), target)[..., 0])
        found.no_data[task] = marks_in(stored[known])
    if labels.kind.needs_unit and labels.range is not None:
        every = replace(labels, range=(0, float(np.finfo(np.float32).max)))
        metres = every.kind.read(every, path, stored)
        found.before_range[task] = float(metres.sum(dtype=np.float64)), int((metres > 0).sum())


def no_data_notes(report: Report) -> Iterator[str]:
    """Notes about marks of no data among the labels, with their share of all labelled pixels."""
    for task, marks in report.no_data.items():
        for mark, count in marks.items():
            share = 100 * count / report.tasks[task].known
            yield f"{task}: {share:.3g} % of the labelled pixels hold {mark}. If it is no label: `ignore: [{mark.value!r}]`"


def left_out(dataset: FolderDataset, task: str, index: int) -> Counter[Any]:
    """What the file of a sample holds that is unknown though the description does not say so."""
    labels = dataset.description.entry(task).labels
    return labels.kind.left_out(labels, read_array(dataset.target_paths(task, index)[0]))


def tell_left_out(report: Report, task: str, found: Statistics) -> None:
    """Add a note on what was left out of a task's labels, or a fault if it is much, with the `ignore` that says so."""
    values = report.left_out.get(task, Counter())
    if not (number := values.total()):
        return
    frequent = [list(value) for value, times in values.most_common() if value is not None and times > number / 10]
    text = f"{100 * number / (found.known + number):.2g} % {task_registry.get(task).kind.left_out_in_words} and count as unknown"
    if frequent:
        text += f", most of them stored as {', '.join(map(str, frequent))}. If that is meant: `ignore: {frequent}`"
    if number > MOST_LEFT_OUT * (found.known + number):
        report.faults.append(Fault("both", task, text if frequent else f"{text}. Is it another encoding?"))
    else:
        report.notes.append(f"{task}: {text}")


def doubtful(entry: TaskFiles, found: Statistics, before_range: tuple[float, int]) -> str:
    """A text about what is implausible in the labels of all images of a task; empty if nothing is."""
    labels = entry.labels
    if not labels.kind.needs_unit:
        text = found.implausible(task_registry.get(entry.task))
        return text.replace(
            "Is it stored as 0 and 1 instead of 0 and 255?", "Is it stored as 0 and 1? Then: `scale: 1`"
        )
    total, number = before_range
    if labels.range is not None and found.known < number / 2:
        low, high = labels.range
        share, mean = 100 * (1 - found.known / number), total / number
        return f"{share:.0f} % of the depths are outside of `range: [{low:g}, {high:g}]`; {_unit(labels.scale, mean)}"
    if not found.known:
        return "no pixel of any image has a label"
    low, high = labels.range or (SMALLEST_MEAN_DEPTH, LARGEST_MEAN_DEPTH)
    if found.mean < min(SMALLEST_MEAN_DEPTH, high) and high > 10 * found.mean:
        return _unit(labels.scale, found.mean)
    if labels.range is None and found.mean > high:
        return f"{_unit(labels.scale, found.mean)} If it is right, state a `range`"
    return ""


def _unit(scale: float | None, mean: float) -> str:
    """A text with a mean depth, also in other units."""
    names = {1.0: "m", 0.01: "cm", 0.001: "mm"}
    scale = scale or 1.0
    others = [f"{mean / scale * other:.3g} m in `unit: {name}`" for other, name in names.items() if other != scale]
    return f"the mean depth is {mean:.3g} m. Is the unit right? It would be {' or '.join(others)}."
