"""A faster stage of TFR: the first 1×1 convolution of its blocks is split into two.

A 1×1 convolution of [x ‖ bridge] is the sum of one of x and one of the bridge feature. The bridge feature is equal for all
blocks of a task, so its part is computed for all of them at once, and nothing is concatenated, which halves the memory that
blocks need for the backward pass. The order of summation differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bridgenet.model.decoders.bridgenet.tfr import RefinerBlock, TaskFeatureRefiner
from bridgenet.model.fast.exchange import exchanged
from bridgenet.model.fast.folding import folded, pointwise_conv
from bridgenet.model.layers import resize
from bridgenet.system import allocator


class SplitBlock(RefinerBlock):
    """Replaces a block; its second argument is the bridge feature's part of the first convolution, including the bias."""

    def forward(self, x_BCHW: Tensor, from_bridge_BCHW: Tensor) -> Tensor:
        z = F.gelu(self.bn1(self.from_task(x_BCHW) + from_bridge_BCHW))
        z = F.gelu(self.bn2(self.depthwise(z)))
        return x_BCHW + self.drop_path(self.expand(z))

    def from_task(self, x_BCHW: Tensor) -> Tensor:
        """The task map's part of the first convolution."""
        return F.conv2d(x_BCHW, self.reduce.weight[:, : x_BCHW.shape[1]])


class SplitRefiner(TaskFeatureRefiner):
    """Replaces a stage of TFR."""

    def forward(self, task_maps: dict[str, Tensor], bridge_BCHW: Tensor) -> dict[str, Tensor]:
        bridge_BCHW = resize(bridge_BCHW, next(iter(task_maps.values())).shape[-2:])
        return {task: self.refine(task, task_maps[task], self.from_bridge(task, bridge_BCHW)) for task in self.chains}

    def from_bridge(self, task: str, bridge_BCHW: Tensor) -> Sequence[Tensor]:
        """The bridge feature's part of the first convolution of each of a task's blocks."""
        convs = [block.reduce for block in cast(Any, self.chains[task])]
        weight = torch.cat([conv.weight[:, bridge_BCHW.shape[1] :] for conv in convs])
        joint = F.conv2d(bridge_BCHW, weight, torch.cat([conv.bias for conv in convs]))
        return joint.split([conv.out_channels for conv in convs], dim=1)


class PreparedBlock(SplitBlock):
    """The same for inference: norms are folded, and `reduce` is only the task map's part."""

    def from_task(self, x_BCHW: Tensor) -> Tensor:
        return self.reduce(x_BCHW)


class PreparedRefiner(SplitRefiner):
    """The same for inference: the bridge feature's parts of all blocks are one convolution per task."""

    bridge_convs: nn.ModuleDict
    hidden: dict[str, list[int]]
    """Hidden widths of the blocks, by task."""

    def from_bridge(self, task: str, bridge_BCHW: Tensor) -> Sequence[Tensor]:
        return self.bridge_convs[task](bridge_BCHW).split(self.hidden[task], dim=1)


def split_refiner(refiner: TaskFeatureRefiner) -> SplitRefiner:
    _exchange_blocks(refiner, SplitBlock)
    return exchanged(refiner, SplitRefiner)


def prepared_refiner(refiner: SplitRefiner) -> PreparedRefiner:
    allocator.release()
    other = exchanged(refiner, PreparedRefiner)
    other.bridge_convs, other.hidden = nn.ModuleDict(), {}
    for task, chain in cast(Any, other.chains.items()):
        other.hidden[task] = [block.reduce.out_channels for block in chain]
        weights, biases = zip(*map(_split, chain))
        other.bridge_convs[task] = pointwise_conv(torch.cat(weights), torch.cat(biases))
    _exchange_blocks(other, PreparedBlock)
    return other


def _split(block: RefinerBlock) -> tuple[Tensor, Tensor]:
    """Fold a block's norms, remove the bridge's part of its first convolution, and return its weight and bias."""
    reduce = folded(block.reduce, block.bn1)
    dim = reduce.in_channels // 2
    block.reduce = pointwise_conv(reduce.weight[:, :dim], None)
    block.depthwise = folded(block.depthwise, block.bn2)
    block.bn1 = block.bn2 = nn.Identity()
    return reduce.weight[:, dim:], cast(Tensor, reduce.bias)


def _exchange_blocks(refiner: TaskFeatureRefiner, kind: type[SplitBlock]) -> None:
    for chain in cast(Any, refiner.chains.values()):
        for index, block in enumerate(chain):
            chain[index] = exchanged(block, kind)
