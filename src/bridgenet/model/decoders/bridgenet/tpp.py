"""Task pattern propagation (TPP): separates task features early and lets tasks exchange their attention patterns.

Source: the BridgeNet paper, section on TPP (Zhang et al., TPAMI 2025).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
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


class AttentionProduction(nn.Module):
    """The attention pattern of one task: scores (B, heads, Nq, Nk), values (B, heads, Nk, E/heads), map size of the queries."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = ChannelNorm(dim)
        self.query = QueryProjection(dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.scale = dim**-0.5  # of the full width, not of a head's, as published

    def forward(self, preliminary_BCHW: Tensor) -> tuple[Tensor, Tensor, torch.Size]:
        x_BCHW = self.norm(preliminary_BCHW)
        query_BNC, size = self.query(x_BCHW)
        pooled_BNC = to_tokens(average_pool(x_BCHW, 3, stride=2, padding=1))
        query = split_heads(query_BNC, NUM_HEADS)
        key = split_heads(self.key(pooled_BNC), NUM_HEADS)
        value = split_heads(self.value(pooled_BNC), NUM_HEADS)
        return query @ key.transpose(-2, -1) * self.scale, value, size


class AttentionFusion(nn.Module):
    """One task's attention, fused from the patterns of all tasks, applied to its preliminary feature."""

    def __init__(self, dim: int, num_tasks: int):
        super().__init__()
        self.fuse = nn.Conv2d(num_tasks * NUM_HEADS, NUM_HEADS, 1)
        self.projection = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.mlp = Mlp(dim)

    def forward(self, preliminary_BCHW: Tensor, scores: Tensor, value: Tensor, size: torch.Size) -> Tensor:
        """`scores`: (B, T·heads, Nq, Nk), task-major. Returns the propagated map, of the preliminary feature's shape."""
        attention = self.fuse(scores).softmax(dim=-1)
        attended = to_map(self.projection(join_heads(attention @ value)), size)
        y_BCHW = preliminary_BCHW + resize(attended, preliminary_BCHW.shape[-2:])
        y_BHWC = y_BCHW.permute(0, 2, 3, 1)
        return y_BCHW + self.mlp(self.norm(y_BHWC)).permute(0, 3, 1, 2)


class TaskPatternPropagation(nn.Module):
    """Coarsest backbone map in; per task, the map that enters the first stage and the intermediate logits out.

    Args:
        in_channels: channels of the backbone map, B₃.
        embed_dim: width of the task features, E.
        out_channels: width of the maps handed on, C.
        num_outputs: channels of each task's logits, in task order.
        propagate: without, tasks exchange nothing: intermediate predictions come straight from the preliminary features.
    """

    def __init__(
        self,
        in_channels: int,
        embed_dim: int,
        out_channels: int,
        num_outputs: Mapping[str, int],
        *,
        propagate: bool = True,
    ):
        super().__init__()
        self.preliminary = nn.ModuleDict()
        self.production = nn.ModuleDict()
        self.fusion = nn.ModuleDict()
        self.intermediate_heads = nn.ModuleDict()
        self.mix = nn.ModuleDict()
        for task, channels in num_outputs.items():
            self.preliminary[task] = nn.Sequential(
                ConvBNReLU(in_channels, in_channels, 3), ConvBNReLU(in_channels, embed_dim, 3)
            )
            if propagate:
                self.production[task] = AttentionProduction(embed_dim)
                self.fusion[task] = AttentionFusion(embed_dim, len(num_outputs))
            self.intermediate_heads[task] = nn.Conv2d(embed_dim, channels, 1)
            self.mix[task] = nn.Conv2d(embed_dim + channels, out_channels, 1)

    def forward(self, x_BCHW: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """`x_BCHW`: (B, B₃, h, w) → maps {task: (B, C, h, w)}, intermediate logits {task: (B, n_t, h, w)}."""
        preliminary = {task: module(x_BCHW) for task, module in self.preliminary.items()}
        features = self._propagated(preliminary) if len(self.fusion) else preliminary
        maps, logits = {}, {}
        for task, feature in features.items():
            logits[task] = self.intermediate_heads[task](feature)
            # Only the logits carry the propagated patterns onward: the preliminary feature goes in beside them.
            maps[task] = self.mix[task](torch.cat([preliminary[task], logits[task]], dim=1))
        return maps, logits

    def _propagated(self, preliminary: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every task's preliminary feature with what the patterns of all tasks found in it."""
        produced = {task: module(preliminary[task]) for task, module in self.production.items()}
        all_scores = torch.cat([scores for scores, _, _ in produced.values()], dim=1)
        features = {}
        for task, fusion in self.fusion.items():
            _, value, size = produced[task]
            features[task] = fusion(preliminary[task], all_scores, value, size) + preliminary[task]
        return features
