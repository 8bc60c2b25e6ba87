"""Values that follow from the settings of a run and its data set: splits, sizes, the network's description."""

from __future__ import annotations

from typing import Any

import torch

from bridgenet import data, tasks
from bridgenet.config.settings import RunConfig
from bridgenet.data.pipeline.transforms import shrunk_size
from bridgenet.errors import UserError
from bridgenet.extensions import is_metric, load_object
from bridgenet.model.description import NetworkConfig

MIN_BFLOAT16_SIDE = 64
"""Below it maps of 1×1 occur, whose depthwise convolution's bfloat16 gradient oneDNN leaves uninitialised (torch 2.15)."""


def open_dataset(config: RunConfig, split: str) -> data.DenseDataset:
    """Open a split, `train` or `val`, of the configured data set."""
    source = data.get(config.data.name)
    root = data.data_root(config.data.root) if source.info.needs_root else ""
    return source(root, split, config.data.tasks, partial=config.data.partial)


def shrink_of(config: RunConfig) -> int:
    """Factor by which the network's images are smaller than the targets, from the settings or the data set's protocol."""
    return config.data.shrink or data.info(config.data.name).shrink


def network_size(config: RunConfig) -> tuple[int, int]:
    """(height, width) of the network's training images [pixels]; UserError if `shrink` does not divide the crop's."""
    return shrunk_size(config.data.size or data.info(config.data.name).size, shrink_of(config))


def evaluation_size(config: RunConfig) -> tuple[int, int]:
    """The (height, width) [pixels] of the canvas that evaluation pads to; UserError if `shrink` does not divide it."""
    size = config.data.eval_size or data.info(config.data.name).size
    shrunk_size(size, shrink_of(config))
    return size


def check_canvas(dataset: data.DenseDataset, size: tuple[int, int]) -> None:
    """UserError naming the first image that is larger than the canvas, from the images' headers alone."""
    for index in range(len(dataset)):
        try:
            height, width = dataset.image_size(index)
        except (OSError, ValueError, UserError):
            dataset.load(index)  # raises an error that names the problem
            continue
        if height > size[0] or width > size[1]:
            raise UserError(
                f"{dataset.image_path(index)} has {height}×{width} pixels (height×width), more than the evaluation's "
                f"canvas of {size[0]}×{size[1]}; give --data.eval-size"
            )


def use_cpu(device: str) -> bool:
    """Whether to run on the CPU: on request or without a CUDA GPU (Apple's GPUs lack float64, which metrics need)."""
    return device == "cpu" or not torch.cuda.is_available()


def check_precision(config: RunConfig, device: str) -> None:
    """UserError for bfloat16 on the CPU with images that are too small for it; `device` is `cpu` or `cuda`."""
    size = network_size(config)
    if config.precision == "bfloat16" and device == "cpu" and min(size) < MIN_BFLOAT16_SIDE:
        raise UserError(
            f"the network's images have {size}: on the CPU bfloat16 training needs sides of {MIN_BFLOAT16_SIDE} or more; use float32"
        )


def metric_classes(config: RunConfig) -> dict[str, Any]:
    """Custom classes of metrics by task. UserError for a class that does not exist or is not a metric."""
    return {task: load_object(path, f"metrics.{task}", is_metric) for task, path in config.metrics.items()}


def network_config(config: RunConfig) -> NetworkConfig:
    """The description of the configured network. UserError for tasks that the data set does not have."""
    info = data.info(config.data.name)
    outputs = info.num_outputs
    chosen = tasks.in_order(config.data.tasks or info.tasks)
    if missing := [task for task in chosen if task not in outputs]:
        raise UserError(f"data.tasks: {info.title} has no {', '.join(missing)} (it has {', '.join(info.tasks)})")
    settings = config.network
    return NetworkConfig(
        num_outputs={task: outputs[task] for task in chosen},
        backbone=settings.backbone,
        decoder=settings.decoder.complete(),
        image_size=network_size(config),
        drop_path=settings.drop_path,
        class_names={task: list(info.class_names[task]) for task in chosen if task in info.class_names},
        class_values={task: info.stored_values(task) for task in chosen if task in info.class_names},
        swap={task: list(info.swap[task]) for task in chosen if task in info.swap},
        dataset=info.name,
        task_definitions={task: tasks.get(task).as_dict() for task in chosen if task not in tasks.BUILT_IN},
    )


def steps_per_epoch(config: RunConfig, images: int, processes: int = 1) -> int:
    """Optimiser steps per pass over `images` training images, at least 1."""
    return max(1, images // (config.batch_size * config.accumulate * processes))


def weighting_note(config: RunConfig, images: int, processes: int = 1) -> str:
    """A note to print before a run where loss weighting has no effect; empty if it has. `images`: size of the training split."""
    epochs = config.steps / steps_per_epoch(config, images, processes)
    if config.loss.weighting != "dwa" or epochs > 2:
        return ""
    return f"loss.weighting dwa is fixed here: its factors are 1 in the first two epochs, and {config.steps} steps are {epochs:.3g}"
