"""True boundaries from label maps, or from maps of boundaries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridgenet.imaging.thinning import thin
from bridgenet.metrics.boundary.suppression import maxima, orientation


def true_boundaries(stored: NDArray[Any]) -> NDArray[np.bool_]:
    """The thin boundaries of a label map (H, W) of whole numbers, see :func:`boundaries`, or of a map of boundaries.

    That is a map of real numbers (H, W), at least 0.5 on boundaries, which may be wider than a pixel; NaN where unknown. It is
    thinned as predictions are, and has no outermost pixels as they have none: what is predicted like the map lies on the same
    pixels.
    """
    if stored.dtype.kind != "f":
        return boundaries(stored)
    probability = np.nan_to_num(stored.astype(np.float32, copy=False))
    lines = maxima(probability, orientation(probability)) >= 0.5
    inside = np.zeros_like(lines)
    inside[1:-1, 1:-1] = lines[1:-1, 1:-1]
    return thin(inside[None])[0]


def boundaries(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels of an (H, W) label map that differ from their right, lower or lower-right neighbour, thinned; (H, W) bool.

    In the last row only the right neighbour counts, in the last column only the lower one; the corner has none.
    Protocol: SEISM's, which takes whatever is stored as a segmentation (a drawn line as well).
    """
    changes = np.zeros(labels.shape, bool)
    changes[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    changes[:-1] |= labels[:-1] != labels[1:]
    changes[:-1, :-1] |= labels[:-1, :-1] != labels[1:, 1:]
    return thin(changes[None])[0]
