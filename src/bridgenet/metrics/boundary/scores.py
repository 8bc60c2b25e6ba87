"""From counts per image and threshold to odsF, oisF, AP and the precision–recall curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

THRESHOLDS = np.array([0.001, *(i / 100 for i in range(1, 100)), 0.999])
"""The 101 thresholds of the protocol."""


@dataclass(frozen=True)
class BoundaryScores:
    """Scores over a set of images. Shares in 0..1.

    Attributes:
        ods_f, ods_precision, ods_recall, ods_threshold: at the best single threshold of the whole set.
        ois_f, ois_precision, ois_recall: at the best threshold of each image.
        ap: average precision.
        precision, recall, f: (101,) per threshold, over all images.
        thresholds: (101,).
        matched, predicted, true: (101,) counts summed over the images.
    """

    ods_f: float
    ods_precision: float
    ods_recall: float
    ods_threshold: float
    ois_f: float
    ois_precision: float
    ois_recall: float
    ap: float
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    matched: Counts
    predicted: Counts
    true: Counts

    @property
    def headlines(self) -> dict[str, float]:
        """`odsF`, `oisF` and `AP`, the keys of the edge task's scores."""
        return {"odsF": self.ods_f, "oisF": self.ois_f, "AP": self.ap}

    def as_dict(self) -> dict[str, Any]:
        """All scores and counts as plain JSON types."""
        return {
            "odsF": self.ods_f,
            "odsP": self.ods_precision,
            "odsR": self.ods_recall,
            "threshold": self.ods_threshold,
            "oisF": self.ois_f,
            "oisP": self.ois_precision,
            "oisR": self.ois_recall,
            "AP": self.ap,
            **{
                name: getattr(self, name).tolist()
                for name in ("thresholds", "precision", "recall", "f", "matched", "predicted", "true")
            },
        }


def precision_recall(matched: Counts, predicted: Counts, true: Counts) -> tuple[NDArray[np.float64], ...]:
    """Precision, recall and F of counts of any shape. Without true pixels R is 1 and P 0; else, without predicted ones, R is 0 and P 1."""
    matched, predicted, true = np.broadcast_arrays(matched, predicted, true)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(true > 0, matched / true, 1.0)
        precision = np.where(predicted > 0, matched / predicted, 1.0)
        precision = np.where(true > 0, precision, 0.0)
        f = np.where(precision + recall > 0, 2 * precision * recall / (precision + recall), 0.0)
    return precision, recall, f


def average_precision(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    """Sum / 100 of the precision interpolated at recall 0, 0.01, …, 1 (0 outside of the recalls that occur)."""
    distinct, first = np.unique(recall, return_index=True)
    if len(distinct) < 2:
        return 0.0
    at = np.linspace(0, 1, 101)
    return float(np.interp(at, distinct, precision[first], left=0.0, right=0.0).sum() / 100)


def summarise(matched: Counts, predicted: Counts, true: Counts) -> BoundaryScores:
    """Scores from counts: matched and predicted pixels (images, 101), true pixels (images,)."""
    sums = matched.sum(axis=0), predicted.sum(axis=0), np.full(len(THRESHOLDS), true.sum())
    precision, recall, f = precision_recall(*sums)
    best = int(np.argmax(f))
    _, _, per_image = precision_recall(matched, predicted, true[:, None])
    own = np.argmax(np.round(per_image, 6), axis=1)
    image = np.arange(len(true))
    ois = precision_recall(matched[image, own].sum(), predicted[image, own].sum(), true.sum())
    return BoundaryScores(
        ods_f=float(f[best]),
        ods_precision=float(precision[best]),
        ods_recall=float(recall[best]),
        ods_threshold=float(THRESHOLDS[best]),
        ois_f=float(ois[2]),
        ois_precision=float(ois[0]),
        ois_recall=float(ois[1]),
        ap=average_precision(precision, recall),
        precision=precision,
        recall=recall,
        f=f,
        thresholds=THRESHOLDS,
        matched=sums[0],
        predicted=sums[1],
        true=sums[2],
    )
