"""Validation loss of boundary maps."""

from __future__ import annotations

import torch
from torch import Tensor

from bridgenet.losses import weighted_bce
from bridgenet.metrics.base import PixelMetric, Sums, masked, pooled_count, pooled_sum, ratio, valid_mask
from bridgenet.tasks import decoding

POSITIVE_WEIGHT = 0.95


class Edge(PixelMetric):
    """`loss` and `loss_clean`: binary cross entropy, positives weighted 0.95, negatives 0.05, mean over valid pixels.

    `loss` uses the *probability* (0..1) as the logit, as the common evaluation code and thus published tables do.
    `loss_clean` uses the logits; of a decoded probability they are computed from it clamped to 1e-7..1 - 1e-7.
    """

    image_score = "loss"

    losses: Tensor  # sums of loss and loss_clean
    pixels: Tensor

    def __init__(self, num_outputs: int = 1) -> None:
        super().__init__(num_outputs)
        self.add_state("losses", torch.zeros(2, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("pixels", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def decode(self, logits: Tensor) -> Tensor:
        return decoding.probability(logits)

    def update(self, logits: Tensor, target: Tensor, *, decoded: bool = False) -> None:
        if decoded:
            self._add(target, logits)
        else:
            self._add(target, self.decode(logits), logits[:, 0])

    def sums(self, target: Tensor, prediction: Tensor, logits: Tensor | None = None) -> Sums:
        """target (1, H, W) of 0 and 1, prediction (H, W) in [0, 1], and its logits if known."""
        logits = torch.logit(prediction, eps=1e-7) if logits is None else logits
        target = target[0].to(prediction.dtype)
        valid = valid_mask(target)
        prediction, logits, target = masked(valid, prediction, logits, target)
        losses = (weighted_bce(values, target, POSITIVE_WEIGHT) for values in (prediction, logits))
        return {
            "losses": torch.stack([pooled_sum(loss.mul_(valid)) for loss in losses]),
            "pixels": pooled_count(valid),
        }

    def scores(self, sums: Sums) -> dict[str, float]:
        loss, loss_clean = (ratio(total, sums["pixels"]) for total in sums["losses"])
        return {"loss": loss, "loss_clean": loss_clean}
