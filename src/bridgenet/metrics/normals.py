"""Angular errors of surface normals."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from bridgenet.metrics.base import PixelMetric, Sums, masked, pooled_count, pooled_sum, ratio, valid_mask
from bridgenet.tasks import decoding

BINS_PER_DEGREE = 100
BINS = 180 * BINS_PER_DEGREE


class Normals(PixelMetric):
    """Angle between prediction and truth: `mean` and `median` [deg], `within_11.25`, `within_22.5`, `within_30` (0..1).

    The angle is 2 atan2(|p - g|, |p + g|) of unit vectors, precise at both ends where arc cosine is not. Median and
    shares come from a histogram of 0.01 deg bins over all pixels and are thus the same for any number of processes. The
    shares are as exact as each angle (about 1e-5 deg in float32), the median is exact to half a bin, 0.005 deg.
    """

    image_score = "mean"

    total: Tensor  # [deg]
    histogram: Tensor

    def __init__(self, num_outputs: int = 3) -> None:
        super().__init__(num_outputs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("histogram", torch.zeros(BINS, dtype=torch.int64), dist_reduce_fx="sum")

    def decode(self, logits: Tensor) -> Tensor:
        return decoding.unit_vector(logits)

    def sums(self, target: Tensor, prediction: Tensor) -> Sums:
        """target (3, H, W) unit vectors, NaN in all three where unknown, prediction (H, W, 3) unit vectors."""
        truth = target.to(prediction.dtype).unbind()
        # a component of a unit vector is at most 1
        valid = valid_mask(torch.maximum(torch.maximum(truth[0], truth[1]), truth[2]))
        pairs = list(zip(prediction.unbind(dim=2), truth))
        apart, along = _length([p - g for p, g in pairs]), _length([p + g for p, g in pairs])
        (angle,) = masked(valid, torch.atan2(apart, along).mul_(2 * 180 / math.pi))
        # The last bin includes 180 deg, and NaN, which must not count as correct.
        bins = (angle.nan_to_num(nan=180.0) * BINS_PER_DEGREE).clamp_(max=BINS - 1).to(torch.int32)
        histogram = torch.bincount(bins.flatten(), minlength=BINS)
        histogram[0] -= valid.numel() - pooled_count(valid)
        return {"total": pooled_sum(angle), "histogram": histogram}

    def scores(self, sums: Sums) -> dict[str, float]:
        cumulative = sums["histogram"].cumsum(dim=0)
        pixels = cumulative[-1]
        return {
            "mean": ratio(sums["total"], pixels),
            "median": _median(cumulative),
            **{
                f"within_{degrees:g}": ratio(cumulative[round(degrees * BINS_PER_DEGREE) - 1], pixels)
                for degrees in (11.25, 22.5, 30.0)
            },
        }

    def describe(self, sums: Sums) -> dict[str, Any]:
        """`angle_histogram`: 180 numbers of pixels, one for each degree of the angle, [0, 1), [1, 2), … [deg]."""
        return {"angle_histogram": sums["histogram"].view(180, BINS_PER_DEGREE).sum(dim=1).tolist()}


def _length(vector: list[Tensor]) -> Tensor:
    """The length of vectors given by their components, which are overwritten."""
    x, y, z = vector
    return x.mul_(x).addcmul_(y, y).addcmul_(z, z).sqrt_()


def _median(cumulative: Tensor) -> float:
    """Centre of the bin that holds the middle pixel [deg], NaN without pixels."""
    pixels = int(cumulative[-1])
    if pixels == 0:
        return float("nan")
    middle = int(torch.searchsorted(cumulative, (pixels + 1) // 2))
    return (middle + 0.5) / BINS_PER_DEGREE
