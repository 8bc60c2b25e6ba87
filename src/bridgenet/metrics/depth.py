"""Errors of metric depth."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bridgenet import decoding
from bridgenet.metrics.base import PixelMetric, pooled_sum, ratio
from bridgenet.tasks import IGNORE

SMALLEST_PREDICTION = 1e-9
"""What a prediction of 0 or less counts as, in every error, by the common protocol. [m]"""


class Depth(PixelMetric):
    """`rmse` [m], `log_rmse` (natural logarithm), `abs_rel`, `sq_rel` [m], and `delta1..3`.

    deltaK: share of pixels with max(p/g, g/p) < 1.25^K (Eigen et al., 2014). A target of 0 or less holds no depth and
    is left out, like IGNORE.
    """

    sums: Tensor  # of the squared, squared logarithmic, absolute relative and squared relative error
    within: Tensor  # number of pixels with a ratio below 1.25, 1.25^2, 1.25^3
    pixels: Tensor

    def __init__(self, num_outputs: int = 1) -> None:
        super().__init__(num_outputs)
        self.add_state("sums", torch.zeros(4, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("within", torch.zeros(3, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("pixels", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def decode(self, logits: Tensor) -> Tensor:
        return decoding.depth(logits)

    def accumulate(self, prediction: Tensor, target: Tensor) -> None:
        """prediction (B, H, W) [m], target (B, 1, H, W) [m]."""
        target = target[:, 0].to(prediction.dtype)
        valid = (target != IGNORE) & (target > 0)
        # Prediction and truth 1 where there is no label: every error is 0 there, and every ratio 1.
        target = torch.where(valid, target, 1)
        prediction = torch.where(valid, prediction.clamp(min=SMALLEST_PREDICTION), 1)
        error = prediction - target
        log_error = (prediction / target).log()
        relative = error / target
        terms = (error.square(), log_error.square(), relative.abs(), error * relative)
        self.sums += torch.stack([pooled_sum(term) for term in terms])
        log_error.abs_()
        below = torch.stack([torch.count_nonzero(log_error < k * math.log(1.25)) for k in (1, 2, 3)])
        pixels = torch.count_nonzero(valid)
        self.within += below - (valid.numel() - pixels)
        self.pixels += pixels

    def compute(self) -> dict[str, float]:
        square, log_square, absolute_relative, square_relative = (ratio(total, self.pixels) for total in self.sums)
        delta1, delta2, delta3 = (ratio(count, self.pixels) for count in self.within)
        return {
            "rmse": math.sqrt(square),
            "log_rmse": math.sqrt(log_square),
            "abs_rel": absolute_relative,
            "sq_rel": square_relative,
            "delta1": delta1,
            "delta2": delta2,
            "delta3": delta3,
        }
