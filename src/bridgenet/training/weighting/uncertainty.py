"""Uncertainty weighting: weights that are learned with the network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bridgenet.errors import UserError
from bridgenet.losses import LossTerms, MultiTaskLoss, process_mean
from bridgenet.training.weighting.base import LossWeighting


class Uncertainty(LossWeighting):
    """Weights learned with the network: the sum of exp(−s_t) L_t + s_t; exp(−s_t) starts as the fixed weight.

    Source: Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses (CVPR 2018), with one form for all
    tasks: that of a Laplace likelihood of scale exp(s_t).

    Raises:
        UserError: a fixed weight is not positive.
    """

    def __init__(self, criterion: MultiTaskLoss, network: nn.Module, steps_per_epoch: int = 1):
        super().__init__(criterion, network, steps_per_epoch)
        for task, weight in criterion.weights.items():
            if not weight > 0:
                raise UserError(
                    f"loss.weights.{task} is {weight}; with loss.weighting uncertainty it must be more than 0"
                )
        start = [-math.log(criterion.weights[task]) for task in self.tasks]
        self.log_scale = nn.Parameter(torch.tensor(start, device=self.device))

    def named_parameters(self) -> dict[str, nn.Parameter]:
        return {"loss.log_scale": self.log_scale}

    def weights(self) -> dict[str, float]:
        return dict(zip(self.tasks, (-self.log_scale.detach()).exp().tolist()))

    def total(self, terms: LossTerms) -> Tensor:
        losses = torch.stack(self._of_tasks(terms.final, terms.intermediate))
        return ((-self.log_scale).exp() * losses + self.log_scale).sum()

    def finish(self) -> None:
        if self.log_scale.grad is not None:
            self.log_scale.grad = process_mean(self.log_scale.grad)

    def state(self) -> dict[str, Any]:
        return {"log_scale": self.log_scale.tolist()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        with torch.no_grad():
            self.log_scale.copy_(torch.tensor(state["log_scale"]))
