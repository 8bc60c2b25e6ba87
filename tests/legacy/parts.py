"""What `data/settings.yaml` and `data/own/data.yaml` name as code of their author's own."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bridgenet import tasks
from bridgenet.metrics import Saliency, Segmentation

BRIGHTNESS = tasks.of_kind("brightness", "regression", title="Brightness", unit="lx", loss_weight=0.5)


def squared_error(logits: Tensor, target: Tensor, *, mean_over_processes: Any) -> Tensor:
    """(logits − target)², mean over the labelled pixels."""
    valid = target != 255
    return ((logits[:, :1] - target) ** 2 * valid).sum() / mean_over_processes(valid.sum().float()).clamp(min=1)


class Wetness(Saliency):
    """As that of saliency."""


class Classes(Segmentation):
    """As published."""
