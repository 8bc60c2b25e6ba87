"""Task feature refiner (TFR): each task refines itself from the bridge feature alone, so cost is linear in the tasks.

Source: the BridgeNet paper, section on TFR (Zhang et al., TPAMI 2025).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn

from bridgenet.model.layers import resize, rising_rates
from bridgenet.ops.definitions import follow_definitions


class RefinerBlock(nn.Module):
    """x + drop_path(1×1, BN, GELU, dilated depthwise 3×3, BN, GELU, 1×1 of [x ‖ bridge])."""

    def __init__(self, dim: int, squeeze: int, dilation: int, drop_path: float):
        super().__init__()
        hidden = dim // squeeze
        self.reduce = nn.Conv2d(2 * dim, hidden, 1)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation, groups=hidden, bias=False)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.expand = nn.Conv2d(hidden, dim, 1)
        self.drop_path = DropPath(drop_path)

    def forward(self, x_BCHW: Tensor, from_bridge_BCHW: Tensor) -> Tensor:
        """`from_bridge_BCHW`: what the first 1×1 convolution makes of the bridge feature, its bias included."""
        own = self.reduce.weight[:, : x_BCHW.shape[1]]
        z = F.gelu(self.bn1(F.conv2d(x_BCHW, own) + from_bridge_BCHW))
        z = F.gelu(self.bn2(self.depthwise(z)))
        return x_BCHW + self.drop_path(self.expand(z))

    def by_definition(self, x_BCHW: Tensor, bridge_BCHW: Tensor) -> Tensor:
        """The block as the paper draws it, from the bridge feature itself."""
        z = F.gelu(self.bn1(self.reduce(torch.cat([x_BCHW, bridge_BCHW], dim=1))))
        z = F.gelu(self.bn2(self.depthwise(z)))
        return x_BCHW + self.drop_path(self.expand(z))


class Chain(nn.ModuleList):
    """One task's refiner blocks, one after the other."""

    def forward(self, x_BCHW: Tensor, bridge_BCHW: Tensor) -> Tensor:
        """Task map and bridge feature, both (B, D, H, W) → refined map (B, D, H, W)."""
        if follow_definitions():
            for block in self:
                x_BCHW = block.by_definition(x_BCHW, bridge_BCHW)
            return x_BCHW
        # A 1×1 convolution of [x ‖ bridge] is one of x plus one of the bridge, and that one is done for all blocks at once.
        dim = x_BCHW.shape[1]
        weight = torch.cat([block.reduce.weight[:, dim:] for block in self])
        bias = torch.cat([block.reduce.bias for block in self])
        hidden = [len(block.reduce.bias) for block in self]
        for block, from_bridge in zip(self, F.conv2d(bridge_BCHW, weight, bias).split(hidden, dim=1)):
            x_BCHW = block(x_BCHW, from_bridge)
        return x_BCHW


class TaskFeatureRefiner(nn.Module):
    """One stage of TFR: a chain of blocks for every task, each task with its own weights.

    Args:
        tasks: names, in task order.
        dim: width of the stage, Dᵢ.
        dilations: one per block of the chain.
        squeezes: dim / hidden width, one per block.
        drop_path: rate of the last block, growing linearly from 0.
    """

    def __init__(
        self, tasks: Sequence[str], dim: int, dilations: Sequence[int], squeezes: Sequence[int], drop_path: float
    ):
        super().__init__()
        rates = rising_rates(drop_path, len(dilations))
        self.chains = nn.ModuleDict(
            {task: Chain(RefinerBlock(dim, *block) for block in zip(squeezes, dilations, rates)) for task in tasks}
        )

    def forward(self, task_maps: dict[str, Tensor], bridge_BCHW: Tensor) -> dict[str, Tensor]:
        """Task maps {task: (B, D, H, W)} and the bridge feature (B, D, h₀, w₀) → refined maps of the same shapes."""
        bridge_BCHW = resize(bridge_BCHW, next(iter(task_maps.values())).shape[-2:])
        return {task: chain(task_maps[task], bridge_BCHW) for task, chain in self.chains.items()}
