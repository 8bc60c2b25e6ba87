"""Dynamic weight average: weights that follow from how fast the loss of each task falls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bridgenet.losses import LossTerms, MultiTaskLoss, process_mean
from bridgenet.training.weighting.base import LossWeighting


class DynamicWeightAverage(LossWeighting):
    """Fixed weights times λ_t, which is larger for tasks whose loss fell less between epochs; 1 in the first two epochs.

    λ = T softmax(r / 2), where r_t is the quotient of the mean losses of the last two epochs.

    Source: Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention (CVPR 2019).
    """

    temperature = 2.0

    def __init__(self, criterion: MultiTaskLoss, network: nn.Module, steps_per_epoch: int = 1):
        super().__init__(criterion, network, steps_per_epoch)
        self.sums = torch.zeros(len(self.tasks), dtype=torch.float64, device=self.device)
        self.count = 0
        self.means: list[list[float]] = []  # of the last two epochs

    def factors(self) -> list[float]:
        """λ of each task."""
        if len(self.means) < 2:
            return [1.0] * len(self.tasks)
        before, last = (torch.tensor(means, dtype=torch.float64) for means in self.means)
        quotients = torch.where(before > 0, last / before, torch.ones_like(last))  # 0: nothing was labelled
        return (len(self.tasks) * (quotients / self.temperature).softmax(0)).tolist()

    def weights(self) -> dict[str, float]:
        return {task: self.criterion.weights[task] * x for task, x in zip(self.tasks, self.factors())}

    def total(self, terms: LossTerms) -> Tensor:
        losses = self._of_tasks(terms.final, terms.intermediate)
        return torch.stack([weight * loss for weight, loss in zip(self.weights().values(), losses)]).sum()

    def after_step(self, losses: Mapping[str, Tensor]) -> None:
        intermediate = {task: losses[f"intermediate/{task}"] for task in self.tasks if f"intermediate/{task}" in losses}
        self.sums += torch.stack(self._of_tasks(losses, intermediate)).double()
        self.count += 1
        if self.count == self.steps_per_epoch:
            self.means = [*self.means[-1:], (process_mean(self.sums) / self.count).tolist()]
            self.sums, self.count = torch.zeros_like(self.sums), 0

    def share_state(self) -> None:
        self.sums = process_mean(self.sums)

    def state(self) -> dict[str, Any]:
        return {"sums": self.sums.tolist(), "count": self.count, "means": self.means}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.sums.copy_(torch.tensor(state["sums"], dtype=torch.float64))
        self.count, self.means = state["count"], [list(means) for means in state["means"]]
