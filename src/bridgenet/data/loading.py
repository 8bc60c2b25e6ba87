"""Batches: which samples a training step takes, and the loaders of training and evaluation.

A training step's samples, and their augmentation, follow from the seed and the step number alone: not from the number
of workers, nor from how the batch is shared among processes, nor from whether the run was interrupted before.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from bridgenet import allocator
from bridgenet.data.base import DenseDataset
from bridgenet.data.batches import collate
from bridgenet.data.cache import SampleCache
from bridgenet.data.transforms import EvaluationTransform, TrainingTransform
from bridgenet.data.views import centre_offset
from bridgenet.errors import UserError


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
    :func:`bridgenet.data.batches.to_device` makes of batches of them what networks, losses and metrics take. ``"place"``
    int64 [top, left, height, width] of what the image shows of the sample and ``"mirrored"`` bool, for that; ``"id"``;
    ``"size"`` int64 [height, width] of the image as stored; and in evaluation ``"offset"`` int64 [top, left] of the image on
    the canvas, which targets have. The image's sides are those of the canvas divided by the transform's `shrink`.

    Args:
        dataset: the samples.
        transform: a :class:`TrainingTransform` makes the items be asked for as (epoch, index), a
            :class:`EvaluationTransform` as index.
        seed: with epoch and index the seed of the augmentation.
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

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        name = self.dataset.ids[index]
        sample = self.source.compact(index)
        height, width = sample["image"].shape[:2]
        extra = {"id": name, "size": torch.tensor((height, width))}
        if isinstance(self.transform, TrainingTransform):
            sample = self.transform.prepare(sample, np.random.default_rng([self.seed, epoch, index]))
        else:
            sample = self.transform.prepare(sample, name)
            extra["offset"] = torch.tensor(centre_offset((height, width), self.transform.size))
        return {**{key: torch.from_numpy(array) for key, array in sample.items()}, **extra}

    def __getitems__(self, keys: Sequence[int | tuple[int, int]]) -> list[dict[str, Any]] | Failure:
        """The items of a batch, or why there is none."""
        try:
            return [self[key] for key in keys]
        except UserError as error:
            return Failure(str(error))


class StepSampler(Sampler[list[tuple[int, int]]]):
    """The micro-batches of one process, steps `start_step` up to `end_step`, as lists of (epoch, index).

    All epochs, each in its own random order, make one endless row of samples. Step s takes the places s·G to
    (s + 1)·G of it, G = world·accumulate·batch_size; micro-batch m of process `rank` the batch_size places from
    s·G + (m·world + rank)·batch_size on.

    Args:
        num_samples: samples in the data set.
        batch_size: samples of one micro-batch on one process.
        seed: with the epoch the seed of its order.
        start_step: first optimiser step, from 0; to go on with a run, the number of steps already made.
        end_step: the step to stop before.
        rank: this process, 0..world−1.
        world: number of processes.
        accumulate: micro-batches of one optimiser step.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        batch_size: int,
        seed: int,
        start_step: int,
        end_step: int,
        rank: int = 0,
        world: int = 1,
        accumulate: int = 1,
    ) -> None:
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.seed = seed
        self.steps = range(start_step, end_step)
        self.rank = rank
        self.world = world
        self.accumulate = accumulate

    def __len__(self) -> int:
        return len(self.steps) * self.accumulate

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        orders: dict[int, np.ndarray] = {}
        for step in self.steps:
            for micro_batch in range(self.accumulate):
                first = ((step * self.accumulate + micro_batch) * self.world + self.rank) * self.batch_size
                places = [divmod(place, self.num_samples) for place in range(first, first + self.batch_size)]
                orders = {epoch: self._order(epoch, orders) for epoch in sorted({epoch for epoch, _ in places})}
                yield [(epoch, int(orders[epoch][place])) for epoch, place in places]

    def _order(self, epoch: int, known: dict[int, np.ndarray]) -> np.ndarray:
        if epoch in known:
            return known[epoch]
        return np.random.default_rng([self.seed, epoch]).permutation(self.num_samples)


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
    )
    transformed = TransformedDataset(
        dataset, TrainingTransform(size, dataset.tasks, shrink=shrink, augment=augment), seed, cache
    )
    return BatchLoader(transformed, batch_sampler=sampler, **_common(num_workers))


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
    return BatchLoader(transformed, batch_sampler=batches[rank::world], **_common(num_workers))


def _common(num_workers: int) -> dict[str, Any]:
    return {
        "num_workers": num_workers,
        "worker_init_fn": _start_worker,
        "collate_fn": _collate,
        "pin_memory": torch.cuda.is_available(),
        # the loader draws a seed for its workers: from here, so that it leaves the global generator alone
        "generator": torch.Generator(),
    }


def _collate(items: list[dict[str, Any]] | Failure) -> dict[str, Any] | Failure:
    return items if isinstance(items, Failure) else collate(items)


def _start_worker(worker: int) -> None:
    allocator.tune()  # a process of our own, forked or not
    cv2.setNumThreads(0)  # the workers are the parallelism
    if hasattr(os, "setpgrp"):  # Ctrl-C and a scheduler's SIGTERM are for the main process, which finishes its step
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
