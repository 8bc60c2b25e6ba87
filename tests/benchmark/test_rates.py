"""Clocks, memory and rates: what the numbers mean, not what they are."""

from __future__ import annotations

import pytest
import torch

from bridgenet.benchmark import rates

CPU = torch.device("cpu")


def test_summary() -> None:
    found = rates.summary([4.0, 1.0, 3.0, 2.0, 10.0])
    assert (found["median"], found["min"], found["max"], found["quartiles"]) == (3, 1, 10, [2, 4])
    assert found["values"] == [4, 1, 3, 2, 10]
    assert rates.summary([2.0])["quartiles"] == [2, 2]


def test_rates_are_operations_over_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_second(run, device) -> float:
        run()
        return 1.0

    monkeypatch.setattr(rates, "seconds_of", one_second)
    assert rates.product(CPU, torch.float32, 64) == 2 * 64**3
    assert rates.convolution(CPU, torch.float32, 64) == 2 * 9 * 256 * 256 * 4 * 4
    assert rates.bandwidth(CPU, 64) == 2 * 4 * 16 * 64 * 64


@pytest.mark.parametrize(
    ("precision", "product", "best"), [("float32", 100.0, 130.0), ("bfloat16", 250.0, 250.0)], ids=str
)
def test_g_is_of_float32_on_a_cpu(precision: str, product: float, best: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the best rate is of the precision at hand."""
    monkeypatch.setattr(rates, "product", lambda device, dtype, side: 100.0 if dtype == torch.float32 else 250.0)
    monkeypatch.setattr(rates, "convolution", lambda device, dtype, side: 130.0 if dtype == torch.float32 else 210.0)
    monkeypatch.setattr(rates, "bandwidth", lambda device, side: 30.0)
    readings = rates.Rates(CPU, precision, 8)
    for _ in range(3):
        readings.read()
    found = readings.as_dict()
    assert (found["G"]["median"], found["product"]["median"], found["best"]) == (100, product, best)
    assert (len(found["G"]["values"]), found["bandwidth"]["median"]) == (3, 30)


def test_time_on_a_gpu_is_between_events_that_were_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            done.append("event")

        def elapsed_time(self, end: Event) -> float:
            assert done == ["wait", "event", "run", "event", "wait"]
            return 250.0  # [ms]

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: done.append("wait"))
    assert rates.seconds_of(lambda: done.append("run"), torch.device("cuda")) == 0.25
