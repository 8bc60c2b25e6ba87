"""Metrics of the tasks: one class each, `update(logits, target)` and `compute() -> dict[str, float]`.

`details()` returns per-class values, the confusion matrix, curves and histograms for plots; `per_image()` the scores of
each image of the last batch. See :class:`bridgenet.metrics.base.PixelMetric`. Shares (mIoU, accuracy, F) are in 0..1,
depth errors in [m], angles in [deg]. The boundary evaluation (odsF), :mod:`bridgenet.metrics.boundary`, works on files and
neither needs nor loads torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridgenet.system.lazy import lazy_attributes

if TYPE_CHECKING:
    from bridgenet.metrics.depth import Depth
    from bridgenet.metrics.disparity import Disparity, InverseDepth
    from bridgenet.metrics.edge import Edge
    from bridgenet.metrics.normals import Normals
    from bridgenet.metrics.regression import Regression
    from bridgenet.metrics.saliency import Saliency
    from bridgenet.metrics.segmentation import Segmentation

_MODULES = {
    name: f"bridgenet.metrics.{name.lower()}"
    for name in ("Depth", "Disparity", "Edge", "Normals", "Regression", "Saliency", "Segmentation")
} | {"InverseDepth": "bridgenet.metrics.disparity"}

__all__ = ["Depth", "Disparity", "Edge", "InverseDepth", "Normals", "Regression", "Saliency", "Segmentation"]

__getattr__ = lazy_attributes(__name__, _MODULES)
