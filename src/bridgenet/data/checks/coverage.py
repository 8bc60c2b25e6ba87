"""Which samples have labels of each task, and what makes a task impossible to learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from bridgenet.data.base import DenseDataset
from bridgenet.data.compact import expanded
from bridgenet.data.info import DataSetInfo
from bridgenet.errors import UserError
from bridgenet.tasks.kinds.classes import mirrored_pairs
from bridgenet.tasks.statistics import Statistics

LOOKED_AT = 200
"""Number of label files from which it is told that all labels are the same."""


def count_labels(dataset: DenseDataset) -> dict[str, int]:
    """{task: number of samples with label files}; the content of the files is not read."""
    return dict(zip(dataset.tasks, dataset.labelled().sum(axis=1).tolist()))


def check_labels(dataset: DenseDataset) -> dict[str, int]:
    """:func:`count_labels` of a training split. Raises UserError for a task without labels."""
    counts = count_labels(dataset)
    if missing := [task for task, count in counts.items() if count == 0]:
        others = [task for task in dataset.tasks if task not in missing]
        how = f"choose other tasks (--data.tasks '[{', '.join(others)}]'), or give" if others else "give"
        raise UserError(
            f"no training image of {dataset.info.title} has a label of {', '.join(missing)}; {how} data that have"
        )
    return counts


def unswapped(info: DataSetInfo) -> Iterator[str]:
    """Notes on classes that look like mirror images and do not change places in mirrored pictures."""
    for task, names in info.class_names.items():
        pairs = [list(pair) for pair in mirrored_pairs(names)]
        if pairs and not info.swap.get(task):
            shown = ", ".join(f"[{left}, {right}]" for left, right in pairs)
            yield f"{task}: {pairs[0][0]} becomes {pairs[0][1]} in a mirrored picture: state `swap: [{shown}]`, or --data.mirror false"


def unlearnable(dataset: DenseDataset) -> Iterator[str]:
    """Read labels of each task until two pixels differ, which mostly is in the first file.

    Yields:
        Texts on tasks whose labels are the same everywhere, or all ignored.

    Raises:
        UserError: a label cannot be read.
    """
    for task, labelled in zip(dataset.tasks, dataset.labelled()):
        found, indices = Statistics(), np.flatnonzero(labelled).tolist()
        for looked_at, index in enumerate(indices):
            if found.varies or (found.known and looked_at >= LOOKED_AT):
                break
            try:
                target = dataset.compact_target(task, index, _image_size(dataset, index))
            except UserError:
                dataset.compact(index)  # its error tells more
                raise
            found.add(Statistics.of(dataset.task(task), expanded(dataset.task(task), target)))
        text = found.constant(dataset.task(task), dataset.info.class_names.get(task, ()))
        if indices and not found.known:
            text = "every pixel of every label is ignored. There is nothing to learn"
        if text:
            yield f"{task}, split {dataset.split}: {text}"


def _image_size(dataset: DenseDataset, index: int) -> tuple[int, int]:
    """(H, W) of an image [pixels], from its header if it has one."""
    try:
        return dataset.image_size(index)
    except (OSError, ValueError, UserError):
        height, width = dataset.load_image(index).shape[:2]
        return height, width


def labels_in_words(counts: Mapping[str, int], total: int) -> str:
    """Format counts: `semseg 216, depth 200 of 240 images`; empty if no label is missing."""
    if all(count == total for count in counts.values()):
        return ""
    return f"{', '.join(f'{task} {count}' for task, count in counts.items())} of {total} images"
