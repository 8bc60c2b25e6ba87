"""Maximal F measure and mean absolute error of saliency maps."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any

import torch
from torch import Tensor

from bridgenet.metrics.base import PixelMetric, Sums, masked, pooled_count, pooled_sum, ratio, valid_mask
from bridgenet.tasks import decoding

THRESHOLDS = tuple(step / 20 for step in range(1, 20))
BETA_SQUARED = 0.3

# sigmoid(p) >= t is p >= log(t / (1 - t)), which for t <= 0.5 every and for t >= 0.75 no probability is
_TWICE_SIGMOID = tuple(math.log(t / (1 - t)) for t in THRESHOLDS)
_CUTS = tuple(sorted({*THRESHOLDS, *(cut for cut in _TWICE_SIGMOID if 0 < cut <= 1)}))

# No cell of 1/2048 holds two cuts, and multiplying by 2048 is exact: the cell of a probability and one comparison give
# the exact number of cuts that it reaches, several times faster than a binary search (torch.bucketize).
_CELLS = 2048
_CUT_IN_CELL = torch.full((_CELLS + 1,), math.inf, dtype=torch.float64)
_CUT_IN_CELL[[int(cut * _CELLS) for cut in _CUTS]] = torch.tensor(_CUTS, dtype=torch.float64)
_CUTS_BELOW = torch.isfinite(_CUT_IN_CELL).to(torch.int32).cumsum(dim=0, dtype=torch.int32).roll(1)
_CUTS_BELOW[0] = 0


class Saliency(PixelMetric):
    """`maxF`, `maxF_clean` (0..1) and `mae`, the mean of |probability - truth|.

    maxF is the largest F (beta^2 = 0.3) over thresholds 0.05, 0.10, ..., 0.95 from pooled counts. `maxF` passes the
    probability through a sigmoid *again*, as the common evaluation code and thus published tables do: values lie in
    0.5..0.731, and thresholds up to 0.50 make every pixel salient. `maxF_clean` thresholds the probability itself.
    Pixels are salient whose truth is 0.5 or more. A split without any has F = 0. Both are exact for any number of processes.
    """

    image_score = "maxF"

    histogram: Tensor  # (truth below 0.5 or not, number of cuts that the probability reaches)
    absolute_error: Tensor

    def __init__(self, num_outputs: int = 2) -> None:
        super().__init__(num_outputs)
        self.add_state("histogram", torch.zeros(2, len(_CUTS) + 1, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("absolute_error", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def decode(self, logits: Tensor) -> Tensor:
        return decoding.foreground_probability(logits)

    def sums(self, target: Tensor, prediction: Tensor) -> Sums:
        """target (1, H, W) and prediction (H, W), both in [0, 1]."""
        target = target[0].to(prediction.dtype)
        valid = valid_mask(target)
        prediction, target = masked(valid, prediction, target)
        cells = (prediction * _CELLS).to(torch.int32).clamp_(0, _CELLS).flatten()  # NaN becomes a negative integer
        cuts = _CUT_IN_CELL.to(prediction).index_select(0, cells).view_as(prediction)
        reached = torch.ge(prediction, cuts, out=cuts).to(torch.int32).flatten()
        reached += _CUTS_BELOW.to(prediction.device).index_select(0, cells)
        width = len(_CUTS) + 1
        rows = torch.ge(target, 0.5).to(torch.int32).mul_(width).flatten()
        counts = torch.bincount(rows.add_(reached), minlength=2 * width).view(2, width)
        counts[0, 0] -= valid.numel() - pooled_count(valid)
        return {"histogram": counts, "absolute_error": pooled_sum((prediction - target).abs_())}

    def scores(self, sums: Sums) -> dict[str, float]:
        pixels = sums["histogram"].sum()
        if pixels == 0:
            return dict.fromkeys(("maxF", "maxF_clean", "mae"), float("nan"))
        return {
            "maxF": _curves(sums["histogram"], _TWICE_SIGMOID)["f"].max().item(),
            "maxF_clean": _curves(sums["histogram"], THRESHOLDS)["f"].max().item(),
            "mae": ratio(sums["absolute_error"], pixels),
        }

    def describe(self, sums: Sums) -> dict[str, Any]:
        """Curves over the 19 `thresholds`: `f` as in `maxF`, and `f_clean`, `precision_clean` and `recall_clean`.

        All are in 0..1; precision is None where no pixel is predicted, recall where none is salient.
        """
        clean = _curves(sums["histogram"], THRESHOLDS)
        return {
            "thresholds": list(THRESHOLDS),
            "f": _curves(sums["histogram"], _TWICE_SIGMOID)["f"].tolist(),
            **{f"{name}_clean": [None if x != x else x for x in values.tolist()] for name, values in clean.items()},
        }


def _curves(histogram: Tensor, thresholds: tuple[float, ...]) -> dict[str, Tensor]:
    """`f`, `precision` and `recall` at the thresholds of the probability, each among the cuts or outside of (0, 1]."""
    # at_least[truth, i]: number of pixels with a probability of at least _CUTS[i - 1]; none for the last
    at_least = torch.nn.functional.pad(histogram.flip(1).cumsum(dim=1).flip(1), (0, 1))
    reached = [bisect_left(_CUTS, threshold) + 1 if threshold > 0 else 0 for threshold in thresholds]
    negatives, positives = at_least[:, reached].double()
    salient = histogram[1].sum().double()
    # (1 + b) P R / (b P + R) without the divisions that an empty prediction makes 0 / 0
    f = (1 + BETA_SQUARED) * positives / (negatives + positives + BETA_SQUARED * salient).clamp(min=1e-9)
    return {"f": f, "precision": positives / (negatives + positives), "recall": positives / salient}
