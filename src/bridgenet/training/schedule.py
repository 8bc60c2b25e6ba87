"""Learning-rate schedules: each is a function of the share of steps done, so that a run can be resumed at any step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch.optim.lr_scheduler import LambdaLR

Factor = Callable[[float], float]
"""Share of the steps that are done, in [0, 1) → factor of the learning rates."""


def make_schedule(
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    name: str = "poly",
    power: float = 0.9,
    milestones: Sequence[float] = (),
    warmup: int = 0,
    start_step: int = 0,
) -> LambdaLR:
    """Create the schedule of the learning rates, starting at `start_step`. It is stepped after every optimiser step.

    Args:
        name: `poly`, (1 − step/steps)^power, as published; `cosine`, to 0; `step`, a tenth after each milestone; or
            `constant`.
        milestones: shares of the steps, in (0, 1).
        warmup: number of first steps in which the rates rise linearly, besides the schedule.
    """
    factor: Factor = {
        "poly": lambda done: max(0.0, 1 - done) ** power,
        "cosine": lambda done: (1 + math.cos(math.pi * min(1.0, done))) / 2,
        "step": lambda done: 0.1 ** sum(done >= milestone for milestone in milestones),
        "constant": lambda done: 1.0,
    }[name]

    def rate(step: int) -> float:
        return factor(step / steps) * min(1.0, (step + 1) / (warmup + 1))

    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return LambdaLR(optimizer, rate, last_epoch=start_step - 1)
