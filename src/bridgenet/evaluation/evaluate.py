"""Evaluation: the metrics of all tasks over a split. Several processes give the same result as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from bridgenet import data
from bridgenet.config.resolved import evaluation_size, metric_classes, shrink_of
from bridgenet.config.settings import RunConfig
from bridgenet.data.pipeline.batches import to_device
from bridgenet.data.pipeline.loading import evaluation_loader
from bridgenet.metrics.making import computed, make_metric, update
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.system.compilation import autocast
from bridgenet.system.files import write_atomically
from bridgenet.tasks.decoding import decode, enlarged
from bridgenet.tasks.scores import Scores

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation.

    Attributes:
        scores: scores over the whole split.
        details: further results by task as JSON types: per-class values, confusion matrix, curves, histograms.
        per_image: {id: {task: {metric: value}}} of each image, in the data set's order.
    """

    scores: Scores
    details: dict[str, dict[str, Any]]
    per_image: dict[str, Scores]


def evaluate(
    network: BridgeNet,
    dataset: data.DenseDataset,
    *,
    size: tuple[int, int],
    batch_size: int = 6,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    shrink: int = 1,
    precision: str = "float32",
    edge_folder: Path | None = None,
    metrics: Mapping[str, Callable[[int], Any]] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a network on all samples of a data set. A collective call; all processes get the same result.

    Args:
        size: (height, width) of the canvas that images are padded to [pixels].
        shrink: the network's images have 1/shrink of that size; its logits are resized to the targets.
        rank, world: index of this process and number of processes; each sample is scored by one of them.
        precision: `float32`, or `bfloat16` for autocast.
        edge_folder: folder for boundary predictions as 8-bit PNG (255·probability, truncated), in the image's own size.
        metrics: custom metric classes by task; see :class:`bridgenet.Task`.
        progress: called with (finished batches, all batches) of this process.

    Raises:
        UserError: a custom metric fails, or does not return the headline score of its task.
    """
    device = next(network.parameters()).device
    scorers = {
        task: make_metric(task, network.tasks[task], (metrics or {}).get(task)).to(device) for task in dataset.tasks
    }
    loader = evaluation_loader(
        dataset, size=size, batch_size=batch_size, num_workers=workers, rank=rank, world=world, shrink=shrink
    )
    done, total = 0, len(loader)
    per_image: dict[str, Scores] = {}
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        for batch in loader:
            seen = to_device(batch, device, dataset.tasks, mean=network.mean, deviation=network.deviation)
            with autocast(device, precision):
                logits = enlarged(network(seen["image"]).logits, seen)
            for task, metric in scorers.items():
                update(task, metric, logits[task], seen[task])
                for name, row in zip(batch["id"], metric.per_image() if hasattr(metric, "per_image") else ()):
                    per_image.setdefault(name, {})[task] = row
            if edge_folder is not None and "edge" in logits:
                write_edges(decode("edge", logits["edge"]), batch, edge_folder)
            done += 1
            if progress is not None:
                progress(done, total)
        network.train(was_training)
        scores = {task: computed(task, metric) for task, metric in scorers.items()}
        details = {task: metric.details() for task, metric in scorers.items() if hasattr(metric, "details")}
    everything = gathered(per_image, world)
    return Evaluation(scores, details, {name: everything[name] for name in dataset.ids if name in everything})


def score_split(
    network: BridgeNet,
    dataset: data.DenseDataset,
    config: RunConfig,
    processes: Any,
    *,
    edge_folder: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Like :func:`evaluate`, with the settings of a run.

    Args:
        processes: an object with `process_index` and `num_processes`, e.g. an Accelerator.
    """
    return evaluate(
        network,
        dataset,
        size=evaluation_size(config),
        batch_size=config.evaluation_batch_size,
        workers=config.data.workers,
        rank=processes.process_index,
        world=processes.num_processes,
        shrink=shrink_of(config),
        precision=config.precision,
        edge_folder=edge_folder,
        metrics=metric_classes(config),
        progress=progress,
    )


def gathered(own: Mapping[str, Any], world: int) -> dict[str, Any]:
    """Merge the entries of all processes. A collective call."""
    parts: list[Any] = [own]
    if world > 1:
        parts = [None] * world
        torch.distributed.all_gather_object(parts, own)
    return {name: value for part in parts for name, value in part.items()}


def write_edges(probability: Tensor, batch: Mapping[str, Any], folder: Path) -> None:
    """Write (B, H, W) boundary probabilities as 8-bit grey PNGs, cropped to the image on the canvas."""
    values = (probability.float() * 255).to(torch.uint8).cpu().numpy()  # truncated, as the boundary protocol asks
    for value, name, size, offset in zip(values, batch["id"], batch["size"].tolist(), batch["offset"].tolist()):
        top, left = offset
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cropped = np.ascontiguousarray(value[top : top + size[0], left : left + size[1]])
        write_atomically(path, cv2.imencode(".png", cropped)[1].tobytes())
