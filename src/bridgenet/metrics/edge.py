"""Validation loss of boundary maps."""

from __future__ import annotations

import torch
from torch import Tensor

from bridgenet import decoding
from bridgenet.losses import weighted_bce
from bridgenet.metrics.base import PixelMetric, pooled_sum, ratio
from bridgenet.tasks import IGNORE

POSITIVE_WEIGHT = 0.95


class Edge(PixelMetric):
    """`loss` and `loss_clean`: binary cross entropy, positives weighted 0.95, negatives 0.05, mean over valid pixels.

    As the common evaluation code computes it, and so in published tables (`loss`), the *probability* (0..1) is taken
    for the logit. `loss_clean` takes the logits; those of a decoded probability are of it clamped to 1e-7..1 - 1e-7.
    """

    sums: Tensor  # of loss and loss_clean
    pixels: Tensor

    def __init__(self, num_outputs: int = 1) -> None:
        super().__init__(num_outputs)
        self.add_state("sums", torch.zeros(2, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("pixels", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def decode(self, logits: Tensor) -> Tensor:
        return decoding.probability(logits)

    def update(self, logits: Tensor, target: Tensor, *, decoded: bool = False) -> None:
        if decoded:
            super().update(logits, target, decoded=True)
            return
        prediction = self.decode(logits)
        self.check_size(prediction.shape, target)
        self._add(prediction, logits[:, 0].to(prediction.dtype), target)

    def accumulate(self, prediction: Tensor, target: Tensor) -> None:
        """prediction (B, H, W) in [0, 1], target (B, 1, H, W) of 0 and 1."""
        self._add(prediction, torch.logit(prediction, eps=1e-7), target)

    def _add(self, prediction: Tensor, logits: Tensor, target: Tensor) -> None:
        target = target[:, 0].to(prediction.dtype)
        valid = target != IGNORE
        target = torch.where(valid, target, 0)
        losses = (weighted_bce(values, target, POSITIVE_WEIGHT) for values in (prediction, logits))
        self.sums += torch.stack([pooled_sum(torch.where(valid, loss, 0)) for loss in losses])
        self.pixels += torch.count_nonzero(valid)

    def compute(self) -> dict[str, float]:
        loss, loss_clean = (ratio(total, self.pixels) for total in self.sums)
        return {"loss": loss, "loss_clean": loss_clean}
