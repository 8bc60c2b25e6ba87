"""Labels, and predictions near them, that look to losses and metrics like those of images: in patches, some ignored."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet import tasks
from bridgenet.tasks import IGNORE
from bridgenet.tasks.decoding import normalise

PATCH = 16  # [pixels]


def decoded_batch(task: tasks.Task, num_outputs: int, batch: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A prediction as `bridgenet.tasks.decoding` gives it, and a target (B, C, H, W) float32, a fifth of it ignored."""
    g = torch.Generator().manual_seed(0)
    grid = tuple(-(-side // PATCH) for side in size)

    def rand(channels: int, height: int, width: int) -> Tensor:
        return torch.rand(batch, channels, height, width, generator=g)

    if task.kind == "normals":
        target = normalise(_patches(rand(3, *grid) - 0.5, size))
        prediction = normalise(target + 0.5 * (rand(3, *size) - 0.5)).permute(0, 2, 3, 1)
    elif task.kind == "regression":
        target = _patches(rand(num_outputs, *grid), size)
        prediction = (target * (0.7 + 0.6 * rand(num_outputs, *size))).permute(0, 2, 3, 1)
        prediction = prediction[..., 0] if num_outputs == 1 else prediction
    elif task.kind == "depth":
        target = _patches(rand(1, *grid) * 9 + 0.5, size)
        prediction = (target * (0.7 + 0.6 * rand(1, *size)))[:, 0]
    else:
        classes = 2 if task.kind == "probability" else num_outputs
        target = _patches((rand(1, *grid) * classes).floor(), size)
        if task.kind == "classes":
            wrong = rand(1, *size) < 0.2
            prediction = torch.where(wrong, (rand(1, *size) * classes).floor(), target)[:, 0].long()
        else:
            prediction = (0.7 * target + 0.3 * rand(1, *size))[:, 0]
    return prediction, torch.where(_patches(rand(1, *grid), size) < 0.2, float(IGNORE), target)


def _patches(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) -> (B, C, H, W), every value a square of PATCH pixels."""
    return F.interpolate(values, scale_factor=PATCH, mode="nearest")[..., : size[0], : size[1]].contiguous()
