"""Normalisation of images for networks: (v/255 − mean)/deviation."""

from __future__ import annotations

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
"""Statistics of ImageNet's channels RGB, for values in [0, 1]."""


def normalise(image: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Normalise images: (v/255 − mean)/deviation.

    Args:
        image: (B, 3, H, W) RGB in [0, 255], any dtype.
        mean, deviation: (3, 1, 1) float32, for values in [0, 1].

    Returns:
        (B, 3, H, W) float32.
    """
    # A tensor, because GPUs divide by a Python number by multiplying with its reciprocal, which rounds differently.
    most = torch.full((), 255.0, device=image.device)
    return (image.float() / most).sub_(mean).div_(deviation)
