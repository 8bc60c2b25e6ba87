"""Predictions for selected samples of a data set, with photo and truth, for visualisation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bridgenet import data
from bridgenet.data.pipeline.batches import collate, to_device
from bridgenet.data.pipeline.loading import TransformedDataset
from bridgenet.data.pipeline.transforms import EvaluationTransform
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.system.compilation import autocast
from bridgenet.tasks.decoding import decode, enlarged


@dataclass(frozen=True)
class PredictedSample:
    """A predicted sample, cropped to the image on the canvas of the evaluation.

    Attributes:
        id: name of the sample.
        photo: (H, W, 3) uint8 RGB.
        predictions: {task: decoded map}, see :class:`bridgenet.Task`.
        truths: {task: target}, (H, W), or (H, W, 3) of normals, NaN (in class maps IGNORE) where there is no label.
    """

    id: str
    photo: NDArray[np.uint8]
    predictions: dict[str, NDArray[Any]]
    truths: dict[str, NDArray[Any]]


def predicted_samples(
    network: BridgeNet,
    dataset: data.DenseDataset,
    size: tuple[int, int],
    indices: Iterable[int],
    *,
    shrink: int = 1,
    precision: str = "float32",
) -> Iterator[PredictedSample]:
    """Predict the samples of these indices as evaluation does, with batches of one.

    Args:
        size: (height, width) of the canvas that images are padded to [pixels].
        shrink: the network's images have 1/shrink of that size.
        precision: `float32`, or `bfloat16` for autocast.

    Raises:
        UserError: a sample cannot be read.
    """
    device = next(network.parameters()).device
    transformed = TransformedDataset(dataset, EvaluationTransform(size, dataset.tasks, shrink=shrink))
    was_training = network.training
    network.eval()
    try:
        for index in indices:
            batch = collate([transformed[index]])
            seen = to_device(batch, device, dataset.tasks, mean=network.mean, deviation=network.deviation)
            with torch.inference_mode(), autocast(device, precision):
                logits = enlarged(network(seen["image"]).logits, seen)
            (height, width), (top, left) = batch["size"][0].tolist(), batch["offset"][0].tolist()
            inside = (slice(top, top + height), slice(left, left + width))
            yield PredictedSample(
                id=batch["id"][0],
                photo=dataset.load_image(index),
                predictions={
                    task: decode(task, logits[task]).float().cpu().numpy()[0][inside] for task in dataset.tasks
                },
                truths={task: _map(seen[task][0].cpu())[inside] for task in dataset.tasks},
            )
    finally:
        network.train(was_training)


def _map(target: torch.Tensor) -> NDArray[Any]:
    """(C, H, W) → (H, W) or (H, W, C)."""
    return target.permute(1, 2, 0).squeeze(-1).numpy()
