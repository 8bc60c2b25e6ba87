"""Errors of a map of real numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bridgenet.metrics.base import PixelMetric, Sums, masked, pooled_count, pooled_sum, ratio, valid_mask
from bridgenet.tasks import decoding


class Regression(PixelMetric):
    """`mae`, `rmse` and `bias` (mean of prediction − truth) over all valid values of all channels, in the task's unit."""

    image_score = "mae"

    errors: Tensor  # sums of the absolute, squared and signed error
    values: Tensor

    def __init__(self, num_outputs: int = 1) -> None:
        super().__init__(num_outputs)
        self.add_state("errors", torch.zeros(3, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("values", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def decode(self, logits: Tensor) -> Tensor:
        return decoding.regression(logits)

    def sums(self, target: Tensor, prediction: Tensor) -> Sums:
        """target (C, H, W), prediction (H, W) or (H, W, C)."""
        channels = prediction[None] if prediction.dim() == 2 else prediction.permute(2, 0, 1).contiguous()
        target = target.to(prediction.dtype)
        valid = valid_mask(target)
        known_prediction, known_target = masked(valid, channels, target)
        error = known_prediction - known_target
        return {
            "errors": torch.stack([pooled_sum(x.flatten(1)).sum() for x in (error.abs(), error.square(), error)]),
            "values": pooled_count(valid.flatten(1)),
        }

    def scores(self, sums: Sums) -> dict[str, float]:
        absolute, square, signed = (ratio(total, sums["values"]) for total in sums["errors"])
        return {"mae": absolute, "rmse": math.sqrt(square), "bias": signed}
