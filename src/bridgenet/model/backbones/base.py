"""The interface of backbones."""

from __future__ import annotations

from torch import Tensor, nn

from bridgenet.errors import UserError


class Backbone(nn.Module):
    """Images (B, 3, H, W), sides divisible by `size_divisor` → maps F₀..F₃, fine to coarse, each (B, C, h, w).

    Attributes:
        channels: channels of the four maps.
        size_divisor: the sides of the image must be multiples of it [pixels].
        base_divisor: the decoder's r for this backbone: 1 for pyramids, 2 for plain transformers.
        depends_on_size: whether the operations depend on the image size, so that an export has a fixed size.
        checkpointing: see :meth:`set_checkpointing`.
        frozen: see :meth:`freeze`.
    """

    channels: tuple[int, ...]
    size_divisor: int
    base_divisor: int
    depends_on_size: bool = False
    checkpointing: bool = False
    frozen: bool = False

    def set_checkpointing(self, enable: bool = True) -> None:
        """Enable gradient checkpointing: blocks are recomputed in the backward pass, with less memory and equal results."""
        self.checkpointing = enable

    def freeze(self) -> None:
        """Freeze the weights: no gradients, and evaluation mode (batch norm, drop path) also in training."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Backbone:
        return super().train(mode and not self.frozen)

    def layers(self) -> dict[str, int]:
        """The layer number of each parameter, from 0 at the image; the last block has the largest number.

        Raises:
            UserError: the backbone's layers are not known.
        """
        raise UserError("optimizer.layer_decay: the order of this backbone's layers is not known; leave it at 1.0")

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        raise NotImplementedError
