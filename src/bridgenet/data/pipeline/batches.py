"""Convert batches from workers to float32 on the device, for networks, losses and metrics.

:class:`bridgenet.data.pipeline.loading.TransformedDataset` describes the batches. Copying, collating and sending them takes a
quarter of the bytes of float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from bridgenet import tasks as task_registry
from bridgenet.ops.normalisation import IMAGENET_DEVIATION, IMAGENET_MEAN, normalise
from bridgenet.tasks import Task


def to_device(
    batch: Mapping[str, Any],
    device: torch.device | str,
    tasks: Sequence[str],
    *,
    mean: Tensor | None = None,
    deviation: Tensor | None = None,
) -> dict[str, Tensor]:
    """The image and the targets of a batch on a device, in the form that networks, losses and metrics need.

    Args:
        mean, deviation: (3, 1, 1) float32 on the device, to normalise images: those of a network, by default
            ImageNet's.

    Returns:
        ``"image"`` (B, 3, H, W) float32, normalised, 0 around the image, and for each of `tasks` (B, C, H, W) float32,
        NaN, in class maps :data:`bridgenet.tasks.IGNORE`, where there is no label. The device is not synchronised.
    """

    def sent(name: str) -> Tensor:
        return batch[name].to(device, non_blocking=True)

    if mean is None or deviation is None:
        mean, deviation = _imagenet(device)
    image = normalise(sent("image"), mean, deviation)
    height, width = image.shape[-2:]
    if (batch["place"][:, 2:] != torch.tensor([height, width])).any():
        image.masked_fill_(_outside(sent("place"), height, width), 0)
    mirrored = sent("mirrored")
    return {"image": image, **{name: _target(name, sent(name), mirrored) for name in tasks}}


def finished(sample: Mapping[str, np.ndarray], tasks: Sequence[str]) -> dict[str, np.ndarray]:
    """:func:`to_device` for one sample that a transform prepared; arrays (C, H, W)."""
    batch = {name: torch.from_numpy(array)[None] for name, array in sample.items()}
    return {name: tensor[0].numpy() for name, tensor in to_device(batch, "cpu", tasks).items()}


def collate(items: Sequence[Mapping[str, Any]], tasks: Mapping[str, Task] | None = None) -> dict[str, Any]:
    """Torch's default_collate; a target that is uint8 in some samples and float32 in others becomes float32.

    `tasks`: definitions of tasks that may not be registered.
    """
    batch = [dict(item) for item in items]
    for name in batch[0]:
        if len({item[name].dtype for item in batch if isinstance(item[name], Tensor)}) > 1:
            for item in batch:
                item[name] = (
                    item[name].float()
                    if name == "image"
                    else _target((tasks or {}).get(name, name), item[name][None], item["mirrored"][None])[0]
                )
    return default_collate(batch)


def _target(task: str | Task, target: Tensor, mirrored: Tensor) -> Tensor:
    """A task's targets (B, C, H, W) in float32; `mirrored` (B,) bool."""
    task = task_registry.get(task)
    return task.kind.finish(task, target, mirrored)


def _outside(place: Tensor, height: int, width: int) -> Tensor:
    """(B, 1, H, W) bool mask of the canvas outside of the image."""
    top, left, rows, columns = place[..., None].unbind(dim=1)
    y = torch.arange(height, device=place.device)
    x = torch.arange(width, device=place.device)
    is_row, is_column = (y >= top) & (y < top + rows), (x >= left) & (x < left + columns)
    return ~(is_row[:, :, None] & is_column[:, None, :])[:, None]


@cache
def _imagenet(device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, (3, 1, 1) each."""
    with torch.inference_mode(False):
        values = torch.tensor([IMAGENET_MEAN, IMAGENET_DEVIATION], device=device)[..., None, None]
        return values[0], values[1]
