"""The best constant prediction made from a training set: what a network must beat to have learnt anything."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bridgenet import data, tasks
from bridgenet.data.pipeline.batches import to_device
from bridgenet.data.pipeline.loading import evaluation_loader
from bridgenet.data.pipeline.transforms import EvaluationTransform
from bridgenet.metrics import boundary
from bridgenet.tasks.scores import Scores


def constant_logits(train_set: data.DenseDataset) -> dict[str, Tensor]:
    """{task: (1, n_t, 1, 1) logits} of the constant that does best on the training set, by kind of task.

    Classes: the most frequent one (best mIoU of a constant). Depth: the mean (best RMSE). Regression: the mean of each
    channel over the values that its metric counts. Normals: of 500 directions spread evenly and the mean one, that of the
    least mean angle (on 200 pixels an image). One-channel probability: the share of positives at the weights of the edge
    loss (best weighted cross entropy); two-channel: everything foreground.
    """
    outputs = train_set.info.num_outputs
    constants = {task: tasks.get(task).kind.best_constant(outputs[task]) for task in train_set.tasks}
    for index in range(len(train_set)):
        seen = _cropped(train_set.load(index), train_set.info.size)
        height, width = seen["image"].shape[:2]
        sample = EvaluationTransform((height, width), train_set.tasks)(seen, train_set.ids[index])
        for task, constant in constants.items():
            known = tasks.get(task)
            target = sample[task].reshape(len(sample[task]), -1).T
            target = target[~known.kind.is_unknown(target).any(axis=1)]
            if counts_of := getattr(tasks.resolve(known.metric), "counts", None):
                target = target[counts_of(torch.from_numpy(target[:, 0])).numpy() > 0]
            constant.add(target)
    return {task: torch.tensor(constant.logits()).reshape(1, -1, 1, 1) for task, constant in constants.items()}


def evaluate_constant(logits: dict[str, Tensor], val_set: data.DenseDataset, size: tuple[int, int]) -> Scores:
    """The scores of constant logits on a validation split, by the metrics that networks are scored by."""
    metrics = {task: tasks.resolve(tasks.get(task).metric)(logits[task].shape[1]) for task in val_set.tasks}
    for batch in evaluation_loader(val_set, size=size, batch_size=8, num_workers=0):
        targets = to_device(batch, "cpu", val_set.tasks)
        for task, metric in metrics.items():
            target = targets[task]
            metric.update(logits[task].expand(len(target), -1, *target.shape[-2:]), target)
    scores = {task: metric.compute() for task, metric in metrics.items()}
    if "edge" in scores and val_set.boundary_indices():
        scores["edge"] |= _boundaries(torch.sigmoid(logits["edge"]).item(), val_set)
    return scores


def _boundaries(probability: float, val_set: data.DenseDataset) -> dict[str, float]:
    """odsF, oisF and AP of a constant probability."""
    counts = []
    for index in val_set.boundary_indices():
        truth = boundary.boundaries(val_set.boundary_labels(index))
        prediction = np.full(truth.shape, int(255 * probability), np.uint8)
        counts.append(boundary.count(prediction, truth, max_distance=val_set.boundary_distance(index)))
    matched, predicted, true = (np.array(values) for values in zip(*counts))
    return boundary.summarise(matched, predicted, true).headlines


def _cropped(sample: dict[str, NDArray[np.float32]], size: tuple[int, int]) -> dict[str, NDArray[np.float32]]:
    return {name: values[: size[0], : size[1]] for name, values in sample.items()}
