"""Boundary evaluation (odsF, oisF, AP) on arrays, by SEISM's protocol, which the field uses, without Matlab.

    matched, predicted, true = count(prediction, boundaries(labels), max_distance=0.0075)
    scores = summarise(...)

The steps are :func:`orientation`, :func:`suppress`, :func:`thin`, :func:`boundaries`, :class:`Matcher` and
:func:`summarise`. Differences from plain BSDS evaluation: non-maximum suppression is part of it, thresholds are exclusive,
the best threshold is not interpolated, and true boundaries are made from label maps. Of folders of one's own, which have maps of
boundaries, they are thinned (:func:`true_boundaries`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridgenet.imaging.thinning import thin
from bridgenet.metrics.boundary.matching import Matcher, radius
from bridgenet.metrics.boundary.scores import THRESHOLDS, BoundaryScores, precision_recall, summarise
from bridgenet.metrics.boundary.suppression import non_maximum_suppression, orientation, suppress
from bridgenet.metrics.boundary.truth import boundaries, true_boundaries

__all__ = [
    "THRESHOLDS",
    "BoundaryScores",
    "Matcher",
    "boundaries",
    "count",
    "non_maximum_suppression",
    "orientation",
    "precision_recall",
    "radius",
    "summarise",
    "suppress",
    "thin",
    "true_boundaries",
]


def count(
    prediction: NDArray[np.uint8], truth: NDArray[np.bool_], *, max_distance: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Count the pixels of one image at the 101 thresholds.

    Args:
        prediction: (H, W) uint8, 255·probability; not thinned.
        truth: (H, W) bool, thin true boundaries, e.g. from :func:`boundaries`.
        max_distance: largest distance of a pair as a share of the image's diagonal: 0.011 NYUD-v2, 0.0075 PASCAL-Context.

    Returns:
        Matched pixels (101,), predicted pixels (101,), true pixels.
    """
    if prediction.shape != truth.shape or prediction.dtype != np.uint8 or truth.dtype != np.bool_:
        raise ValueError(
            f"prediction is {prediction.dtype} of {prediction.shape}, truth {truth.dtype} of {truth.shape}; "
            "expected uint8 and bool of one shape (H, W)"
        )
    ridges = non_maximum_suppression(prediction)
    maps = ridges > THRESHOLDS.astype(np.float32)[:, None, None]
    distinct = np.append(True, (maps[1:] != maps[:-1]).any(axis=(1, 2)))
    thinned = thin(maps[distinct])
    matcher = Matcher(truth, np.logical_or.reduce(thinned), radius(max_distance, truth.shape))
    matched = np.array([matcher.count(image) for image in thinned], np.int64)
    which = np.cumsum(distinct) - 1
    return matched[which], thinned.sum(axis=(1, 2), dtype=np.int64)[which], int(truth.sum())
