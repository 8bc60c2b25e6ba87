"""From a boundary probability to ridges of one pixel: orientation, non-maximum suppression, border fade.

All in float32 and in the original tools' order of operations: where the map is nearly flat, the sign of the orientation
depends on rounding. (x: columns, y: rows.) Protocol: SEISM's boundary evaluation, as the field uses it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

RADIUS = 4
"""Radius of the triangle filter [pixels]."""
TOLERANCE = np.float32(1.01)
"""A pixel is suppressed if a neighbour across the ridge exceeds it by more than this factor."""
FADE = 5
"""Width of the border fade [pixels]."""


def triangle_filter(image: Float) -> Float:
    """(H, W) float32 smoothed with 1 2 3 4 5 4 3 2 1 over 25 along both axes, mirrored at the border (border repeated)."""
    norm = np.float32(1 / (RADIUS + 1) ** 4)
    horizontal = _running_triangle(image, norm)
    return np.ascontiguousarray(_running_triangle(np.ascontiguousarray(horizontal.T), np.float32(1)).T)


def _running_triangle(rows: Float, norm: np.float32) -> Float:
    """The filter along the last axis, times `norm`, as running sums."""
    width, reach = rows.shape[1], RADIUS + 1
    mirrored = np.pad(rows, ((0, 0), (0, max(0, reach - width))), mode="symmetric")
    sums = np.cumsum(mirrored[:, :reach], axis=1)
    total = np.cumsum(sums, axis=1)[:, -1:]
    first = norm * (2 * total - sums[:, -1:])
    j = np.arange(1, width)
    left = np.where(j > reach, j - reach - 1, reach - j)
    right = np.where(j <= width - reach, j + RADIUS, 2 * width - reach - j)
    # Maps narrower than the filter: reflect until inside.
    left, right = (_reflect(index, width) for index in (left, right))
    slope = np.cumsum(rows[:, left] + rows[:, right] - 2 * rows[:, j - 1], axis=1)
    return np.cumsum(np.concatenate([first, norm * slope], axis=1), axis=1)


def _reflect(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    index = index % (2 * size)
    return np.where(index >= size, 2 * size - 1 - index, index)


def _gradient(image: Float, axis: int) -> Float:
    """Central differences along an axis, one-sided at the border; 0 along an axis of one pixel."""
    if image.shape[axis] < 2:
        return np.zeros_like(image)
    return np.gradient(image, axis=axis)


def orientation(probability: Float) -> Float:
    """Angle of the normal of the boundary at each pixel, (H, W) float32 in [0, π) [rad]."""
    smooth = triangle_filter(probability)
    along_x, along_y = _gradient(smooth, 1), _gradient(smooth, 0)
    xx = _gradient(along_x, 1)
    xy, yy = _gradient(along_y, 1), _gradient(along_y, 0)
    angle = np.arctan(yy * np.sign(-xy) / (xx + np.float32(1e-5)))
    return np.mod(angle, np.float32(np.pi))


def suppress(probability: Float, angle: Float) -> Float:
    """:func:`maxima`, lowered at the border of the image."""
    return fade_border(maxima(probability, angle))


def maxima(probability: Float, angle: Float) -> Float:
    """(H, W) float32: the probability where it is a maximum across the boundary, else 0."""
    y, x = np.nonzero(probability)
    value, cos, sin = probability[y, x], np.cos(angle[y, x]), np.sin(angle[y, x])
    keep = np.ones(len(value), bool)
    for sign in (np.float32(-1), np.float32(1)):
        beside = _bilinear(probability, x.astype(np.float32) + sign * cos, y.astype(np.float32) + sign * sin)
        keep &= value * TOLERANCE >= beside
    result = np.zeros_like(probability)
    result[y[keep], x[keep]] = value[keep]
    return result


def _bilinear(image: Float, x: Float, y: Float) -> Float:
    """The image at x, y [pixels], clamped to its inside."""
    height, width = image.shape
    x = np.clip(x, np.float32(0), np.float32(width - 1.001))
    y = np.clip(y, np.float32(0), np.float32(height - 1.001))
    left, top = x.astype(np.int64), y.astype(np.int64)
    right_share, lower_share = x - left.astype(np.float32), y - top.astype(np.float32)
    left_share, upper_share = 1 - right_share, 1 - lower_share
    right, low = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    return (
        image[top, left] * left_share * upper_share
        + image[top, right] * right_share * upper_share
        + image[low, left] * left_share * lower_share
        + image[low, right] * right_share * lower_share
    )


def fade_border(image: Float) -> Float:
    """The map with its outermost ring set to 0 and the next few pixels lowered linearly; changes its argument."""
    height, width = image.shape
    steps = int(min(FADE, width / 2, height / 2))
    for i in range(steps):
        factor = np.float32(i) / np.float32(steps)
        image[:, i] *= factor
        image[:, width - 1 - i] *= factor
    for i in range(steps):
        factor = np.float32(i) / np.float32(steps)
        image[i] *= factor
        image[height - 1 - i] *= factor
    return image


def non_maximum_suppression(prediction: NDArray[np.uint8]) -> Float:
    """An 8-bit prediction (H, W), value = 255·probability, as thin ridges, (H, W) float32 in [0, 1]."""
    probability = prediction.astype(np.float32) / np.float32(255)
    return suppress(probability, orientation(probability))
