"""Draw samples of a data set and their labels in one picture, to check them by eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from bridgenet.data.base import DenseDataset
from bridgenet.data.pipeline.transforms import mark_unknown
from bridgenet.tasks.visualize import contact_sheet


def chosen_samples(dataset: DenseDataset, count: int) -> list[int]:
    """Indices of `count` samples spread over the split, and one more for each task that none of them has a label of."""
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int)).tolist()
    for labelled in map(np.flatnonzero, dataset.labelled()):
        if len(labelled) and not set(labelled) & set(chosen):
            chosen.append(int(labelled[0]))
    return sorted(chosen)


def sheet(dataset: DenseDataset, indices: Sequence[int]) -> Image.Image:
    """A contact sheet of these samples as they are loaded: photos and the labels of every task in colour, with keys.

    Raises:
        UserError: a file cannot be read, or its values are not as expected.
    """
    samples = [dataset.load(index) for index in indices]
    return contact_sheet(
        [sample["image"].astype(np.uint8) for sample in samples],
        {task: [mark_unknown(task, sample[task]) for sample in samples] for task in dataset.tasks},
        [dataset.ids[index] for index in indices],
        class_names=dataset.info.class_names,
    )
