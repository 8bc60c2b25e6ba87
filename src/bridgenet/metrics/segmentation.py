"""Intersection over union of class maps (semantic segmentation, human parts)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bridgenet.errors import UserError
from bridgenet.metrics.base import PixelMetric, Sums, ratio
from bridgenet.tasks import IGNORE, decoding


class Segmentation(PixelMetric):
    """`mIoU`: TP / (TP + FP + FN) over the split, mean over *all* classes; a class that never occurs counts 0.

    This is the common protocol of published tables. `mIoU_present` is the mean over the classes that occur in the
    labels or the predictions, `pixel_accuracy` the share of valid pixels with the correct class, and
    `mean_class_accuracy` the mean, over the classes that occur in the labels, of the share of their pixels found. All
    are in 0..1 and exact for any number of processes.

    Args:
        num_outputs: number of classes, background included, at most 255.
    """

    image_score = "mIoU_present"  # in one image most classes do not occur

    confusion: Tensor  # (classes of the target, classes predicted)

    def __init__(self, num_outputs: int) -> None:
        super().__init__(num_outputs)
        self.add_state("confusion", torch.zeros(num_outputs, num_outputs, dtype=torch.int64), dist_reduce_fx="sum")

    def decode(self, logits: Tensor) -> Tensor:
        return decoding.class_index(logits)

    def sums(self, target: Tensor, prediction: Tensor) -> Sums:
        """target (1, H, W), prediction (H, W) integers. Raises UserError for an unknown class in the target."""
        n = self.num_outputs
        # Ignored pixels are counted in a separate row, which is cut off: cheaper than a mask.
        labels = target[0].nan_to_num(nan=IGNORE).to(torch.int32)
        pairs = labels.mul_(n).add_(prediction)
        counts = torch.bincount(pairs.flatten(), minlength=(IGNORE + 1) * n)
        unknown = torch.cat([counts[n * n : IGNORE * n], counts[(IGNORE + 1) * n :]])
        if unknown.any():
            present = (counts.nonzero().flatten() // n).tolist()
            found = next(label for label in present if label >= n and label != IGNORE)
            raise UserError(
                f"the target holds class {found}, but there are {n} classes (0..{n - 1}, {IGNORE} = ignored)"
            )
        return {"confusion": counts[: n * n].view(n, n)}

    def scores(self, sums: Sums) -> dict[str, float]:
        confusion = sums["confusion"].double()
        correct, per_class, total = confusion.diagonal(), confusion.sum(dim=1), confusion.sum()
        iou = _iou(confusion)
        return {
            "mIoU": iou.nan_to_num(0).mean().item() if total > 0 else float("nan"),
            "mIoU_present": iou.nanmean().item(),
            "pixel_accuracy": ratio(correct.sum(), total),
            "mean_class_accuracy": (correct / per_class).nanmean().item(),
        }

    def describe(self, sums: Sums) -> dict[str, Any]:
        """`per_class_iou`, `per_class_accuracy` and `confusion`, lists in the order of the classes.

        IoU is in 0..1, None for a class that occurs neither in labels nor predictions (0 in mIoU); accuracy is the share
        of the class's pixels found, None without any; `confusion` holds numbers of pixels, one row for each class of the
        labels, one column for each predicted class.
        """
        confusion = sums["confusion"]
        accuracy = confusion.diagonal().double() / confusion.sum(dim=1)
        return {
            "per_class_iou": _or_none(_iou(confusion.double())),
            "per_class_accuracy": _or_none(accuracy),
            "confusion": confusion.tolist(),
        }


def _iou(confusion: Tensor) -> Tensor:
    """(n,), NaN for a class that does not occur."""
    correct = confusion.diagonal()
    return correct / (confusion.sum(dim=0) + confusion.sum(dim=1) - correct)


def _or_none(values: Tensor) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
