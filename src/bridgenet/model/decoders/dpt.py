"""A DPT head per task on a shared backbone: maps reassembled to a pyramid, fused from coarse to fine by residual blocks.

Source: Ranftl et al., Vision Transformers for Dense Prediction (ICCV 2021); the layers are those of Hugging Face transformers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from bridgenet.errors import UserError
from bridgenet.model.decoders.multi_task import HeadWidth

FACTORS = {1: (1, 1, 1, 1), 2: (4, 2, 1, 0.5)}
"""Scale factors by the backbone's r: a pyramid's maps keep their size, a plain transformer's get strides 4 to 32."""


class DPTHead(nn.Module):
    """Neck and head of one task, without the last convolution, which belongs to the network's heads.

    Args:
        in_channels: channels of the backbone maps, fine to coarse.
        width: channels of the fused maps (256 as published).
        factors: scale factor of each map.
    """

    def __init__(self, in_channels: Sequence[int], width: int, factors: Sequence[float]):
        super().__init__()
        dpt = _transformers()
        dims = [width * share // 8 for share in (3, 6, 12, 24)]  # 96, 192, 384, 768 as published
        config = dpt.DPTConfig(neck_hidden_sizes=dims, fusion_hidden_size=width)
        self.reassemble = nn.ModuleList(
            dpt.modeling_dpt.DPTReassembleLayer(dpt.DPTConfig(hidden_size=channels), channels=dim, factor=factor)
            for channels, dim, factor in zip(in_channels, dims, factors)
        )
        self.convs = nn.ModuleList(nn.Conv2d(dim, width, 3, padding=1, bias=False) for dim in dims)
        self.fusion = dpt.modeling_dpt.DPTFeatureFusionStage(config)
        self.fusion.layers[
            0
        ].residual_layer1 = nn.Identity()  # for a coarser map, which the coarsest stage does not have
        self.head = nn.Conv2d(width, width // 2, 3, padding=1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Maps (B, Bᵢ, Hᵢ, Wᵢ) → (B, width/2, H, W) at stride 2."""
        maps = [conv(part(x)) for conv, part, x in zip(self.convs, self.reassemble, features)]
        return F.relu(self.head(self.fusion(maps)[-1]))


class DPTDecoder(nn.Module):
    """Computes, from four backbone maps, a feature at stride 2 for every task.

    Args:
        in_channels: channels of the backbone maps, fine to coarse.
        num_outputs: channels of each task's logits, in task order.
        width: channels of the fused maps.
        base_divisor: r of the backbone, 1 for pyramids and 2 for plain transformers; see :data:`FACTORS`.

    Raises:
        UserError: transformers is not installed.
    """

    def __init__(
        self, in_channels: Sequence[int], num_outputs: Mapping[str, int], *, base_divisor: int, width: HeadWidth = 256
    ):
        super().__init__()
        self.out_channels = width // 2
        factors = FACTORS[1 if base_divisor == 1 else 2]
        self.task_heads = nn.ModuleDict({task: DPTHead(in_channels, width, factors) for task in num_outputs})

    def forward(self, features: Sequence[Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Maps F₀..F₃ (B, Bᵢ, Hᵢ, Wᵢ), fine to coarse → features {task: (B, width/2, H/2, W/2)}, no intermediate logits."""
        return {task: head(features) for task, head in self.task_heads.items()}, {}


def _transformers() -> Any:
    try:
        from transformers.models import dpt
        from transformers.models.dpt import modeling_dpt  # noqa: F401
    except ImportError:
        raise UserError(
            'network.decoder: dpt needs transformers, which is not installed: pip install "bridgenet[dpt]"'
        ) from None
    return dpt
