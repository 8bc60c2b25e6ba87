"""The learning-rate schedule."""

from __future__ import annotations

import torch
from torch.optim.lr_scheduler import LambdaLR


def make_schedule(optimizer: torch.optim.Optimizer, *, steps: int, power: float = 0.9, start_step: int = 0) -> LambdaLR:
    """Create the published schedule: learning rates times (1 − step/steps)^power, starting at `start_step`.

    It is stepped after every optimiser step.
    """
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps) ** power, last_epoch=start_step - 1)
