"""Decode logits to predictions. Logits are (B, n, H, W); half precision is cast to float32 first, float64 is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet import tasks


def decode(task_name: str, logits: Tensor) -> Tensor:
    """The prediction of a task, (B, H, W) or (B, H, W, 3), in the units of its `kind` (see :class:`bridgenet.Task`).

    Raises UserError for an unknown task.
    """
    return tasks.resolve(tasks.get(task_name).decode)(logits)


def enlarged(logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Resize logits (B, n, H, W) by task to the size of the tasks' targets (B, C, H, W): bilinear, align_corners=False.

    The sizes differ where, by a data set's protocol, the network's images are smaller than the labels. Logits of the
    target's size and logits without a target are returned as they are.
    """
    return {task: resized(x, targets[task].shape[-2:]) if task in targets else x for task, x in logits.items()}


def resized(x_BCHW: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear resizing with align_corners=False; the input itself if it has that size."""
    if tuple(x_BCHW.shape[-2:]) == tuple(size):
        return x_BCHW
    return F.interpolate(x_BCHW, size=tuple(size), mode="bilinear", align_corners=False)


def class_index(logits: Tensor) -> Tensor:
    """(B, n, H, W) -> (B, H, W) int64, the class 0..n-1 of the largest logit; the first of equal logits.

    As in `torch.argmax`, NaN counts as larger than any number.
    """
    in_planes = logits.stride(-1) == 1 or logits.shape[-1] == 1
    if logits.device.type != "cpu" or not in_planes or torch.compiler.is_compiling() or not logits.is_floating_point():
        return logits.argmax(dim=1)
    # On CPUs, argmax along a dimension other than the last takes several times as long as this.
    index = torch.empty((len(logits), *logits.shape[2:]), dtype=torch.int64)
    for image, out in zip(logits.detach(), index):
        first, largest = streaming_argmax(image)
        out.copy_(image.argmax(dim=0) if largest.isnan().any() else first)
    return index


def streaming_argmax(maps: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Argmax over maps of one shape and floating dtype at each position; the first of equal values.

    The maps are read one at a time, so that a generator may compute them. After the first NaN no other map counts: the
    value is NaN, the index that of the largest value before it.

    Returns:
        Index, float32 (whole numbers), and value, in the maps' dtype.
    """
    remaining = iter(maps)
    largest = next(remaining).clone()
    index = torch.zeros_like(largest, dtype=torch.float32)
    is_larger = torch.empty_like(index)
    for place, values in enumerate(remaining, start=1):
        torch.gt(values, largest, out=is_larger)  # as 0 and 1: three times as fast as a bool mask
        torch.maximum(index, is_larger.mul_(place), out=index)
        torch.maximum(largest, values, out=largest)
    return index, largest


def foreground_probability(logits: Tensor) -> Tensor:
    """(B, 2, H, W) -> (B, H, W) in [0, 1], the softmax probability of class 1."""
    logits = at_least_float32(logits)
    return torch.sigmoid(logits[:, 1] - logits[:, 0])  # the softmax of two


def probability(logits: Tensor) -> Tensor:
    """(B, 1, H, W) -> (B, H, W) in [0, 1], the sigmoid."""
    return torch.sigmoid(at_least_float32(logits)[:, 0])


def unit_vector(logits: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, H, W, 3) unit vectors; a zero vector stays zero."""
    return normalise(at_least_float32(logits)).permute(0, 2, 3, 1)


def depth(logits: Tensor) -> Tensor:
    """(B, 1, H, W) -> (B, H, W) [m], at least 0; also for disparity and inverse depth, in their units."""
    return at_least_float32(logits)[:, 0].clamp(min=0)


def regression(logits: Tensor) -> Tensor:
    """(B, n, H, W) -> (B, H, W), or (B, H, W, n) for several channels: the logits themselves, in the task's unit."""
    logits = at_least_float32(logits)
    return logits[:, 0] if logits.shape[1] == 1 else logits.permute(0, 2, 3, 1)


def normalise(vectors: Tensor, dim: int = 1) -> Tensor:
    """The vectors along `dim` divided by their length. A zero vector stays zero, with a finite gradient."""
    squared_length = vectors.square().sum(dim=dim, keepdim=True)
    # Not torch.nn.functional.normalize: that divides a zero vector, and so its gradient, by 1e-12.
    return vectors * torch.rsqrt(torch.where(squared_length > 0, squared_length, 1))


def at_least_float32(tensor: Tensor) -> Tensor:
    """The tensor itself if it is float32 or float64, else a float32 copy."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
