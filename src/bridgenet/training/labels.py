"""Which tasks had any label in a step, for data sets with missing labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bridgenet.tasks import get


class SeenLabels:
    """Records for each task whether any pixel of a step's batches has a label."""

    def __init__(self, tasks: Sequence[str]) -> None:
        self.tasks = tasks
        self._seen: dict[str, Tensor] = {}

    def watch(self, batches: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Yield the batches of one step unchanged."""
        self._seen = {}
        for batch in batches:
            for task in self.tasks:
                here = (~get(task).kind.is_unknown(batch[task])).any().float()
                self._seen[task] = self._seen[task].maximum(here) if task in self._seen else here
            yield batch

    def of_last_step(self) -> Tensor:
        """A (tasks,) float32 tensor on the device: 1 for a task with any label, else 0."""
        return torch.stack([self._seen[task] for task in self.tasks])
