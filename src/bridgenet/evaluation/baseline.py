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
from bridgenet.tasks import IGNORE
from bridgenet.tasks.scores import Scores

EDGE_POSITIVE_WEIGHT = 0.95
NUM_DIRECTIONS = 500
SAMPLES_PER_IMAGE = 200


def constant_logits(train_set: data.DenseDataset) -> dict[str, Tensor]:
    """{task: (1, n_t, 1, 1) logits} of the constant that does best on the training set, by kind of task.

    Classes: the most frequent one (best mIoU of a constant). Depth: the mean (best RMSE). Regression: the mean of each
    channel over the values that its metric counts. Normals: of 500 directions spread evenly and the mean one, that of the
    least mean angle (on 200 pixels an image). One-channel probability: the share of positives at the weights of the edge
    loss (best weighted cross entropy); two-channel: everything foreground.
    """
    outputs = train_set.info.num_outputs
    counts = {task: np.zeros(outputs[task], np.int64) for task in train_set.tasks if _kind(task) == "classes"}
    sums = {
        task: np.zeros((2, tasks.get(task).target_channels))
        for task in train_set.tasks
        if _kind(task) in ("depth", "probability", "regression")
    }
    directions: dict[str, list[NDArray[np.float32]]] = {
        task: [] for task in train_set.tasks if _kind(task) == "normals"
    }
    for index in range(len(train_set)):
        seen = _cropped(train_set.load(index), train_set.info.size)
        height, width = seen["image"].shape[:2]
        sample = EvaluationTransform((height, width), train_set.tasks)(seen, train_set.ids[index])
        for task in train_set.tasks:
            target = sample[task].reshape(len(sample[task]), -1).T
            target = target[(target != IGNORE).all(axis=1)]
            if counts_of := getattr(tasks.resolve(tasks.get(task).metric), "counts", None):
                target = target[counts_of(torch.from_numpy(target[:, 0])).numpy() > 0]
            if task in counts:
                counts[task] += np.bincount(target[:, 0].astype(np.int64), minlength=outputs[task])
            elif task in sums:
                sums[task] += (target.sum(axis=0), np.full(target.shape[1], len(target)))
            else:
                step = max(1, len(target) // SAMPLES_PER_IMAGE)
                directions[task].append(target[::step])
    constants: dict[str, list[float]] = {}
    for task in train_set.tasks:
        if task in counts:
            constants[task] = np.eye(outputs[task])[counts[task].argmax()].tolist()
        elif task in directions:
            constants[task] = _best_direction(np.concatenate(directions[task])).tolist()
        elif _kind(task) in ("depth", "regression"):
            constants[task] = (sums[task][0] / sums[task][1].clip(min=1)).tolist()
        elif outputs[task] == 1:
            share = min(max(float(sums[task][0, 0]) / max(1.0, float(sums[task][1, 0])), 1e-6), 1 - 1e-6)
            weighted = EDGE_POSITIVE_WEIGHT * share, (1 - EDGE_POSITIVE_WEIGHT) * (1 - share)
            constants[task] = [float(np.log(weighted[0] / weighted[1]))]
        else:
            constants[task] = [-10.0, 10.0]
    return {task: torch.tensor(values).reshape(1, -1, 1, 1) for task, values in constants.items()}


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


def _kind(task: str) -> str:
    return tasks.get(task).kind


def _cropped(sample: dict[str, NDArray[np.float32]], size: tuple[int, int]) -> dict[str, NDArray[np.float32]]:
    return {name: values[: size[0], : size[1]] for name, values in sample.items()}


def _best_direction(normals: NDArray[np.float32]) -> NDArray[np.float64]:
    """The unit vector of the least mean angle to `normals` (N, 3), among directions spread over the sphere."""
    index = np.arange(NUM_DIRECTIONS) + 0.5
    azimuth, z = np.pi * (1 + 5**0.5) * index, 1 - 2 * index / NUM_DIRECTIONS
    radius = np.sqrt(1 - z**2)
    candidates = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=1)
    mean = normals.mean(axis=0)
    candidates = np.concatenate([candidates, mean[None] / max(float(np.linalg.norm(mean)), 1e-12)])
    angles = [np.arccos(np.clip(normals @ candidate, -1, 1)).mean() for candidate in candidates]
    return candidates[int(np.argmin(angles))]
