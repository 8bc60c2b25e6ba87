"""Which samples have labels of each task, and what makes a task impossible to learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bridgenet.data.base import DenseDataset
from bridgenet.data.info import DataSetInfo
from bridgenet.errors import UserError
from bridgenet.tasks.kinds.classes import mirrored_pairs


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


def labels_in_words(counts: Mapping[str, int], total: int) -> str:
    """Format counts: `semseg 216, depth 200 of 240 images`; empty if no label is missing."""
    if all(count == total for count in counts.values()):
        return ""
    return f"{', '.join(f'{task} {count}' for task, count in counts.items())} of {total} images"
