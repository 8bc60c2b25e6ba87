"""Errors of metric depth."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from bridgenet.metrics.base import PixelMetric, Sums, masked, pooled_count, pooled_sum, ratio, valid_mask
from bridgenet.tasks import decoding

SMALLEST_PREDICTION = 1e-9
"""Predictions are clamped to at least this value [m] in every error, by the common protocol."""

STEPS = 10
"""Bins of the histogram per factor of 1.25; it covers four such factors on either side."""
HALF = 4 * STEPS


class Depth(PixelMetric):
    """`rmse` [m], `log_rmse` (natural logarithm), `abs_rel`, `sq_rel` [m], and `delta1..3`.

    deltaK: share of pixels with max(p/g, g/p) < 1.25^K (Eigen et al., 2014), exact for any number of processes. A
    target of 0 or less is no depth and is ignored like NaN.
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
        valid = valid_mask(target).mul_(torch.gt(target, 0, out=torch.empty_like(target)))
        # Prediction and truth are equal where there is no label, so that errors there are 0 and ratios 1.
        prediction, target = (x.clamp_(min=SMALLEST_PREDICTION) for x in masked(valid, prediction, target))
        error = prediction - target
        log_error = (prediction / target).log_()
        relative = error / target
        terms = (error.square(), log_error.square(), relative.abs(), error.mul_(relative))
        bins = (log_error * (STEPS / math.log(1.25))).add_(HALF + 1).clamp_(0, 2 * HALF + 1)
        bins = bins.to(torch.int32).clamp_(min=0)  # NaN is negative
        histogram = torch.bincount(bins.flatten(), minlength=2 * HALF + 2)
        log_error.abs_()
        bounds = [k * math.log(1.25) for k in (1, 2, 3)]
        below = [pooled_count(torch.lt(log_error, bound, out=torch.empty_like(log_error))) for bound in bounds]
        pixels = pooled_count(valid)
        ignored = valid.numel() - pixels
        histogram[HALF + 1] -= ignored
        return {
            "errors": torch.stack([pooled_sum(term) for term in terms]),
            "within": torch.stack(below) - ignored,
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
        """`ratio_histogram`, numbers of pixels by prediction / truth, and `ratio_edges`, the edges of its bins.

        The edges are 1.25^(k/10), k = -40..40; the first bin counts all smaller ratios, the last all larger ones.
        """
        return {
            "ratio_edges": [1.25 ** (k / STEPS) for k in range(-HALF, HALF + 1)],
            "ratio_histogram": sums["histogram"].tolist(),
        }
