"""Bridge feature extractor (BFE): the backbone feature asks all task features; the answer is the bridge feature.

Source: the BridgeNet paper, section on BFE (Zhang et al., TPAMI 2025).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bridgenet.model.layers import (
    ChannelNorm,
    ConvBNReLU,
    Mlp,
    QueryProjection,
    join_heads,
    resize,
    split_heads,
    to_map,
    to_tokens,
)
from bridgenet.ops.pooling import average_pool

NUM_HEADS = 2


class BridgeFeatureExtractor(nn.Module):
    """One stage of BFE.

    Args:
        side_channels: channels of the backbone side of this stage.
        dim: width of the stage, Dᵢ.
        pool: kernel and stride with which the task maps are pooled before they become keys and values.
        previous_dim: width of the previous stage's bridge feature; None at the first stage.
    """

    def __init__(self, side_channels: int, dim: int, pool: int, previous_dim: int | None):
        super().__init__()
        self.pool = pool
        self.scale = dim**-0.5  # of the full width, not of a head's, as published
        self.side = ConvBNReLU(side_channels, dim, 1, bias=True)
        self.task_norm = ChannelNorm(dim)
        self.query = QueryProjection(dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.projection = nn.Linear(dim, dim)
        self.restore = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.mlp = Mlp(dim)
        self.carry = nn.Conv2d(previous_dim, dim, 1) if previous_dim is not None else None

    def forward(self, side_BCHW: Tensor, task_maps: Sequence[Tensor], previous_bridge: Tensor | None) -> Tensor:
        """Backbone side (B, side_channels, h₀, w₀) and all task maps (B, D, H, W) → bridge feature (B, D, h₀, w₀)."""
        side_BCHW = self.side(side_BCHW)
        pooled = [average_pool(self.task_norm(x), self.pool, stride=self.pool) for x in task_maps]
        tokens_BNC = torch.cat([to_tokens(x) for x in pooled], dim=1)
        query_BNC, size = self.query(side_BCHW)
        answer = F.scaled_dot_product_attention(
            split_heads(query_BNC, NUM_HEADS),
            split_heads(self.key(tokens_BNC), NUM_HEADS),
            split_heads(self.value(tokens_BNC), NUM_HEADS),
            scale=self.scale,
        )
        answer_BCHW = to_map(self.projection(join_heads(answer)), size)
        bridge_BCHW = side_BCHW + self.restore(resize(answer_BCHW, side_BCHW.shape[-2:]))
        bridge_BHWC = bridge_BCHW.permute(0, 2, 3, 1)
        bridge_BCHW = bridge_BCHW + self.mlp(self.norm(bridge_BHWC)).permute(0, 3, 1, 2)
        if self.carry is not None and previous_bridge is not None:
            bridge_BCHW = bridge_BCHW + resize(self.carry(previous_bridge), bridge_BCHW.shape[-2:])
        return bridge_BCHW


class BackboneSide(nn.Module):
    """Replaces a stage of BFE in ablations: returns the backbone feature without attention to the tasks.

    Args:
        side_channels: channels of the backbone side of this stage.
        dim: width of the stage, Dᵢ.
    """

    def __init__(self, side_channels: int, dim: int):
        super().__init__()
        self.side = ConvBNReLU(side_channels, dim, 1, bias=True)

    def forward(self, side_BCHW: Tensor, task_maps: Sequence[Tensor], previous_bridge: Tensor | None) -> Tensor:
        """Backbone side (B, side_channels, h₀, w₀) → (B, D, h₀, w₀)."""
        return self.side(side_BCHW)
