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

    def forward(self, x_BCHW: Tensor, bridge_BCHW: Tensor) -> Tensor:
        z = F.gelu(self.bn1(self.reduce(torch.cat([x_BCHW, bridge_BCHW], dim=1))))
        z = F.gelu(self.bn2(self.depthwise(z)))
        return x_BCHW + self.drop_path(self.expand(z))


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
            {
                task: nn.ModuleList(RefinerBlock(dim, *block) for block in zip(squeezes, dilations, rates))
                for task in tasks
            }
        )

    def forward(self, task_maps: dict[str, Tensor], bridge_BCHW: Tensor) -> dict[str, Tensor]:
        """Task maps {task: (B, D, H, W)} and the bridge feature (B, D, h₀, w₀) → refined maps of the same shapes."""
        bridge_BCHW = resize(bridge_BCHW, next(iter(task_maps.values())).shape[-2:])
        refined = {}
        for task, chain in self.chains.items():
            x_BCHW = task_maps[task]
            for block in chain:
                x_BCHW = block(x_BCHW, bridge_BCHW)
            refined[task] = x_BCHW
        return refined
