"""Metrics of the tasks: one class each, `update(logits, target)` and `compute() -> dict[str, float]`.

Shares (mIoU, accuracy, F) are in 0..1, depth errors in [m], angles in [deg].
"""

from __future__ import annotations

from bridgenet.metrics.depth import Depth
from bridgenet.metrics.edge import Edge
from bridgenet.metrics.normals import Normals
from bridgenet.metrics.saliency import Saliency
from bridgenet.metrics.segmentation import Segmentation

__all__ = ["Depth", "Edge", "Normals", "Saliency", "Segmentation"]
