"""One optimiser step: forward, losses, backward, clipping and update."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from bridgenet.errors import UserError
from bridgenet.losses import LossTerms, MultiTaskLoss
from bridgenet.losses.joint import Counts
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.system.compilation import autocast, compiled
from bridgenet.training.weighting import LossWeighting


class TrainingStep:
    """Makes optimiser steps.

    Args:
        network: the trained network, on its device.
        criterion: the losses of its tasks.
        optimizer: updates the network's parameters.
        model: the network wrapped for data-parallel training; the network itself if None.
        precision: `float32`, or `bfloat16` for autocast.
        grad_clip: largest norm of the gradient.
        accumulate: micro-batches per step.
        weighting: how the losses are weighted; fixed weights if None.
        backend: backend of `torch.compile`, e.g. `inductor`, which compiles network and losses as one function at the first
            step. The network itself is unchanged: files have the same names, and evaluation is not compiled.
    """

    def __init__(
        self,
        network: BridgeNet,
        criterion: MultiTaskLoss,
        optimizer: torch.optim.Optimizer,
        *,
        model: nn.Module | None = None,
        precision: str = "float32",
        grad_clip: float = 10.0,
        accumulate: int = 1,
        weighting: LossWeighting | None = None,
        backend: str | None = None,
    ):
        self.weighting = weighting or LossWeighting(criterion, network)
        self.network, self.criterion, self.optimizer = network, criterion, optimizer
        self.model = network if model is None or self.weighting.by_task_gradients else model
        self.precision, self.grad_clip, self.accumulate = precision, grad_clip, accumulate
        self.device = next(network.parameters()).device
        self._losses = compiled(self._forward, backend) if backend else self._forward

    def __call__(self, batches: Iterator[Mapping[str, Any]]) -> tuple[dict[str, Tensor], Tensor]:
        """Make one step with the next `accumulate` batches, which hold `"image"` and every task.

        Their gradient and their losses are those of one batch of all their images, batch norm apart, however many pixels of
        each are labelled.

        Returns the losses by name (see :class:`LossTerms`) and the norm of the gradient before clipping. Both stay on the
        device, so that nothing waits for it.
        """
        self.model.train()
        losses: dict[str, Tensor] = {}
        micro_batches = [self._sent(next(batches)) for _ in range(self.accumulate)]
        counts: list[Counts] | list[None] = [None]
        if self.accumulate > 1:
            counts = self.criterion.joint_counts([targets for _, targets in micro_batches], self.network.tasks)
        for number, (images, targets) in enumerate(micro_batches, start=1):
            # Only the gradients of the last micro-batch are synchronised.
            is_last = number == self.accumulate
            with nullcontext() if is_last else getattr(self.model, "no_sync", nullcontext)():
                terms = self._checked_losses(images, targets, counts[number - 1])
                terms = replace(terms, total=self.weighting.total(terms))
                self.weighting.backward(terms, self.accumulate)
            for name, value in terms.by_name().items():
                losses[name] = losses.get(name, 0) + value.detach() / self.accumulate
        self.weighting.finish()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.grad_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.weighting.after_step(losses)
        return losses, norm

    def _sent(self, batch: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """The images and the targets by task, on the device."""
        images, *targets = (batch[name].to(self.device, non_blocking=True) for name in ("image", *self.network.tasks))
        return images, dict(zip(self.network.tasks, targets))

    def _forward(self, images: Tensor, targets: Mapping[str, Tensor], counts: Counts | None) -> LossTerms:
        with autocast(self.device, self.precision):
            output = self.model(images)
        return self.criterion(output, targets, counts)

    def _checked_losses(self, images: Tensor, targets: Mapping[str, Tensor], counts: Counts | None) -> LossTerms:
        try:
            return self._losses(images, targets, counts)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise UserError(
                f"batches of {len(images)} at {images.shape[-2]}×{images.shape[-1]} leave batch norms a single value at the "
                "coarsest map; give a larger data.size or batch_size"
            ) from None
