"""The losses that a run's settings name, custom ones included."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bridgenet import tasks
from bridgenet.config.settings import RunConfig
from bridgenet.errors import UserError
from bridgenet.extensions import failing_as, is_loss, load_object
from bridgenet.losses import MeanOverProcesses, MultiTaskLoss, process_mean
from bridgenet.tasks import Kind


class CustomLoss:
    """A custom loss function, called like the losses of :mod:`bridgenet.losses`.

    Raises:
        UserError: the function fails, returns no scalar tensor, or returns a value without a gradient.
    """

    def __init__(self, where: str, path: str, kind: Kind) -> None:
        self.where, self.kind = f"{where}: {path}", kind
        self.function = load_object(path, where, is_loss)

    def __call__(self, logits: Tensor, target: Tensor, *, mean_over_processes: MeanOverProcesses) -> Tensor:
        with failing_as(self.where):
            value = self.function(logits, target, mean_over_processes=mean_over_processes)
        if not isinstance(value, Tensor) or value.ndim:
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise UserError(f"{self.where} gives {found}, expected a scalar tensor")
        if torch.is_grad_enabled() and logits.requires_grad and not value.requires_grad:
            if not self.kind.is_unknown(target).all():
                raise UserError(f"{self.where} gives a value that does not depend on the logits: it has no gradient")
            return value + logits[:0].sum()  # nothing is labelled: a constant 0 is fine
        return value


def make_criterion(config: RunConfig, chosen: Sequence[str]) -> MultiTaskLoss:
    """The weighted losses of these tasks. UserError for a custom function that does not exist or cannot be called."""
    functions = {
        task: CustomLoss(f"loss.functions.{task}", path, tasks.get(task).kind)
        for task, path in config.loss.functions.items()
        if task in chosen
    }
    weights = {task: weight for task, weight in config.loss.weights.items() if task in chosen}
    if not any(weights.get(task, tasks.get(task).loss_weight) for task in chosen):
        raise UserError(
            f"loss.weights is 0 for {', '.join(chosen)}: nothing would be learned; give one of them a weight"
        )
    return MultiTaskLoss(chosen, weights, config.loss.intermediate_weight, process_mean, functions)
