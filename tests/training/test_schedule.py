"""Learning-rate schedules: as the setting names them, from the step that a run goes on at."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
import torch

from bridgenet.config.settings import OptimizerSettings
from bridgenet.training.schedule import SCHEDULES, make_schedule


def test_the_setting_offers_every_schedule() -> None:
    assert set(get_args(get_type_hints(OptimizerSettings)["schedule"])) == set(SCHEDULES)


def rates(name: str, steps: int, start_step: int = 0) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = make_schedule(optimizer, name=name, steps=steps, power=0.9, start_step=start_step)
    found = []
    for _ in range(start_step, steps):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_run_that_goes_on_has_the_rates_of_one_that_was_never_stopped(name: str) -> None:
    assert rates(name, 10, start_step=4) == rates(name, 10)[4:]


def test_poly_is_the_published_polynomial() -> None:
    assert rates("poly", 4) == pytest.approx([2.0, 2 * 0.75**0.9, 2 * 0.5**0.9, 2 * 0.25**0.9])


def test_a_schedule_that_is_added_is_chosen_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEDULES, "halved", lambda step, steps, power: 0.5**step)
    assert rates("halved", 3) == [2.0, 1.0, 0.5]
