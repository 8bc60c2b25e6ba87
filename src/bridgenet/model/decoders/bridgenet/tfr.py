"""Task feature refiner (TFR): each task refines itself from the bridge feature alone, so cost is linear in the tasks.

Source: the BridgeNet paper, section on TFR (Zhang et al., TPAMI 2025).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bridgenet.model.layers import folded, pointwise_conv, resize, rising_rates
from bridgenet.ops.definitions import follow_definitions


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
        self.is_split = False

    def forward(self, x_BCHW: Tensor, from_bridge_BCHW: Tensor) -> Tensor:
        """`from_bridge_BCHW`: what the first 1×1 convolution makes of the bridge feature, its bias included."""
        z = F.gelu(self.bn1(self._own(x_BCHW) + from_bridge_BCHW))
        z = F.gelu(self.bn2(self.depthwise(z)))
        return x_BCHW + self.drop_path(self.expand(z))

    def _own(self, x_BCHW: Tensor) -> Tensor:
        if self.is_split:
            return self.reduce(x_BCHW)
        return F.conv2d(x_BCHW, self.reduce.weight[:, : x_BCHW.shape[1]])

    def split(self) -> tuple[Tensor, Tensor]:
        """Fold the norms and keep only the task map's part of the first convolution; gives weight and bias of the bridge's."""
        reduce = folded(self.reduce, self.bn1)
        dim = reduce.in_channels // 2
        self.reduce = pointwise_conv(reduce.weight[:, :dim], None)
        self.depthwise = folded(self.depthwise, self.bn2)
        self.bn1 = self.bn2 = nn.Identity()
        self.is_split = True
        return reduce.weight[:, dim:], cast(Tensor, reduce.bias)

    def by_definition(self, x_BCHW: Tensor, bridge_BCHW: Tensor) -> Tensor:
        """The block as the paper draws it, from the bridge feature itself."""
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

        self.is_checkpointed = False
        """Whether the inside of a block is computed again in the backward pass instead of being kept."""
        self.hidden = [dim // squeeze for squeeze in squeezes]
        self.from_bridge: nn.ModuleDict | None = None
        """Once prepared for inference: per task, the bridge feature's 1×1 convolution for all blocks."""

    def forward(self, task_maps: dict[str, Tensor], bridge_BCHW: Tensor) -> dict[str, Tensor]:
        """Task maps {task: (B, D, H, W)} and the bridge feature (B, D, h₀, w₀) → refined maps of the same shapes."""
        bridge_BCHW = resize(bridge_BCHW, next(iter(task_maps.values())).shape[-2:])
        refine = self._by_definition if follow_definitions() and self.from_bridge is None else self._refine
        return {task: refine(task, task_maps[task], bridge_BCHW) for task in self.chains}

    def _refine(self, task: str, x_BCHW: Tensor, bridge_BCHW: Tensor) -> Tensor:
        # A 1×1 convolution of [x ‖ bridge] is one of x plus one of the bridge, and that one is done for all blocks at once.
        chain: Any = self.chains[task]
        if self.from_bridge is None:
            weight = torch.cat([block.reduce.weight[:, bridge_BCHW.shape[1] :] for block in chain])
            joint = F.conv2d(bridge_BCHW, weight, torch.cat([block.reduce.bias for block in chain]))
        else:
            joint = self.from_bridge[task](bridge_BCHW)
        for block, from_bridge_BCHW in zip(chain, joint.split(self.hidden, dim=1)):
            if self.is_checkpointed and torch.is_grad_enabled():
                again = partial(_again, block)
                x_BCHW = checkpoint(block, x_BCHW, from_bridge_BCHW, use_reentrant=False, context_fn=again)
            else:
                x_BCHW = block(x_BCHW, from_bridge_BCHW)
        return x_BCHW

    def _by_definition(self, task: str, x_BCHW: Tensor, bridge_BCHW: Tensor) -> Tensor:
        for block in self.chains[task]:
            x_BCHW = block.by_definition(x_BCHW, bridge_BCHW)
        return x_BCHW

    def prepare_for_inference(self) -> None:
        self.from_bridge = nn.ModuleDict()
        for task, chain in self.chains.items():
            weights, biases = zip(*(block.split() for block in chain))
            self.from_bridge[task] = pointwise_conv(torch.cat(weights), torch.cat(biases))


class BridgeSum(nn.Module):
    """In the place of a stage of TFR, for ablations: the bridge feature is added to every task's map; nothing is refined."""

    is_checkpointed = False

    def forward(self, task_maps: dict[str, Tensor], bridge_BCHW: Tensor) -> dict[str, Tensor]:
        """Task maps {task: (B, D, H, W)} and the bridge feature (B, D, h₀, w₀) → maps of the same shapes."""
        bridge_BCHW = resize(bridge_BCHW, next(iter(task_maps.values())).shape[-2:])
        return {task: x_BCHW + bridge_BCHW for task, x_BCHW in task_maps.items()}


def _again(block: RefinerBlock) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts of a checkpointed block's two forward passes: the second leaves the norms' running statistics alone."""
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
