"""Depth as a cloud of coloured points, in Stanford's PLY format (binary, little-endian)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridgenet.errors import UserError

ASSUMED_FIELD_OF_VIEW = 60.0
"""Default horizontal field of view [deg], about that of phones and of the Kinect."""
MAX_POINTS = 2_000_000


def check_field_of_view(degrees: float | None) -> None:
    """UserError for an angle that is impossible for a pinhole camera."""
    if degrees is not None and not 1 <= degrees <= 170:
        raise UserError(f"field of view is {degrees:g}°, expected the horizontal one, 1 to 170 degrees")


def point_cloud(depth: NDArray[Any], image: NDArray[np.uint8], field_of_view: float | None = None) -> bytes:
    """A PLY file of the points seen by a pinhole camera whose axis passes through the picture's centre.

    Args:
        depth: (H, W) [m], along the camera's axis; unknown pixels (≤ 0 or not finite) are left out.
        image: (H, W, 3) uint8 RGB, the colours of the points.
        field_of_view: horizontal [deg]; :data:`ASSUMED_FIELD_OF_VIEW` if None, which the file states.

    Returns:
        The file's content: x to the right, y down, z forward [m], float32; red, green, blue uint8. Pictures with more
        than :data:`MAX_POINTS` pixels are subsampled in both directions.
    """
    check_field_of_view(field_of_view)
    height, width = depth.shape
    angle = ASSUMED_FIELD_OF_VIEW if field_of_view is None else field_of_view
    focal = width / 2 / math.tan(math.radians(angle) / 2)
    step = math.ceil(math.sqrt(max(1.0, height * width / MAX_POINTS)))
    z = depth[::step, ::step].astype(np.float32)
    x = (np.arange(0, width, step, dtype=np.float32) - (width - 1) / 2) / focal
    y = (np.arange(0, height, step, dtype=np.float32) - (height - 1) / 2) / focal
    known = np.isfinite(z) & (z > 0)
    points = np.empty(int(known.sum()), dtype=[("xyz", "<f4", 3), ("rgb", "u1", 3)])
    points["xyz"] = np.stack([x[None] * z, y[:, None] * z, z], axis=-1)[known]
    points["rgb"] = image[::step, ::step][known]
    stated = "given" if field_of_view is not None else "assumed, not known of this picture"
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment horizontal field of view {angle:g} degrees ({stated}); x right, y down, z forward, metres",
        f"element vertex {len(points)}",
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {colour}" for colour in ("red", "green", "blue")),
        "end_header\n",
    ]
    return "\n".join(header).encode() + points.tobytes()
