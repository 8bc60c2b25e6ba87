"""What every backbone is."""

from __future__ import annotations

from torch import Tensor, nn


class Backbone(nn.Module):
    """Images (B, 3, H, W), sides divisible by `size_divisor` → maps F₀..F₃, fine to coarse, each (B, C, h, w).

    Attributes:
        channels: of the four maps.
        size_divisor: what the sides of the image must be divisible by.
        base_divisor: the decoder's r that goes with the backbone: 1 for pyramids, 2 for plain transformers.
        checkpointing: see :meth:`set_checkpointing`.
    """

    channels: tuple[int, ...]
    size_divisor: int
    base_divisor: int
    checkpointing: bool = False

    def set_checkpointing(self, enable: bool = True) -> None:
        """Keep only the blocks' inputs for the backward pass and compute the rest again: less memory, more time, same numbers."""
        self.checkpointing = enable

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        raise NotImplementedError
