"""Fixed weights, as published, and the interface that other ways of weighting override."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from bridgenet.losses import LossTerms, MultiTaskLoss


class LossWeighting:
    """Fixed weights, as published; base class of the other ways of weighting.

    Args:
        criterion: the losses with their fixed weights.
        network: the trained network, on its device.
        steps_per_epoch: optimiser steps per pass over the training split.
    """

    by_task_gradients = False
    """Whether it needs the gradient of each task, which data-parallel wrappers and compilation do not give."""

    def __init__(self, criterion: MultiTaskLoss, network: nn.Module, steps_per_epoch: int = 1):
        self.criterion, self.network = criterion, network
        self.steps_per_epoch = steps_per_epoch
        self.tasks = list(criterion.losses)
        self.device = next(network.parameters()).device

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """The learned parameters of the weighting by name."""
        return {}

    def weights(self) -> dict[str, float] | None:
        """The current weights by task; None if they are fixed."""
        return None

    def total(self, terms: LossTerms) -> Tensor:
        """The scalar that is minimised."""
        return terms.total

    def backward(self, terms: LossTerms, accumulate: int) -> None:
        """Add the gradient of one of `accumulate` micro-batches."""
        (terms.total / accumulate).backward()

    def finish(self) -> None:
        """Called when the gradient is complete, before it is clipped. A collective call."""

    def after_step(self, losses: Mapping[str, Tensor]) -> None:
        """Called after every step with its losses by name, see :class:`LossTerms`. A collective call."""

    def share_state(self) -> None:
        """Called before the first process writes a checkpoint. A collective call."""

    def state(self) -> dict[str, Any]:
        """The state that a resumed run needs, as JSON types that restore it bit by bit."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""

    def _of_tasks(self, final: Mapping[str, Tensor], intermediate: Mapping[str, Tensor]) -> list[Tensor]:
        share = self.criterion.intermediate_weight
        return [final[task] + share * intermediate[task] if intermediate else final[task] for task in self.tasks]
