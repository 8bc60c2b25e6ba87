"""The colour augmentation of the published training, in 8-bit arithmetic. It is random only by the given generator."""

from __future__ import annotations

import cv2
import numpy as np

BRIGHTNESS = 32.0
GAIN_RANGE = (0.5, 1.5)
HUE = 18
"""Largest shift of the hue in steps of OpenCV's 8-bit HSV; a step is 2 degrees."""


def photometric_distortion(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast, saturation and hue randomly, each with probability 1/2, in 8-bit arithmetic.

    Args:
        image: (H, W, 3) RGB in [0, 255], uint8 or float32; the latter is truncated to 8 bits first.

    Returns:
        (H, W, 3) uint8; may be the image itself.
    """
    image = image.astype(np.uint8, copy=False)
    if rng.random() < 0.5:
        image = adjust(image, 1.0, rng.uniform(-BRIGHTNESS, BRIGHTNESS))
    contrast_first = rng.random() < 0.5
    gain = rng.uniform(*GAIN_RANGE) if rng.random() < 0.5 else None
    if gain is not None and contrast_first:
        image = adjust(image, gain, 0.0)
    if rng.random() < 0.5:
        image = saturate(image, rng.uniform(*GAIN_RANGE))
    if rng.random() < 0.5:
        image = shift_hue(image, int(rng.integers(-HUE, HUE + 1)))
    if gain is not None and not contrast_first:
        image = adjust(image, gain, 0.0)
    return image


def adjust(image: np.ndarray, gain: float, offset: float) -> np.ndarray:
    """gain·v + offset of a uint8 image, clipped to 0..255 and rounded down."""
    return cv2.LUT(image, _ramp(gain, offset))


def saturate(image: np.ndarray, gain: float) -> np.ndarray:
    """The saturation of an RGB uint8 image times `gain`, clipped and rounded down, in OpenCV's 8-bit HSV."""
    return _map_hsv(image, 1, _ramp(gain, 0.0))


def shift_hue(image: np.ndarray, shift: int) -> np.ndarray:
    """The hue of an RGB uint8 image rotated by `shift` steps of 2 degrees, in OpenCV's 8-bit HSV (0..179)."""
    return _map_hsv(image, 0, ((np.arange(256) + shift) % 180).astype(np.uint8))


def _ramp(gain: float, offset: float) -> np.ndarray:
    """Lookup table of gain·v + offset for 8-bit values v: (256,) uint8."""
    return np.clip(np.arange(256) * gain + offset, 0, 255).astype(np.uint8)


def _map_hsv(image: np.ndarray, channel: int, table: np.ndarray) -> np.ndarray:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    cv2.insertChannel(cv2.LUT(cv2.extractChannel(hsv, channel), table), hsv, channel)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
