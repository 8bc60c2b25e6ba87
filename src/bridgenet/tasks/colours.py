"""Colours of maps and of error maps, and the range of values that they cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridgenet.imaging.drawing import Range

# Light grey for class 0 (background, wall), the colours of Okabe and Ito (2008), then each time the colour farthest in
# CIELAB from all colours before it, as seen with full colour vision, deuteranopia and protanopia (Machado et al., 2009).
PALETTE = np.frombuffer(
    bytes.fromhex("""
        d4d4d0 e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7 183cb4 54fc90 783018 78186c e43054 7890fc c0a854 784860
        a8cc9c 48e4fc b4e460 3c6c3c 18489c 906024 d89ca8 8454d8 a8fcc0 e46c78 6c6090 a8a8cc cc9c6c 6c9c30 547884 c054cc
        304830 78a8fc 30fcfc a884c0 6c78fc fc603c 6c4890 9cccd8 c0cc3c fcb478 489054 d8f0d8 c02418 244848 fc6ce4 54a890
        6c1884 783c6c 6cf09c c03c78 18ccb4 549ca8 782448 c0c054 a8483c 187854 a8fc84 841830 6c48b4 90d8b4 9c48a8 78d878
    """),
    dtype=np.uint8,
).reshape(-1, 3)
"""(64, 3) RGB of the classes 0..63; further classes start again at the first colour."""

NO_LABEL = np.array((38, 38, 38), dtype=np.uint8)
"""RGB of pixels without a label; unknown depth is black."""
ERROR_NO_LABEL = np.array((150, 170, 190), np.uint8)
"""RGB of pixels without a label in error maps, whose colours include dark ones."""
RIGHT, WRONG = np.array((214, 224, 232), np.uint8), np.array((213, 94, 0), np.uint8)
TINT = np.array((213, 94, 0), dtype=np.uint8)
"""RGB of probabilities laid over a photo."""

DEPTH_COLOURS = "viridis_r"  # near is bright; far differs from unknown
PROBABILITY_COLOURS = "gray"
REGRESSION_COLOURS = "cividis"
ERROR_COLOURS = "magma"


def percentile_range(known: Sequence[NDArray[Any]]) -> Range:
    """The 1st and 99th percentile of values; (0, 1) if there are none."""
    # some ten thousand pixels are enough for a percentile
    joined = np.concatenate([values[:: 1 + values.size // 50_000] for values in known]) if known else np.empty(0)
    if joined.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(joined, (1, 99)))
    return low, high
