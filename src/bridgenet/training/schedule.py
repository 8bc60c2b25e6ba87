"""Learning-rate schedules: add one as a function here, a line of `SCHEDULES`, and a word of the setting `optimizer.schedule`.

A schedule gives the factor of every parameter group's first learning rate at a step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.optim.lr_scheduler import LambdaLR


def poly(step: int, steps: int, power: float) -> float:
    """(1 − step/steps)^power, as published."""
    return max(0.0, 1 - step / steps) ** power


SCHEDULES: dict[str, Callable[[int, int, float], float]] = {"poly": poly}
"""By the word of the setting: the function of the step, the run's number of steps, and `optimizer.power`."""


def make_schedule(
    optimizer: torch.optim.Optimizer, *, name: str = "poly", steps: int, power: float = 0.9, start_step: int = 0
) -> LambdaLR:
    """A schedule of the optimiser's learning rates, stepped after every optimiser step, that begins at `start_step`."""
    factor = SCHEDULES[name]
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return LambdaLR(optimizer, lambda step: factor(step, steps, power), last_epoch=start_step - 1)
