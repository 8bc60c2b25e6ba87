"""The complete network: backbone, decoder and heads, from tensors to tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bridgenet.model.backbones.base import Backbone
from bridgenet.model.layers import resize
from bridgenet.ops.normalisation import IMAGENET_DEVIATION, IMAGENET_MEAN


@dataclass
class BridgeNetOutput:
    """Result of a forward pass; every map has the size of the images.

    Attributes:
        logits: {task: (B, n_t, H, W)}.
        intermediate_logits: {task: (B, n_t, H, W)}, predictions of TPP; empty for decoders without intermediate predictions.
    """

    logits: dict[str, Tensor]
    intermediate_logits: dict[str, Tensor]


class Heads(nn.ModuleDict):
    """One 1×1 convolution per task, from the decoder's width to the task's channels."""

    def __init__(self, in_channels: int, num_outputs: Mapping[str, int]):
        super().__init__({task: nn.Conv2d(in_channels, channels, 1) for task, channels in num_outputs.items()})
        self.num_outputs = dict(num_outputs)

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {task: head(features[task]) for task, head in self.items()}


class BridgeNet(nn.Module):
    """A network of backbone, decoder and heads.

    Args:
        backbone: (B, 3, H, W) → four maps, fine to coarse.
        decoder: four maps → (features per task, intermediate logits per task).
        heads: features per task → logits per task.
        mean, deviation: normalisation of the channels RGB, for values in [0, 1].

    Attributes:
        mean, deviation: the same, (3, 1, 1) float32. They are buffers that are not saved with the weights.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        backbone: Backbone,
        decoder: nn.Module,
        heads: Heads,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        deviation: Sequence[float] = IMAGENET_DEVIATION,
    ):
        super().__init__()
        self.backbone = backbone
        self.decoder = decoder
        self.heads = heads
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None], persistent=False)

    @property
    def tasks(self) -> dict[str, int]:
        """Channels n_t of each task's logits, in task order."""
        return dict(self.heads.num_outputs)

    def forward(self, images: Tensor) -> BridgeNetOutput:
        """Run the network.

        Args:
            images: (B, 3, H, W) RGB, normalised with `mean` and `deviation`; any H and W ≥ 1. They are padded with 0
                below and to the right to multiples of the backbone's divisor, and the results are cropped.
        """
        height, width = images.shape[-2:]
        divisor = self.backbone.size_divisor
        padded = F.pad(images, (0, -width % divisor, 0, -height % divisor))
        size = padded.shape[-2:]

        features, intermediate = self.decoder(self.backbone(padded))
        logits = self.heads(features)

        def at_image_size(maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
            # Results are float32: a bfloat16 depth of 5 m has steps of 3 cm.
            full = {task: x.float() if x.dtype in (torch.bfloat16, torch.float16) else x for task, x in maps.items()}
            return {task: resize(x_BCHW, size)[..., :height, :width] for task, x_BCHW in full.items()}

        return BridgeNetOutput(at_image_size(logits), at_image_size(intermediate))
