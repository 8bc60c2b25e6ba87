"""Task feature refiner (TFR): each task is refined only by the bridge feature, so cost is linear in the tasks.

Source: the BridgeNet paper, section on TFR (Zhang et al., TPAMI 2025).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import repeat
from typing import Any, cast

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bridgenet.model.layers import drop_path_schedule, resize


class RefinerBlock(nn.Module):
    """x + drop_path(1×1, BN, GELU, dilated depthwise 3×3, BN, GELU, 1×1 of [x ‖ bridge])."""

    def __init__(self, dim: int, squeeze: int, dilation: int, drop_path: float):
        super().__init__()
        hidden = dim // squeeze
        self.reduce = nn.Conv2d(2 * dim, hidden, 1)
        self.bn1: nn.Module = nn.BatchNorm2d(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation, groups=hidden, bias=False)
        self.bn2: nn.Module = nn.BatchNorm2d(hidden)
        self.expand = nn.Conv2d(hidden, dim, 1)
        self.drop_path = DropPath(drop_path)

    def forward(self, x_BCHW: Tensor, bridge_BCHW: Tensor) -> Tensor:
        """Task map and bridge feature, both (B, D, H, W) → (B, D, H, W)."""
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
        drop_path: drop-path rate of the last block, increasing linearly from 0.
    """

    def __init__(
        self, tasks: Sequence[str], dim: int, dilations: Sequence[int], squeezes: Sequence[int], drop_path: float
    ):
        super().__init__()
        rates = drop_path_schedule(drop_path, len(dilations))
        self.chains = nn.ModuleDict(
            {
                task: nn.ModuleList(RefinerBlock(dim, *block) for block in zip(squeezes, dilations, rates))
                for task in tasks
            }
        )

        self.is_checkpointed = False
        """Whether blocks are recomputed in the backward pass (gradient checkpointing)."""

    def forward(self, task_maps: dict[str, Tensor], bridge_BCHW: Tensor) -> dict[str, Tensor]:
        """Task maps {task: (B, D, H, W)} and the bridge feature (B, D, h₀, w₀) → refined maps of the same shapes."""
        bridge_BCHW = resize(bridge_BCHW, next(iter(task_maps.values())).shape[-2:])
        return {task: self.refine(task, task_maps[task], repeat(bridge_BCHW)) for task in self.chains}

    def refine(self, task: str, x_BCHW: Tensor, bridges: Iterable[Tensor]) -> Tensor:
        """Refine one task's map by its chain; `bridges` are the bridge features for each block."""
        for block, bridge_BCHW in zip(cast(Any, self.chains[task]), bridges):
            if self.is_checkpointed and torch.is_grad_enabled():
                again = partial(_again, block)
                x_BCHW = checkpoint(block, x_BCHW, bridge_BCHW, use_reentrant=False, context_fn=again)
            else:
                x_BCHW = block(x_BCHW, bridge_BCHW)
        return x_BCHW


class BridgeSum(nn.Module):
    """Replaces a stage of TFR in ablations: adds the bridge feature to every task's map, without refinement."""

    is_checkpointed = False

    def forward(self, task_maps: dict[str, Tensor], bridge_BCHW: Tensor) -> dict[str, Tensor]:
        """Task maps {task: (B, D, H, W)} and the bridge feature (B, D, h₀, w₀) → maps of the same shapes."""
        bridge_BCHW = resize(bridge_BCHW, next(iter(task_maps.values())).shape[-2:])
        return {task: x_BCHW + bridge_BCHW for task, x_BCHW in task_maps.items()}


def _again(block: RefinerBlock) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts of a checkpointed block's two forward passes; the second does not update the norms' running statistics."""
    return nullcontext(), _without_statistics([block.bn1, block.bn2])


@contextmanager
def _without_statistics(norms: Sequence[Any]) -> Iterator[None]:
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)
