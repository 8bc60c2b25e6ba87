"""Maximal F measure and mean absolute error of saliency maps."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bridgenet import decoding
from bridgenet.metrics.base import PixelMetric, pooled_sum, ratio
from bridgenet.tasks import IGNORE

THRESHOLDS = tuple(step / 20 for step in range(1, 20))
BETA_SQUARED = 0.3

# sigmoid(p) >= t is p >= log(t / (1 - t))
_TWICE_SIGMOID = tuple(math.log(t / (1 - t)) for t in THRESHOLDS)
_CUTS = tuple(sorted({*THRESHOLDS, *_TWICE_SIGMOID}))


class Saliency(PixelMetric):
    """`maxF`, `maxF_clean` (0..1) and `mae`, the mean of |probability - truth|.

    maxF is the largest F (beta^2 = 0.3) over thresholds 0.05, 0.10, ..., 0.95 from pooled counts. As the common
    evaluation code computes it, and so in published tables (`maxF`), the probability passes through a sigmoid *again*
    and lies in 0.5..0.731: thresholds up to 0.50 call every pixel salient. `maxF_clean` thresholds the probability.
    A split without salient pixels has F = 0.
    """

    histogram: Tensor  # (truth 0 or 1, intervals between the cuts)
    absolute_error: Tensor

    def __init__(self, num_outputs: int = 2) -> None:
        super().__init__(num_outputs)
        self.add_state("histogram", torch.zeros(2, len(_CUTS) + 1, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("absolute_error", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def decode(self, logits: Tensor) -> Tensor:
        return decoding.foreground_probability(logits)

    def accumulate(self, prediction: Tensor, target: Tensor) -> None:
        """prediction (B, H, W) in [0, 1], target (B, 1, H, W) of 0 and 1."""
        target = target[:, 0].to(prediction.dtype)
        valid = target != IGNORE
        intervals = torch.bucketize(prediction, prediction.new_tensor(_CUTS), out_int32=True, right=True)
        rows = torch.where(valid, target, 2).to(torch.int32)  # ignored pixels: a third row, cut off
        width = len(_CUTS) + 1
        counts = torch.bincount((rows * width + intervals).flatten(), minlength=3 * width)
        self.histogram += counts.view(3, width)[:2]
        self.absolute_error += pooled_sum(torch.where(valid, (prediction - target).abs(), 0))

    def compute(self) -> dict[str, float]:
        histogram = self.histogram.cpu()
        pixels = histogram.sum()
        if pixels == 0:
            return dict.fromkeys(("maxF", "maxF_clean", "mae"), float("nan"))
        return {
            "maxF": _max_f(histogram, _TWICE_SIGMOID),
            "maxF_clean": _max_f(histogram, THRESHOLDS),
            "mae": ratio(self.absolute_error.cpu(), pixels),
        }


def _max_f(histogram: Tensor, thresholds: tuple[float, ...]) -> float:
    at_least = histogram.flip(1).cumsum(dim=1).flip(1)  # [truth, i]: pixels with a probability of at least _CUTS[i - 1]
    negatives, positives = at_least[:, [_CUTS.index(t) + 1 for t in thresholds]].double()
    salient = histogram[1].sum().double()
    # (1 + b) P R / (b P + R) without the divisions that an empty prediction makes 0 / 0
    f = (1 + BETA_SQUARED) * positives / (negatives + positives + BETA_SQUARED * salient).clamp(min=1e-9)
    return f.max().item()
