"""Angular errors of surface normals."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bridgenet import decoding
from bridgenet.metrics.base import PixelMetric, pooled_sum, ratio
from bridgenet.tasks import IGNORE

BINS_PER_DEGREE = 100
BINS = 180 * BINS_PER_DEGREE


class Normals(PixelMetric):
    """Angle between prediction and truth: `mean` and `median` [deg], `within_11.25`, `within_22.5`, `within_30` (0..1).

    The angle is 2 atan2(|p - g|, |p + g|) of unit vectors, precise at both ends where arc cosine is not. The mean is
    exact; median and shares come from a histogram of 0.01 deg bins, so the median is good to half a bin.
    """

    total: Tensor  # [deg]
    histogram: Tensor

    def __init__(self, num_outputs: int = 3) -> None:
        super().__init__(num_outputs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("histogram", torch.zeros(BINS, dtype=torch.int64), dist_reduce_fx="sum")

    def decode(self, logits: Tensor) -> Tensor:
        return decoding.unit_vector(logits)

    def accumulate(self, prediction: Tensor, target: Tensor) -> None:
        """prediction (B, H, W, 3) unit vectors, target (B, 3, H, W) unit vectors, IGNORE in all three where unknown."""
        prediction = prediction.permute(0, 3, 1, 2)
        target = target.to(prediction.dtype)
        valid = (target != IGNORE).all(dim=1)
        angle = torch.atan2(_length(prediction - target), _length(prediction + target)).mul_(2 * 180 / math.pi)
        self.total += pooled_sum(torch.where(valid, angle, 0))
        # 180 deg exactly belongs to the last bin, ignored pixels to one behind it
        bins = torch.where(valid, (angle * BINS_PER_DEGREE).clamp_(max=BINS - 1), BINS).to(torch.int32)
        self.histogram += torch.bincount(bins.flatten(), minlength=BINS + 1)[:BINS]

    def compute(self) -> dict[str, float]:
        cumulative = self.histogram.cpu().cumsum(dim=0)
        pixels = cumulative[-1]
        return {
            "mean": ratio(self.total.cpu(), pixels),
            "median": _median(cumulative),
            **{
                f"within_{degrees:g}": ratio(cumulative[round(degrees * BINS_PER_DEGREE) - 1], pixels)
                for degrees in (11.25, 22.5, 30.0)
            },
        }


def _length(vectors: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, H, W); several times faster than a reduction over dimension 1 on a CPU."""
    x, y, z = vectors.unbind(dim=1)
    return (x * x).addcmul_(y, y).addcmul_(z, z).sqrt_()


def _median(cumulative: Tensor) -> float:
    """Centre of the bin that holds the middle pixel [deg], NaN without pixels."""
    pixels = int(cumulative[-1])
    if pixels == 0:
        return float("nan")
    middle = int(torch.searchsorted(cumulative, (pixels + 1) // 2))
    return (middle + 0.5) / BINS_PER_DEGREE
