"""Intersection over union of class maps (semantic segmentation, human parts)."""

from __future__ import annotations

import torch
from torch import Tensor

from bridgenet import decoding
from bridgenet.errors import UserError
from bridgenet.metrics.base import PixelMetric, ratio
from bridgenet.tasks import IGNORE


class Segmentation(PixelMetric):
    """`mIoU`: TP / (TP + FP + FN) over the split, mean over *all* classes; a class that never occurs counts 0.

    Also `pixel_accuracy`, the share of valid pixels with the right class, and :meth:`per_class`. All in 0..1.
    Args: num_outputs: number of classes, background included, at most 255.
    """

    confusion: Tensor  # (classes of the target, classes predicted)

    def __init__(self, num_outputs: int) -> None:
        super().__init__(num_outputs)
        self.add_state("confusion", torch.zeros(num_outputs, num_outputs, dtype=torch.int64), dist_reduce_fx="sum")
        self._per_class: list[float] = []

    def decode(self, logits: Tensor) -> Tensor:
        return decoding.class_index(logits)

    def accumulate(self, prediction: Tensor, target: Tensor) -> None:
        """prediction (B, H, W) integers, target (B, 1, H, W). Raises UserError for an unknown class in the target."""
        n = self.num_outputs
        # Ignored pixels are counted in a row of their own, which is cut off: cheaper than a mask.
        pairs = (target[:, 0].to(torch.int64) * n).add_(prediction)
        counts = torch.bincount(pairs.flatten(), minlength=(IGNORE + 1) * n)
        unknown = torch.cat([counts[n * n : IGNORE * n], counts[(IGNORE + 1) * n :]])
        if unknown.any():
            labels = (counts.nonzero().flatten() // n).tolist()
            found = next(label for label in labels if label >= n and label != IGNORE)
            raise UserError(
                f"the target holds class {found}, but there are {n} classes (0..{n - 1}, {IGNORE} = ignored)"
            )
        self.confusion += counts[: n * n].view(n, n)

    def compute(self) -> dict[str, float]:
        confusion = self.confusion.cpu().double()
        correct, total = confusion.diagonal(), confusion.sum()
        union = confusion.sum(dim=0) + confusion.sum(dim=1) - correct
        iou = torch.where(union > 0, correct / union.clamp(min=1), 0)
        self._per_class = iou.tolist() if total > 0 else [float("nan")] * self.num_outputs
        return {
            "mIoU": iou.mean().item() if total > 0 else float("nan"),
            "pixel_accuracy": ratio(correct.sum(), total),
        }

    def per_class(self) -> list[float]:
        """IoU of each class, 0..1, in the order of the logits. Like `compute` a collective call, unless after it."""
        self.compute()
        return list(self._per_class)
