"""Of which tasks there was any label in a step, where labels may lack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bridgenet.tasks import get


class SeenLabels:
    """Whether any pixel of a step's batches has a label, by task."""

    def __init__(self, tasks: Sequence[str]) -> None:
        self.tasks = tasks
        self._seen: dict[str, Tensor] = {}

    def watch(self, batches: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The batches of one step as they are."""
        self._seen = {}
        for batch in batches:
            for task in self.tasks:
                here = (~get(task).kind.is_unknown(batch[task])).any().float()
                self._seen[task] = self._seen[task].maximum(here) if task in self._seen else here
            yield batch

    def of_last_step(self) -> Tensor:
        """(tasks,) float32, 1 where there was a label, else 0; it stays on the device."""
        return torch.stack([self._seen[task] for task in self.tasks])
