"""The data loaders of training and evaluation.

A training step's samples (:mod:`bridgenet.data.pipeline.sampling`) and their augmentation depend only on the seed and the step
number, not on the number of workers or processes, nor on whether the run was interrupted.
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
    """Replaces a batch: the error message of one of its samples, sent from a worker to the main process."""

    message: str


class BatchLoader(DataLoader[dict[str, Any]]):
    """A DataLoader that raises the UserError of a sample unchanged.

    Torch would add the worker's traceback to the message, and its workers would hang for seconds.
    """

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, Failure):
                raise UserError(batch.message)
            yield batch


class TransformedDataset(Dataset[dict[str, Any]]):
    """A data set with its transform; items are tensors.

    Items: ``"image"`` (3, H, W), 8-bit values; every task (C, H, W), uint8 where that is exact, else float32; ``"place"``
    int64 [top, left, height, width] of the sample in the image; ``"mirrored"`` bool; ``"id"``; ``"size"`` int64 [height,
    width] of the stored image; in evaluation also ``"offset"`` int64 [top, left] of the image on the canvas. Targets have
    the size of the canvas, the image that size divided by the transform's `shrink`.
    :func:`bridgenet.data.pipeline.batches.to_device` converts batches for networks, losses and metrics.

    Args:
        dataset: the data set.
        transform: with a :class:`TrainingTransform`, items have the keys of :class:`StepSampler`, with an
            :class:`EvaluationTransform`, indices.
        seed: seed of the augmentation, together with the key.
        cache: cache of the decoded samples of `dataset`.
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
        """The items of a batch, or the reason why it cannot be loaded."""
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
    mirror: bool = True,
) -> BatchLoader:
    """A loader of augmented micro-batches of `size` (height, width) for some steps; see :class:`StepSampler`.

    `shrink`, `augment` and `mirror`: see :class:`TrainingTransform`. The loader has only this process's samples: do not let another
    library shard it again.
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
    tasks = [dataset.task(name) for name in dataset.tasks]
    transform = TrainingTransform(size, tasks, shrink=shrink, augment=augment, mirror=mirror)
    transformed = TransformedDataset(dataset, transform, seed, cache)
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
    """A loader of batches padded to `size` (height, width), with images at 1/shrink of it.

    This process gets batches rank, rank + world, …; none is repeated or left out, but there may be none for a process.
    The composition of batches does not depend on the number of processes: the last bits of predictions depend on it.
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
        # the seed of the workers comes from here, so that the global generator is not used
        "generator": torch.Generator(),
    }


def _collate(items: list[dict[str, Any]] | Failure, tasks: Mapping[str, Task]) -> dict[str, Any] | Failure:
    return items if isinstance(items, Failure) else collate(items, tasks)


def _start_worker(worker: int) -> None:
    allocator.tune()  # in each worker process
    cv2.setNumThreads(0)  # the workers are the parallelism
    if hasattr(os, "setpgrp"):  # Ctrl-C and a scheduler's SIGTERM are for the main process, which finishes its step
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
