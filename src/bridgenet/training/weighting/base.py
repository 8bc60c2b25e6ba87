"""Fixed weights, as published, and what every other way of weighting overrides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from bridgenet.losses import LossTerms, MultiTaskLoss


class LossWeighting:
    """Fixed weights, as published, and what the other ways have in common.

    Args:
        criterion: the losses with their fixed weights.
        network: what is trained, on its device.
        steps_per_epoch: optimiser steps in which the training split is seen once.
    """

    by_task_gradients = False
    """Whether each task's gradient is wanted by itself, so that data-parallel wrappers and compilation are in the way."""

    def __init__(self, criterion: MultiTaskLoss, network: nn.Module, steps_per_epoch: int = 1):
        self.criterion, self.network = criterion, network
        self.steps_per_epoch = steps_per_epoch
        self.tasks = list(criterion.losses)
        self.device = next(network.parameters()).device

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """What is learned of the weighting itself."""
        return {}

    def weights(self) -> dict[str, float] | None:
        """The weights now, by task; None for fixed ones."""
        return None

    def total(self, terms: LossTerms) -> Tensor:
        """The scalar that is made small."""
        return terms.total

    def backward(self, terms: LossTerms, accumulate: int) -> None:
        """Add one of `accumulate` micro-batches' share to the gradient."""
        (terms.total / accumulate).backward()

    def finish(self) -> None:
        """Called once the gradient is complete, before it is clipped. A collective call."""

    def after_step(self, losses: Mapping[str, Tensor]) -> None:
        """Told every step's losses by name, see :class:`LossTerms`. A collective call."""

    def share_state(self) -> None:
        """Called before a checkpoint is written by the first process. A collective call."""

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, JSON types, exact to the bit."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state`."""

    def _of_tasks(self, final: Mapping[str, Tensor], intermediate: Mapping[str, Tensor]) -> list[Tensor]:
        share = self.criterion.intermediate_weight
        return [final[task] + share * intermediate[task] if intermediate else final[task] for task in self.tasks]
