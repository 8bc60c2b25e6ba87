"""What every backbone is."""

from __future__ import annotations

from torch import Tensor, nn

from bridgenet.errors import UserError


class Backbone(nn.Module):
    """Images (B, 3, H, W), sides divisible by `size_divisor` → maps F₀..F₃, fine to coarse, each (B, C, h, w).

    Attributes:
        channels: of the four maps.
        size_divisor: what the sides of the image must be divisible by.
        base_divisor: the decoder's r that goes with the backbone: 1 for pyramids, 2 for plain transformers.
        depends_on_size: whether other operations are computed for other sizes, so that an export is for one size alone.
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
        """Keep only the blocks' inputs for the backward pass and compute the rest again: less memory, more time, same numbers."""
        self.checkpointing = enable

    def freeze(self) -> None:
        """Keep the weights as they are: no gradients, and evaluation mode (batch norms, drop path) also in training."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Backbone:
        return super().train(mode and not self.frozen)

    def layers(self) -> dict[str, int]:
        """The layer that each parameter belongs to, counted from 0 at the image; the last block has the largest number.

        Raises:
            UserError: the backbone's layers are not known.
        """
        raise UserError("optimizer.layer_decay: the order of this backbone's layers is not known; leave it at 1.0")

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        raise NotImplementedError
