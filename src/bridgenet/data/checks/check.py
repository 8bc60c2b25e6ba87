"""Check a data folder: read every file as training would, and report all faults together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bridgenet import data
from bridgenet import tasks as task_registry
from bridgenet.data.base import SPLITS, SYNTHETIC, DenseDataset
from bridgenet.data.checks import check_folder
from bridgenet.data.checks.coverage import unswapped
from bridgenet.data.checks.report import Fault, Findings, Report
from bridgenet.data.folders.folder import FolderDataset, FolderSource
from bridgenet.errors import UserError
from bridgenet.system import parallel
from bridgenet.tasks.statistics import Statistics


def check(
    name: str,
    root: str | Path = "",
    *,
    tasks: Sequence[str] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Read every file of both splits of a data set and report all faults. Nothing is written.

    Args:
        name: a published data set like ``"nyud"``, the description of a custom folder, or a custom class.
        root: folder that holds the folder of a published data set.
        tasks: the tasks whose labels are checked, all if None.
        workers: number of processes, one per usable processor core if None; 1: only this process.
        progress: called with (samples done, number of samples).

    Raises:
        UserError: the data set or a task is unknown, or both lists of splits are missing below `root`.
    """
    source = data.get(name)
    report: Report
    datasets: Sequence[DenseDataset]
    if isinstance(source, FolderSource):
        report, datasets = check_folder.opened(source, tasks)
    else:
        report, datasets = _opened(name, source, root, tasks)
    report.faults += _lists(datasets)
    for dataset in datasets:
        report.counts[dataset.split] = len(dataset)
        for task, missing in dataset.missing_files():
            report.faults += [Fault(dataset.split, task, f"{file} is missing") for file in missing]
    samples = [(place, index) for place, dataset in enumerate(datasets) for index in range(len(dataset))]
    findings_of_all = parallel.run(_look_at, datasets, samples, workers=workers, chunk=8)
    for done, findings in enumerate(findings_of_all, start=1):
        report.add(findings)
        if progress is not None:
            progress(done, len(samples))
    _compare(report)
    report.notes += [f"image: {number} images: {note}" for note, number in report.image_notes.items()]
    report.notes += check_folder.no_data_notes(report)
    for task, statistics in report.tasks.items():
        if isinstance(source, FolderSource):
            wrong = check_folder.doubtful(
                source.description.entry(task), statistics, report.before_range.get(task, (0.0, 0))
            )
            check_folder.tell_left_out(report, task, statistics)
        else:
            wrong = statistics.implausible(task_registry.get(task))
            if not wrong and (remark := task_registry.get(task).kind.remarkable(statistics)):
                report.notes.append(f"{task}: {remark}")
        if wrong:
            report.faults.append(Fault("both", task, wrong))
        elif constant := statistics.constant(task_registry.get(task), report.info.class_names.get(task, ())):
            if statistics.classes:
                report.faults.append(Fault("both", task, constant))
            else:
                report.notes.append(f"{task}: {constant}")
        elif statistics.known:
            report.faults += [
                Fault(split, task, "every pixel of every label is ignored")
                for split, other in report.known
                if other == task and not report.known[split, task]
            ]
    return report


def _opened(
    name: str, source: data.DataSource, root: str | Path, tasks: Sequence[str] | None
) -> tuple[Report, list[DenseDataset]]:
    """A report with the faults of splits that cannot be opened, and the other splits."""
    is_custom_class = isinstance(source, data.CustomSource)
    dataset_class = source.kind if isinstance(source, data.CustomSource) else data.published(name)
    info = dataset_class.info
    chosen = dataset_class.choose_tasks(tasks)
    folder = Path(root) / info.folder
    has_lists = hasattr(dataset_class, "split_file")  # custom classes may list their samples differently
    lists = {split: folder / dataset_class.split_file.format(split=split) if has_lists else folder for split in SPLITS}
    if has_lists and not any(path.exists() for path in lists.values()):
        dataset_class.require_folder(root, flag="--root")
    synthetic = (folder / SYNTHETIC).is_file()
    report = Report(info=info, folder=folder, chosen=chosen, synthetic=synthetic, is_custom_class=is_custom_class)
    datasets = []
    for split, path in lists.items():
        with report.noting(split, "list"):
            if not path.exists():
                raise UserError(f"{path.relative_to(folder)} is missing")
            datasets.append(source(root, split, chosen, look_for_files=False))
    return report, datasets


def _lists(datasets: Sequence[DenseDataset]) -> Iterator[Fault]:
    """Faults for ids that are listed twice, or in both splits."""
    for dataset in datasets:
        for sample_id, times in Counter(dataset.ids).items():
            if times > 1:
                yield Fault(dataset.split, "list", f"{sample_id} is listed {times} times")
    if len(datasets) == len(SPLITS):
        first, second = datasets
        for sample_id in sorted(set(first.ids) & set(second.ids)):
            yield Fault(
                "both", "list", f"{sample_id} is in {first.split} and in {second.split}: the scores would mean less"
            )


def _look_at(datasets: Sequence[DenseDataset], sample: tuple[int, int]) -> Findings:
    """Read one sample (number of its data set, index). Missing files are skipped, as they are reported already."""
    dataset, index = datasets[sample[0]], sample[1]
    found = Findings()
    size = None
    if dataset.image_path(index).is_file():
        with found.noting(dataset.split, "image"):
            if isinstance(dataset, FolderDataset):
                image, notes = dataset.noted_image(index)
                found.image_notes.update(notes)
            else:
                image = dataset.load_image(index)
            size = (image.shape[0], image.shape[1])
            found.sizes[size] += 1
            found.turned += isinstance(dataset, FolderDataset) and dataset.orientation(index) != 1
    for task in dataset.tasks:
        if not all(path.is_file() for path in dataset.target_paths(task, index)):
            continue
        with found.noting(dataset.split, task):
            target = dataset.stored_target(task, index, size or (1, 1))
            if size is not None:
                dataset.fit_target(task, index, target, size)
            statistics = Statistics.of(
                dataset.task(task), target, resized=size is not None and target.shape[:2] != size
            )
            found.tasks[task] = statistics
            found.known[dataset.split, task] = statistics.known
            if isinstance(dataset, FolderDataset) and statistics.known < statistics.pixels:
                found.left_out[task] = check_folder.left_out(dataset, task, index)
            if isinstance(dataset, FolderDataset):
                check_folder.add_stored(found, dataset, task, index, target)
            if size is not None:
                dataset.fit_target(task, index, target, size)
    return found


def _compare(report: Report) -> None:
    """Add faults and notes about all samples together."""
    info = report.info
    for split, found in report.counts.items():
        published = info.counts.get(split, found)
        if found != published and not report.synthetic:
            text = f"{found} samples are listed, {published} are published: scores do not compare with published ones"
            report.faults.append(Fault(split, "list", text))
    if report.synthetic and not report.description:
        report.notes.append(
            f"made by `bridgenet data generate` ({SYNTHETIC}): counts and sizes are not the published ones"
        )
    if report.turned:
        are = "image is" if report.turned == 1 else "images are"
        report.notes.append(f"{report.turned} {are} turned by EXIF; labels are taken to lie on the turned image")
    for size, number in sorted(report.sizes.items()):
        text = f"{number} images have {size[0]}×{size[1]} pixels (height×width)"
        if size in info.other_copies:
            report.faults.append(Fault("both", "image", f"{text}. {info.other_copies[size]}"))
        elif size[0] > info.size[0] or size[1] > info.size[1]:
            larger = "state a larger `size`" if report.description else "give a larger --data.eval-size"
            canvas = f"more than the evaluation canvas of {info.size[0]}×{info.size[1]}: {larger}"
            report.faults.append(Fault("both", "image", f"{text}, {canvas}"))
        elif info.image_size not in (None, size) and not report.synthetic:
            expected = f"{info.image_size[0]}×{info.image_size[1]}" if info.image_size else ""
            report.faults.append(Fault("both", "image", f"{text}, published are {expected}"))
    report.notes += unswapped(info)
    for task, statistics in report.tasks.items():
        for size, number in sorted(statistics.resized.items()):
            text = f"{number} labels have {size[0]}×{size[1]} pixels, unlike their images"
            if size in info.other_copies:
                text += ": they are of another copy of the data and do not lie on the pixels of these images"
                report.faults.append(Fault("both", task, text))
            else:
                report.notes.append(f"{task}: {text}; they are resized when they are loaded")
        names = info.class_names.get(task, ())
        unseen = [class_name for index, class_name in enumerate(names) if index not in statistics.classes]
        if unseen and statistics.classes:
            report.notes.append(f"{task}: no pixel of {', '.join(unseen)}")
