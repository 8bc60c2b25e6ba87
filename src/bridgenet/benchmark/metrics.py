"""How long each task's metric takes for one update with a batch of decoded predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from bridgenet import tasks
from bridgenet.benchmark.rates import seconds_of, summary
from bridgenet.benchmark.samples import decoded_batch

SEMSEG_CLASSES = 40


@dataclass(frozen=True)
class MetricsCase:
    """All tasks' metrics, in turn, so that a disturbance meets them all."""

    device: str = "cpu"
    batch: int = 6
    size: tuple[int, int] = (448, 576)
    runs: int = 30
    warm_up: int = 3


def measure_metrics(case: MetricsCase) -> dict[str, Any]:
    """`tasks`: by name, the seconds of an update."""
    device = torch.device(case.device)
    updates: dict[str, Callable[[], None]] = {}
    for name in tasks.names():
        task = tasks.get(name)
        classes = task.num_outputs or SEMSEG_CLASSES
        pair = tuple(x.to(device) for x in decoded_batch(task, classes, case.batch, case.size))
        metric: Any = tasks.resolve(task.metric)(classes).to(device)
        updates[name] = partial(metric.update_decoded, *pair)
    taken: dict[str, list[float]] = {name: [] for name in updates}
    for i in range(case.warm_up + case.runs):
        for name, update in updates.items():
            seconds = seconds_of(update, device)
            if i >= case.warm_up:
                taken[name].append(seconds)
    return {
        "tasks": {name: {"seconds": summary(values)} for name, values in taken.items()},
        "threads": torch.get_num_threads(),
    }
