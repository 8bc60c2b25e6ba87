"""True boundaries from label maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridgenet.imaging.thinning import thin


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
