"""Pictures that tests share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, every value drawn from [0, 255]; the same for the same seed."""
    return np.random.default_rng(seed).integers(256, size=(height, width, 3), dtype=np.uint8)
