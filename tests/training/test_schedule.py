"""Learning-rate schedules against PyTorch's own and by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from bridgenet.training.schedule import make_schedule

STEPS = 20


def sgd(lr: float = 0.5) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def rates(schedule: Any, optimizer: torch.optim.Optimizer, steps: int = STEPS) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("name", "options", "reference"),
    [
        ("poly", {"power": 0.7}, lambda optimizer: lr_scheduler.PolynomialLR(optimizer, STEPS, power=0.7)),
        ("cosine", {}, lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, STEPS)),
        ("step", {"milestones": (0.5, 0.75)}, lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [10, 15])),
        ("constant", {}, lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1)),
    ],
)
def test_rates_are_those_of_pytorch(name: str, options: Any, reference: Any) -> None:
    ours, theirs = sgd(), sgd()
    expected = rates(reference(theirs), theirs)
    assert rates(make_schedule(ours, steps=STEPS, name=name, **options), ours) == pytest.approx(expected, abs=1e-9)


def test_warmup_rises_linearly_under_the_schedule() -> None:
    optimizer = sgd(1.0)
    found = rates(make_schedule(optimizer, steps=STEPS, name="cosine", warmup=3), optimizer)
    plain = sgd(1.0)
    cosine = rates(lr_scheduler.CosineAnnealingLR(plain, STEPS), plain)
    shares = [0.25, 0.5, 0.75] + [1] * (STEPS - 3)
    assert found == pytest.approx([share * rate for share, rate in zip(shares, cosine)])


@pytest.mark.parametrize("name", ["poly", "cosine", "step", "constant"])
def test_a_schedule_starts_at_any_step(name: str) -> None:
    options: Any = {"steps": STEPS, "name": name, "milestones": (0.5,), "warmup": 4}
    whole, part = sgd(), sgd()
    part.param_groups[0]["initial_lr"] = 0.5
    expected = rates(make_schedule(whole, **options), whole)
    assert rates(make_schedule(part, **options, start_step=7), part, STEPS - 7) == expected[7:]
