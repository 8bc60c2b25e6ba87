"""Batches: the loaders of training and evaluation.

A training step's samples (:mod:`bridgenet.data.pipeline.sampling`), and their augmentation, follow from the seed and the step number
alone: not from the number of workers, nor from how the batch is shared among processes, nor from whether the run was
interrupted before.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from bridgenet.data.base import DenseDataset
from bridgenet.data.pipeline.batches import collate
from bridgenet.data.pipeline.cache import SampleCache
from bridgenet.data.pipeline.sampling import Key, StepSampler
from bridgenet.data.pipeline.transforms import EvaluationTransform, TrainingTransform
from bridgenet.data.pipeline.views import centre_offset
from bridgenet.errors import UserError
from bridgenet.system import allocator
from bridgenet.tasks import Task


@dataclass(frozen=True)
class Failure:
    """Takes the place of a batch: what is wrong with one of its samples, on its way from a worker to the user."""

    message: str


class BatchLoader(DataLoader[dict[str, Any]]):
    """A DataLoader that raises a sample's UserError as it was.

    Torch would put the worker's traceback into the message and leave the workers hanging for seconds.
    """

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, Failure):
                raise UserError(batch.message)
            yield batch


class TransformedDataset(Dataset[dict[str, Any]]):
    """A data set with its transform, as tensors.

    Items: ``"image"`` (3, H, W), 8-bit values, and every task (C, H, W), uint8 where that is exact, else float32;
    :func:`bridgenet.data.pipeline.batches.to_device` makes of batches of them what networks, losses and metrics take. ``"place"``
    int64 [top, left, height, width] of what the image shows of the sample and ``"mirrored"`` bool, for that; ``"id"``;
    ``"size"`` int64 [height, width] of the image as stored; and in evaluation ``"offset"`` int64 [top, left] of the image on
    the canvas, which targets have. The image's sides are those of the canvas divided by the transform's `shrink`.

    Args:
        dataset: the samples.
        transform: a :class:`TrainingTransform` makes the items be asked for by the keys of :class:`StepSampler`, a
            :class:`EvaluationTransform` as index.
        seed: with the key the seed of the augmentation.
        cache: keeps the samples of `dataset` decoded.
    """

    def __init__(
        self,
        dataset: DenseDataset,
        transform: TrainingTransform | EvaluationTransform,
        seed: int = 0,
        cache: SampleCache | None = None,
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        self.seed = seed
        self.source = cache or dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: int | Key) -> dict[str, Any]:
        key = key if isinstance(key, tuple) else (0, key)
        index = key[1]
        name = self.dataset.ids[index]
        sample = self.source.compact(index)
        height, width = sample["image"].shape[:2]
        extra = {"id": name, "size": torch.tensor((height, width))}
        if isinstance(self.transform, TrainingTransform):
            sample = self.transform.prepare(sample, np.random.default_rng([self.seed, *key]))
        else:
            sample = self.transform.prepare(sample, name)
            extra["offset"] = torch.tensor(centre_offset((height, width), self.transform.size))
        return {**{key: torch.from_numpy(array) for key, array in sample.items()}, **extra}

    def __getitems__(self, keys: Sequence[int | Key]) -> list[dict[str, Any]] | Failure:
        """The items of a batch, or why there is none."""
        try:
            return [self[key] for key in keys]
        except UserError as error:
            return Failure(str(error))


def training_loader(
    dataset: DenseDataset,
    *,
    size: tuple[int, int],
    batch_size: int,
    seed: int,
    num_workers: int,
    start_step: int,
    end_step: int,
    rank: int = 0,
    world: int = 1,
    accumulate: int = 1,
    cache: SampleCache | None = None,
    weights: Sequence[float] | None = None,
    shrink: int = 1,
    augment: bool = True,
) -> BatchLoader:
    """Augmented micro-batches of `size` (height, width) for the steps asked for; see :class:`StepSampler`.

    `shrink` and `augment` as of :class:`TrainingTransform`.

    It is already this process's share: do not let another library shard it again.
    """
    sampler = StepSampler(
        len(dataset),
        batch_size=batch_size,
        seed=seed,
        start_step=start_step,
        end_step=end_step,
        rank=rank,
        world=world,
        accumulate=accumulate,
        labelled=dataset.labelled(),
        parts=dataset.parts,
        weights=weights,
    )
    transformed = TransformedDataset(
        dataset, TrainingTransform(size, dataset.tasks, shrink=shrink, augment=augment), seed, cache
    )
    return BatchLoader(transformed, batch_sampler=sampler, **_common(num_workers, transformed))


def evaluation_loader(
    dataset: DenseDataset,
    *,
    size: tuple[int, int],
    batch_size: int,
    num_workers: int,
    rank: int = 0,
    world: int = 1,
    shrink: int = 1,
) -> BatchLoader:
    """Batches padded to `size` (height, width), the images at 1/shrink of it, of which this process takes rank, rank + world, …: none twice or left out.

    Batches are formed before they are shared, as what a network computes depends, in the last bits, on a batch's size:
    so any number of processes gives the same predictions. A process whose share is empty gets a loader without batches.
    """
    transformed = TransformedDataset(dataset, EvaluationTransform(size, dataset.tasks, shrink=shrink))
    batches = [
        list(range(first, min(first + batch_size, len(dataset)))) for first in range(0, len(dataset), batch_size)
    ]
    return BatchLoader(transformed, batch_sampler=batches[rank::world], **_common(num_workers, transformed))


def _common(num_workers: int, dataset: TransformedDataset) -> dict[str, Any]:
    return {
        "num_workers": num_workers,
        "worker_init_fn": _start_worker,
        "collate_fn": partial(_collate, tasks=dataset.transform.tasks),
        "pin_memory": torch.cuda.is_available(),
        # the loader draws a seed for its workers: from here, so that it leaves the global generator alone
        "generator": torch.Generator(),
    }


def _collate(items: list[dict[str, Any]] | Failure, tasks: Mapping[str, Task]) -> dict[str, Any] | Failure:
    return items if isinstance(items, Failure) else collate(items, tasks)


def _start_worker(worker: int) -> None:
    allocator.tune()  # a process of our own, forked or not
    cv2.setNumThreads(0)  # the workers are the parallelism
    if hasattr(os, "setpgrp"):  # Ctrl-C and a scheduler's SIGTERM are for the main process, which finishes its step
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
