"""Training samples a second of one processor core, from files in a published layout to collated batches."""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import torch

from bridgenet import data
from bridgenet.data.pipeline.batches import to_device
from bridgenet.data.pipeline.cache import SampleCache
from bridgenet.data.pipeline.loading import training_loader
from bridgenet.errors import UserError
from bridgenet.synthetic import generate

SIZES = {"nyud": (425, 560), "pascal": (375, 500)}
"""(height, width) of the photographs: NYUD-v2's, and a usual one of PASCAL-Context's [pixels]."""


@dataclass(frozen=True)
class LoadingRates:
    """Samples a second, one entry per repetition.

    Attributes:
        loading: decoded, augmented and collated, as a training run without workers does it.
        cached: the same from a cache of decoded samples.
        decoding: decoded only: the floor of `loading`.
        transfer: batches made float32 and normalised on the CPU, which is the network's process's work, not a worker's.
        bytes_per_sample: of a batch on its way to the device.
        cache_bytes_per_sample: that the cache takes.
    """

    loading: list[float]
    cached: list[float]
    decoding: list[float]
    transfer: list[float]
    bytes_per_sample: int
    cache_bytes_per_sample: int


def measure_loading(
    name: Literal["nyud", "pascal"] = "nyud",
    *,
    images: int = 24,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    repetitions: int = 5,
    samples: int = 60,
    batch_size: int = 3,
) -> LoadingRates:
    """Measure in this process, on one thread, all tasks of the data set, cut to its published training size.

    Makes rooms in the data set's layout in a temporary folder, and warms up with one repetition that is not counted.

    Args:
        name: the layout.
        images: training samples made.
        size: (height, width) of the photographs [pixels], see :data:`SIZES`.
        seed: of the rooms and of the augmentation, which is the same in every repetition.
        repetitions: of each measurement, interleaved.
        samples: per repetition, rounded up to whole batches.
        batch_size: samples of a batch.

    Raises:
        UserError: a layout that there is not, or a number that cannot be.
    """
    if name not in SIZES:
        raise UserError(f"'{name}' is not a layout (layouts: {', '.join(SIZES)})")
    for key, value in {
        "images": images,
        "repetitions": repetitions,
        "samples": samples,
        "batch_size": batch_size,
    }.items():
        if value < 1:
            raise UserError(f"{key} is {value}, expected 1 or more")
    with tempfile.TemporaryDirectory() as folder, _one_thread():
        generate(name, Path(folder), train=images, val=0, size=size or SIZES[name], seed=seed)
        dataset = data.get(name)(folder, "train")
        cache = SampleCache(dataset, Path(folder) / "cache", keep=True)
        steps = -(-samples // batch_size)

        def batches(source: SampleCache | None) -> list[dict[str, torch.Tensor]]:
            loader = training_loader(
                dataset,
                size=dataset.info.size,
                batch_size=batch_size,
                seed=seed,
                num_workers=0,
                start_step=0,
                end_step=steps,
                cache=source,
            )
            return list(deque(loader, maxlen=1))  # all are made, the last one is kept

        rates: dict[str, list[float]] = {"loading": [], "cached": [], "decoding": [], "transfer": []}
        for index in range(images):
            cache.compact(index)
        for repetition in range(-1, repetitions):
            started = time.perf_counter()
            (batch,) = batches(None)
            loaded = time.perf_counter()
            batches(cache)
            from_cache = time.perf_counter()
            for index in range(images):
                dataset.compact(index)
            decoded = time.perf_counter()
            for _ in range(steps):
                to_device(batch, "cpu", dataset.tasks)
            sent = time.perf_counter()
            if repetition >= 0:
                rates["loading"].append(steps * batch_size / (loaded - started))
                rates["cached"].append(steps * batch_size / (from_cache - loaded))
                rates["decoding"].append(images / (decoded - from_cache))
                rates["transfer"].append(steps * batch_size / (sent - decoded))
        in_batch = sum(batch[key].nbytes for key in ("image", *dataset.tasks)) // batch_size
        in_cache = sum(array.nbytes for array in dataset.compact(0).values())
        return LoadingRates(**rates, bytes_per_sample=in_batch, cache_bytes_per_sample=in_cache)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads, opencv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(opencv_threads)
