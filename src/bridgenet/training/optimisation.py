"""Optimiser and learning-rate schedule of the published recipes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bridgenet.errors import UserError, nearest

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
FUSED_DEVICES = ("cpu", "cuda")


def make_optimizer(network: nn.Module, *, name: str, **settings: Any) -> torch.optim.Optimizer:
    """One parameter group with every trainable parameter, updated by one kernel where PyTorch has it for their device.

    Settings that are not given are PyTorch's defaults. Parameters must be on their device already.
    """
    if name not in OPTIMIZERS:
        raise UserError(
            f"optimizer.name: '{name}' is not an optimiser{nearest(name, OPTIMIZERS)} ({', '.join(OPTIMIZERS)})"
        )
    parameters = [p for p in network.parameters() if p.requires_grad]
    settings.setdefault("fused", all(p.device.type in FUSED_DEVICES for p in parameters))
    return OPTIMIZERS[name](parameters, **settings)


def poly_schedule(
    optimizer: torch.optim.Optimizer, *, steps: int, power: float = 0.9, start_step: int = 0
) -> torch.optim.lr_scheduler.LambdaLR:
    """lr(step) = lr·(1 − step/steps)^power, stepped every iteration, beginning at `start_step`."""
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: max(0.0, 1 - step / steps) ** power, last_epoch=start_step - 1
    )
