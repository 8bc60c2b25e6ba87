"""The best constant prediction from a training set, a baseline that a trained network must beat."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bridgenet import data, tasks
from bridgenet.data.pipeline.batches import to_device
from bridgenet.data.pipeline.loading import evaluation_loader
from bridgenet.data.pipeline.transforms import EvaluationTransform
from bridgenet.metrics import boundary
from bridgenet.tasks.scores import Scores


def constant_logits(train_set: data.DenseDataset) -> dict[str, Tensor]:
    """{task: (1, n_t, 1, 1) logits} of the best constant on the training set, by kind of task.

    Classes: the most frequent class (best mIoU of a constant). Depth: the mean (best RMSE). Regression: the mean of each
    channel over the values that its metric counts. Normals: the direction with the smallest mean angle (on 200 pixels per
    image) out of 500 evenly spread ones and the mean. One-channel probability: the fraction of positives weighted as in
    the edge loss (best weighted cross entropy); two-channel: everything is foreground.
    """
    outputs = train_set.info.num_outputs
    constants = {task: tasks.get(task).kind.best_constant(outputs[task]) for task in train_set.tasks}
    for index in range(len(train_set)):
        rows, columns = train_set.info.size
        seen = {name: values[:rows, :columns] for name, values in train_set.load(index).items()}
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
    """Score constant logits on a validation split with the metrics of networks. `size`: (height, width) of the canvas [pixels]."""
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
    """Compute odsF, oisF and AP of a constant probability."""
    counts = []
    for index in val_set.boundary_indices():
        truth = boundary.true_boundaries(val_set.boundary_labels(index))
        prediction = np.full(truth.shape, int(255 * probability), np.uint8)
        counts.append(boundary.count(prediction, truth, max_distance=val_set.boundary_distance(index)))
    matched, predicted, true = (np.array(values) for values in zip(*counts))
    return boundary.summarise(matched, predicted, true).headlines
