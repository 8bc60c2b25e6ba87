"""Random labels and predictions that resemble those of images for losses and metrics: in patches, some ignored."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet import tasks

PATCH = 16  # [pixels]


def decoded_batch(task: tasks.Task, num_outputs: int, batch: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A decoded prediction, see `bridgenet.tasks.decoding`, and a (B, C, H, W) float32 target with a fifth ignored."""
    g = torch.Generator().manual_seed(0)
    grid = tuple(-(-side // PATCH) for side in size)

    def rand(channels: int, height: int, width: int) -> Tensor:
        return torch.rand(batch, channels, height, width, generator=g)

    prediction, target = task.kind.example(
        num_outputs, lambda channels: _patches(rand(channels, *grid), size), lambda channels: rand(channels, *size)
    )
    return prediction, torch.where(_patches(rand(1, *grid), size) < 0.2, task.kind.unknown, target)


def _patches(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) -> (B, C, H, W), every value a square of PATCH pixels."""
    return F.interpolate(values, scale_factor=PATCH, mode="nearest")[..., : size[0], : size[1]].contiguous()
