"""From logits to predictions. Logits are (B, n, H, W); half precision is raised to float32 first, float64 stays."""

from __future__ import annotations

import torch
from torch import Tensor

from bridgenet import tasks


def decode(task_name: str, logits: Tensor) -> Tensor:
    """The prediction of that task, (B, H, W) or (B, H, W, 3), in the units of its `kind` (see :class:`bridgenet.Task`).

    Raises UserError for an unknown task.
    """
    return tasks.resolve(tasks.get(task_name).decode)(logits)


def class_index(logits: Tensor) -> Tensor:
    """(B, n, H, W) -> (B, H, W) int64, the class of the largest logit, 0..n-1."""
    return logits.argmax(dim=1)


def foreground_probability(logits: Tensor) -> Tensor:
    """(B, 2, H, W) -> (B, H, W) in [0, 1], the softmax probability of class 1."""
    logits = at_least_float32(logits)
    return torch.sigmoid(logits[:, 1] - logits[:, 0])  # the softmax of two


def probability(logits: Tensor) -> Tensor:
    """(B, 1, H, W) -> (B, H, W) in [0, 1], the sigmoid."""
    return torch.sigmoid(at_least_float32(logits)[:, 0])


def unit_vector(logits: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, H, W, 3), of unit length; a zero vector stays zero."""
    return normalise(at_least_float32(logits)).permute(0, 2, 3, 1)


def depth(logits: Tensor) -> Tensor:
    """(B, 1, H, W) -> (B, H, W) [m], at least 0."""
    return at_least_float32(logits)[:, 0].clamp(min=0)


def normalise(vectors: Tensor, dim: int = 1) -> Tensor:
    """The vectors along `dim`, divided by their length. A zero vector stays zero and its gradient finite."""
    squared_length = vectors.square().sum(dim=dim, keepdim=True)
    # Not torch.nn.functional.normalize: that divides a zero vector, and so its gradient, by 1e-12.
    return vectors * torch.rsqrt(torch.where(squared_length > 0, squared_length, 1))


def at_least_float32(tensor: Tensor) -> Tensor:
    """The tensor itself if float32 or float64, else as float32."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
