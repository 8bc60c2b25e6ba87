"""Errors of metric depth."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from bridgenet.metrics.base import PixelMetric, Sums, blank, labelled, pooled_count, pooled_sum, ratio
from bridgenet.tasks import decoding

SMALLEST_PREDICTION = 1e-9
"""What a prediction of 0 or less counts as, in every error, by the common protocol. [m]"""

STEPS = 10
"""Bins of the histogram for a factor of 1.25; it reaches four such factors to either side."""
HALF = 4 * STEPS


class Depth(PixelMetric):
    """`rmse` [m], `log_rmse` (natural logarithm), `abs_rel`, `sq_rel` [m], and `delta1..3`.

    deltaK: share of pixels with max(p/g, g/p) < 1.25^K (Eigen et al., 2014), exact for any number of processes. A
    target of 0 or less holds no depth and is left out, like NaN.
    """

    image_score = "rmse"

    errors: Tensor  # sums of the squared, squared logarithmic, absolute relative and squared relative error
    within: Tensor  # number of pixels with a ratio below 1.25, 1.25^2, 1.25^3
    histogram: Tensor  # number of pixels by log(p/g), the first and the last bin open
    pixels: Tensor

    def __init__(self, num_outputs: int = 1) -> None:
        super().__init__(num_outputs)
        self.add_state("errors", torch.zeros(4, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("within", torch.zeros(3, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("histogram", torch.zeros(2 * HALF + 2, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("pixels", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def decode(self, logits: Tensor) -> Tensor:
        return decoding.depth(logits)

    def sums(self, target: Tensor, prediction: Tensor) -> Sums:
        """target (1, H, W) [m], prediction (H, W) [m]."""
        target = target[0].to(prediction.dtype)
        valid = labelled(target).mul_(torch.gt(target, 0, out=torch.empty_like(target)))
        # Prediction and truth alike where there is no label: every error is 0 there, and every ratio 1.
        prediction, target = (x.clamp_(min=SMALLEST_PREDICTION) for x in blank(valid, prediction, target))
        error = prediction - target
        log_error = (prediction / target).log_()
        relative = error / target
        terms = (error.square(), log_error.square(), relative.abs(), error.mul_(relative))
        bins = (log_error * (STEPS / math.log(1.25))).add_(HALF + 1).clamp_(0, 2 * HALF + 1)
        bins = bins.to(torch.int32).clamp_(min=0)  # NaN is negative
        histogram = torch.bincount(bins.flatten(), minlength=2 * HALF + 2)
        log_error.abs_()
        below = torch.stack([_below(log_error, k * math.log(1.25)) for k in (1, 2, 3)])
        pixels = pooled_count(valid)
        ignored = valid.numel() - pixels
        histogram[HALF + 1] -= ignored
        return {
            "errors": torch.stack([pooled_sum(term) for term in terms]),
            "within": below - ignored,
            "histogram": histogram,
            "pixels": pixels,
        }

    def scores(self, sums: Sums) -> dict[str, float]:
        pixels = sums["pixels"]
        square, log_square, absolute_relative, square_relative = (ratio(total, pixels) for total in sums["errors"])
        delta1, delta2, delta3 = (ratio(count, pixels) for count in sums["within"])
        return {
            "rmse": math.sqrt(square),
            "log_rmse": math.sqrt(log_square),
            "abs_rel": absolute_relative,
            "sq_rel": square_relative,
            "delta1": delta1,
            "delta2": delta2,
            "delta3": delta3,
        }

    def describe(self, sums: Sums) -> dict[str, Any]:
        """`ratio_histogram`, numbers of pixels by prediction / truth, and `ratio_edges` between its bins.

        The edges are 1.25^(k/10), k = -40..40; the first bin holds what is below them all, the last what is above.
        """
        return {
            "ratio_edges": [1.25 ** (k / STEPS) for k in range(-HALF, HALF + 1)],
            "ratio_histogram": sums["histogram"].tolist(),
        }


def _below(values: Tensor, bound: float) -> Tensor:
    return pooled_count(torch.lt(values, bound, out=torch.empty_like(values)))
