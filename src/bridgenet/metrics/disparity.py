"""Errors of disparity [pixels] and of inverse depth, in the units of MTAN's arrays."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from bridgenet.metrics.base import PixelMetric, Sums, masked, pooled_count, pooled_sum, ratio, valid_mask
from bridgenet.tasks import decoding

LARGEST_DISPARITY = 80.0
"""Disparities from this value on, those of the nearest objects, are ignored by the protocol [pixels of the full width]."""


class InverseErrors(PixelMetric):
    """Sums of the squared, absolute and relative error over the pixels that count (:meth:`counts`)."""

    errors: Tensor  # sums of the squared, absolute and absolute relative error
    pixels: Tensor

    def __init__(self, num_outputs: int = 1) -> None:
        super().__init__(num_outputs)
        self.add_state("errors", torch.zeros(3, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("pixels", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @staticmethod
    @abstractmethod
    def counts(target: Tensor) -> Tensor:
        """1 where a target (H, W) counts, 0 elsewhere, in the target's dtype."""

    def decode(self, logits: Tensor) -> Tensor:
        return decoding.depth(logits)

    def sums(self, target: Tensor, prediction: Tensor) -> Sums:
        """target (1, H, W), prediction (H, W)."""
        target = target[0].to(prediction.dtype)
        valid = self.counts(target)
        prediction, known = masked(valid, prediction, target)
        error = (prediction - known).abs()
        relative = error / torch.where(valid > 0, known, 1)
        return {
            "errors": torch.stack([pooled_sum(x) for x in (error.square(), error, relative)]),
            "pixels": pooled_count(valid),
        }


class Disparity(InverseErrors):
    """`rmse` and `mae` [pixels of the full width] and `abs_rel`, mean |p − g|/g, over 0 < g < 80.

    The sky, whose disparity is 0, and objects within about 6 m of Cityscapes' camera are thus ignored.
    """

    image_score = "rmse"

    @staticmethod
    def counts(target: Tensor) -> Tensor:
        return valid_mask(target).mul_((target > 0) & (target < LARGEST_DISPARITY))

    def scores(self, sums: Sums) -> dict[str, float]:
        square, absolute, relative = (ratio(total, sums["pixels"]) for total in sums["errors"])
        return {"rmse": math.sqrt(square), "mae": absolute, "abs_rel": relative}


class InverseDepth(InverseErrors):
    """`abs_err`, mean |p − g|, and `rel_err`, mean |p − g|/g, over g > 0; MTAN's two, pooled over all pixels of the split.

    (MTAN's own evaluation averages the means of batches, which gives more weight to images with few known pixels.)
    """

    image_score = "abs_err"

    @staticmethod
    def counts(target: Tensor) -> Tensor:
        return valid_mask(target).mul_(target > 0)

    def scores(self, sums: Sums) -> dict[str, float]:
        _, absolute, relative = (ratio(total, sums["pixels"]) for total in sums["errors"])
        return {"abs_err": absolute, "rel_err": relative}
